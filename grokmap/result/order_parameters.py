"""Which quantity of a result moves first where runs grok, and which tell phases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from grokmap import plot
from grokmap.analysis import leads
from grokmap.analysis.systems import ALL, system_of, varying
from grokmap.classify import GROK, PHASES, Criteria, read_criteria
from grokmap.errors import ResultError, SpecError
from grokmap.order_parameters import OrderParameter, quantities
from grokmap.result.caption import caption
from grokmap.result.drawing import Drawing
from grokmap.result.result import Result

# Times of the figure, in units of t_grok.
TIMES = np.geomspace(1e-2, 10, 121)
# The first is at its bar at t_mem by definition, the second is a sign of trouble.
NOT_COMPARED = ("train_accuracy", "zero_loss_fraction")


class Movers(NamedTuple):
    """How each quantity moves through the transition.

    table: `analysis.leads.summary`; of several systems one after the other, named in
      the column `system`.
    runs: labelled runs with `system`; records: what was recorded along them.
    axes: of alpha, weight decay and seed, those swept: pooled in each system.
    caption: what is fixed in all runs.
    """

    table: pd.DataFrame
    runs: pd.DataFrame
    records: pd.DataFrame
    axes: list[str]
    caption: str = ""

    @property
    def systems(self) -> list[str]:
        """In words; ALL where there is one."""
        return sorted(self.runs["system"].unique())


def compared(entries: Mapping[str, OrderParameter] | None = None) -> dict[str, bool]:
    """The quantities that are compared, and whether on a log scale.

    entries: those that there may be (default: all of the tables).
    """
    known = quantities() if entries is None else entries
    return {n: entry.log for n, entry in known.items() if n not in NOT_COMPARED}


def find(result: Result, criteria: str | Criteria = "default") -> Movers:
    """Values in each phase, half-way points and leads of every recorded quantity.

    Runs are compared each in units of its own t_grok, over all alpha, weight decays
    and seeds of a system.

    Raises:
      SpecError: criteria without the phases. ResultError: no run grokked.
    """
    rules = read_criteria(criteria) if isinstance(criteria, str) else criteria
    runs = result.labelled(rules, None)
    if not set(rules.phases) >= set(PHASES):
        raise SpecError(f"criteria {rules.name!r} have no phase {GROK!r}")
    if not ((runs["phase"] == GROK) & runs["t_mem"].notna()).any():
        raise ResultError(
            f"{result.path}: no run grokked, so there is no transition to follow"
        )
    runs = runs.assign(system=system_of(runs))
    records = result.records()
    apart = varying(runs)
    pooled = [axis for axis in varying(runs, beside=()) if axis not in apart]
    logs = compared(result.quantities)
    parts = []
    for name, rows in runs.groupby("system"):
        moves = leads.summary(_select(records, rows), rows, logs)
        parts.append(moves.assign(system=name) if apart else moves)
    words = caption(result, runs)
    table = pd.concat(parts, ignore_index=True)
    return Movers(table, runs, records, pooled, words)


def draw(movers: Movers, look: plot.Look = plot.PAPER) -> Drawing:
    """Each quantity against step / t_grok: median and quartiles of each system."""
    panels = _panels(movers)
    halves = movers.table.assign(system=movers.table.get("system", ALL))
    figure = plot.transition_panels(panels, TIMES, halves, look, movers.caption)
    return Drawing(figure, plot.transition_table(panels, TIMES))


def _select(records: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    return records[records["run_id"].isin(runs["run_id"])]


def _panels(movers: Movers) -> dict[str, plot.Panel]:
    panels = {}
    for name in dict.fromkeys(["test_accuracy", *movers.table["quantity"]]):
        values = {}
        for system, rows in movers.runs.groupby("system"):
            aligned = leads.aligned(_select(movers.records, rows), rows, name, TIMES)
            if np.isfinite(aligned).any():
                values[str(system)] = aligned
        if values:
            entry = quantities([name])[name]
            words = plot.quantity_words(name)
            label = words if words == entry.symbol else f"{words}  ${entry.symbol}$"
            panels[name] = plot.Panel(label, entry.log, values)
    return panels
