"""`grokmap sweep`: joins spec, plan, execute, store and classify."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grokmap import disk, plan, store
from grokmap.classify import CRITERIA, PHASES, classify, classify_parts
from grokmap.cli.display import Display, print_event
from grokmap.cli.doctor import start_jax, versions
from grokmap.cli.durations import seconds_of
from grokmap.cli.results import label_runs, phase_counts, print_counts, with_costs
from grokmap.engine import devices, execute
from grokmap.engine.schedule import Kept
from grokmap.engine.step_size import choose_learning_rate
from grokmap.errors import (
    GrokmapError,
    OtherSweepError,
    ResultError,
    SpecError,
    shown,
)
from grokmap.plan import Planned, effective_precision, expand, read_sweep, run_at
from grokmap.plan.checks import check
from grokmap.process import signals
from grokmap.session import checkpoint
from grokmap.session.lock import locked
from grokmap.spec import AUTO, AXES, Sweep
from grokmap.spec.sweep import KEYS, SWEEPABLE
from grokmap.spec.words import CHOICES, SYSTEM_SIZES

BUDGETS = ("horizon", "max_steps", "n_steps")  # what --extend may raise
EXIT_SOME_FAILED = 3


class Options(NamedTuple):
    """Of `grokmap sweep`, as typed."""

    spec: Path
    overrides: tuple[str, ...]
    out: Path | None
    time_budget: str | None = None
    checkpoint: str = "2m"
    lanes: int | None = None
    tile: int | None = None
    extend: bool = False
    keep_going: bool = True
    as_json: bool = False


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


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass
class Session:
    """What one call of `grokmap sweep` did, for provenance.json.

    steps: last step of each run on disk; done: runs that are over; kept: runs in
    training when it stopped; failed: by run id, the traceback; code: exit code.
    """

    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    steps: dict[str, int] = field(default_factory=dict)
    done: int = 0
    kept: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    code: int = 0

    @property
    def command(self) -> list[str]:
        return ["grokmap", *sys.argv[1:]]

    def origin(self, path: Path) -> dict[str, Any]:
        """What a trajectory file says of where it is from."""
        return {
            "command": self.command,
            "started": self.started.isoformat(timespec="seconds"),
            "spec_hash": store.spec_hash(path),
            **versions(),
        }

    def record(self, exit_code: int) -> dict[str, Any]:
        return {
            "started": self.started.isoformat(timespec="seconds"),
            "ended": now(),
            "command": self.command,
            "exit_code": exit_code,
            "runs_done": self.done,
            "runs_kept": self.kept if exit_code else 0,
            "runs_failed": list(self.failed),
            **versions(),
        }


def run_sweep(options: Options) -> int:
    """Trains what is missing of the sweep; returns the exit code."""
    with session_in(options) as (path, sweep, stop, session):
        runs, n_planned = train_missing(path, sweep, options, stop, session)
    code = session.code
    if stop.code and session.kept:
        say(f"{session.kept} runs in training are kept; the same command goes on")
    _report(path, runs, n_planned, code, options.as_json)
    return code


@contextmanager
def session_in(options: Options) -> Iterator[tuple[Path, Sweep, Stop, Session]]:
    """Holds the result folder of the sweep for writing, and records the session."""
    stop = Stop(time.monotonic() + seconds_of(options.time_budget, "--time-budget"))
    seconds_of(options.checkpoint, "--checkpoint")  # refused before anything is done
    path, sweep = read_options(options)
    stop.path, session = path, Session()
    with _signals(stop), locked(path, say), _while_there(path):
        # Again, now that no other process can change the folder.
        check_folder(path, sweep, options.extend)
        disk.remove_leftovers(path, store.FOLDERS)
        store.write_spec(path, sweep)
        yield path, sweep, stop, session
        session.code = stop.code or (EXIT_SOME_FAILED if session.failed else 0)
        store.add_session(path, session.record(session.code))


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


def train_missing(
    path: Path, sweep: Sweep, options: Options, stop: Stop, session: Session
) -> tuple[pd.DataFrame, int]:
    """Trains what is missing; all finished runs, labelled, and how many are planned."""
    planned = planned_in(path, sweep)
    table = plan.plan_table(planned, sweep)
    origin = session.origin(path)
    store.write_plan(path, table, origin)
    found = store.stored(path)
    session.steps = dict(found.steps)
    for file, reason in found.damaged.items():
        aside = store.set_aside(path, file)
        say(f"{file}: {reason}; set aside as {aside.name}, its runs are done again")
    missing = missing_of(path, planned, table, session.steps)
    _train(path, table, planned, missing, options, stop, session)
    if found.twice or any(run.run.run_id in found.steps for run in missing):
        store.keep_longest(path)
    runs = write_runs(path, origin | {"ended": now()})
    _write_failed(path, table, session.failed)
    checkpoint.tidy(path, session.steps)
    return runs, len(planned)


def planned_in(path: Path, sweep: Sweep) -> list[Planned]:
    """The runs of the sweep's grid, and those that were chosen beside it."""
    points = store.read_points(path)
    if points is None:
        return plan.plan_runs(sweep)
    _check_points(path, sweep, points)
    places = points[[axis for axis in SWEEPABLE if axis in points]].to_dict("records")
    runs = [run_at(sweep, place) for place in places]
    # Axes may have grown onto points since.
    grid = {run.run_id for run in expand(sweep)}
    more = [run for run in runs if run.run_id not in grid]
    return plan.plan_runs(sweep, more)


