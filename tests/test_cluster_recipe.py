"""The batch script of docs/cluster.md does what that says, under a made-up Slurm."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import ROOT

FAKE = """#!/bin/bash
echo "$@" >> {log}
trap 'kill $!; exit 75' USR1
[ -e {slow} ] && {{ echo begun >> {log}; sleep 60 & wait; }}
exit {code}
"""


def recipe() -> str:
    (block,) = re.findall(
        r"```bash\n(.*?)```", (ROOT / "docs/cluster.md").read_text(), re.S
    )
    return block


def submitted(folder: Path, code: int, slow: bool = False) -> subprocess.Popen[bytes]:
    """The script as Slurm starts it, with a `grokmap` that ends with a code."""
    log = folder / "log"
    if slow:
        (folder / "slow").touch()
    for name, text in (
        ("grokmap", FAKE.format(log=log, slow=folder / "slow", code=code)),
        ("scontrol", f'#!/bin/bash\necho "scontrol $@" >> {log}\n'),
    ):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    script = folder / "job.sh"
    script.write_text(recipe())
    slurm = {
        "SLURM_ARRAY_TASK_ID": "7",
        "SLURM_ARRAY_JOB_ID": "12",
        "HOME": "/home/ada",
    }
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(["bash", script], env={**os.environ, "PATH": path, **slurm})


@pytest.mark.parametrize(("code", "again"), [(0, False), (3, False), (75, True)])
def test_a_shard_that_stopped_is_queued_again(
    tmp_path: Path, code: int, again: bool
) -> None:
    assert submitted(tmp_path, code).wait(60) == code
    lines = (tmp_path / "log").read_text().splitlines()
    shard = "sweep /home/ada/s.toml --out /shared/results/s --shard 7/64"
    assert lines[0] == f"{shard} --time-budget 3h55m"
    assert lines[1:] == (["scontrol requeue 12_7"] if again else [])


def test_the_signal_before_the_limit_reaches_the_shard(tmp_path: Path) -> None:
    job = submitted(tmp_path, 0, slow=True)
    log, deadline = tmp_path / "log", time.monotonic() + 60
    while not (log.exists() and "begun" in log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.2)
    job.send_signal(signal.SIGUSR1)  # to the batch script alone, as with B:USR1
    assert job.wait(60) == 75
    assert log.read_text().splitlines()[-1] == "scontrol requeue 12_7"
