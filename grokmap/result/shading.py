"""The quantity that colours a diagram: a time, P(grok), or what was recorded."""

from __future__ import annotations

import pandas as pd

from grokmap import plot
from grokmap.analysis.cells import TIMES, probabilities, quartiles
from grokmap.analysis.series import values_at
from grokmap.classify import Criteria
from grokmap.errors import ResultError, SpecError, short
from grokmap.result.groups import REPLICAS
from grokmap.result.result import Result
from grokmap.spec.names import nearest

DELAY_RATIO = plot.DELAY.column
P_GROK = "p_grok"
FINAL, AT_T_MEM = "final", "t_mem"
LABELS = {
    "t_mem": r"$t_{\mathrm{mem}}$ (steps, median over seeds)",
    "t_grok": r"$t_{\mathrm{grok}}$ (steps, median over seeds)",
    "delay": r"$t_{\mathrm{grok}} - t_{\mathrm{mem}}$ (steps, median over seeds)",
    P_GROK: "P(grok), of decided runs",
}


def is_recorded(colour: str) -> bool:
    """Whether a quantity is measured along runs, not found from their labels."""
    return colour not in (DELAY_RATIO, P_GROK, *TIMES)


def check(result: Result, colour: str, when: str = FINAL) -> None:
    """Raises SpecError: a quantity or a time that is not known."""
    known = (DELAY_RATIO, *TIMES, P_GROK, *result.quantities)
    if colour not in known:
        raise SpecError(f"--colour {short(colour)!r}; {nearest(colour, known)}")
    if when not in (FINAL, AT_T_MEM):
        raise SpecError(f"--when {short(when)!r}; known: {FINAL}, {AT_T_MEM}")


def shaded(
    result: Result, runs: pd.DataFrame, rules: Criteria, colour: str, when: str = FINAL
) -> tuple[pd.DataFrame, plot.Shading]:
    """Runs with the column that colours the cells, and how it is drawn.

    Of times and P(grok) every run has the value of its cell.

    Raises:
      ResultError: no run has a value.
    """
    if colour == DELAY_RATIO:
        return runs, plot.DELAY
    if is_recorded(colour):
        return _recorded(result, runs, colour, when)
    values = _of_cells(result, runs, rules, colour)
    column = f"cell_{colour}"
    shading = plot.Shading(column, LABELS[colour], colour != P_GROK)
    return runs.assign(**{column: values}), shading


def _of_cells(
    result: Result, runs: pd.DataFrame, rules: Criteria, colour: str
) -> pd.Series:
    """[runs] a time or P(grok) of the cell of each; a cell: all axes but the seed."""
    axes = [axis.name for axis in result.axes if axis.name != REPLICAS]
    # Not read is a place, too.
    cells = runs.groupby(axes, dropna=False).ngroup() if axes else 0
    cell = runs.assign(cell=cells)
    find = probabilities if colour == P_GROK else quartiles
    found = find(cell, ["cell"], rules.generalised).set_index("cell")[colour]
    return cell["cell"].map(found).astype(float)


def _recorded(
    result: Result, runs: pd.DataFrame, colour: str, when: str
) -> tuple[pd.DataFrame, plot.Shading]:
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
