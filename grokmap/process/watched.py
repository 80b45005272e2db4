"""A command on a node of a cluster that stops in good order once nobody waits for it.

Whoever asks for it may be killed at any time. So a process stands in between (`main`)
that has one thread and ends when its standard input does; the command is told of that
by the kernel, once: a second SIGTERM would end it at once. Light to import: it is the
first thing that a node loads.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from grokmap import disk
from grokmap.process.cores import usable_cores
from grokmap.process.signals import EXIT_STOPPED

POLL_SECONDS = 0.2
CORE = "grokmap-core"  # of the name that stands for one
PR_SET_PDEATHSIG = 1  # of <linux/prctl.h>
IS_LINUX = sys.platform == "linux"
_LIBC = ctypes.CDLL(None) if IS_LINUX else None


def run(
    command: Sequence[str],
    root: str,
    log: str,
    cores: int,
    variables: Mapping[str, str],
    folder: str,
) -> int:
    """Runs a command of Python to its end; its exit code, 128 + n after signal n.

    KeyboardInterrupt asks it, by SIGTERM, to stop in good order, and waits for that.

    Args:
      command: words after those of the interpreter, which is the one of this node.
      root, log: what it says is added to root/log. cores: how many it is bound to, of
        those that no other command has; 0: to none. variables: of its environment.
        folder: where it runs, if there is such a folder here.
    """
    python = sys.executable
    handle = disk.open_log(Path(root), log)
    try:
        process = subprocess.Popen(
            [python, "-m", "grokmap.process.watched", str(cores), python, *command],
            stdin=subprocess.PIPE,  # its other end is closed when this process ends
            stdout=handle,
            stderr=handle,
            env=os.environ | dict(variables),
            cwd=folder if os.path.isdir(folder) else None,
            start_new_session=True,
        )
    finally:
        os.close(handle)
    with process:
        return _waited(process)


def _waited(process: subprocess.Popen[bytes]) -> int:
    while True:
        try:
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
            return int(process.returncode)
        except KeyboardInterrupt:
            process.terminate()


def main(words: Sequence[str]) -> int:
    """Runs `words[1:]` on `words[0]` cores as long as standard input is open."""
    cores, kept = free_cores(int(words[0]))
    if cores:
        os.sched_setaffinity(0, cores)
    child = subprocess.Popen(
        words[1:],
        stdin=subprocess.DEVNULL,
        preexec_fn=_end_with_parent if IS_LINUX else None,
        pass_fds=[each.fileno() for each in kept],  # its cores are its own to the end
    )
    signal.signal(signal.SIGTERM, lambda number, frame: child.terminate())
    while child.poll() is None:
        if select.select([0], [], [], POLL_SECONDS)[0]:
            if not IS_LINUX:
                child.terminate()
            return EXIT_STOPPED
    code = child.returncode
    return code if code >= 0 else 128 - code


def _end_with_parent() -> None:
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))


def free_cores(n: int) -> tuple[list[int], list[socket.socket]]:
    """`n` cores that no other command of this kind has, and what keeps others away.

    A core is taken by the name of a socket, which the kernel frees when the last
    process that has it ends. Both are empty where there are not so many, or no Linux.
    """
    held = dict[int, socket.socket]()
    for core in usable_cores():
        taken = _taken(core) if len(held) < n else None
        if taken is not None:
            held[core] = taken
    if len(held) == n:
        return list(held), list(held.values())
    for each in held.values():
        each.close()
    return [], []


def _taken(core: int) -> socket.socket | None:
    """What keeps others away from a core; None if another has it."""
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind(f"\0{CORE}-{os.getuid()}-{core}")
    except OSError:
        name.close()
        return None
    return name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
