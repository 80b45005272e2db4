"""`grokmap classify`, `status` and `show`: tables of a result folder, no jax."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from grokmap import store
from grokmap.classify import FLAGS, PHASES, Criteria, read_criteria
from grokmap.cli.advice import facts_of, say_advice
from grokmap.cli.opened import EVERYWHERE, open_result, say
from grokmap.cli.places import Where
from grokmap.errors import ResultError, shown
from grokmap.result import Result, again, selection
from grokmap.result.labels import phase_counts, plan_of
from grokmap.session import standing
from grokmap.spec.words import SYSTEM_SIZES


def load_runs(
    path: Path, criteria: Criteria, columns: Sequence[str] | None = store.LABELS_READ
) -> pd.DataFrame:
    """The finished runs, labelled; what could not be read is said.

    Raises:
      ResultError: no result folder, or nothing finished in it.
    """
    return open_result(path).labelled(criteria, columns)


CENSORED = (
    "censored: not decided, since the run was cut short, still moves or is partial"
)


def print_counts(counts: dict[str, int]) -> None:
    """A line for each phase, which add up to all runs; then one for each flag that some
    run has, which do not."""
    flags = {name: counts[name] for name in FLAGS if counts[name]}
    for name, count in counts.items():
        if name not in FLAGS:
            print(f"  {name:<14} {count}")
    if flags:
        print("\n  of these:")
    for name, count in flags.items():
        print(f"    {name:<12} {count}")
    if "censored" in flags:
        print(f"    ({CENSORED})")


def axis_is_log(path: Path, runs: pd.DataFrame, axis: str) -> bool:
    """Whether an axis is read as its log."""
    return open_result(path).is_log(axis, runs)


def classify_result(
    path: Path,
    name: str,
    as_json: bool,
    out: Path | None,
    where: Where = EVERYWHERE,
) -> None:
    """Labels every run and writes runs.parquet (runs-NAME.parquet but for default)."""
    from grokmap.cli.outputs import file_name, name_of, outputs

    to = outputs(path, out)
    criteria = read_criteria(name)
    result = open_result(path, where)
    runs = result.classify(criteria)
    file = to.table(runs, file_name("runs", criteria, result.place))
    counts = phase_counts(runs, criteria.phases)
    if as_json:
        print(json.dumps({"criteria": criteria.name, "file": name_of(file), **counts}))
        return
    print(shown(f"{file or path}: {len(runs)} runs by {criteria.name}"))
    print_counts(counts)


def print_status(path: Path, as_json: bool) -> None:
    """Prints what is done, in the folder and its shards, and who is at work."""
    whole = standing.whole(path)
    if whole.shards:
        known = _counts_over_shards(path, whole)
    else:
        known = _with_unwritten(Result(path, say).status(), whole.own.unwritten)
    # Where runs are still trained, or only in shards, there is nothing to advise yet.
    is_quiet = not whole.at_work and not whole.shards
    if as_json:
        found = facts_of(Result(path, _nothing)) if is_quiet else []
        print(json.dumps(known | standing.facts_of(whole) | {"advice": found}))
        return
    _print_standing(path, known, whole)
    if is_quiet:
        say_advice(Result(path, _nothing))


def _nothing(line: str) -> None:
    """Of files that cannot be read: they were said above."""


def _with_unwritten(
    known: dict[str, Any], unwritten: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Counts with the runs that a live session has ended, but not written yet."""
    if not unwritten:
        return known
    n = len(unwritten)
    found = dict.fromkeys((*PHASES, *FLAGS), 0) | known
    for name in (name for names in unwritten.values() for name in names):
        found[name] = found.get(name, 0) + 1
    return found | {"done": known["done"] + n, "missing": known["missing"] - n}


def _counts_over_shards(path: Path, whole: standing.Whole) -> dict[str, Any]:
    """What is done, and the labels that the last merge gave, if nothing is newer."""
    known: dict[str, Any] = {"planned": whole.planned, "done": whole.done}
    known |= {"missing": whole.planned - whole.done}
    known |= {"unreadable_files": whole.unreadable}
    try:
        table = store.read_table(path / store.RUNS, ["run_id", "phase", *FLAGS])
    except store.UNREADABLE:
        return known
    runs = table.to_pandas()
    is_all = set(runs["run_id"]) == whole.merged
    return known | (phase_counts(runs, PHASES) if is_all else {})


def _print_standing(path: Path, known: dict[str, Any], whole: standing.Whole) -> None:
    planned, done, missing = (known.pop(k) for k in ("planned", "done", "missing"))
    print(shown(f"{path}: {done} of {planned} runs done, {missing} missing"))
    for line in known.pop("unreadable_files"):
        print(f"  {shown(line)}")
    if known:
        print_counts(known)
    for line in standing.lines(whole):
        print(shown(line))
    if whole.waiting:
        print(shown(store.waiting_line(path, whole.waiting)))
    if missing and not whole.at_work:
        print("  run the same `grokmap sweep` again to do the rest")


def find_run(path: Path, text: str) -> str:
    """`run_of` a result folder."""
    return run_of(open_result(path), text)


def run_of(result: Result, text: str) -> str:
    """The one run id of the plan that begins with `text`; or, of coordinates such as
    alpha=0.2,weight_decay=0.01, the nearest run, which is then said on stderr.

    Raises:
      SpecError: no run begins so, or several do; or these are no axes of the runs.
    """
    if "=" not in text:
        return result.find(text)
    place = selection.read_place(text)
    run = result.nearest(**place)
    axes = dict.fromkeys((*place, *(axis.name for axis in result.axes)))
    where = ", ".join(f"{k} {_word(run[k])}" for k in axes if _is_read(run, k))
    say(f"run {run['run_id']}: {where}")
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
    spec = store.read_spec(path)
    settings = [again.setting(k, run[k]) for k in spec.swept if _is_read(run, k)]
    parts = again.frame(path, spec)
    print(again.command(parts, settings, made[-1].tile, run_id))


def show_run(path: Path, text: str, name: str, as_json: bool) -> None:
    facts = open_result(path).show(find_run(path, text), name)
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for key, value in facts.items():
        text = "-" if value is None else str(value)
        text = f"{value:.6g}" if isinstance(value, float) else text
        print(shown(f"{key:<{width}} {text}"))
