"""`grokmap classify`, `status` and `show`: tables of a result folder, no jax."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from grokmap import selection, store
from grokmap.classify import FLAGS, Criteria, classify, classify_parts, read_criteria
from grokmap.cli.pasted import argument, pasted
from grokmap.errors import ResultError, SpecError, short, shown
from grokmap.spec import Sweep, is_log
from grokmap.spec.words import SYSTEM_SIZES


def spec_of(path: Path) -> Sweep:
    """The sweep of a result, as strictly checked as a sweep file.

    Raises:
      SpecError, ResultError: it is not sound, or no result.
    """
    # Late: names are checked against the tables of what is trained.
    from grokmap.plan import read_sweep

    return read_sweep(store.result_dir(path))


def plan_of(path: Path) -> pd.DataFrame:
    """The planned runs of a result whose spec is sound.

    Raises:
      SpecError, ResultError: it is not, or the plan is not its plan.
    """
    spec_of(path)
    return store.read_plan(path)


def label_runs(
    path: Path, criteria: Criteria, columns: Sequence[str] | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """(runs, lines): the finished runs, labelled anew, and what could not be read.

    Args:
      columns: quantities whose final values are wanted (default: all).
    """
    table = plan_of(path)
    unreadable: list[str] = []
    parts = store.trajectory_parts(path, unreadable, columns)
    return classify_parts(parts, table, criteria), unreadable


def criteria_with(name: str, phases: Sequence[str]) -> Criteria:
    """`read_criteria` of rules that call what generalised by one of `phases`.

    Raises:
      SpecError: they do not, so that no run would seem to have grokked.
    """
    rules = read_criteria(name)
    own = rules.phases[2:]
    if set(own).isdisjoint(phases):
        raise SpecError(
            f"criteria {rules.name!r} have no phase {' or '.join(map(repr, phases))}, "
            f"but {' and '.join(map(repr, dict.fromkeys(own)))}; choose others, or a "
            ".toml file of the same bars without `phases`"
        )
    return rules


def load_runs(
    path: Path, criteria: Criteria, columns: Sequence[str] | None = store.LABELS_READ
) -> pd.DataFrame:
    """`label_runs`, with its lines printed.

    Raises:
      ResultError: no result folder, or nothing finished in it.
    """
    runs, unreadable = label_runs(path, criteria, columns)
    for line in unreadable:
        print(f"grokmap: {shown(line)}", file=sys.stderr)
    if len(runs) == 0:
        raise ResultError(f"{path}: no finished run in it yet")
    return runs


def refuse_ramps(path: Path, runs: pd.DataFrame) -> None:
    """Raises ResultError where weight decay was ramped: then a run has no one rate."""
    # Plans of before there were ramps have no such column.
    if "ramp_steps" in runs and runs["ramp_steps"].notna().any():
        raise ResultError(
            f"{path}: weight decay was ramped along the runs, so that they have no one "
            "decay rate; `grokmap hysteresis` is for ramps"
        )


def with_costs(path: Path, runs: pd.DataFrame) -> pd.DataFrame:
    """`runs` with cost_s: each run's share of its batch's wall time, by steps."""
    steps = runs.set_index("run_id")["n_steps"].astype(float)
    cost = pd.Series(float("nan"), index=steps.index)
    for ids, made in store.origins(path):
        own = steps.reindex(ids).dropna()
        cost[own.index] = made.seconds * own / own.sum()
    return runs.assign(cost_s=cost.reindex(runs["run_id"]).to_numpy())


def phase_counts(runs: pd.DataFrame, phases: Sequence[str]) -> dict[str, int]:
    """Runs by phase, then how many are censored, diverged, stalled, collapsed."""
    found = runs["phase"].value_counts()
    counts = {phase: int(found.get(phase, 0)) for phase in dict.fromkeys(phases)}
    return counts | {flag: int(runs[flag].sum()) for flag in FLAGS}


def print_counts(counts: dict[str, int]) -> None:
    """A line for each phase; flags only where some run has them."""
    for name, count in counts.items():
        if count or name not in FLAGS:
            print(f"  {name:<14} {count}")
    if counts["censored"]:
        print("  (censored: the budget ended before the label could be decided)")


def axis_is_log(path: Path, runs: pd.DataFrame, axis: str) -> bool:
    """Whether an axis is read as its log, by the sweep's own grid if it has one: the
    places that refinement adds are spaced neither way."""
    grid = getattr(store.read_spec(path), axis, ())
    return is_log(grid if len(grid) > 1 else runs[axis])


def classify_result(path: Path, name: str, as_json: bool, out: Path | None) -> None:
    """Labels every run and writes runs.parquet (runs-NAME.parquet but for default)."""
    from grokmap.cli.outputs import name_of, outputs

    to = outputs(path, out)
    criteria = read_criteria(name)
    runs = load_runs(path, criteria, None)
    default = criteria.name == "default"
    file_name = "runs" if default else f"runs-{criteria.name}"
    file = to.table(with_costs(path, runs), file_name)
    counts = phase_counts(runs, criteria.phases)
    if as_json:
        print(json.dumps({"criteria": criteria.name, "file": name_of(file), **counts}))
        return
    print(shown(f"{file or path}: {len(runs)} runs by {criteria.name}"))
    print_counts(counts)


def print_status(path: Path, as_json: bool) -> None:
    table = plan_of(path)
    found = store.stored(path)
    unreadable = [f"{file}: {reason}" for file, reason in found.damaged.items()]
    known = found.steps.keys() & set(table["run_id"])
    missing = len(table) - len(known)
    criteria = read_criteria("default")
    counts: dict[str, int] = {}
    if known:
        counts = phase_counts(load_runs(path, criteria), criteria.phases)
    if as_json:
        print(
            json.dumps(
                {
                    "planned": len(table),
                    "done": len(known),
                    "missing": missing,
                    "unreadable_files": unreadable,
                    **counts,
                }
            )
        )
        return
    head = f"{path}: {len(known)} of {len(table)} runs done, {missing} missing"
    print(shown(head))
    for line in unreadable:
        print(f"  {shown(line)}")
    if counts:
        print_counts(counts)
    if missing:
        print("  run the same `grokmap sweep` again to do the rest")


def find_run(path: Path, text: str) -> str:
    """The one run id of the plan that begins with `text`; or, of coordinates such as
    alpha=0.2,weight_decay=0.01, the nearest run, which is then said on stderr.

    Raises:
      SpecError: no run begins so, or several do; or these are no axes of the runs.
    """
    plan = plan_of(path)
    if "=" in text:
        return _nearest(path, plan, selection.read_place(text))
    # Not by pandas: its text holds no prefix with bytes that are no UTF-8.
    found = [run_id for run_id in plan["run_id"] if run_id.startswith(text)]
    if len(found) == 1:
        return str(found[0])
    given = short(repr(text))
    hint = "ids stand in runs.parquet; or give coordinates: alpha=0.2,weight_decay=0.01"
    if not found:
        raise SpecError(f"{path}: no run {given}; {hint}")
    first = ", ".join(found[:3])
    raise SpecError(
        f"{path}: {len(found)} runs begin with {given}: {first}, ...; {hint}"
    )


def _nearest(path: Path, plan: pd.DataFrame, place: dict[str, float | str]) -> str:
    plan = selection.with_choices(plan, place)
    known = [axis for axis in place if axis in selection.axes_of(plan)]
    log = [axis for axis in known if axis_is_log(path, plan, axis)]
    run = selection.nearest_run(plan, place, log)
    axes = dict.fromkeys((*place, *store.read_spec(path).swept))
    where = ", ".join(f"{k} {_word(run[k])}" for k in axes if _is_read(run, k))
    print(f"grokmap: run {run['run_id']}: {where}", file=sys.stderr)
    return str(run["run_id"])


def _is_read(run: pd.Series, key: str) -> bool:
    """Whether a run reads a swept key; of several systems, some may not."""
    unread = pd.isna(run[key]) or (key in SYSTEM_SIZES and run[key] == 0)
    return not unread


def _word(value: Any) -> str:
    return f"{value:.12g}" if isinstance(value, (int, float, np.number)) else str(value)


def print_command(path: Path, text: str) -> None:
    """The command that makes a run again: its spec, its point on each axis, its tile.

    Raises:
      ResultError: the run is not done, so nothing is known of how it was made.
    """
    run_id = find_run(path, text)
    made = [origin for ids, origin in store.origins(path) if run_id in ids]
    if not made:
        raise ResultError(f"{path}: run {run_id} is planned, but not done yet")
    run = plan_of(path).set_index("run_id").loc[run_id]
    point = [
        word
        for key in store.read_spec(path).swept
        if _is_read(run, key)
        for word in ("-s", f"{key}={_plain(run[key])!r}")
    ]
    tile = [] if made[-1].tile is None else ["--tile", str(made[-1].tile)]
    out = ["--out", f"{argument(path)}-{run_id}"]
    print(pasted(["grokmap", "sweep", argument(path), *point, *tile, *out]))


def show_run(path: Path, text: str, name: str, as_json: bool) -> None:
    run_id = find_run(path, text)
    trajectories, _ = store.read_trajectories(path, None, [run_id])
    if len(trajectories) == 0:
        raise ResultError(f"{path}: run {run_id} is planned, but not done yet")
    plan = plan_of(path)
    row = classify(trajectories, plan, read_criteria(name)).iloc[0]
    facts = {key: _plain(value) for key, value in row.items()}
    facts["records"] = len(trajectories)
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    for key, value in facts.items():
        text = "-" if value is None else str(value)
        text = f"{value:.6g}" if isinstance(value, float) else text
        print(shown(f"{key:<26} {text}"))


def _plain(value: Any) -> Any:
    """A table's value as JSON has it; null for what is undefined or infinite."""
    if pd.isna(value) or value in (float("inf"), -float("inf")):
        return None
    return value.item() if hasattr(value, "item") else value
