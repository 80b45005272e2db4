"""What checkpoints and checksums cost of a sweep's time.

    python benchmarks/reliability.py        (part of `make bench`)

Part of the quickstart's plane, whole processes, in turn: with a checkpoint every 2 s,
60 times as often as by default, and with none. The default's share is a sixtieth of the
difference. Checksums: seconds to digest every byte of the result, which happens once
when it is written and once when the sweep is next resumed, over those of the training.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from grokmap import store

ROOT = Path(__file__).parents[1]
PART = ("-s", "seed=0", "-s", "alpha=0,0.2,0.4")
OFTEN, NEVER, DEFAULT_S, OFTEN_S = "2s", "1000h", 120, 2
ROUNDS = 3


def seconds_of_sweep(every: str, out: Path) -> float:
    command = [sys.executable, "-m", "grokmap", "sweep", "sweeps/quickstart.toml"]
    options = ["--out", str(out), "--checkpoint", every]
    started = time.perf_counter()
    subprocess.run(
        [*command, *PART, *options], cwd=ROOT, check=True, capture_output=True
    )
    return time.perf_counter() - started


def seconds_of_checksums(result: Path) -> float:
    started = time.perf_counter()
    for file in store.batch_files(result):
        store.content_digest(file.read_bytes())
    return time.perf_counter() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        seconds_of_sweep(NEVER, path / "warm")  # compiles
        often, never = [], []
        for i in range(ROUNDS):
            never.append(seconds_of_sweep(NEVER, path / f"never{i}"))
            often.append(seconds_of_sweep(OFTEN, path / f"often{i}"))
            print(
                f"without {never[-1]:.1f} s, often {often[-1]:.1f} s", file=sys.stderr
            )
        checksums = 2 * seconds_of_checksums(path / "never0")
    base = float(np.median(never))
    added = [(o - n) / n for o, n in zip(often, never, strict=True)]
    print(
        json.dumps(
            {
                "never_s": never,
                "often_s": often,
                "added_often": added,
                "added_default": float(np.median(added)) * OFTEN_S / DEFAULT_S,
                "checksums": checksums / base,
            }
        )
    )


if __name__ == "__main__":
    main()
