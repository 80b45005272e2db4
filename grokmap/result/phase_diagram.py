"""The phase diagram of a result."""

from __future__ import annotations

import pandas as pd

from grokmap import plot, store
from grokmap.analysis.boundaries import boundaries
from grokmap.analysis.series import values_at
from grokmap.classify import Criteria
from grokmap.errors import ResultError, SpecError, short
from grokmap.result.drawing import Drawing
from grokmap.result.labels import criteria_with
from grokmap.result.result import Result
from grokmap.spec.names import nearest

DELAY_RATIO = plot.DELAY.column
FINAL, AT_T_MEM = "final", "t_mem"


def draw(
    result: Result,
    x: str = "weight_decay",
    y: str = "alpha",
    colour: str = DELAY_RATIO,
    at: str = FINAL,
    criteria: str | Criteria = "default",
) -> Drawing:
    """Phases in the plane of two axes, the edges of the wedge, and a map beside it.

    Args:
      x, y: swept axes, or decay_rate.
      colour: the quantity of the map: delay_ratio, or one that was recorded.
      at: when that is taken: final, t_mem.

    Raises:
      SpecError: an axis, quantity or time that is not known.
      ResultError: nothing is finished, or the quantity was not recorded.
    """
    check_colour(result, colour, at)
    columns = (*store.LABELS_READ, *([] if colour == DELAY_RATIO else [colour]))
    runs = result.labelled(criteria_with(criteria, plot.GENERALISED), columns)
    shading = plot.DELAY
    if colour != DELAY_RATIO:
        runs, shading = _shaded(result, runs, colour, at)
    figure = plot.phase_diagram(runs, x, y, shading, _edges(result, runs, x, y))
    return Drawing(figure, plot.diagram_cells(runs, x, y, shading))


def _edges(result: Result, runs: pd.DataFrame, x: str, y: str) -> pd.DataFrame | None:
    """The edges of the wedge along x; None on an axis that has no grid of its own."""
    if "decay_rate" in (x, y):
        return None
    by = plot.multiples(runs, x, y)
    log = result.is_log(x, runs)
    return boundaries(runs, x, y, by, plot.GENERALISED, log=log)


def check_colour(result: Result, colour: str, at: str) -> None:
    """Raises SpecError: a quantity or a time that is not known."""
    known = (DELAY_RATIO, *result.quantities)
    if colour not in known:
        raise SpecError(f"--colour {short(colour)!r}; {nearest(colour, known)}")
    if at not in (FINAL, AT_T_MEM):
        raise SpecError(f"--at {short(at)!r}; known: {FINAL}, {AT_T_MEM}")


def _shaded(
    result: Result, runs: pd.DataFrame, colour: str, at: str
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
    when = "at the end of the run"
    if at == AT_T_MEM:
        when = r"at $t_{\mathrm{mem}}$"
        values = values_at(result.records([colour]), runs, colour, "t_mem")
        column, runs = "colour", runs.assign(colour=values)
    label = f"${entry.symbol}$ {when} (median over seeds)"
    return runs, plot.Shading(column, label, entry.log)
