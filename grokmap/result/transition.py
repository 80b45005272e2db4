"""Of which order is the transition that a result's runs cross?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from grokmap import plot
from grokmap.analysis import hysteresis as ramps
from grokmap.analysis import transition_order as order
from grokmap.errors import ResultError, SpecError, short
from grokmap.order_parameters import quantities
from grokmap.result import groups, hysteresis
from grokmap.result.caption import caption
from grokmap.result.drawing import Drawing
from grokmap.result.result import Result


class Transition(NamedTuple):
    """Evidence for an order, and the verdict.

    table: evidence as rows of quantity, evidence, supports, why; evidence: the same.
    verdict: in a sentence, of the quantities asked for; verdicts: of each by itself.
    cells: `analysis.transition_order.cells`, of all quantities; runs: what they are of.
    x: the axis; logs: of the quantities asked for, whether on a log scale.
    caption: what is fixed in all runs.
    """

    table: pd.DataFrame
    evidence: list[order.Evidence]
    verdict: str
    verdicts: dict[str, str]
    cells: pd.DataFrame
    runs: pd.DataFrame
    x: str
    logs: dict[str, bool]
    caption: str = ""


def find(
    result: Result,
    quantity: str | Sequence[str] = "test_accuracy",
    x: str = "weight_decay",
    at: groups.Place | None = None,
    loops: Result | None = None,
) -> Transition:
    """First order or continuous: what many seeds and widths say of a boundary.

    Args:
      quantity: a recorded quantity, or several, by which the verdict is given.
      x: the swept axis across the boundary.
      at: a value for every swept axis beside width and x, as in {"depth": 2}.
      loops: a result of ramped runs, whose loops are evidence too.

    Raises:
      SpecError: no such quantity or axis, or another axis is left open.
      ResultError: the width or x is not swept, or the quantity was not recorded.
    """
    wanted = [quantity] if isinstance(quantity, str) else list(quantity)
    for name in wanted:
        hysteresis.check_quantity(result, name)
    result = result.at(at)
    runs = result.labelled(columns=None)
    _check_axes(result, x)
    runs = groups.at_one_place(runs, result.axes, ("width", x))
    known = _measured(result, runs, wanted)
    cells = order.cells(runs, x, known)
    rows = order.evidence(cells, runs, x, known)
    for name in wanted if loops is not None else ():
        assert loops is not None
        rows += _loop_rows(loops, name, order.falls(cells, x, name))
    verdict = order.verdict(row for row in rows if row.quantity in wanted)[1]
    logs = {name: known[name] for name in wanted}
    table = pd.DataFrame(rows)
    verdicts, words = _verdicts(rows), caption(result, runs)
    return Transition(table, rows, verdict, verdicts, cells, runs, x, logs, words)


def _check_axes(result: Result, x: str) -> None:
    """Raises ResultError unless the width and x are swept, and SpecError where x is the
    width or the seed."""
    if x in ("width", "seed"):
        raise SpecError(
            f"--x {x}: the axis across the transition, such as weight_decay"
        )
    swept = [axis.name for axis in result.axes]
    if x not in swept or "width" not in swept:
        raise ResultError(
            f"{result.path}: sweeps {', '.join(swept) or 'nothing'}; the order of a "
            f"transition needs several widths, points of {short(x)!r} (--x) and seeds, "
            "as in `grokmap sweeps finite-size`"
        )
    groups.check_numbers(result.axes, x)


def _measured(
    result: Result, runs: pd.DataFrame, wanted: Sequence[str]
) -> dict[str, bool]:
    """The quantities that differ between runs, and whether on a log scale.

    Raises:
      ResultError: one that is wanted is not among them.
    """
    known = {
        name: entry.log
        for name, entry in result.quantities.items()
        if f"final_{name}" in runs and runs[f"final_{name}"].nunique() > 1
    }
    missing = [name for name in wanted if name not in known]
    if missing:
        raise ResultError(
            f"{result.path}: {missing[0]} was not recorded, or never changes"
        )
    return known


def _loop_rows(loops: Result, quantity: str, falls: bool) -> list[order.Evidence]:
    """Of the ramps that cross the boundary in the direction that the cells show."""
    measured = hysteresis.find(loops, quantity)
    kind = "falls" if falls else "rises"
    crossing = measured.trends[measured.trends[kind] > 0.5]
    if crossing.empty:
        why = f"no ramp of {loops.path} crosses this boundary"
        return [order.Evidence(quantity, "hysteresis", order.UNDECIDED, why)]
    return [
        order.loop_evidence(row, quantity, ramps.place_of(row, measured.family))
        for row in crossing.to_dict("records")
    ]


def _verdicts(rows: list[order.Evidence]) -> dict[str, str]:
    """By quantity, the order that its own evidence supports."""
    names = dict.fromkeys(row.quantity for row in rows)
    return {n: order.verdict(r for r in rows if r.quantity == n)[0] for n in names}


def draw(transition: Transition, look: plot.Look = plot.PAPER) -> Drawing:
    """Distributions over seeds at the boundary, means and Binder's cumulant."""
    cells, runs, x = transition.cells, transition.runs, transition.x
    values = {
        name: order.boundary_values(cells, runs, x, name, log)
        for name, log in transition.logs.items()
    }
    labels = {name: _label(name, log) for name, log in transition.logs.items()}
    x_label = plot.axis_label(x, runs)
    figure = plot.order_panels(
        cells, values, x, labels, x_label, look, transition.caption
    )
    return Drawing(figure, cells[cells["quantity"].isin(transition.logs)])


def _label(name: str, log: bool) -> str:
    symbol = quantities([name])[name].symbol
    return rf"$\log_{{10}}\,{symbol}$" if log else f"${symbol}$"
