"""How the transition of a result and its times depend on size."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from grokmap import plot, store
from grokmap.analysis import scaling
from grokmap.classify import GROK, Criteria
from grokmap.errors import SpecError, short
from grokmap.result import groups
from grokmap.result.caption import caption
from grokmap.result.drawing import Drawing
from grokmap.result.labels import criteria_with
from grokmap.result.result import Result
from grokmap.spec.names import nearest


class Scaling(NamedTuple):
    """What scales with size.

    table: `analysis.scaling.measure`, one row a number.
    ensemble: the runs by size, x and seed; caption: what is fixed in them.
    """

    table: pd.DataFrame
    ensemble: scaling.Ensemble
    caption: str = ""


def find(
    result: Result,
    size: str = "width",
    x: str = "weight_decay",
    quantity: str = "test_accuracy",
    at: groups.Place | None = None,
    between: tuple[float, float] | None = None,
    log: bool | None = None,
    clock: str = "decay",
    criteria: str | Criteria = "default",
) -> Scaling:
    """Crossings, Binder's cumulant, data collapse and times by size.

    Args:
      size: width or modulus; x: the swept axis across the transition.
      quantity: the recorded quantity of the Binder cumulant.
      at: a value for every other swept axis, as in {"depth": 2}.
      between: (low, high) of x: one boundary of several.
      log: whether x is taken in ln (None: where it spans a factor above 20).
      clock: t_grok in "decay" times or in "steps".

    Raises:
      SpecError: the size or x is not swept, or another axis is left open.
      ResultError: too few sizes, values or seeds, or nothing decided.
    """
    rules, result = criteria_with(criteria, [GROK]), result.at(at)
    if quantity not in result.quantities:
        near = nearest(quantity, result.quantities)
        raise SpecError(f"--quantity {short(quantity)!r}; {near}")
    columns = tuple(dict.fromkeys([*store.LABELS_READ, quantity]))
    runs = result.labelled(rules, columns)
    _check_axes(result, size, x)
    runs = groups.at_one_place(runs, result.axes, (size, x))
    if between is not None:
        runs = _between(runs, x, *between)
    ensemble = scaling.gather(runs, size, x, quantity, clock, log)
    words = caption(result, runs)
    return Scaling(scaling.measure(ensemble).table, ensemble, words)


def _check_axes(result: Result, size: str, x: str) -> None:
    """Raises SpecError: no size, or the size or x is no swept axis of numbers."""
    if size not in scaling.SIZES:
        known = ", ".join(scaling.SIZES)
        raise SpecError(f"--size {short(size)!r}; known: {known}")
    if x == size:
        raise SpecError(f"--x {x}: is the size; choose another axis")
    swept = [axis.name for axis in result.axes if axis.name != "seed"]
    for option, axis in (("--size", size), ("--x", x)):
        if axis not in swept:
            words = ", ".join(swept) or "nothing"
            raise SpecError(f"{option} {short(axis)!r} is not swept; swept: {words}")
    groups.check_numbers(result.axes, x)


def _between(runs: pd.DataFrame, x: str, low: float, high: float) -> pd.DataFrame:
    inside = runs[runs[x].between(low * (1 - 1e-9), high * (1 + 1e-9))]
    if inside[x].nunique() < 2:
        count = "one value" if len(inside) else "no run"
        few = f"{count} of {x} is between; two or more are needed"
        raise SpecError(f"--between {low:g},{high:g}: {few}")
    return inside


def draw(measured: Scaling, look: plot.Look = plot.PAPER) -> Drawing:
    """P(grok), Binder's cumulant, the collapse and the times by size."""
    ensemble = measured.ensemble
    label = plot.quantity_words(ensemble.quantity)
    clock = ensemble.clock
    scales = plot.Scales(ensemble.size, ensemble.axis, ensemble.log, label, clock)
    figure = plot.scaling_figure(measured.table, scales, look, measured.caption)
    return Drawing(figure, measured.table)
