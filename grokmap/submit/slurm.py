"""Shards as jobs of Slurm: an array, submitted by `submitit`.

submitit writes the batch script, calls sbatch, and starts `carry` on the node. How a
job ended it would learn from sacct, which not every cluster has, and minutes late; that
is read from a file that `carry` writes, and from squeue.
"""

from __future__ import annotations

import io
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grokmap import disk, store
from grokmap.errors import SpecError
from grokmap.process.carrier import carry
from grokmap.process.signals import EXIT_STOPPED
from grokmap.spec.shard import Shard
from grokmap.submit import batch, queue
from grokmap.submit.driver import progress_of
from grokmap.submit.job import Job

LOOK_SECONDS = 10.0  # between two looks at the queue and the files
LATE_SECONDS = 30.0  # that a shared file system may take to show a file
MOST_REFUSED = 60  # submissions in a row that Slurm may refuse, once it took one
KILLED = -9


@dataclass(eq=False)
class InQueue:
    """One start of a shard. job: None before Slurm has taken it; gone: when it was
    found to be no longer in the queue."""

    engine: Slurm
    number: int
    job: str | None = None
    stopped: bool = False
    gone: float | None = None
    code: int | None = None

    def poll(self) -> int | None:
        self.engine.look()
        return self.code

    def stop(self) -> None:
        self.stopped = True


