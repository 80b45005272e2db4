"""Shards as tasks of a Ray cluster, each in a process of its own on some node.

Ray finds a node for a task and starts it again where the node dies. A task only runs
the command and returns its exit code; results go to files. If the driver is lost, Ray
ends its tasks, which makes their shards stop in good order; the same command goes on.
"""

from __future__ import annotations

import logging
import os
import shlex
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from grokmap import disk, store
from grokmap.errors import SpecError
from grokmap.process import watched
from grokmap.process.signals import EXIT_STOPPED
from grokmap.submit.job import Job

# Deaths of a node that Ray makes up for by itself, before `driver` takes any notice.
MAX_RETRIES = 3
DIED, FAILED = -int(signal.SIGKILL), 1
CPUS = 1
KNOCK_SECONDS = 10.0


class Ray:
    """Runs the shards of a job on a Ray cluster, as many at a time as it has room for.

    Of `job.asks`: address (of the cluster; without it RAY_ADDRESS, then one that runs
    on this machine, or else a new one here), gpus and cpus of each shard.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.cpus = int(job.asks.get("cpus", CPUS))

    def start(self, numbers: Sequence[int]) -> list[Task]:
        ray = connected(self.job.asks.get("address"))
        gpus = self._gpus(ray)
        return [Task(ray, self.job, n, self._submitted(ray, n, gpus)) for n in numbers]

    def script(self) -> str:
        gpus = self.job.asks.get("gpus", "1 if the cluster has any, else 0")
        lines = [f"# one Ray task a line: num_cpus={self.cpus}, num_gpus={gpus}"]
        for number in range(1, self.job.of + 1):
            lines.append(shlex.join(self.job.command(number)))
        return "\n".join(lines)

    def _gpus(self, ray: Any) -> int:
        has_any = ray.cluster_resources().get("GPU", 0) >= 1
        return int(self.job.asks.get("gpus", has_any))

    def _submitted(self, ray: Any, number: int, gpus: int) -> Any:
        job = self.job
        task = ray.remote(watched.run).options(
            name=f"{job.path.name} {number}/{job.of}",
            num_cpus=self.cpus,
            num_gpus=gpus,
            max_retries=MAX_RETRIES,
            scheduling_strategy="SPREAD",
        )
        _, *words = job.command(number)  # each node has an interpreter of its own
        log = store.log_name(number)
        # Without a GPU of its own a shard keeps off those of others.
        cores, variables = (0, {}) if gpus else (self.cpus, {"JAX_PLATFORMS": "cpu"})
        return task.remote(words, str(job.path), log, cores, variables, os.getcwd())


class Task:
    """One start of a shard; Ray may start it again elsewhere."""

    def __init__(self, ray: Any, job: Job, number: int, reference: Any) -> None:
        self._ray, self._job, self._number = ray, job, number
        self._reference = reference
        self._future: Future[int] = reference.future()

    def poll(self) -> int | None:
        if not self._future.done():
            return None
        errors = self._ray.exceptions
        try:
            return self._future.result()
        except errors.TaskCancelledError:  # before it was started
            return EXIT_STOPPED
        except errors.RayTaskError as error:
            self._note(error)
            return FAILED
        except errors.RayError as error:
            self._note(error)
            return DIED

    def stop(self) -> None:
        self._ray.cancel(self._reference, force=False)

    def _note(self, error: Exception) -> None:
        """Adds to the log of the shard what Ray says of it."""
        said = [line.strip() for line in str(error).splitlines() if line.strip()]
        line = f"Ray: {said[-1] if said else type(error).__name__}\n"
        log = disk.open_log(self._job.path, store.log_name(self._number))
        try:
            os.write(log, line.encode(errors="replace"))
        finally:
            os.close(log)


def connected(address: str | None) -> Any:
    """The package ray, with this process connected to a cluster.

    Raises:
      SpecError: there is none at that address, or it is not one for this process.
    """
    import ray

    if ray.is_initialized():
        return ray
    try:
        _knock(address or os.environ.get("RAY_ADDRESS", ""))
        with _signals_kept():
            ray.init(address, log_to_driver=False, logging_level=logging.WARNING)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        where = f"--address {address}" if address else "--on ray"
        reason = str(error).strip().partition("\n")[0]
        raise SpecError(
            f"{where}: no Ray cluster to be used ({reason}); `ray start --head` starts "
            "one, `ray status` says whether it runs"
        ) from None
    return ray


def _knock(address: str) -> None:
    """Raises OSError where nothing listens: Ray would try for minutes."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_SECONDS).close()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself as it starts; here it stops shards in good order."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
