"""One call of sweep on a result folder: hold it, train what is missing, label, record.

with open_session(path, sweep, options, listener) as session:
    runs = train_missing(session)
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from grokmap import disk, plan, store
from grokmap.classify import CRITERIA, FLAGS
from grokmap.engine import execute
from grokmap.engine.schedule import Kept
from grokmap.engine.step_size import rule_of
from grokmap.errors import GrokmapError, ResultError
from grokmap.plan import Planned
from grokmap.process import signals
from grokmap.result.labels import Made, label_runs, with_costs
from grokmap.session import checkpoint
from grokmap.session.batches import Batches, held
from grokmap.session.failed import write_failed
from grokmap.session.folder import check_folder, missing_of, rounds_in
from grokmap.session.listener import Listener
from grokmap.session.lock import locked
from grokmap.session.progress import Published
from grokmap.session.provenance import now, versions
from grokmap.session.shard import (
    begin,
    check_shard,
    facts_of,
    folder_of,
    not_done_in,
    own_runs,
)
from grokmap.session.weights import keep_of_all
from grokmap.spec import AUTO, Sweep
from grokmap.spec.shard import Shard

EXIT_SOME_FAILED = 3


class Options(NamedTuple):
    """How a sweep is trained; nothing of it changes what a run is.

    time_budget: seconds after which to stop in good order.
    checkpoint: seconds between two checkpoints of the runs in training.
    lanes: runs trained together; tile: examples per gradient tile (None: chosen).
    extend: whether budgets may be larger than those of the folder's sweep.
    keep_going: whether to train the others after a run has failed.
    shard: the part of the sweep to train (None: all of it).
    """

    time_budget: float = float("inf")
    checkpoint: float = execute.KEEP_SECONDS
    lanes: int | None = None
    tile: int | None = None
    extend: bool = False
    keep_going: bool = True
    shard: Shard | None = None


@dataclass
class Stop:
    """Why to stop at the next chunk: a signal's exit code, the time budget, or that
    the result folder was moved or deleted."""

    deadline: float = float("inf")
    code: int | None = None
    path: Path | None = None

    def __call__(self) -> bool:
        if self.code is None and time.monotonic() > self.deadline:
            self.code = signals.EXIT_STOPPED
        if self.code is None and self.path and disk.is_gone(self.path):
            self.code = signals.EXIT_STOPPED
        return self.code is not None


@dataclass
class Session:
    """What one call of sweep is given, and what it has done so far.

    path: the folder that it writes; root: that of the whole sweep, another for a shard;
    steps: last step of each run on disk; n_planned: runs of the sweep; done: runs that
    are over; kept: runs in training when it stopped; failed: by run id, the traceback;
    code: exit code.
    """

    path: Path
    root: Path
    sweep: Sweep
    options: Options
    listener: Listener
    stop: Stop
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    steps: dict[str, int] = field(default_factory=dict)
    n_planned: int = 0
    done: int = 0
    kept: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    code: int = 0

    def origin(self) -> dict[str, Any]:
        """What a trajectory file says of where it is from."""
        return {
            "command": command(),
            "started": self.started.isoformat(timespec="seconds"),
            "spec_hash": store.spec_hash(self.path),
            **versions(),
        }

    def record(self) -> dict[str, Any]:
        """What provenance.json says of it."""
        return {
            "started": self.started.isoformat(timespec="seconds"),
            "ended": now(),
            "command": command(),
            "exit_code": self.code,
            **facts_of(self.options.shard),
            **_rate_of(self.sweep),
            "runs_done": self.done,
            "runs_kept": self.kept if self.code else 0,
            "runs_failed": list(self.failed),
            **versions(),
        }


def _rate_of(sweep: Sweep) -> dict[str, Any]:
    """What provenance says of a learning rate that was chosen: which, and by what."""
    if sweep.learning_rate_choice != AUTO:
        return {}
    rule = rule_of(str(sweep.points("optimizer")[0]))
    return {"learning_rate": {AUTO: sweep.learning_rate[0], "rule": rule}}


def command() -> list[str]:
    """The program's arguments; of another program that uses the library, its name."""
    return ["grokmap", *sys.argv[1:]]


