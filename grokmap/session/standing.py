"""How the shards of a sweep stand: what is done, and who is at work where."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from grokmap import disk, store
from grokmap.durations import human_time
from grokmap.errors import ResultError
from grokmap.plan import count_runs
from grokmap.session.lock import Holder, holder

# running: its process is at work. silent: it has not let go, and is gone or cut off.
# stopped: runs are missing, and nobody is at work. The others say what they are.
STATES = ("running", "silent", "stopped", "not begun", "finished")


class Standing(NamedTuple):
    """One shard, or the folder itself.

    number: of the shard, 0 for the folder; runs, done: of its part; holder: who writes
    it; left: seconds to its end, as it said itself, NaN while it is not known;
    unwritten: runs that are over, but in no file yet: by id, phase and flags.
    """

    number: int
    runs: int
    done: int
    state: str
    holder: Holder | None = None
    left: float = math.nan
    unwritten: Mapping[str, Sequence[str]] = {}


class Whole(NamedTuple):
    """A folder with its shards.

    planned, done: runs of the sweep, wherever they are done, be it in no file yet;
    merged: ids of those in
    the folder itself; waiting: how many are done in shards alone; own: how the folder
    itself stands; shards: by number; unreadable: a line for each file that cannot be
    read.
    """

    planned: int
    done: int
    merged: set[str]
    waiting: int
    own: Standing
    shards: list[Standing]
    unreadable: list[str]

    @property
    def at_work(self) -> bool:
        """Whether somebody trains runs of it now."""
        return any(each.state == "running" for each in (self.own, *self.shards))


def whole(path: Path) -> Whole:
    """How a result folder and its shards stand. Changes nothing, waits for nobody.

    Raises:
      ResultError: no result folder, nor shards of one.
    """
    folders = store.shard_folders(path)
    if not disk.exists(path / store.SPEC) and not (path / store.SHARDS).is_dir():
        store.result_dir(path)  # raises
    files = _Files(path)
    here = set(files.runs_in(path))
    everywhere = set(here)
    shards = []
    for folder in folders:
        inside = files.runs_in(folder)
        everywhere.update(inside)
        shards.append(_standing(folder, here, set(inside)))
    planned, ids = _planned(path, shards, folders)
    held, left, unwritten = _at_work(path, everywhere)
    waiting = len(everywhere - here)
    everywhere.update(unwritten, *(shard.unwritten for shard in shards))
    done = len(everywhere & ids) if ids else len(everywhere)
    state = "running" if held and held.lives else "stopped"
    own = Standing(0, planned, done, state, held, left, unwritten)
    return Whole(
        planned,
        done,
        here,
        waiting,
        own._replace(state="finished" if done >= planned else state),
        [*shards, *_not_begun(folders)],
        files.unreadable,
    )


class _Files:
    """Which runs trajectory files hold; files of one name are one file, read once."""

    def __init__(self, path: Path) -> None:
        self.unreadable: list[str] = []
        self._known: dict[str, list[str]] = {}

    def runs_in(self, folder: Path) -> list[str]:
        found: list[str] = []
        for name in disk.names_in(folder / store.TRAJECTORIES):
            if store.is_batch_name(name):
                if name not in self._known:
                    file = folder / store.TRAJECTORIES / name
                    steps, damaged = store.last_steps_of([file])
                    self.unreadable += [f"{f}: {why}" for f, why in damaged.items()]
                    self._known[name] = list(steps)
                found += self._known[name]
        return found


def _standing(folder: Path, here: set[str], inside: set[str]) -> Standing:
    """here, inside: what is done in the sweep's own folder, and in the shard's."""
    facts = store.read_shard(folder)
    part = _part(folder)
    runs = facts.runs if facts else len(part)
    held, left, unwritten = _at_work(folder, inside | here)
    n_done = sum(run in inside or run in here or run in unwritten for run in part)
    if held is not None:
        state = "running" if held.lives else "silent"
    else:
        state = "finished" if part and n_done == runs else "stopped"
    return Standing(int(folder.name), runs, n_done, state, held, left, unwritten)


def _part(folder: Path) -> set[str]:
    """Ids of the runs of a shard's plan; none where it has no sound one yet."""
    try:
        ids = store.read_table(folder / store.PLAN, ["run_id"])["run_id"]
        return set(ids.to_pylist())
    except store.UNREADABLE:
        return set()