def _check_points(path: Path, sweep: Sweep, points: pd.DataFrame) -> None:
    """What a sweep file with these points would be refused for is refused here, too.

    Raises:
      ResultError: naming the points of every axis that cannot be trained.
    """
    problems: list[str] = []
    for axis in (key for key in sweep.swept if key in AXES):
        wider = sweep.model_copy(update={axis: tuple(points[axis].unique().tolist())})
        problems += check(wider, set(), frozenset())
    if problems:
        file = path / store.POINTS
        raise ResultError(
            [f"{file}: {text}" for text in dict.fromkeys(problems)]
            + [f"{file}: {store.POINTS_AGAIN}"]
        )


def say(line: str) -> None:
    print(f"grokmap: {shown(line)}", file=sys.stderr)


def read_options(options: Options, quick: bool = False) -> tuple[Path, Sweep]:
    """The result folder and the sweep, its learning rate chosen.

    quick: an automatic learning rate is chosen by the smallest and largest sizes only.

    Raises:
      SpecError, ResultError: the file has problems, or the folder is another sweep's.
    """
    start_jax()
    sweep = read_sweep(options.spec, options.overrides)
    is_folder = os.path.isdir(options.spec)
    own = options.spec if is_folder else Path("results") / sweep.name
    path = options.out or own
    for precision in sweep.points("precision"):
        effective_precision(precision, devices.platform())
    if sweep.is_open and disk.exists(path / store.SPEC):
        # Chosen when the sweep began: the same number, whatever this machine finds.
        before = store.read_spec(path)
        if before.learning_rate_choice == AUTO:
            sweep = sweep.with_learning_rate(before.learning_rate[0])
    if sweep.is_open:
        chosen = _chosen(_ends_of_sizes(sweep) if quick else sweep)
        sweep = sweep.with_learning_rate(chosen)
    check_folder(path, sweep, options.extend)
    return path, sweep


def _ends_of_sizes(sweep: Sweep) -> Sweep:
    sizes = {key: getattr(sweep, key) for key in SYSTEM_SIZES}
    ends = {key: tuple(sorted({min(v), max(v)})) for key, v in sizes.items()}
    return sweep.model_copy(update=ends)


def _chosen(sweep: Sweep) -> float:
    try:
        chosen = choose_learning_rate(sweep)
    except ValueError as error:
        raise SpecError(f'learning_rate = "auto": {error}; give a number') from None
    print(f'grokmap: learning_rate = "auto": {chosen:g}', file=sys.stderr)
    return chosen


