"""Runs a command to its end on a node of a batch system, and writes how it ended.

Nothing but the standard library: it stays in memory for as long as the command runs.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from grokmap.process.signals import EXIT_STOPPED

CODE = ".code"
# Batch systems send these to one process of a job or to all of it, once or again. A
# platform without them has no Slurm either.
NAMES = ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2")
ASKED_TO_END = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]


def carry(command: Sequence[str], log: str, folder: str) -> int:
    """Runs a command, adds what it says to `log`, writes its exit code to a file of
    `folder` that is named as the job, `12_3.code`; returns the code.

    A signal that asks the job to end reaches the command as XCPU, which may come again
    without ending it at once; directly it ignores them. So it stops in good order
    whomever the batch system signals, and however often.
    """
    code = _ended(command, log)
    file = Path(folder) / f"{job_id()}{CODE}"
    unfinished = file.with_suffix(".tmp")
    unfinished.write_text(f"{code}\n")
    unfinished.replace(file)
    return code


def job_id() -> str:
    """The name that Slurm gives this job: 12, or 12_3 in an array."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    if array:
        return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ["SLURM_JOB_ID"]


def _ended(command: Sequence[str], log: str) -> int:
    """The exit code of a command; below 0 if a signal killed it."""
    process: subprocess.Popen[bytes] | None = None
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        if process is not None:
            process.send_signal(signal.SIGXCPU)

    for number in ASKED_TO_END:
        signal.signal(number, ask)
    with open(log, "ab") as said:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            preexec_fn=_ignore,
        )
    if asked:  # before there was a process
        process.send_signal(signal.SIGXCPU)
    code = process.wait()
    # Python had not begun to listen.
    return EXIT_STOPPED if asked and code == -signal.SIGXCPU else code


def _ignore() -> None:
    for number in ASKED_TO_END:
        signal.signal(number, signal.SIG_IGN)