@contextmanager
def open_session(
    path: Path, sweep: Sweep, options: Options, listener: Listener
) -> Iterator[Session]:
    """Holds the result folder of the sweep for writing, and records the session.

    Raises:
      LockedError: another process writes the folder.
      OtherSweepError: it holds another sweep.
      ResultError: it cannot be written, or went away meanwhile.
    """
    where = folder_of(path, options.shard)
    stop = Stop(time.monotonic() + options.time_budget, path=where)
    session = Session(where, path, sweep, options, listener, stop)
    with stop_on_signals(stop), locked(where, listener.say), _while_there(where):
        # Again, now that no other process can change the folder.
        check_folder(path, sweep, options.extend)
        if options.shard:
            check_shard(path, where, sweep, options.extend)
        disk.remove_leftovers(where, store.FOLDERS)
        store.write_spec(where, sweep)
        yield session
        session.code = stop.code or (EXIT_SOME_FAILED if session.failed else 0)
        disk.remove(where, store.PROGRESS)
        store.add_session(where, session.record())


@contextmanager
def _while_there(path: Path) -> Iterator[None]:
    """Raises ResultError where the folder was moved or deleted meanwhile.

    What was written went where the folder is now.
    """
    try:
        yield
        is_gone = disk.is_gone(path)
    except (GrokmapError, OSError):
        is_gone = disk.is_gone(path)
        if not is_gone:
            raise
    if is_gone:
        raise ResultError(
            f"{path}: moved or deleted while it was being written; what there was went "
            "with it: `grokmap sweep FOLDER` goes on where it is now"
        )


def stop_on_signals(stop: Stop) -> Any:
    """Signals that end a process stop at the next chunk; a second one at once."""
    if threading.current_thread() is not threading.main_thread():
        return nullcontext()  # python hands signals to the main thread alone
    received = False

    def handle(number: int, frame: Any) -> None:
        nonlocal received
        if received and not signals.is_repeated(number):
            signals.end_at_once(number, frame)
        if received:
            return
        # Past the buffers of stderr: a signal may come in the middle of another line,
        # and the next one ends the process without emptying them.
        with suppress(OSError):
            os.write(2, b"grokmap: stopping after this chunk; again to stop now\n")
        received, stop.code = True, signals.exit_code(number)

    return signals.handled(handle)


def train_missing(session: Session) -> pd.DataFrame:
    """Trains what is missing; all finished runs, labelled by the default criteria."""
    path, sweep, shard = session.path, session.sweep, session.options.shard
    rounds = rounds_in(session.root, sweep)
    planned = own_runs(rounds, shard)
    session.n_planned = len(planned)
    if shard:
        begin(path, shard, len(planned))
    table = plan.plan_table(planned, sweep)
    origin = session.origin()
    store.write_plan(path, table, origin)
    known = store.stored(path)
    session.steps = dict(known.steps)
    _set_aside(session, known.damaged)
    missing = missing_of(path, planned, table, session.steps)
    if shard:
        missing = not_done_in(session.root, sweep, missing)
    _tell_plan(session, table, {run.run.run_id for run in missing})
    # All runs, since tiles follow from the whole sweep's.
    every = [run for runs in rounds for run in runs]
    _train(session, every, {run.run.run_id for run in planned}, table, missing)
    if known.twice or any(run.run.run_id in known.steps for run in missing):
        store.keep_longest(path)
    runs = write_runs(path, origin | {"ended": now()})
    write_failed(path, table, session.failed)
    checkpoint.tidy(path, session.steps)
    if sweep.save_weights and not session.stop():
        _save_weights(session, every, runs)
    return runs


def _tell_plan(session: Session, table: pd.DataFrame, missing: set[str]) -> None:
    """Tells the listener of the plan, and of what was labelled by earlier sessions."""
    columns = ["run_id", "phase", *FLAGS]
    before = pd.DataFrame(columns=columns)
    with suppress(*store.UNREADABLE):
        before = store.read_table(session.path / store.RUNS, columns).to_pandas()
    over = table["run_id"][~table["run_id"].isin(missing)]
    before = before[before["run_id"].isin(over)]
    session.listener.planned(session.sweep.axes, table, before)