def _write_failed(path: Path, table: pd.DataFrame, failed: dict[str, str]) -> None:
    """The runs that failed in this session, with their tracebacks; no file if none."""
    if not failed:
        _remove_failed(path)
        return
    found = table[table["run_id"].isin(list(failed))]
    store.write_found(
        path, found.assign(traceback=found["run_id"].map(failed)), store.FAILED
    )


def _remove_failed(path: Path) -> None:
    """Removes the table of runs that failed before, if it is ours."""
    file = path / store.FAILED
    if disk.exists(file):
        try:
            ours = "schema_version" in store.metadata_of(store.read_schema(file))
        except store.UNREADABLE:
            ours = False
        if ours:
            disk.remove(path, store.FAILED)


def write_runs(path: Path, origin: dict[str, Any] | None = None) -> pd.DataFrame:
    """Labels all finished runs of the folder, writes and returns them."""
    runs = with_costs(path, label_runs(path, CRITERIA["default"])[0])
    store.write_found(path, runs, origin=origin)
    return runs


def _train(
    path: Path,
    table: pd.DataFrame,
    planned: list[Planned],
    missing: list[Planned],
    options: Options,
    stop: Stop,
    session: Session,
) -> None:
    """Trains what is missing; what is over is written, what is in training kept."""
    origin = session.origin(path)  # known before anything is trained that carries it
    ids = {run.run.run_id for run in missing}
    done = {run.run.run_id for run in planned} - ids
    table = table.set_index("run_id")
    display = Display(missing, len(table), options.as_json)
    with display, store.Writer(path) as writer, checkpoint.Shelf(path, say) as shelf:
        kept_ids = ids & shelf.places.keys()
        display.run_steps -= sum(shelf.places[run].step for run in kept_ids)

        def keep(kept: list[Kept]) -> None:
            session.kept = len(kept)
            writer.submit(checkpoint.write_latest, path, kept)

        hooks = execute.Hooks(
            display.progress,
            stop,
            keep,
            shelf.read,
            _say_once(f"{path / store.CHECKPOINTS}: some runs were kept under "),
            seconds_of(options.checkpoint, "--checkpoint"),
        )
        for outcome in execute.execute(
            planned, done=done, lanes=options.lanes, tile=options.tile, hooks=hooks
        ):
            if isinstance(outcome, execute.Failed):
                failed = [run.run.run_id for run in outcome.runs]
                session.failed |= dict.fromkeys(failed, outcome.trace)
                display.failed(failed, outcome.trace)
                stop.code = stop.code if options.keep_going else EXIT_SOME_FAILED
            else:
                display.done(_write_done(writer, path, outcome, table, origin, session))


def _say_once(before: str) -> Callable[[str], None]:
    """Says why kept runs start anew, once for each reason."""
    said: set[str] = set()

    def refused(why: str) -> None:
        if why not in said:
            said.add(why)
            say(f"{before}{why}; they train from their beginning")

    return refused


def _write_done(
    writer: store.Writer,
    path: Path,
    done: execute.Done,
    table: pd.DataFrame,
    origin: dict[str, Any],
    session: Session,
) -> pd.DataFrame:
    """Hands runs that are over to the writer, and how the censored ones stood; labels.

    table: the plan, by run id.
    """
    ids = [run.run.run_id for run in done.runs]
    metadata = {"seconds": round(done.seconds, 3), "ended": now(), **origin}
    metadata |= done.settings._asdict()
    run = np.repeat(np.arange(len(ids)), list(map(len, done.steps)))
    step, values = np.concatenate(done.steps), np.concatenate(done.values)
    writer.write(ids, run, step, done.columns, values, metadata)
    session.done += len(ids)
    session.steps |= {name: int(s[-1]) for name, s in zip(ids, done.steps, strict=True)}
    labels = classify(_frame(done), table.loc[ids].reset_index())
    # A ramp is over at its end: there is no larger budget to go on with.
    cut_short = set(labels["run_id"][labels["censored"] & ~labels["ramped"]])
    ends = [end for end in done.ends if end.run_id in cut_short]
    if ends:
        writer.submit(checkpoint.write_ends, path, ends)
    return labels


