"""A Ray cluster on this machine whose nodes can be killed with all that runs there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from conftest import CACHE, ROOT

PROGRAM = [sys.executable, "-m", "ray.scripts.scripts", "start"]
MARK, PORT = "GROKMAP_TEST_NODE", 6479
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "JAX_COMPILATION_CACHE_DIR": CACHE.name,
    "PYTHONPATH": str(ROOT),
}


def mark(node: int) -> str:
    """What stands in the environment of all processes of a node of this test."""
    return f"{os.getpid()}-{node}"


def node_of(pid: int) -> int | None:
    """The node that a process belongs to."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            name, _, value = line.decode(errors="replace").partition("=")
            if name == MARK and value.startswith(f"{os.getpid()}-"):
                return int(value.rpartition("-")[2])
    return None


def processes_of(node: int) -> list[int]:
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if node_of(pid) == node]


def kill(node: int) -> int:
    """Kills a node as a power cut does; how many processes that were."""
    killed = 0
    while pids := processes_of(node):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
    return killed


def begin(node: int, *options: str) -> None:
    words = ["--object-store-memory", "80000000", "--disable-usage-stats"]
    subprocess.run(
        [*PROGRAM, *options, *words],
        env={**os.environ, **QUIET, MARK: mark(node)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=120,
        check=True,
    )


@contextmanager
def cluster(nodes: int) -> Iterator[str]:
    """The address of a head without CPUs (node 0) and so many nodes of one CPU."""
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # sockets have short names
    address = f"127.0.0.1:{PORT}"
    head = ["--head", "--port", str(PORT), "--temp-dir", folder, "--num-cpus", "0"]
    try:
        begin(0, *head, "--include-dashboard=false")
        for node in range(1, nodes + 1):
            begin(node, "--address", address, "--num-cpus", "1")
        yield address
    finally:
        for node in range(nodes + 1):
            kill(node)
        shutil.rmtree(folder, ignore_errors=True)
