"""A process that has imported grokmap, and runs each command line in a fork of itself.

Requests are lines of JSON on stdin: {"cwd", "arguments", "seconds"}; answers lines of
JSON on stdout: {"code", "cpu_s", "mib", "out", "err"}. `code` is below 0 where a signal
ended the command, which is also what happens after `seconds`.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def imports() -> None:
    """What commands import, without starting jax or a thread."""
    import importlib

    import matplotlib.backends.backend_agg  # noqa: F401
    import matplotlib.backends.backend_pdf  # noqa: F401

    package = Path(__file__).parents[1] / "grokmap/cli"
    for file in package.glob("*.py"):
        if file.stem != "__init__":
            importlib.import_module(f"grokmap.cli.{file.stem}")


def child(request: dict[str, Any], folder: Path) -> None:
    """Becomes the command; does not return."""
    os.chdir(request["cwd"])
    streams = (os.devnull, folder / "out", folder / "err")
    for number, name in enumerate(streams):
        flags = os.O_RDWR | os.O_CREAT
        os.dup2(os.open(name, flags, 0o600), number)
    # So that a command that does explode takes this machine down with it not.
    resource.setrlimit(resource.RLIMIT_DATA, (6 << 30, 6 << 30))
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(0, "r"),
        os.fdopen(1, "w"),
        os.fdopen(2, "w"),
    )
    code = 1
    try:
        from grokmap.cli import main

        main(request["arguments"])
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def run(request: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pid = os.fork()
        if pid == 0:
            child(request, folder)
        deadline = time.monotonic() + request["seconds"]
        while True:
            ended, status, used = os.wait4(pid, os.WNOHANG)
            if ended:
                break
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        return {
            "code": os.waitstatus_to_exitcode(status),
            "cpu_s": used.ru_utime + used.ru_stime,
            "mib": used.ru_maxrss / 1024,
            "out": (folder / "out").read_text(errors="backslashreplace"),
            "err": (folder / "err").read_text(errors="backslashreplace"),
        }


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    imports()
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), file=answers, flush=True)
