"""Runs a job: starts its shards, starts again those that have to go on.

Whoever is killed here loses nothing: shards that run go on, and the same command finds
out what is missing by the files. Shards that another has taken are waited for.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from grokmap import store
from grokmap.durations import human_time
from grokmap.errors import LockedError, OtherSweepError, ResultError, SpecError
from grokmap.process.signals import EXIT_STOPPED
from grokmap.session import EXIT_SOME_FAILED, checkpoint, standing
from grokmap.spec.shard import Shard
from grokmap.submit.job import Attempt, Engine, Job

POLL_SECONDS, LOCKED_SECONDS, REPORT_SECONDS = 0.3, 10.0, 10.0
IDLE_STARTS = 2  # in a row, in which a shard made no progress: then it is given up
FATAL = (SpecError.exit_code, OtherSweepError.exit_code)


@dataclass
class Drive:
    """How far a job is: what runs, what waits to be started again and from when on.

    progress, idle: of each shard at its last start, and how often it made none since.
    """

    job: Job
    engine: Engine
    say: Callable[[str], None]
    running: dict[int, Attempt] = field(default_factory=dict)
    waiting: dict[int, float] = field(default_factory=dict)
    progress: dict[int, tuple[int, int]] = field(default_factory=dict)
    idle: Counter[int] = field(default_factory=Counter)
    given_up: set[int] = field(default_factory=set)
    code: int = 0

    def start(self, numbers: list[int]) -> None:
        if numbers:
            attempts = self.engine.start(numbers)
            self.running |= dict(zip(numbers, attempts, strict=True))
            self.progress |= {n: progress_of(self.job, n) for n in numbers}


def drive(
    job: Job,
    engine: Engine,
    say: Callable[[str], None],
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Runs all shards to their ends; the exit code, as of `grokmap sweep`.

    0: each has ended; 3: runs have failed, or a shard was given up; 2, 4: a shard
    refused the sweep; 75: `should_stop`, and all have stopped in good order.
    """
    state = Drive(job, engine, say)
    state.start(list(range(1, job.of + 1)))
    reported, pause, stopping = time.monotonic(), REPORT_SECONDS, False
    while state.running or state.waiting:
        if not stopping and (should_stop() or state.code in FATAL):
            stopping = True
            state.waiting.clear()
            for attempt in state.running.values():
                attempt.stop()
        _look(state, stopping)
        now = time.monotonic()
        if now - reported > pause and not stopping:
            say(_line(state))
            # Where there is much to read, it is read more seldom.
            pause = max(REPORT_SECONDS, 20 * (time.monotonic() - now))
            reported = time.monotonic()
        time.sleep(POLL_SECONDS)
    stopped = EXIT_STOPPED if stopping and state.code not in FATAL else 0
    return stopped or state.code


def _look(state: Drive, stopping: bool) -> None:
    """Takes note of what has ended, and starts again what has to go on and is due."""
    for number, attempt in list(state.running.items()):
        code = attempt.poll()
        if code is not None:
            del state.running[number]
            if not stopping:
                _ended(state, number, code)
    now = time.monotonic()
    due = [number for number, at in state.waiting.items() if at <= now]
    for number in due:
        del state.waiting[number]
    state.start(due)


def _ended(state: Drive, number: int, code: int) -> None:
    """Decides whether a shard has to go on, and says so."""
    if code == 0:
        return
    shard = Shard(number, state.job.of)
    if code in FATAL:
        state.code = code
        state.say(f"shard {shard}: {last_line(state.job, number)}")
    elif code == EXIT_SOME_FAILED:
        state.code = state.code or code
        state.say(f"shard {shard}: some runs failed; see {store.FAILED}")
    elif code == LockedError.exit_code:
        state.say(f"shard {shard}: written by another process; waiting for it")
        state.waiting[number] = time.monotonic() + LOCKED_SECONDS
    else:
        _go_on(state, shard, code)


def _go_on(state: Drive, shard: Shard, code: int) -> None:
    """A shard was stopped or died: it goes on, unless it makes no progress."""
    number = shard.number
    moved = progress_of(state.job, number) != state.progress[number]
    state.idle[number] = 0 if moved else state.idle[number] + 1
    how = "stopped" if code == EXIT_STOPPED else f"died (exit code {code})"
    if state.idle[number] < IDLE_STARTS:
        state.say(f"shard {shard}: {how}; it goes on")
        state.waiting[number] = time.monotonic()
        return
    state.given_up.add(number)
    state.code = state.code or EXIT_SOME_FAILED
    state.say(
        f"shard {shard}: {how} {IDLE_STARTS} times without progress; given up: "
        f"{last_line(state.job, number)}"
    )


def progress_of(job: Job, number: int) -> tuple[int, int]:
    """Runs that a shard has done, and steps of those that it keeps in checkpoints."""
    folder = store.shard_folder(job.path, Shard(number, job.of))
    if not (folder / store.SPEC).is_file():
        return 0, 0
    done, _ = store.last_steps_of(store.batch_files(folder))
    places = checkpoint.places(folder)
    return len(done), sum(place.step for place in places.values())


def last_line(job: Job, number: int) -> str:
    """What a shard said last, of that it keeps in its log."""
    file: Path = job.path / store.log_name(number)
    said = store.end_of_log(file)
    return f"{said} ({file})" if said else f"see {file}"


def _line(state: Drive) -> str:
    """How far the job is."""
    try:
        whole = standing.whole(state.job.path)
    except ResultError:
        return f"none of {state.job.of} shards is at work yet"
    left = [each.left for each in whole.shards if each.left == each.left]
    longest = f", {human_time(max(left))} left" if left else ""
    at_work = sum(each.state == "running" for each in whole.shards)
    done = f"{whole.done} of {whole.planned} runs done"
    return f"{done}, {at_work} of {state.job.of} shards at work{longest}"