def _frame(done: execute.Done) -> pd.DataFrame:
    frame = pd.DataFrame(np.concatenate(done.values), columns=list(done.columns))
    frame.insert(0, "step", np.concatenate(done.steps))
    ids = [run.run.run_id for run in done.runs]
    frame.insert(0, "run_id", np.repeat(ids, list(map(len, done.steps))))
    return frame


def missing_of(
    path: Path, planned: list[Planned], table: pd.DataFrame, steps: dict[str, int]
) -> list[Planned]:
    """The runs that are not done, and those that a larger budget has to continue.

    steps: last step of each run on disk. A run that ended before its budget was either
    over (diverged, settled) or had a smaller budget and is censored under this one.
    """
    short = [
        run.run.run_id
        for run in planned
        if steps.get(run.run.run_id, run.n_steps) < run.n_steps
    ]
    if short:
        parts = store.trajectory_parts(path, [], store.LABELS_READ)
        own = table[table["run_id"].isin(short)]
        runs = classify_parts(parts, own, CRITERIA["default"])
        short = runs["run_id"][runs["censored"].to_numpy(bool)].tolist()
    again = set(short)
    return [
        run for run in planned if run.run.run_id not in steps or run.run.run_id in again
    ]


def check_folder(path: Path, sweep: Sweep, extend: bool = False) -> None:
    """Refuses a folder that is no result, or the result of another sweep.

    extend: larger budgets than before are allowed.
    """
    if not disk.exists(path):
        return
    if not disk.exists(path / store.SPEC):
        # A sweep that was killed at once leaves its lock and half a file at most.
        if not path.is_dir() or any(name[0] != "." for name in disk.names_in(path)):
            raise ResultError(f"{path}: exists and is no sweep result; choose --out")
        return
    store.refuse_links(path)
    problems = list(_differences(store.read_spec(path), sweep, extend))
    if problems:
        raise OtherSweepError(
            [f"{path}: holds another sweep: {problem}" for problem in problems]
            + [f"{path}: choose another name or --out, or undo the difference"]
        )


def _differences(old: Sweep, new: Sweep, extend: bool) -> Iterator[str]:
    """Why `new` does not continue `old`. Axes and choices may grow; nothing else may
    change, as far as the runs of `old` read it."""
    lost = False
    for key in CHOICES:
        gone = [v for v in old.points(key) if v not in new.points(key)]
        lost |= bool(gone)
        if gone and not {key} & {*old.swept, *new.swept}:
            yield f"{key} was {old.points(key)[0]}, now {new.points(key)[0]}"
        elif gone:
            yield f"{key} had {', '.join(map(str, gone))}, which is gone"
    found: dict[str, None] = {}
    for chosen in () if lost else old.combinations():
        parts = plan.part_of(old, chosen), plan.part_of(new, chosen)
        found |= dict.fromkeys(_differences_of_parts(*parts, extend))
    yield from found


def _differences_of_parts(old: Sweep, new: Sweep, extend: bool) -> Iterator[str]:
    """The same of one combination of choices, which both have."""
    for key in KEYS:
        before, after = getattr(old, key), getattr(new, key)
        if key in AXES:
            lost = [value for value in before if value not in after]
            if lost:
                yield f"{key} had {', '.join(map(str, lost))}, which is gone"
        elif before != after and key != "name":
            grown = key in BUDGETS and before and after and after > before
            if not (grown and extend):
                hint = "; --extend continues what it cut short" if grown else ""
                yield f"{key} was {before}, now {after}{hint}"


@contextmanager
def _signals(stop: Stop) -> Iterator[None]:
    """Signals that end a process stop at the next chunk; a second one at once."""
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

    with signals.handled(handle):
        yield


def _report(
    path: Path, runs: pd.DataFrame, n_planned: int, code: int, as_json: bool
) -> None:
    counts = phase_counts(runs, PHASES)
    if as_json:
        print_event(
            "result", path=str(path), planned=n_planned, exit_code=code, **counts
        )
        return
    print(shown(f"{path}: {len(runs)} of {n_planned} runs"))
    print_counts(counts)
