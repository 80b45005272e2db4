"""How often each interval that grokmap prints holds a planted truth: JSON on stdout.

    python benchmarks/interval_coverage.py > benchmarks/results/interval_coverage.json

At 2 to 12 seeds, by the trials of `tests/interval_trials.py`. Some ten minutes on two
cores; no timing.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

# One thread a process: the arrays are small.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from interval_trials import SEEDS, TRIALS, coverage  # noqa: E402

REPETITIONS = 1000
FEWER = {
    "collapse": 100,
    "cells": 200,
    "edges": 100,
    "law": 300,
    "forecast": 5,
}  # by first word


def measure(job: tuple[str, int]) -> dict[str, object]:
    # scipy's BCa warns of samples whose resamples are all alike.
    warnings.simplefilter("ignore")
    name, seeds = job
    repetitions = FEWER.get(name.replace(",", "").split()[0], REPETITIONS)
    held, count = coverage(name, seeds, repetitions)
    covered = held if count else None
    print(name, seeds, covered, count, file=sys.stderr)
    return {"interval": name, "seeds": seeds, "covered": covered, "n": count}


if __name__ == "__main__":
    jobs = [(name, seeds) for name in TRIALS for seeds in SEEDS]
    with ProcessPoolExecutor() as pool:
        rows = list(pool.map(measure, jobs))
    print(json.dumps({"repetitions": REPETITIONS, "rows": rows}, indent=1))
