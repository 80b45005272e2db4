"""The phase diagram of a result."""

from __future__ import annotations

import pandas as pd

from grokmap import plot, store
from grokmap.analysis.boundaries import boundaries
from grokmap.classify import Criteria
from grokmap.errors import SpecError
from grokmap.result import groups, one_axis, planes, shading
from grokmap.result import theory as theories
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
    theory: str | None = None,
    say: theories.Say = theories.silent,
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
      theory: whose edges along weight decay are drawn over the phases, of
        `theory.THEORIES`; the table has them too, and labels of cells where the theory
        has some.
      say: told how far the theory has come.

    Raises:
      SpecError: an axis, a value, a quantity, a time or a theory that is not known; a
        theory that does not cover the runs, or has no edges in this plane; more panels
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
    if y is None and theory is not None:
        raise SpecError(
            f"--theory {theory}: its edges lie in a plane of weight_decay and another "
            "swept number; one number is drawn here"
        )
    if y is None:
        extra = None if colour == shading.DELAY_RATIO else shown
        return one_axis.draw(result, runs, x, rules, extra, look)
    return _plane(runs, result, (x, y), rules, shown, look, theory, say)


def _plane(
    runs: pd.DataFrame,
    result: Result,
    axes: tuple[str, str],
    rules: Criteria,
    shown: plot.Shading,
    look: plot.Look,
    theory: str | None,
    say: theories.Say,
) -> Drawing:
    places, rest = groups.panels(runs, result.axes, *axes, groups.MOST)
    plane = result.plane(*axes, runs)
    phases = plot.phases_of(rules.phases, rules.generalised)
    said = [_said(result, group, plane, theory, rules, say) for group in places]
    panels = [
        plot.PhasePanel(
            plot.place_words(group.place),
            group.runs,
            _edges(group, plane, phases),
            () if one is None else _lines(one.edges, plane, str(theory)),
        )
        for group, one in zip(places, said, strict=True)
    ]
    columns = groups.n_columns(places, rest)
    words = caption(result, pd.concat([group.runs for group in places]))
    figure = plot.phase_diagram(panels, plane, phases, shown, columns, look, words)
    cells = (
        groups.with_place(_with_theory(g, plane, phases, shown, one, theory), g)
        for g, one in zip(places, said, strict=True)
    )
    return Drawing(figure, pd.concat(cells, ignore_index=True))


def _said(
    result: Result,
    group: groups.Group,
    plane: plot.Plane,
    theory: str | None,
    rules: Criteria,
    say: theories.Say,
) -> theories.Said | None:
    """What a theory sees in one panel; see `theory.in_plane`."""
    if theory is None:
        return None
    return theories.in_plane(result, group.runs, plane, theory, rules, say)


def _lines(
    table: pd.DataFrame, plane: plot.Plane, name: str
) -> tuple[plot.TheoryLine, ...]:
    """The edges of a theory as lines in the plane; those that are nowhere left out."""
    other, *ends = table
    title = theories.theory_of(name).title
    never = table["generalises_to"].isna().all()
    said = {
        "memorises_to": f"{title}: memorises up to here, never generalises"
        if never
        else f"{title}: memorises up to here",
        "generalises_from": f"{title}: generalises between",
        "generalises_to": f"{title}: generalises between",
    }
    lines = []
    for end in ends:
        decay, place = table[end].to_numpy(), table[other].to_numpy()
        x, y = (decay, place) if plane.x == theories.DECAY else (place, decay)
        if table[end].notna().any():
            lines.append(plot.TheoryLine(said[end], x, y, end != "memorises_to"))
    return tuple(lines)


def _with_theory(
    group: groups.Group,
    plane: plot.Plane,
    phases: plot.Phases,
    shown: plot.Shading,
    said: theories.Said | None,
    theory: str | None,
) -> pd.DataFrame:
    """The cells of a panel, with what a theory says of them and of their row."""
    cells = plot.diagram_cells(group.runs, plane, phases, shown)
    if said is None:
        return cells
    axes = {plane.x, plane.y}
    for table in (said.edges, said.cells):
        if table is not None:
            own = {k: f"{theory}_{k}" for k in table if k not in axes}
            on = [k for k in table if k in axes]
            cells = cells.merge(table.rename(columns=own), on=on, how="left")
    return cells


def _edges(
    group: groups.Group, plane: plot.Plane, phases: plot.Phases
) -> pd.DataFrame | None:
    """The edges of the wedge along x; None on an axis that has no grid of its own."""
    x, y, log, _ = plane
    if "decay_rate" in (x, y):
        return None
    return boundaries(group.runs, x, y, (), phases.grokked, log=log)
