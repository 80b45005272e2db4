"""`grokmap submit --on ray` on a real cluster: `make test-ray`, not `make test`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from ray_cluster import QUIET, cluster, kill, node_of
from shard_sweeps import TEXT, assert_same

import grokmap
from grokmap import store
from grokmap.session import lock
from grokmap.submit import Job
from grokmap.submit.driver import progress_of

pytest.importorskip("ray")
pytestmark = pytest.mark.slow
OF, NODES = 24, 3
LONG = TEXT.replace("3000", "300000")


def submitted(
    folder: Path, address: str, of: int, log: str = "said"
) -> subprocess.Popen[bytes]:
    """A driver; what it says goes into folder/log."""
    words = ["submit", "s.toml", "--shards", str(of), "--on", "ray"]
    more = ["--address", address, "--checkpoint", "1s"]
    with (folder / log).open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "grokmap", *words, *more],
            cwd=folder,
            env={**os.environ, **QUIET},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )


def wait_for(
    condition: Callable[[], bool], driver: subprocess.Popen[bytes], seconds: float = 300
) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        assert driver.poll() is None, "the driver has ended"
        time.sleep(0.1)


def holders(path: Path) -> dict[str, int]:
    """The process that is at work on each shard."""
    found = {f.name: lock.holder(f) for f in store.shard_folders(path)}
    return {name: int(each.pid) for name, each in found.items() if each and each.lives}


def codes(path: Path) -> Counter[int]:
    """Exit codes of all starts of shards that came to an end."""
    files = [folder / store.PROVENANCE for folder in store.shard_folders(path)]
    kept = [json.loads(file.read_text())["sessions"] for file in files]
    return Counter(session["exit_code"] for each in kept for session in each)


def taken_over(path: Path) -> list[str]:
    """Shards whose process was killed at work, as the next one says."""
    logs = sorted((path / store.SHARDS).glob("*.log"))
    return [log.stem for log in logs if "taking over the lock" in log.read_text()]


def test_a_node_and_the_driver_are_killed_and_nothing_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.toml").write_text(LONG)
    path = tmp_path / "results/s"

    job = Job(path, (), OF)

    def done() -> int:
        return sum(progress_of(job, k)[0] for k in range(1, OF + 1))

    def in_training(node: int) -> list[str]:
        """Shards of a node that have left a checkpoint of a run which is not done."""
        here = [name for name, pid in holders(path).items() if node_of(pid) == node]
        return [name for name in here if progress_of(job, int(name))[1]]

    with cluster(NODES) as address:
        began = time.monotonic()
        first = submitted(tmp_path, address, OF)
        wait_for(lambda: done() >= 2 and bool(in_training(1)), first)
        victims = in_training(1)
        killed = kill(1)
        # One that ended its run just before has nothing to take over.
        cut_short = [name for name in victims if not progress_of(job, int(name))[0]]
        before = done()
        wait_for(lambda: done() >= before + 3, first)
        left = sorted(holders(path))
        first.kill()
        first.wait()
        stopped_at = done()
        second = submitted(tmp_path, address, OF, "second")
        second.wait(900)
        seconds = time.monotonic() - began
    said = (tmp_path / "second").read_text()
    assert second.returncode == 0, said
    assert victims and left and killed and stopped_at < OF
    assert "24 of 24 runs" in said
    whole = grokmap.sweep(LONG, out=tmp_path / "whole", on_progress=lambda counts: None)
    assert_same(path, whole.path)
    assert set(cut_short) <= set(taken_over(path))
    with capsys.disabled():
        print(
            f"\n{OF} shards, {NODES} nodes: {seconds:.0f} s; node killed with "
            f"{killed} processes, {', '.join(victims)} in training, after {before} "
            f"runs; driver killed after {stopped_at} runs with {', '.join(left)} at "
            f"work; taken over: {', '.join(taken_over(path))}; exit codes of shards: "
            f"{dict(codes(path))}"
        )
        print((tmp_path / "said").read_text(), said, sep="second driver:\n")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)]
)
def test_a_signal_to_the_driver_stops_all_in_good_order(
    tmp_path: Path, number: int, code: int
) -> None:
    (tmp_path / "s.toml").write_text(LONG.replace("300000", "10000000"))
    path = tmp_path / "results/s"
    with cluster(1) as address:
        driver = submitted(tmp_path, address, 2)
        wait_for(lambda: path.exists() and len(holders(path)) == 1, driver)
        time.sleep(3)
        driver.send_signal(number)
        found = driver.wait(120)
        said = (tmp_path / "said").read_text()
        assert found == code, said
        assert holders(path) == {}
    assert "stopped; the same command goes on" in said and "Traceback" not in said
