"""What watching a sweep costs, and how late it is: the figures of docs/watching.md.

    python benchmarks/watching.py

Frames: CPU time of a frame of the terminal, drawn from the quickstart's runs. Lag: from
the moment since which a run may have been over, so at most, to that when `status`
counts it, asked four times a second by a process of its own. A minute; JSON on stdout.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import sys
import tempfile
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from terminal import ROOT, screen_of

from grokmap import store
from grokmap.engine.devices import prepare
from grokmap.errors import ResultError
from grokmap.plan import read_sweep
from grokmap.result import Result
from grokmap.session import standing
from grokmap.session.counts import Counts
from grokmap.session.screen import DRAWN_A_SECOND
from grokmap.session.session import Options, open_session, train_missing

FRAMES, ASKED_A_SECOND = 200, 4.0
AT_ONCE = 0.05  # seconds between runs that are handed over together
PLANE = ("alpha=0,0.1,0.2", "seed=0,1")


class Timed(Counts):
    """Since when each run may have been over: training hands over what has ended now
    and then, so since the time before."""

    def __init__(self) -> None:
        super().__init__()
        self.since: list[float] = []
        self.before = self.last = time.time()

    def done(self, runs: pd.DataFrame) -> None:
        super().done(runs)
        now = time.time()
        if now - self.last > AT_ONCE:
            self.before = self.last
        self.last = now
        self.since += [self.before] * len(runs)


def frame_seconds() -> float:
    """CPU seconds of a frame, of all that a terminal of 100 x 24 letters shows."""
    result = Result(ROOT / "results/quickstart-reference")
    over = result.labelled().sample(frac=0.6, random_state=0)
    size = {"width": 100, "height": 24, "force_terminal": True}
    console = Console(file=io.StringIO(), **size)
    screen = screen_of(result, over, console)
    began = time.process_time()
    for _ in range(FRAMES):
        console.print(screen.shown())
    return (time.process_time() - began) / FRAMES


def ask(path: Path, to: Connection) -> None:
    """Sends (time, runs done) whenever `status` counts more of them, until told off."""
    known = 0
    while not to.poll(1 / ASKED_A_SECOND):
        with suppress(ResultError):  # not begun
            done = standing.whole(path).done
            if done > known:
                known = done
                to.send((time.time(), done))


def lags(path: Path) -> tuple[list[float], int]:
    """(seconds that each run waited to be seen, files of records)."""
    prepare()
    sweep, timed = read_sweep(ROOT / "sweeps/quickstart.toml", PLANE), Timed()
    here, there = multiprocessing.Pipe()
    asking = multiprocessing.get_context("spawn").Process(
        target=ask, args=(path, there)
    )
    asking.start()
    with open_session(path, sweep, Options(), timed) as session:
        train_missing(session)
    time.sleep(2 / ASKED_A_SECOND)
    here.send("enough")
    asking.join()
    seen: list[tuple[float, int]] = []
    while here.poll():
        seen.append(here.recv())
    first = [next(at for at, done in seen if done > k) for k in range(len(timed.since))]
    late = np.subtract(first, timed.since).tolist()
    return late, len(store.batch_files(path))


def main() -> None:
    seconds = frame_seconds()
    with tempfile.TemporaryDirectory() as folder:
        late, files = lags(Path(folder) / "s")
    found = {
        "frame_ms": 1000 * seconds,
        "share_of_a_core": seconds * DRAWN_A_SECOND,
        "runs": len(late),
        "median_s": float(np.median(late)),
        "most_s": max(late),
        "files": files,
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
