"""What stopping the runs of a result soon after t_mem would have cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from grokmap import plot
from grokmap.analysis import early_stopping
from grokmap.analysis.systems import system_of
from grokmap.classify import GROK, Criteria
from grokmap.errors import ResultError, SpecError, short
from grokmap.result.caption import caption
from grokmap.result.drawing import Drawing
from grokmap.result.labels import criteria_with, naming
from grokmap.result.order_parameters import compared
from grokmap.result.result import Result
from grokmap.spec.names import nearest

MOST = 5  # quantities printed and drawn


class EarlyStopping(NamedTuple):
    """The cost of stopping, and what would have warned.

    losses: `analysis.early_stopping.losses_by_system`.
    warnings: `analysis.early_stopping.warnings`, in which only runs of one system are
      matched; best: those that tell most (`best_warnings`); caption: what is
      fixed in all runs.
    """

    losses: pd.DataFrame
    warnings: pd.DataFrame
    best: pd.DataFrame
    caption: str = ""


def find(
    result: Result,
    patience: Sequence[float] = early_stopping.PATIENCE,
    unit: str = "t_mem",
    criteria: str | Criteria = "default",
) -> EarlyStopping:
    """Stops every run that memorised some patience after t_mem.

    Args:
      patience: how long after t_mem, in `unit`: t_mem, decay-times or steps.

    Raises:
      SpecError: a unit that is not known, or a patience that is not positive.
      ResultError: no run memorised, or none has a test accuracy.
    """
    check(patience, unit)
    every = result.labelled(criteria_with(criteria, [GROK]), None)
    with naming(result.path):
        runs = early_stopping.memorised(every)
    runs = runs.assign(system=system_of(runs))
    records = result.records()
    if records["test_accuracy"].isna().all():
        raise ResultError(
            f"{result.path}: no run has a test accuracy, by which stopping is judged; "
            "with real targets, train with a tolerance"
        )
    multiples = sorted(set(map(float, patience)))
    losses = early_stopping.losses_by_system(records, runs, multiples, unit)
    logs = compared(result.quantities)
    warned = early_stopping.warnings(records, runs, logs, multiples, unit)
    words = caption(result, runs)
    return EarlyStopping(losses, warned, best_warnings(warned), words)


def check(patience: Sequence[float], unit: str) -> None:
    """Raises SpecError: a unit that is not known, no patience, or one not above 0."""
    if unit not in early_stopping.UNITS:
        known = nearest(unit, early_stopping.UNITS)
        raise SpecError(f"--unit {short(unit)!r}; {known}")
    if not patience or not all(0 < value < 1e12 for value in patience):
        given = short(",".join(f"{value:g}" for value in patience))
        raise SpecError(f"--patience {given!r}: positive numbers such as 0.5,1,4")


def best_warnings(warned: pd.DataFrame) -> pd.DataFrame:
    """The values that tell most over all patience, with what they are told from.

    Adds `shown` (the AUC of matched pairs with decided runs, or with censored ones if
    too few are decided in this sweep), `unmatched` (that of all pairs) and `against` in
    words. The decay rate comes first, whatever it tells.
    """
    tail = "" if warned["auc"].notna().any() else "_against_censored"
    values = warned[warned["measure"] == "value"]
    values = values.assign(
        shown=values[f"matched{tail}"], unmatched=values[f"auc{tail}"]
    )
    told = values.groupby("quantity")["shown"].apply(lambda x: (x - 0.5).abs().mean())
    told = told.drop(early_stopping.RATE).dropna()
    best = told.sort_values(ascending=False, kind="stable").index[:MOST]
    names = [early_stopping.RATE, *best]
    rows = values[values["quantity"].isin(names) & values["unmatched"].notna()].copy()
    rows["rank"] = rows["quantity"].map(names.index)
    rows = rows.sort_values(["rank", "patience"]).drop(columns="rank")
    return rows.assign(against="censored runs" if tail else "decided runs")


def draw(costs: EarlyStopping, look: plot.Look = plot.PAPER) -> Drawing:
    """Accuracy lost, share of grokking runs missed, and what would have warned."""
    figure = plot.early_stopping(costs.losses, costs.best, look, costs.caption)
    drawn = pd.concat([costs.losses, costs.best], ignore_index=True)
    return Drawing(figure, drawn)
