"""Unites shards, and result folders of one sweep, in one result folder.

What is done is what stands in readable files: nothing else is asked, so that shards may
be at work meanwhile. Nothing is taken away from where it comes from, and every file is
renamed into place: whoever is killed here runs the same command again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from grokmap import disk, plan, store
from grokmap.errors import OtherSweepError, ResultError, SpecError
from grokmap.plan import read_sweep
from grokmap.session import checkpoint
from grokmap.session.failed import write_failed
from grokmap.session.folder import differences, planned_in
from grokmap.session.lock import locked
from grokmap.session.provenance import now
from grokmap.session.session import command, write_runs
from grokmap.spec import Sweep

EXIT_UNEQUAL = 6


class Merged(NamedTuple):
    """What a merge found and did.

    planned, done: runs of the sweep; shards: that have begun; taken: as of
    `store.take_files`; runs: those done, labelled.
    """

    planned: int
    done: int
    shards: int
    taken: store.Taken
    runs: pd.DataFrame

    @property
    def code(self) -> int:
        """Exit code: EXIT_UNEQUAL where two folders have a run otherwise."""
        return EXIT_UNEQUAL if self.taken.unequal else 0


def merge(
    path: Path,
    others: Sequence[Path] = (),
    say: Callable[[str], None] = lambda line: None,
) -> Merged:
    """Unites in `path` what its shards and other result folders have done.

    Raises:
      ResultError: nothing to unite, or a folder that is no result. OtherSweepError: one
        of another sweep; nothing is changed then. LockedError: `path` is being written.
    """
    sources = _sources(path, others)
    with locked(path, say):
        store.refuse_links(path)
        disk.remove_leftovers(path, store.FOLDERS)
        return unite(path, sources, say)


def unite(
    path: Path, sources: Sequence[Path], say: Callable[[str], None] = lambda line: None
) -> Merged:
    """The same for a folder that is held, and folders as they are."""
    started = now()
    folders = [path] if disk.exists(path / store.SPEC) else []
    spec = _common_spec([*folders, *sources])
    if not folders or store.spec_hash(path) != store.spec_hash(spec):
        store.write_spec(path, store.read_spec(spec))
    sweep = read_sweep(path, to_train=True)
    _unite_points(path, sources)
    table = _write_plan(path, sweep)
    taken = _take(path, sources)
    _say_makers(taken.makers, say)
    runs = write_runs(path, {"command": command(), "ended": now()})
    _unite_failed(path, sources, table, set(runs["run_id"]))
    facts = {"started": started, "ended": now(), "command": command()}
    store.add_sessions_of(path, sources)
    if taken.runs:
        store.add_session(path, facts | {"exit_code": 0, "runs_merged": taken.runs})
    n_shards = len(store.shard_folders(path))
    return Merged(len(table), len(runs), n_shards, taken, runs)


def unite_shards(path: Path, say: Callable[[str], None]) -> Merged:
    """`unite`s the shards of a folder in it."""
    return unite(path, _shards(path), say)


def _sources(path: Path, others: Sequence[Path]) -> list[Path]:
    """The shards of the folder, then other folders and their shards.

    Raises:
      SpecError, ResultError: as of `merge`.
    """
    found = _shards(path)
    for other in others:
        if not other.is_dir():
            raise ResultError(f"{other}: no such folder; name folders of results")
        if path.exists() and other.samefile(path):
            raise SpecError(f"{other}: named twice; name others to unite with it")
        own = [other] if disk.exists(other / store.SPEC) else []
        if not own + _shards(other):
            store.result_dir(other)  # raises
        found += own + _shards(other)
    if not found:
        raise ResultError(
            f"{path}: no shards in it; `grokmap sweep SPEC --out {path} --shard k/K` "
            "makes them; or name another result folder to unite with it"
        )
    return found


def _shards(path: Path) -> list[Path]:
    folders = store.shard_folders(path)
    return [each for each in folders if disk.exists(each / store.SPEC)]


def _common_spec(folders: Sequence[Path]) -> Path:
    """Of the folders' sweeps that with the most runs and budget, which all others
    begin.

    Raises:
      OtherSweepError: there is none: they are of different sweeps.
    """
    best = folders[0]
    sweep, seen = store.read_spec(best), {store.spec_hash(best)}
    for folder in folders[1:]:
        if (digest := store.spec_hash(folder)) in seen:
            continue
        seen.add(digest)
        other = store.read_spec(folder)
        why = list(differences(other, sweep, extend=True))
        if why and not any(differences(sweep, other, extend=True)):
            best, sweep = folder, other
        elif why:
            raise OtherSweepError(
                [f"{folder}: another sweep than {best}: {each}" for each in why]
            )
    return best


def _unite_points(path: Path, sources: Sequence[Path]) -> None:
    """Writes the points beside the grid that any of the folders has.

    Raises:
      ResultError: their tables do not have the same columns.
    """
    tables = {each: store.read_points(each) for each in (path, *sources)}
    found = {each: table for each, table in tables.items() if table is not None}
    if not found.keys() - {path}:
        return
    columns = list(next(iter(found.values())))
    for each, table in found.items():
        if set(table) != set(columns):
            raise ResultError(f"{each / store.POINTS}: other axes than in {path}")
    axes = [name for name in columns if name != "round"]
    both = pd.concat([table[columns] for table in found.values()])
    both = both.drop_duplicates(axes).sort_values("round", kind="stable")
    store.write_points(path, both.reset_index(drop=True))


def _write_plan(path: Path, sweep: Sweep) -> pd.DataFrame:
    table = plan.plan_table(planned_in(path, sweep), sweep)
    store.write_plan(path, table, {"command": command(), "ended": now()})
    return table


def _take(path: Path, sources: Sequence[Path]) -> store.Taken:
    """Takes trajectories, the ends of runs that were cut short, and weights."""
    own = set(store.shard_folders(path))
    taken = store.take_files(path, _files(sources, own))
    for source in sources:
        checkpoint.take_ends(path, source, source in own)
        store.take_weights(path, source, source in own)
    return taken


def _files(sources: Sequence[Path], own: set[Path]) -> dict[Path, bool]:
    return {
        file: source in own for source in sources for file in store.batch_files(source)
    }


def _unite_failed(
    path: Path, sources: Sequence[Path], table: pd.DataFrame, done: set[str]
) -> None:
    """Writes which runs failed in any of the folders and are not done in another."""
    failed: dict[str, str] = {}
    for source in (*sources, path):
        failed |= store.read_failed(source)
    write_failed(path, table, {k: v for k, v in failed.items() if k not in done})


def _say_makers(makers: Counter[str], say: Callable[[str], None]) -> None:
    """Says so where not all files were made alike: then the bits may differ."""
    if len(makers) > 1:
        parts = "; ".join(f"{maker} ({n} files)" for maker, n in makers.most_common())
        say(f"made by different versions or devices: {parts}")


def line_of(each: store.Unequal) -> str:
    """Which run differs, where, and in what."""
    what = f"from step {each.step} on in {each.column}" if each.column else "all of it"
    return (
        f"run {each.run_id} differs, {what}: {each.here} has it, {each.there} has it "
        "otherwise; the first is kept, the other is left where it is"
    )


def facts_of(merged: Merged, path: Path) -> dict[str, Any]:
    """The same as JSON."""
    taken = merged.taken
    return {
        "path": str(path),
        "planned": merged.planned,
        "done": merged.done,
        "missing": merged.planned - merged.done,
        "shards": merged.shards,
        "taken": taken.runs,
        "equal": len(taken.equal),
        "unequal": [
            {**each._asdict(), "here": str(each.here), "there": str(each.there)}
            for each in taken.unequal
        ],
        "unreadable_files": [f"{file}: {why}" for file, why in taken.damaged.items()],
        "made_by": dict(taken.makers),
    }
