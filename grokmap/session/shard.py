"""What a session on one shard of a sweep has to train."""

from __future__ import annotations

import socket
from pathlib import Path

from grokmap import disk, store
from grokmap.engine import shards
from grokmap.errors import ResultError, SpecError
from grokmap.plan import Planned, plan_table
from grokmap.session.folder import are_missing, check_folder, rounds_in
from grokmap.spec import Sweep
from grokmap.spec.shard import Shard


def folder_of(path: Path, shard: Shard | None) -> Path:
    """The folder that a session writes: of the sweep in `path`, or of its shard."""
    return store.make_shard_folder(path, shard) if shard else path


def own_runs(rounds: list[list[Planned]], shard: Shard | None) -> list[Planned]:
    """The runs of a shard, or all where there is none.

    rounds: as of `rounds_in`; each is cut by itself, since those before it are done
    when the next is chosen.

    Raises:
      SpecError: there are more shards than runs.
    """
    if shard is None:
        return [run for runs in rounds for run in runs]
    if shard.of > len(rounds[0]):
        raise SpecError(
            f"--shard {shard}: the sweep has {len(rounds[0])} runs; cut it into at "
            "most as many shards"
        )
    return [run for runs in rounds for run in shards.part(runs, *shard)]


def check_shard(path: Path, where: Path, sweep: Sweep, extend: bool) -> None:
    """Refuses a shard's folder of another sweep, and one among shards of another.

    Raises:
      OtherSweepError, ResultError: as of `check_folder`.
    """
    check_folder(where, sweep, extend)
    others = (each for each in store.shard_folders(path) if each != where)
    other = next((each for each in others if disk.exists(each / store.SPEC)), None)
    if other is not None:
        check_folder(other, sweep, extend=True)


def begin(where: Path, shard: Shard, n_runs: int) -> None:
    """Writes into the folder which shard it is."""
    store.write_shard(where, store.ShardFacts(shard, n_runs))


def facts_of(shard: Shard | None) -> dict[str, str]:
    """What provenance says of a session on a shard: which one, and on which machine."""
    return {"shard": str(shard), "host": socket.gethostname()} if shard else {}


def not_done_in(path: Path, sweep: Sweep, missing: list[Planned]) -> list[Planned]:
    """Those of a shard's missing runs that the sweep's own folder does not have either,
    from earlier shards that were merged into it."""
    if not disk.exists(path / store.SPEC) or not missing:
        return missing
    steps = store.stored(path).steps
    left = are_missing(path, plan_table(missing, sweep), steps)
    return [run for run, is_left in zip(missing, left, strict=True) if is_left]


def runs_for(path: Path, sweep: Sweep) -> list[Planned]:
    """The runs that a result folder is for: of a shard's folder, those of its part."""
    facts = store.read_shard(path)
    root = path.parent.parent if facts else path
    return own_runs(rounds_in(root, sweep), facts.shard if facts else None)


def refuse_shard(path: Path) -> None:
    """Refuses a shard's folder as that of a whole sweep.

    Raises:
      ResultError: it is a shard's.
    """
    facts = store.read_shard(path)
    if facts:
        raise ResultError(
            f"{path}: shard {facts.shard} of {path.parent.parent}; name that folder, "
            f"and --shard {facts.shard}"
        )


def refuse_waiting(path: Path) -> None:
    """Refuses to train a folder whose shards have done runs that are not merged yet.

    Raises:
      ResultError: how many, and the command.
    """
    waiting = store.waiting_runs(path)
    if waiting:
        raise ResultError(f"{store.waiting_line(path, len(waiting))} first")
