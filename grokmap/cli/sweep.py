"""`grokmap sweep`: joins spec, plan, execute, store and classify."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grokmap import devices, execute, plan, store
from grokmap.classify import CRITERIA, PHASES, classify
from grokmap.cli.display import Display, print_event
from grokmap.cli.doctor import versions
from grokmap.cli.results import label_runs, phase_counts, print_counts, with_costs
from grokmap.errors import OtherSweepError, ResultError, SpecError
from grokmap.plan import Planned
from grokmap.spec import AUTO, Sweep, read_sweep
from grokmap.spec.sweep import AXES, KEYS
from grokmap.step_size import choose_learning_rate
from grokmap.train import VOCABULARY, effective_precision

EXIT_SOME_FAILED, EXIT_STOPPED, EXIT_INTERRUPTED = 3, 75, 130


class Options(NamedTuple):
    spec: Path
    overrides: tuple[str, ...]
    out: Path | None
    time_budget: str | None
    lanes: int | None
    as_json: bool


@dataclass
class Stop:
    """Why to stop at the next chunk: a signal's exit code, or the time budget."""

    deadline: float = float("inf")
    code: int | None = None

    def __call__(self) -> bool:
        if self.code is None and time.monotonic() > self.deadline:
            self.code = EXIT_STOPPED
        return self.code is not None


@dataclass
class Session:
    """What one call of `grokmap sweep` did, for provenance.json."""

    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    done: int = 0
    failed: list[str] = field(default_factory=list)

    def record(self, exit_code: int) -> dict[str, Any]:
        return {
            "started": self.started.isoformat(timespec="seconds"),
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": ["grokmap", *sys.argv[1:]],
            "exit_code": exit_code,
            "runs_done": self.done,
            "runs_failed": self.failed,
            **versions(),
        }


def run_sweep(options: Options) -> int:
    """Trains what is missing of the sweep; returns the exit code."""
    stop = Stop(time.monotonic() + seconds_of(options.time_budget))
    path, sweep = read_options(options)
    planned = plan.plan(sweep, VOCABULARY)
    session = Session()
    with _signals(stop), store.locked(path):
        # Again, now that no other process can change the folder.
        check_folder(path, sweep)
        table = plan.plan_table(planned, sweep, VOCABULARY)
        store.write_spec(path, sweep)
        store.write_plan(path, table)
        missing = missing_of(path, planned)
        _train(path, table, planned, missing, options, stop, session)
        code = stop.code or (EXIT_SOME_FAILED if session.failed else 0)
        runs = write_runs(path)
        store.add_session(path, session.record(code))
    if stop.code and missing and not session.done:
        print(
            "grokmap: stopped before a run was over: only whole runs are kept; allow "
            "more time",
            file=sys.stderr,
        )
    _report(path, runs, len(planned), code, options.as_json)
    return code


def read_options(options: Options) -> tuple[Path, Sweep]:
    """The result folder and the sweep, its learning rate chosen.

    Raises:
      SpecError, ResultError: the file has problems, or the folder is another sweep's.
    """
    devices.use_all_cores()
    devices.use_compile_cache()
    sweep = read_sweep(options.spec, options.overrides, vocabulary=VOCABULARY)
    path = options.out or Path("results") / sweep.name
    effective_precision(sweep.precision, devices.platform())
    if sweep.is_open and (path / store.SPEC).is_file():
        # Chosen when the sweep began: the same number, whatever this machine finds.
        before = store.read_spec(path)
        if before.learning_rate_choice == AUTO:
            sweep = sweep.with_learning_rate(before.learning_rate[0])
    if sweep.is_open:
        sweep = sweep.with_learning_rate(_chosen(sweep))
    check_folder(path, sweep)
    return path, sweep


def _chosen(sweep: Sweep) -> float:
    try:
        chosen = choose_learning_rate(sweep)
    except ValueError as error:
        raise SpecError(f'learning_rate = "auto": {error}; give a number') from None
    print(f'grokmap: learning_rate = "auto": {chosen:g}', file=sys.stderr)
    return chosen