def _save_weights(session: Session, planned: list[Planned], runs: pd.DataFrame) -> None:
    """Keeps the weights that the sweep asks for, and says what it could not keep."""
    moments = session.sweep.save_weights
    kept = keep_of_all(session.path, planned, runs, moments, session.stop)
    for line in kept.problems:
        session.listener.say(line)
    if kept.files:
        where = session.path / store.WEIGHTS
        session.listener.say(f"{where}: {len(kept.files)} files of weights written")


def write_runs(path: Path, origin: dict[str, Any] | None = None) -> pd.DataFrame:
    """Labels all finished runs of the folder, writes and returns them."""
    made: list[Made] = []
    runs, _ = label_runs(path, CRITERIA["default"], None, made)
    runs = with_costs(path, runs, made)
    store.write_found(path, runs, origin=origin)
    return runs


def _set_aside(session: Session, damaged: Mapping[Path, str]) -> None:
    """Renames damaged trajectory files, whose runs are then missing."""
    for file, reason in damaged.items():
        aside = store.set_aside(session.path, file)
        session.listener.say(
            f"{file}: {reason}; set aside as {aside.name}, its runs are done again"
        )


def _train(
    session: Session,
    planned: list[Planned],
    own: set[str],
    table: pd.DataFrame,
    missing: list[Planned],
) -> None:
    """Trains what is missing; what is over is written, what is in training kept.

    planned: all runs of the sweep; own: ids of those of the session's shard.
    """
    path, options, listener = session.path, session.options, session.listener
    origin = session.origin()  # known before anything is trained that carries it
    ids = {run.run.run_id for run in missing}
    done = {run.run.run_id for run in planned} - ids
    table = table.set_index("run_id")
    beside = [session.root] if options.shard else []  # ends of runs that were cut short
    with (
        store.Writer(path) as writer,
        held(Batches(path, writer, table, origin)) as batches,
        checkpoint.CheckpointReader(path, listener.say, beside) as kept_runs,
        _heard(session, missing, kept_runs),
    ):
        published = Published(path, listener, writer, batches)
        for outcome in execute.execute(
            planned,
            done=done,
            own=own,
            lanes=options.lanes,
            tile=options.tile,
            hooks=_hooks(session, published, kept_runs),
        ):
            if isinstance(outcome, execute.Failed):
                _take_failed(session, outcome)
            else:
                _take_done(session, outcome, published)


@contextmanager
def _heard(
    session: Session, missing: list[Planned], kept_runs: checkpoint.CheckpointReader
) -> Iterator[None]:
    """Tells the listener where training begins and ends."""
    kept_ids = {run.run.run_id for run in missing} & kept_runs.places.keys()
    n_kept = sum(kept_runs.places[run_id].step for run_id in kept_ids)
    session.listener.begin(missing, session.n_planned, n_kept)
    try:
        yield
    finally:
        session.listener.end()


def _hooks(
    session: Session, published: Published, kept_runs: checkpoint.CheckpointReader
) -> execute.Hooks:
    """What training tells and asks between two chunks."""

    def keep(kept: list[Kept]) -> None:
        session.kept = len(kept)
        published.batches.write()  # runs that are over are not in the checkpoint
        published.writer.submit(checkpoint.write_latest, session.path, kept)

    where = session.path / store.CHECKPOINTS
    return execute.Hooks(
        published.progress,
        session.stop,
        keep,
        kept_runs.read,
        _say_once(session.listener, f"{where}: some runs were kept under "),
        session.options.checkpoint,
    )


def _say_once(listener: Listener, before: str) -> Callable[[str], None]:
    """Says why kept runs start from their beginning, once for each reason."""
    said: set[str] = set()

    def refused(why: str) -> None:
        if why not in said:
            said.add(why)
            listener.say(f"{before}{why}; they train from their beginning")

    return refused


def _take_done(session: Session, done: execute.Done, published: Published) -> None:
    session.listener.done(published.batches.take(done))
    session.done += len(done.runs)
    session.steps |= {
        run.run.run_id: int(steps[-1])
        for run, steps in zip(done.runs, done.steps, strict=True)
    }
    published.now()


def _take_failed(session: Session, outcome: execute.Failed) -> None:
    failed = [run.run.run_id for run in outcome.runs]
    session.failed |= dict.fromkeys(failed, outcome.trace)
    session.listener.failed(failed, outcome.trace)
    if not session.options.keep_going:
        session.stop.code = EXIT_SOME_FAILED
