"""`grokmap order-parameters`: which quantity moves first, and by how much."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from grokmap import plot, store
from grokmap.analysis import leads
from grokmap.classify import GROK, PHASES, read_criteria
from grokmap.cli.opened import open_result
from grokmap.cli.outputs import name_of, outputs, print_files
from grokmap.cli.results import load_runs
from grokmap.errors import ResultError, SpecError
from grokmap.order_parameters import OrderParameter, quantities

# Times of the figure, in units of t_grok.
TIMES = np.geomspace(1e-2, 10, 121)
# By definition at its bar at t_mem, or a sign of trouble: neither moves with grokking.
NOT_COMPARED = ("train_accuracy", "zero_loss_fraction")


def compared(entries: Mapping[str, OrderParameter] | None = None) -> dict[str, bool]:
    """The quantities that are compared, and whether on a log scale.

    entries: those that there may be (default: all of the tables).
    """
    known = quantities() if entries is None else entries
    return {n: entry.log for n, entry in known.items() if n not in NOT_COMPARED}


def compare_order_parameters(
    path: Path, criteria: str, formats: str, out: Path | None, as_json: bool
) -> None:
    """Prints and writes the table, and draws the figure."""
    to = outputs(path, out, formats, as_json)
    rules = read_criteria(criteria)
    runs = load_runs(path, rules, None)
    if not set(rules.phases) >= set(PHASES):
        raise SpecError(f"criteria {rules.name!r} have no phase {GROK!r}")
    if not ((runs["phase"] == GROK) & runs["t_mem"].notna()).any():
        raise ResultError(
            f"{path}: no run grokked, so there is no transition to follow"
        )
    trajectories, _ = store.read_trajectories(path)
    entries = open_result(path).quantities
    moves = leads.summary(trajectories, runs, compared(entries))
    name = "order-parameters"
    if rules.name != "default":
        name += f"-{rules.name}"
    file = to.table(moves, name)
    if as_json:
        rows = [
            {k: _plain(v) for k, v in row.items()} for row in moves.to_dict("records")
        ]
        print(json.dumps({"file": name_of(file), "quantities": rows}))
    else:
        _print(moves)
        print_files(file)
    panels = _panels(trajectories, runs, moves, entries)
    figure = plot.transition_panels(panels, TIMES, moves)
    data = plot.transition_table(panels, TIMES)
    to.figure(figure, data, name)


def _plain(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _print(moves: pd.DataFrame) -> None:
    phases = [phase for phase in PHASES if f"final_{phase}" in moves]
    heads = [f"{phase:>15}" for phase in phases]
    print(f"{'median at the end':<24}{''.join(heads)}   {'AUC':>4}   t_half/t_grok (n)")
    for row in moves.to_dict("records"):
        values = "".join(f"{_number(row[f'final_{phase}']):>15}" for phase in phases)
        half = "-"
        if row["n_runs"]:
            spread = f"{1 / row['lead_q75']:.2f} to {1 / row['lead_q25']:.2f}"
            half = f"{row['t_half_over_t_grok']:.2f} [{spread}] ({row['n_runs']})"
        print(f"{row['quantity']:<24}{values}   {_number(row['auc'], 2):>4}   {half}")
    print("t_half: half of the way from t_mem to the end; quartiles over the runs")
    print("AUC: how often a grokked run ends above a memorize-only one")


def _number(value: float, digits: int = 3) -> str:
    return "-" if value != value else f"{value:.{digits}g}"


def _panels(
    trajectories: pd.DataFrame,
    runs: pd.DataFrame,
    moves: pd.DataFrame,
    entries: Mapping[str, OrderParameter],
) -> dict[str, plot.Panel]:
    panels = {}
    for name in ["test_accuracy", *moves["quantity"]]:
        entry = entries[name]
        values = leads.aligned(trajectories, runs, name, TIMES)
        if np.isfinite(values).any():
            label = f"{name.replace('_', ' ')}  ${entry.symbol}$"
            panels[name] = plot.Panel(label, entry.log, values)
    return panels