def write_runs(path: Path) -> pd.DataFrame:
    """Labels all finished runs of the folder, writes and returns them."""
    runs = with_costs(path, label_runs(path, CRITERIA["default"])[0])
    store.write_found(path, runs)
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
    versions()  # known before anything is trained that would carry them
    done = {run.run.run_id for run in planned} - {run.run.run_id for run in missing}
    table = table.set_index("run_id")
    display = Display(missing, len(table), options.as_json)
    with display, store.Writer(path) as writer:
        for outcome in execute.execute(
            planned,
            done=done,
            lanes=options.lanes,
            hooks=execute.Hooks(display.progress, stop),
        ):
            ids = [run.run.run_id for run in outcome.runs]
            if isinstance(outcome, execute.Failed):
                session.failed += ids
                display.failed(ids, outcome.trace)
                continue
            metadata = {"seconds": round(outcome.seconds, 3), **versions()}
            metadata |= outcome.settings._asdict()
            run = np.repeat(np.arange(len(ids)), list(map(len, outcome.steps)))
            step, values = np.concatenate(outcome.steps), np.concatenate(outcome.values)
            writer.write(ids, run, step, outcome.columns, values, metadata)
            session.done += len(ids)
            display.done(classify(_frame(outcome), table.loc[ids].reset_index()))


def _frame(done: execute.Done) -> pd.DataFrame:
    frame = pd.DataFrame(np.concatenate(done.values), columns=list(done.columns))
    frame.insert(0, "step", np.concatenate(done.steps))
    ids = [run.run.run_id for run in done.runs]
    frame.insert(0, "run_id", np.repeat(ids, list(map(len, done.steps))))
    return frame


def missing_of(path: Path, planned: list[Planned]) -> list[Planned]:
    done, unreadable = store.done_ids(path)
    for line in unreadable:
        print(f"grokmap: {line}", file=sys.stderr)
    return [run for run in planned if run.run.run_id not in done]


def check_folder(path: Path, sweep: Sweep) -> None:
    """Refuses a folder that is no result, or the result of another sweep."""
    if not path.exists():
        return
    if not (path / store.SPEC).exists():
        if not path.is_dir() or any(p.name != store.LOCK for p in path.iterdir()):
            raise ResultError(f"{path}: exists and is no sweep result; choose --out")
        return
    problems = list(_differences(store.read_spec(path), sweep))
    if problems:
        raise OtherSweepError(
            [f"{path}: holds another sweep: {problem}" for problem in problems]
            + [f"{path}: choose another name or --out, or undo the difference"]
        )


def _differences(old: Sweep, new: Sweep) -> Iterator[str]:
    """Why `new` does not continue `old`. Axes may grow; nothing else may change."""
    for key in KEYS:
        before, after = getattr(old, key), getattr(new, key)
        if key in AXES:
            lost = [value for value in before if value not in after]
            if lost:
                yield f"{key} had {', '.join(map(str, lost))}, which is gone"
        elif before != after and key != "name":
            yield f"{key} was {before}, now {after}"


@contextmanager
def _signals(stop: Stop) -> Iterator[None]:
    """SIGINT and SIGTERM stop at the next chunk; a second one at once."""

    def handle(number: int, frame: Any) -> None:
        if stop.code is not None:
            os._exit(stop.code)  # every file is whole: each was renamed into place
        stop.code = EXIT_INTERRUPTED if number == signal.SIGINT else EXIT_STOPPED
        print("grokmap: stopping after this chunk; again to stop now", file=sys.stderr)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, handle) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def seconds_of(text: str | None) -> float:
    """Seconds of a time budget such as 90s, 45m, 3h.

    Raises:
      SpecError: not of that form.
    """
    if text is None:
        return float("inf")
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if not match:
        raise SpecError(f"--time-budget {text}: write 90s, 45m or 3h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def _report(
    path: Path, runs: pd.DataFrame, n_planned: int, code: int, as_json: bool
) -> None:
    counts = phase_counts(runs, PHASES)
    if as_json:
        print_event(
            "result", path=str(path), planned=n_planned, exit_code=code, **counts
        )
        return
    print(f"{path}: {len(runs)} of {n_planned} runs")
    print_counts(counts)
