"""The loops of a result's runs whose weight decay is ramped up and down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from grokmap import plot
from grokmap.analysis import hysteresis
from grokmap.errors import ResultError, SpecError, short
from grokmap.order_parameters import quantities
from grokmap.result.caption import caption
from grokmap.result.drawing import Drawing
from grokmap.result.result import Result
from grokmap.spec.names import nearest

ACCURACIES = ("train_accuracy", "test_accuracy")


class Hysteresis(NamedTuple):
    """Loops and what becomes of them as ramps slow down.

    table: `analysis.hysteresis.loops`, one row a ramped run; loops: by run_id.
    rates, trends: `analysis.hysteresis.by_rate` and `trends`, by family.
    family: the axes that tell families apart: all but the seed and the ramp's rate.
    caption: what is fixed in all ramped runs.
    """

    quantity: str
    table: pd.DataFrame
    loops: Mapping[str, hysteresis.Loop]
    rates: pd.DataFrame
    trends: pd.DataFrame
    family: list[str]
    caption: str = ""


def find(result: Result, quantity: str = "test_accuracy") -> Hysteresis:
    """The loop of every ramped run, and areas against the ramp's rate.

    quantity: a recorded one. Jumps are where it passes 1/2, or the middle of its range
      if it is no accuracy.

    Raises:
      SpecError: no such quantity. ResultError: no ramps, or it was not recorded.
    """
    check_quantity(result, quantity)
    plan = result.plan
    if "ramp_steps" not in plan or plan["ramp_steps"].isna().all():
        raise ResultError(
            f"{result.path}: no ramped runs; sweep with ramp_factor and ramp_steps, as "
            "`grokmap sweeps hysteresis` does"
        )
    records = result.records([quantity])
    if quantity not in records or records[quantity].isna().all():
        raise ResultError(
            f"{result.path}: {quantity} was not recorded, or nothing is done"
        )
    level = 0.5
    if quantity not in ACCURACIES:
        level = float(records[quantity].quantile([0.0, 1.0]).mean())
    runs, loops = hysteresis.loops(records, plan, quantity, level)
    if runs["area"].isna().all():
        raise ResultError(
            f"{result.path}: every ramped run diverged, so there is no loop"
        )
    ramped = plan[plan["ramp_steps"].notna()]
    family = hysteresis.families(ramped)
    rates = hysteresis.by_rate(runs, family)
    trends = hysteresis.trends(runs, family)
    words = caption(result, ramped)
    return Hysteresis(quantity, runs, loops, rates, trends, family, words)


def check_quantity(result: Result, quantity: str) -> None:
    """Raises SpecError where no run could have recorded it."""
    known = result.quantities
    if quantity not in known:
        near = nearest(quantity, known)
        raise SpecError(f"--quantity {short(quantity)!r}: not recorded; {near}")


def draw(ramps: Hysteresis, look: plot.Look = plot.PAPER) -> Drawing:
    """The loops of each family and rate, and their areas against the rate."""
    branches = {k: plot.Branches(*loop) for k, loop in ramps.loops.items()}
    label = f"${quantities([ramps.quantity])[ramps.quantity].symbol}$"
    family = ramps.family
    figure = plot.hysteresis_loops(
        ramps.table, branches, ramps.rates, family, label, look, ramps.caption
    )
    return Drawing(figure, plot.loop_table(ramps.table, branches, family))
