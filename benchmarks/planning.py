"""Seconds and host memory to expand and plan a sweep of a million runs.

    python benchmarks/planning.py [name=axis ...]

Does what `grokmap sweep` does before it trains: read, plan, write the plan, find what
is missing and group it by system; on 100 alpha x 100 weight_decay x 10 train_fraction x
10 seeds, or with other axes from the command line. Peak memory is that of the process,
jax and pandas included. The promise is 10 s and 2 GiB for the limit of 1e6 runs.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STARTED = time.perf_counter()

from grokmap import plan, store  # noqa: E402
from grokmap.plan import read_sweep  # noqa: E402
from grokmap.session import missing_of  # noqa: E402

SWEEP = Path(__file__).parents[1] / "sweeps/alpha-lambda.toml"
AXES = (
    "alpha=0:0.6:100",
    "weight_decay=log:1e-4:1:100",
    "train_fraction=0.3:0.7:10",
    "seed=range:0:10:1",
)


def peak_gib() -> float:
    """Most memory the process has held so far; Linux counts it in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    seconds = {"import": time.perf_counter() - STARTED}
    peak = {"import": peak_gib()}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        seconds[name], peak[name] = time.perf_counter() - started, peak_gib()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        with stage("read_sweep"):
            overrides = (*AXES, *sys.argv[1:])
            sweep = read_sweep(SWEEP, overrides)
        with stage("plan"):
            planned = plan.plan_runs(sweep)
        with stage("plan_table"):
            table = plan.plan_table(planned, sweep)
        with stage("write_plan"):
            store.write_spec(path, sweep)
            store.write_plan(path, table)
        with stage("missing_of"):
            missing = missing_of(path, planned, table, store.stored(path).steps)
        with stage("by_system"):
            systems = plan.by_system(missing)
    print(f"{len(planned):,} runs of {len(systems)} systems")
    for name in seconds:
        print(f"{name:<12} {seconds[name]:7.2f} s  peak {peak[name]:5.2f} GiB")
    total = sum(seconds.values())
    print(f"{'total':<12} {total:7.2f} s")
    print(
        json.dumps(
            {
                "runs": len(planned),
                "systems": len(systems),
                "seconds": {**seconds, "total": total},
                "peak_gib": peak_gib(),
            }
        )
    )


if __name__ == "__main__":
    main()