def _at_work(
    folder: Path, written: set[str]
) -> tuple[Holder | None, float, dict[str, list[str]]]:
    """Who writes a folder; if it lives, the seconds to its end by what it said last,
    less the time since, and its runs that are over but not written."""
    held = holder(folder)
    if held is None or not held.lives:
        return held, math.nan, {}
    said = store.read_progress(folder)
    left = max(0.0, said.left - max(0.0, time.time() - said.time))
    left = left if math.isfinite(said.left + said.time) else math.nan
    return held, left, {k: v for k, v in said.unwritten.items() if k not in written}


def _planned(
    path: Path, shards: list[Standing], folders: list[Path]
) -> tuple[int, set[str]]:
    """How many runs the sweep has, and which, where that is written."""
    if disk.exists(path / store.PLAN):
        ids = _part(path)
        if ids:
            return len(ids), ids
    specs = [each for each in (path, *folders) if disk.exists(each / store.SPEC)]
    for each in specs:
        try:
            return count_runs(store.read_spec(each)), set()
        except ResultError:
            continue
    return sum(each.runs for each in shards), set()


def _not_begun(folders: Iterable[Path]) -> list[Standing]:
    """The shards that have no folder yet, by what the others say of their number."""
    begun = {int(folder.name) for folder in folders}
    facts = [store.read_shard(folder) for folder in folders]
    of = max((known.shard.of for known in facts if known), default=0)
    missing = sorted(set(range(1, of + 1)) - begun)
    return [Standing(number, 0, 0, "not begun") for number in missing]


def lines(whole: Whole) -> list[str]:
    """How the shards stand as text: how many in which state, and who is at work."""
    counts = Counter(each.state for each in whole.shards)
    said = [f"{counts[state]} {state}" for state in STATES if counts[state]]
    n = len(whole.shards)
    found = [f"{n} shards: {', '.join(said)}"] if n else []
    every = [whole.own, *whole.shards]
    return found + [_line(each) for each in every if each.holder or _is_odd(each)]


def _is_odd(each: Standing) -> bool:
    return each.number > 0 and each.state == "stopped"


def _line(each: Standing) -> str:
    name = f"shard {each.number}" if each.number else "this folder"
    text = f"  {name}: {each.done} of {each.runs} runs, {each.state}"
    if each.holder is None:
        return text
    held = each.holder
    text += f", process {held.pid} on {held.host}, {_since(held.since)}"
    if each.state == "running":
        known = each.left == each.left
        return f"{text}, ETA {human_time(each.left) if known else 'not known yet'}"
    return f"{text}, last heard of {human_time(abs(held.silent))} ago"


def _since(then: float) -> str:
    """since 14:02:11 (1m30s), with the day where it is not today's."""
    if not math.isfinite(then):
        return "since an unknown time"
    begun, today = time.localtime(then), time.localtime()
    form = "%H:%M:%S" if begun[:3] == today[:3] else "%Y-%m-%d %H:%M:%S"
    return f"since {time.strftime(form, begun)} ({human_time(time.time() - then)})"


def facts_of(whole: Whole) -> dict[str, Any]:
    """The same as JSON: waiting, and a table a shard."""
    return {
        "waiting": whole.waiting,
        "written_by": _facts(whole.own) if whole.own.holder else None,
        "shards": [_facts(each) for each in whole.shards],
    }


def _facts(each: Standing) -> dict[str, Any]:
    held = each.holder
    return {
        "shard": each.number,
        "runs": each.runs,
        "done": each.done,
        "state": each.state,
        "host": held and held.host,
        "pid": held and held.pid,
        "since": held.since if held and held.since == held.since else None,
        "silent_s": held and round(held.silent, 1),
        "left_s": each.left if each.left == each.left else None,
        "unwritten": len(each.unwritten),
    }
