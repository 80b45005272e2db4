"""Curves of all runs, thinned, as columns of a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from grokmap import store
from grokmap.order_parameters import ALWAYS, OrderParameter
from grokmap.plot import CURVES
from grokmap.report.packing import Packed, differences, pack, short
from grokmap.report.thinning import FEWEST, kept, octave_rate
from grokmap.result.result import Result

BUDGET = 9_500_000  # bytes of packed curves: with the table, a page of 15 MB
MOST_CHOSEN = 6  # order parameters drawn where not all find room
ROOMY = 8.0  # records an octave from which all of them do
Array = npt.NDArray[Any]


class Group(NamedTuple):
    """Quantities that are recorded at the same steps: by run its kept records."""

    names: list[str]
    run: Array
    step: Array
    values: Array


class Curves(NamedTuple):
    """packed: the columns, of each group g: "g:count" by run, "g:step" and "g:NAME" by
    record, as differences. groups: names by group. rate: records kept an octave; None
    where all are. n_kept, n_records: of the dense quantities."""

    packed: Packed
    groups: list[list[str]]
    rate: float | None
    n_kept: int
    n_records: int


def curves(
    result: Result, runs: pd.DataFrame, show: Sequence[str] | None = None
) -> Curves:
    """Curves of the finished runs.

    Args:
      runs: as of `runs.labelled`. show: order parameters (None: all, or those that tell
        phases apart where there is no room for all).
    """
    recorded = [k for k in result.quantities if _has_values(runs, k)]
    names, rate = _chosen(result.quantities, recorded, runs, show)
    parts: list[list[Group]] = []
    n_records = 0
    for part in _parts(result, runs, names):
        n_records += len(part)
        parts.append(_thinned(part, runs, _by_cost(names, result.quantities), rate))
    groups = [_joined(list(same)) for same in zip(*parts, strict=True)]
    packed = _packed(groups, len(runs))
    while packed.size > BUDGET and rate > FEWEST:
        rate = max(FEWEST, 0.9 * rate * BUDGET / packed.size)
        groups = [_at_rate(group, runs, rate) for group in groups]
        packed = _packed(groups, len(runs))
    n_kept = len(groups[0].step) if groups else 0
    shown = None if n_kept == n_records else rate
    return Curves(packed, [g.names for g in groups], shown, n_kept, n_records)


def _packed(groups: Sequence[Group], n_runs: int) -> Packed:
    arrays: dict[str, Array] = {}
    for k, group in enumerate(groups):
        arrays |= _columns(k, group, n_runs)
    return pack(arrays)


def _has_values(runs: pd.DataFrame, name: str) -> bool:
    column = f"final_{name}"
    return column in runs and bool(runs[column].notna().any())


def _chosen(
    entries: Mapping[str, OrderParameter],
    recorded: Sequence[str],
    runs: pd.DataFrame,
    show: Sequence[str] | None,
) -> tuple[list[str], float]:
    """The quantities that have curves, and records an octave."""
    done = int(runs["phase"].notna().sum())
    octaves = float(np.log2(max(runs["budget_steps"].max(), 2)))
    others = [k for k in recorded if k not in CURVES]
    if show is not None:
        others = [k for k in others if k in show]
    rate = octave_rate(BUDGET, done * (len(CURVES) + len(others)), octaves)
    if show is None and rate < ROOMY:
        others = [k for k in others if entries[k].tells][:MOST_CHOSEN]
        rate = octave_rate(BUDGET, done * (len(CURVES) + len(others)), octaves)
    return [*(k for k in CURVES if k in recorded), *others], rate


def _by_cost(
    names: Sequence[str], entries: Mapping[str, OrderParameter]
) -> list[list[str]]:
    """Names by how often they are recorded; those that always are come first."""
    found: dict[str, list[str]] = {"dense": []}
    for name in names:
        cost = "dense" if name in ALWAYS else entries[name].cost
        found.setdefault(cost, []).append(name)
    return list(found.values())


def _parts(
    result: Result, runs: pd.DataFrame, names: Sequence[str]
) -> Iterator[pd.DataFrame]:
    """Trajectories in parts, with each record's run as its row of `runs`."""
    places = pd.Series(np.arange(len(runs)), runs["run_id"])
    unreadable: list[str] = []  # said before, when the runs were labelled
    for part in store.trajectory_parts(result.path, unreadable, list(names)):
        ids = pd.Categorical(part["run_id"])
        place = places.reindex(ids.categories).to_numpy(float)[ids.codes]
        known = np.isfinite(place)
        yield part[known].assign(run=place[known].astype(np.int64))


def _thinned(
    part: pd.DataFrame, runs: pd.DataFrame, names: Sequence[Sequence[str]], rate: float
) -> list[Group]:
    """The groups of a part: of those that are recorded less often, their records."""
    run, step = part["run"].to_numpy(), part["step"].to_numpy()
    found = []
    for k, group in enumerate(names):
        values = part[list(group)].to_numpy(np.float32)
        own = np.full(len(part), True) if k == 0 else ~np.isnan(values).all(axis=1)
        whole = Group(list(group), run[own], step[own], values[own])
        found.append(_at_rate(whole, runs, rate))
    return found


def _at_rate(group: Group, runs: pd.DataFrame, rate: float) -> Group:
    _, run, step, values = group
    crossings = np.zeros(len(run), bool)
    for name in ("t_mem", "t_grok"):
        crossings |= runs[name].to_numpy(float)[run] == step
    rows = kept(run, step, rate, crossings)
    return Group(group.names, run[rows], step[rows], values[rows])


def _joined(parts: Sequence[Group]) -> Group:
    """One group of all parts, by run; of a run in several parts, its last."""
    run = np.concatenate([part.run for part in parts])
    part = np.repeat(np.arange(len(parts)), [len(part.run) for part in parts])
    last = np.zeros(int(run.max(initial=0)) + 1, np.int64)
    np.maximum.at(last, run, part)
    order = np.argsort(run, kind="stable")
    order = order[(part == last[run])[order]]
    step = np.concatenate([part.step for part in parts])[order]
    values = np.concatenate([part.values for part in parts])[order]
    return Group(parts[0].names, run[order], step, values)


def _columns(k: int, group: Group, n_runs: int) -> dict[str, Array]:
    count = np.bincount(group.run, minlength=n_runs)
    starts = np.flatnonzero(np.diff(group.run, prepend=-1))
    found = {f"{k}:count": count.astype(np.uint64)}
    found[f"{k}:step"] = differences(group.step, starts)
    for name, values in zip(group.names, group.values.T, strict=True):
        found[f"{k}:{name}"] = differences(short(values), starts)
    return found