class Slurm:
    """Runs the shards of a job as jobs of Slurm."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.budget = batch.budget_of(job.asks)
        self.parameters = batch.parameters(job.path, job.of, job.asks)
        self.submitit = imported()
        self.mark = batch.mark_of(job.path, job.words)
        self.open: list[InQueue] = []
        self.folder: Path | None = None
        self.earlier: dict[int, tuple[str, Path]] | None = None
        self.due, self.refused = 0.0, 0

    def start(self, numbers: Sequence[int]) -> list[InQueue]:
        """Takes on those that an earlier process has submitted, and submits the others;
        at the first time at once, later with the next look, all in one array."""
        attempts = [InQueue(self, number) for number in numbers]
        self.open += attempts
        if self.earlier is None:
            self._take_on(attempts)
            self._submit()
        return attempts

    def command(self, number: int) -> list[str]:
        return [*self.job.command(number), *self.budget]

    def script(self) -> str:
        """The batch script, and below it what each of its tasks runs."""
        make = self.submitit.slurm.slurm._make_sbatch_string
        folder = self.job.path / store.SHARDS / "slurm"
        run = f"{shlex.quote(sys.executable)} -u -m submitit.core._submit"
        text: str = make(
            command=f"{run} {shlex.quote(str(folder))}",
            folder=folder,
            **self.parameters,
            map_count=self.job.of,
        )
        numbers = range(1, self.job.of + 1)
        lines = [f"# {n - 1}: {shlex.join(self.command(n))}" for n in numbers]
        return "\n".join([text.rstrip(), "", "# what the tasks run", *lines])

    def look(self) -> None:
        """Every so often: submits what waits for it, and finds out what has ended."""
        now = time.monotonic()
        if now < self.due:
            return
        self._submit_again()
        jobs = [a.job for a in self.open if a.stopped and a.job is not None]
        if jobs:  # again each time: one that has just begun may not listen yet
            queue.ask_to_stop(jobs)
        # The queue first: a job that is not in it has written its file.
        waiting, codes = self._listed(), self._codes()
        for attempt in self.open:
            _settle(attempt, waiting, codes)
        self.open = [attempt for attempt in self.open if attempt.code is None]
        self.due = time.monotonic() + LOOK_SECONDS

    def _listed(self) -> frozenset[str] | None:
        return queue.listed(self.parameters["job_name"])

    def _take_on(self, attempts: Sequence[InQueue]) -> None:
        """Finds out what an earlier process has submitted of the same command and sweep
        (others may not know of runs that the sweep has by now): jobs that still wait or
        run, and shards whose runs are all in files, which need no job again."""
        known = queue.noted(self.job.path, self.job.of)
        own = [
            (job, n, at) for job, (n, at, mark) in known.items() if mark == self.mark
        ]
        live = (self._listed() or frozenset()) if own else frozenset()
        self.earlier = {n: (job, at) for job, n, at in own if job in live}
        begun = {number for _, number, _ in own}
        for attempt in attempts:
            attempt.job = self.earlier.get(attempt.number, (None,))[0]
            if attempt.job is None and attempt.number in begun:
                attempt.code = 0 if is_done(self.job, attempt.number) else None
        self.open = [attempt for attempt in self.open if attempt.code is None]

    def _codes(self) -> dict[str, int]:
        folders = {self.folder} if self.folder else set()
        folders |= {folder for _, folder in (self.earlier or {}).values()}
        found: dict[str, int] = {}
        for folder in folders:
            found |= queue.exit_codes(folder)
        return found

    def _submit_again(self) -> None:
        """Submits; a controller that is away for a while is asked again."""
        try:
            self._submit()
            self.refused = 0
        except SpecError:
            self.refused += 1
            if self.refused >= MOST_REFUSED:
                raise

    def _submit(self) -> None:
        """Submits all that wait for it, as one array.

        Raises:
          SpecError: Slurm is not here, or refuses.
        """
        new = [a for a in self.open if a.job is None and not a.stopped]
        if not new:
            return
        if self.folder is None:
            self.folder = _new_folder(self.job.path)
        folder = self.folder
        try:
            executor = self.submitit.SlurmExecutor(folder=folder)
            executor.update_parameters(**self.parameters)
            commands = [self.command(a.number) for a in new]
            logs = [str(self.job.path / store.log_name(a.number)) for a in new]
            # What sbatch says on stderr, the error holds.
            with redirect_stderr(io.StringIO()), _outside_of_a_job():
                jobs = executor.map_array(
                    carry, commands, logs, [str(folder)] * len(new)
                )
        except (RuntimeError, OSError) as error:
            raise SpecError(f"--on slurm: {_why(error)}") from None
        for attempt, job in zip(new, jobs, strict=True):
            attempt.job = job.job_id
        of = self.job.of
        queue.note(folder, [(str(a.job), Shard(a.number, of)) for a in new], self.mark)


def _settle(
    attempt: InQueue, waiting: frozenset[str] | None, codes: dict[str, int]
) -> None:
    """Notes how an attempt ended, if it has."""
    now = time.monotonic()
    if attempt.job is None:
        attempt.code = EXIT_STOPPED if attempt.stopped else None
    elif attempt.job in codes:
        attempt.code = codes[attempt.job]
    elif waiting is None or attempt.job in waiting:
        attempt.gone = None
    elif attempt.gone is None:
        attempt.gone = now
    elif now - attempt.gone >= LATE_SECONDS:
        attempt.code = EXIT_STOPPED if attempt.stopped else KILLED


def is_done(job: Job, number: int) -> bool:
    """Whether all runs of a shard, as it was last planned, are in its files."""
    shard = Shard(number, job.of)
    facts = store.read_shard(store.shard_folder(job.path, shard))
    if facts is None or facts.shard != shard:
        return False
    return progress_of(job, number)[0] == facts.runs


def _new_folder(path: Path) -> Path:
    """A folder for submitit's files that was not there before, and is this user's
    alone: submitit runs what it finds there."""
    disk.make_root(path)
    try:
        with disk.folder(path, [store.SHARDS], make=True):
            return Path(tempfile.mkdtemp(prefix=queue.PREFIX, dir=path / store.SHARDS))
    except OSError as error:
        why = disk.reason(error)
        raise SpecError(f"{path / store.SHARDS}: cannot be written: {why}") from None


@contextmanager
def _outside_of_a_job() -> Iterator[None]:
    """Hides what Slurm has told this process, if it is itself a job: sbatch would pass
    it on, and the number of its array or its memory would be taken for the new job's.
    """
    told = ("SLURM_", "SLURMD_")
    names = [n for n in os.environ if n.startswith(told) and n != "SLURM_CONF"]
    inside = "SLURM_JOB_ID" in os.environ
    hidden = {name: os.environ.pop(name) for name in names} if inside else {}
    try:
        yield
    finally:
        os.environ |= hidden


def imported() -> Any:
    """The package submitit, which is slow to import and not always there."""
    import submitit
    import submitit.slurm.slurm

    return submitit


def _why(error: BaseException) -> str:
    """What sbatch said, in one line."""
    lines = [line.strip().removeprefix("sbatch: ") for line in str(error).splitlines()]
    return "; ".join(line for line in lines if line) or type(error).__name__
