"""Shards as processes of this machine, each on a GPU or on its share of the cores."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from grokmap import disk, store
from grokmap.process.cores import usable_cores
from grokmap.process.signals import EXIT_STOPPED
from grokmap.submit.job import Job


class Place(NamedTuple):
    """Where one process runs at a time: its cores, and its GPU if there is one."""

    cores: tuple[int, ...]
    gpu: str | None


def places(of: int) -> list[Place]:
    """At most `of` places: as many as there are GPUs, or else cores."""
    cores, gpus = usable_cores(), visible_gpus()
    n = max(1, min(of, len(gpus) or len(cores) or 1))
    shares = [
        tuple(cores[k * len(cores) // n : (k + 1) * len(cores) // n]) for k in range(n)
    ]
    return [Place(share, gpus[k] if gpus else None) for k, share in enumerate(shares)]


def visible_gpus() -> list[str]:
    """The NVIDIA GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    if os.environ.get("JAX_PLATFORMS", "").strip().lower() == "cpu":
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=index", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return []
    lines = answer.stdout.split() if answer.returncode == 0 else []
    return [line for line in lines if line.isdigit()]


class Local:
    """Runs the shards of a job here, as many at a time as there are places."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.places = places(job.of)
        self.free = deque(self.places)

    def start(self, numbers: Sequence[int]) -> list[Process]:
        return [Process(self, number) for number in numbers]

    def script(self) -> str:
        lines = []
        for number in range(1, self.job.of + 1):
            place = self.places[(number - 1) % len(self.places)]
            lines.append(_line(place, self.job.command(number)))
        return "\n".join(lines)


def _line(place: Place, command: Sequence[str]) -> str:
    gpu = "" if place.gpu is None else f"CUDA_VISIBLE_DEVICES={place.gpu} "
    cores = ",".join(map(str, place.cores))
    bound = f"taskset -c {cores} " if cores else ""
    return f"{gpu}{bound}{shlex.join(command)}"


class Process:
    """One start of a shard: waits for a place, then runs there."""

    def __init__(self, engine: Local, number: int) -> None:
        self._engine, self._number = engine, number
        self._place: Place | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def poll(self) -> int | None:
        if self._process is None:
            if self._stopped:
                return EXIT_STOPPED
            if self._engine.free:
                self._place = self._engine.free.popleft()
                self._process = started(self._engine.job, self._number, self._place)
            return None
        code = self._process.poll()
        if code is not None and self._place is not None:
            self._engine.free.append(self._place)
            self._place = None
        return code

    def stop(self) -> None:
        self._stopped = True
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)


def started(job: Job, number: int, place: Place) -> subprocess.Popen[bytes]:
    """The process of a shard; what it says goes into shards/NUMBER.log.

    In a session of its own: Ctrl-C on the terminal reaches the one that started it,
    which asks it to stop, once.
    """
    gpu = {} if place.gpu is None else {"CUDA_VISIBLE_DEVICES": place.gpu}
    log = disk.open_log(job.path, store.log_name(number))
    try:
        with _bound(place.cores):
            return subprocess.Popen(
                job.command(number),
                env=os.environ | gpu,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    finally:
        os.close(log)


@contextmanager
def _bound(cores: Sequence[int]) -> Iterator[None]:
    """What this thread starts meanwhile is bound to these cores."""
    if not cores or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
