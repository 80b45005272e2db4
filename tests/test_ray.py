"""`grokmap submit --on ray` on a real cluster: `make test-ray`, not `make test`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ray_cluster import QUIET, cluster, kill, node_of
from shard_sweeps import TEXT, assert_same

import grokmap
from grokmap import store
from grokmap.session import lock

pytest.importorskip("ray")
pytestmark = pytest.mark.slow
OF, NODES = 24, 3
LONG = TEXT.replace("3000", "100000")


def submitted(folder: Path, address: str, of: int) -> subprocess.Popen[bytes]:
    words = ["submit", "s.toml", "--shards", str(of), "--on", "ray"]
    more = ["--address", address, "--checkpoint", "1s"]
    return subprocess.Popen(
        [sys.executable, "-m", "grokmap", *words, *more],
        cwd=folder,
        env={**os.environ, **QUIET},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def holders(path: Path) -> dict[str, int]:
    """The process that is at work on each shard."""
    found = {f.name: lock.holder(f) for f in store.shard_folders(path)}
    return {name: int(each.pid) for name, each in found.items() if each and each.lives}


def test_a_node_and_the_driver_are_killed_and_nothing_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.toml").write_text(LONG)
    path = tmp_path / "results/s"

    def done() -> int:
        files = [store.batch_files(folder) for folder in store.shard_folders(path)]
        return sum(len(store.last_steps_of(each)[0]) for each in files)

    def at_work(node: int) -> list[str]:
        return [name for name, pid in holders(path).items() if node_of(pid) == node]

    with cluster(NODES) as address:
        began = time.monotonic()
        first = submitted(tmp_path, address, OF)
        wait_for(lambda: done() >= 2 and len(at_work(1)) == 1)
        time.sleep(1.5)  # into its training
        (victim,) = at_work(1) or [""]
        killed = kill(1)
        before = done()
        wait_for(lambda: done() >= before + 3)
        left = sorted(holders(path))
        first.kill()
        _, said_first = first.communicate()
        stopped_at = done()
        second = submitted(tmp_path, address, OF)
        out, said = second.communicate(timeout=900)
        seconds = time.monotonic() - began
    assert second.returncode == 0, said.decode()
    assert victim and left and killed and stopped_at < OF
    assert b"24 of 24 runs" in out
    logs = {f.stem: f.read_text() for f in (path / store.SHARDS).glob("*.log")}
    assert "taking over the lock" in logs[victim]  # killed, and tried again elsewhere
    whole = grokmap.sweep(LONG, out=tmp_path / "whole", on_progress=lambda counts: None)
    assert_same(path, whole.path)
    resumed = sum(len(re.findall("checkpoint", text)) for text in logs.values())
    with capsys.disabled():
        print(
            f"\n{OF} shards, {NODES} nodes: {seconds:.0f} s; node killed with "
            f"{killed} processes and shard {victim} after {before} runs; driver killed "
            f"after {stopped_at} runs with shards {', '.join(left)} at work; "
            f"{resumed} mentions of checkpoints"
        )
        print(said_first.decode(), said.decode(), out.decode(), sep="----\n")
        for name, text in sorted(logs.items()):
            print(name, text)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)]
)
def test_a_signal_to_the_driver_stops_all_in_good_order(
    tmp_path: Path, number: int, code: int
) -> None:
    (tmp_path / "s.toml").write_text(LONG.replace("100000", "10000000"))
    path = tmp_path / "results/s"
    with cluster(1) as address:
        driver = submitted(tmp_path, address, 2)
        wait_for(lambda: path.exists() and len(holders(path)) == 1)
        time.sleep(3)
        driver.send_signal(number)
        _, said = driver.communicate(timeout=120)
        assert driver.returncode == code, said.decode()
        assert holders(path) == {}
    assert b"stopped; the same command goes on" in said and b"Traceback" not in said
