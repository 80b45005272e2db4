"""The planned runs as columns of a page: places, labels, times, flags, final values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from grokmap import store
from grokmap.classify import FLAGS, Criteria
from grokmap.result import again, groups, labels
from grokmap.result.result import Result
from grokmap.spec.axis import Axis
from grokmap.spec.words import RENAMED, SYSTEM_SIZES

TIMES = ("t_mem", "t_grok", "t_mem_resolution", "t_grok_resolution")
SHOWN_FLAGS = (*FLAGS, "comprehension")
NOT_DONE = 255
Array = npt.NDArray[Any]


def labelled(result: Result, rules: Criteria) -> tuple[pd.DataFrame, bool]:
    """(runs, kept): the planned runs in their order, with labels where they are done.

    kept: whether trajectories are there. Where none is, as of results that are kept
    without them, labels by the default criteria come from runs.parquet.
    """
    runs, unreadable = labels.label_runs(result.path, rules)
    for line in unreadable:
        result.say(line)
    kept = len(runs) > 0
    if not kept and rules.name == "default":
        runs = _written(result)
    plan = result.plan
    own = [name for name in runs if name not in plan.columns]
    return plan.merge(runs[["run_id", *own]], on="run_id", how="left"), kept


def done(runs: pd.DataFrame) -> pd.DataFrame:
    """Those that are; flags, which are null where a run is not done, as booleans."""
    found = runs[runs["phase"].notna()]
    flags = [name for name in SHOWN_FLAGS if name in found]
    return found.astype(dict.fromkeys(flags, bool))


def _written(result: Result) -> pd.DataFrame:
    nothing = pd.DataFrame({"run_id": [], "phase": []}, dtype=str)
    try:
        runs = store.read_table(result.path / store.RUNS).to_pandas()
    except store.UNREADABLE:
        return nothing
    return runs if {"run_id", "phase", "censored"} <= set(runs) else nothing


def axis_values(runs: pd.DataFrame, axis: Axis) -> list[Any]:
    """The values that runs have, those that `refine` added among them, in order."""
    values = runs.loc[groups.is_read(runs, axis.name), axis.name].unique().tolist()
    order = axis.values.index if axis.kind == "choice" else None
    return sorted(values, key=order)


def columns(
    runs: pd.DataFrame, axes: Sequence[Axis], phases: Sequence[str], tiles: pd.Series
) -> dict[str, Array]:
    """The columns by name; a run that does not read an axis has place -1 on it.

    runs: as of `labelled`. phases: names by their number in the column `phase`.
    tiles: by run id.
    """
    numbers = {name: k for k, name in enumerate(phases)}
    phase = runs["phase"].astype(object).map(numbers).fillna(NOT_DONE)
    found: dict[str, Array] = {
        f"axis:{axis.name}": _places(runs, axis) for axis in axes
    }
    found["phase"] = phase.to_numpy(np.uint8)
    found["flags"] = _flags(runs)
    for name in TIMES:
        found[name] = whole(runs, name)
    for name in ("n_steps", "budget_steps"):
        found[name] = whole(runs, name)
    found["tile"] = tiles.reindex(runs["run_id"]).fillna(-1).to_numpy(np.int64)
    for name in ("decay_rate", "horizon_fraction"):
        found[name] = number(runs, name)
    return found


def _places(runs: pd.DataFrame, axis: Axis) -> Array:
    known = {value: k for k, value in enumerate(axis_values(runs, axis))}
    read = groups.is_read(runs, axis.name)
    pairs = zip(runs[axis.name], read, strict=True)
    return np.array([known[v] if r else -1 for v, r in pairs], np.int64)


def _flags(runs: pd.DataFrame) -> Array:
    """Bit k is that of `SHOWN_FLAGS[k]`."""
    bits = np.zeros(len(runs), np.uint8)
    for k, name in enumerate(SHOWN_FLAGS):
        if name in runs:
            bits |= (runs[name].astype(object) == True).to_numpy() << np.uint8(k)  # noqa: E712
    return bits


def whole(runs: pd.DataFrame, name: str) -> Array:
    """A column of counts of steps; -1 for never."""
    if name not in runs:
        return np.full(len(runs), -1)
    return runs[name].astype(float).fillna(-1).to_numpy().astype(np.int64)


def number(runs: pd.DataFrame, name: str) -> Array:
    if name not in runs:
        return np.full(len(runs), np.nan)
    return runs[name].astype(float).to_numpy()


def finals(runs: pd.DataFrame, names: Sequence[str]) -> dict[str, Array]:
    """Final values as float32 by quantity, of those that some run has."""
    found = {name: number(runs, f"final_{name}").astype(np.float32) for name in names}
    return {f"final:{k}": v for k, v in found.items() if np.isfinite(v).any()}


def fixed(runs: pd.DataFrame, axes: Sequence[Axis]) -> dict[str, str]:
    """What all runs share: settings by name, those that are read."""
    swept = {axis.name for axis in axes}
    shared = {}
    for name in runs.columns[: list(runs.columns).index("decay_rate")]:
        values = runs[name]
        if name in (*swept, "run_id") or values.isna().all() or len(values) == 0:
            continue
        is_size = name in SYSTEM_SIZES and (values == 0).all()
        if values.astype(str).nunique() == 1 and not is_size:
            shared[RENAMED.get(name, name)] = groups.rounded(_plain(values.iloc[0]))
    return shared


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def settings(runs: pd.DataFrame, axis: Axis) -> list[str]:
    """Of each value of an axis, the words that fix it on the command line."""
    return [again.setting(axis.name, value) for value in axis_values(runs, axis)]
