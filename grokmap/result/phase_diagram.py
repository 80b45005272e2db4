"""The phase diagram of a result."""

from __future__ import annotations

import pandas as pd

from grokmap import plot, store
from grokmap.analysis.boundaries import boundaries
from grokmap.analysis.series import values_at
from grokmap.classify import Criteria
from grokmap.errors import ResultError, SpecError, short
from grokmap.result import groups
from grokmap.result.caption import caption
from grokmap.result.drawing import Drawing
from grokmap.result.labels import rules_of
from grokmap.result.result import Result
from grokmap.spec.names import nearest

DELAY_RATIO = plot.DELAY.column
FINAL, AT_T_MEM = "final", "t_mem"


def draw(
    result: Result,
    x: str = "weight_decay",
    y: str = "alpha",
    colour: str = DELAY_RATIO,
    when: str = FINAL,
    criteria: str | Criteria = "default",
    at: groups.Place | None = None,
    look: plot.Look = plot.PAPER,
) -> Drawing:
    """Phases in the plane of two axes, the edges of the wedge, and a map beside it.

    Every other swept axis gives small multiples.

    Args:
      x, y: swept numbers, or decay_rate.
      colour: the quantity of the map: delay_ratio, or one that was recorded.
      when: when that is taken: final, t_mem.
      at: the values of other axes, as in {"depth": 2}; without, all of them.
      look: of `plot.look_of`.

    Raises:
      SpecError: an axis, a value, a quantity or a time that is not known; more panels
        than a figure has room for.
      ResultError: nothing is finished, or the quantity was not recorded.
    """
    check_colour(result, colour, when)
    rules = rules_of(criteria)
    columns = (*store.LABELS_READ, *([] if colour == DELAY_RATIO else [colour]))
    runs = result.labelled(rules, columns)
    shading = plot.DELAY
    if colour != DELAY_RATIO:
        runs, shading = _shaded(result, runs, colour, when)
    places, rest = groups.panels(runs, result.axes, x, y, at, groups.MOST)
    plane = result.plane(x, y, runs)
    phases = plot.phases_of(rules.phases, rules.generalised)
    panels = [
        plot.PhasePanel(
            plot.place_words(group.place), group.runs, _edges(group, plane, phases)
        )
        for group in places
    ]
    shown = groups.n_columns(places, rest)
    drawn = pd.concat([group.runs for group in places])
    words = caption(result, drawn)
    figure = plot.phase_diagram(panels, plane, phases, shading, shown, look, words)
    cells = (
        groups.with_place(plot.diagram_cells(g.runs, plane, phases, shading), g)
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


def check_colour(result: Result, colour: str, when: str) -> None:
    """Raises SpecError: a quantity or a time that is not known."""
    known = (DELAY_RATIO, *result.quantities)
    if colour not in known:
        raise SpecError(f"--colour {short(colour)!r}; {nearest(colour, known)}")
    if when not in (FINAL, AT_T_MEM):
        raise SpecError(f"--when {short(when)!r}; known: {FINAL}, {AT_T_MEM}")


def _shaded(
    result: Result, runs: pd.DataFrame, colour: str, when: str
) -> tuple[pd.DataFrame, plot.Shading]:
    """Runs with the column that colours the cells, and how it is drawn.

    Raises:
      ResultError: no run has a value.
    """
    entry = result.quantities[colour]
    column = f"final_{colour}"
    if column not in runs or runs[column].isna().all():
        raise ResultError(
            f"{result.path}: {colour} was not recorded, or is undefined here"
        )
    moment = "at the end of the run"
    if when == AT_T_MEM:
        moment = r"at $t_{\mathrm{mem}}$"
        values = values_at(result.records([colour]), runs, colour, "t_mem")
        column, runs = "colour", runs.assign(colour=values)
    label = f"${entry.symbol}$ {moment} (median over seeds)"
    return runs, plot.Shading(column, label, entry.log)
