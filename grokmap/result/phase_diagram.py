"""The phase diagram of a result."""

from __future__ import annotations

import pandas as pd

from grokmap import plot, store
from grokmap.analysis.boundaries import boundaries
from grokmap.classify import Criteria
from grokmap.result import groups, one_axis, planes, shading
from grokmap.result.caption import caption
from grokmap.result.drawing import Drawing
from grokmap.result.labels import rules_of
from grokmap.result.result import Result


def draw(
    result: Result,
    x: str | None = None,
    y: str | None = None,
    colour: str = shading.DELAY_RATIO,
    when: str = shading.FINAL,
    criteria: str | Criteria = "default",
    at: groups.Place | None = None,
    look: plot.Look = plot.PAPER,
) -> Drawing:
    """Phases in the plane of two axes, the edges of the wedge, and a map beside it.

    Every other swept axis gives small multiples. Where one number is swept, or y is
    "none", t_mem, t_grok and P(grok) against it (`one_axis.draw`).

    Args:
      x, y: swept numbers, or decay_rate (None: weight_decay and alpha, or other swept
        numbers).
      colour: the quantity of the map: delay_ratio, delay, t_mem, t_grok, p_grok, or one
        that was recorded.
      when: when a recorded one is taken: final, t_mem.
      at: the values of other axes, as in {"depth": 2}; without, all of them.
      look: of `plot.look_of`.

    Raises:
      SpecError: an axis, a value, a quantity or a time that is not known; more panels
        than a figure has room for.
      ResultError: nothing is finished, or the quantity was not recorded.
    """
    result = result.at(at)
    shading.check(result, colour, when)
    rules = rules_of(criteria)
    columns = (*store.LABELS_READ, *([colour] if shading.is_recorded(colour) else []))
    runs = result.labelled(rules, columns)
    x, y = planes.chosen(result.axes, x, y)
    runs, shown = shading.shaded(result, runs, rules, colour, when)
    if y is None:
        extra = None if colour == shading.DELAY_RATIO else shown
        return one_axis.draw(result, runs, x, rules, extra, look)
    return _plane(runs, result, (x, y), rules, shown, look)


def _plane(
    runs: pd.DataFrame,
    result: Result,
    axes: tuple[str, str],
    rules: Criteria,
    shown: plot.Shading,
    look: plot.Look,
) -> Drawing:
    places, rest = groups.panels(runs, result.axes, *axes, groups.MOST)
    plane = result.plane(*axes, runs)
    phases = plot.phases_of(rules.phases, rules.generalised)
    panels = [
        plot.PhasePanel(
            plot.place_words(group.place), group.runs, _edges(group, plane, phases)
        )
        for group in places
    ]
    columns = groups.n_columns(places, rest)
    words = caption(result, pd.concat([group.runs for group in places]))
    figure = plot.phase_diagram(panels, plane, phases, shown, columns, look, words)
    cells = (
        groups.with_place(plot.diagram_cells(g.runs, plane, phases, shown), g)
        for g in places
    )
    return Drawing(figure, pd.concat(cells, ignore_index=True))


def _edges(
    group: groups.Group, plane: plot.Plane, phases: plot.Phases
) -> pd.DataFrame | None:
    """The edges of the wedge along x; None on an axis that has no grid of its own."""
    x, y, log, _ = plane
    if "decay_rate" in (x, y):
        return None
    return boundaries(group.runs, x, y, (), phases.grokked, log=log)
