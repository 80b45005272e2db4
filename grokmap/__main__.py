"""The `grokmap` program: a process of its own around the command line."""

from __future__ import annotations

import signal
import sys

from grokmap.process import environment, signals, streams


def run() -> None:
    """Runs the command line as typed, and exits with its code."""
    signals.handle(signals.end_at_once)
    output = streams.guard()
    environment.isolate()
    from grokmap.cli import main  # with the libraries, which see what is left

    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
        code = streams.exit_code(code, output)
        signals.handle(signal.SIG_IGN)  # all is done: too late to stop anything
        sys.exit(code)


if __name__ == "__main__":
    run()
