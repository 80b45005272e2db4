"""Host memory of a large sweep without its training: plan, store, label.

    python benchmarks/host_memory.py [runs]

Takes made-up trajectories of 1e5 runs (or as many as asked), 100 records of 20 columns
each, along the road of `grokmap sweep`: plan, background writer, which runs are done,
labels, runs.parquet. The values are noise, so files compress as badly as any. Prints
the time and the highest resident memory so far at each stage, and a last line of JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from grokmap import plan, store
from grokmap.order_parameters import ORDER_PARAMETERS
from grokmap.plan import Planned
from grokmap.session import missing_of, write_runs
from grokmap.spec import Sweep

RUNS, RECORDS, COLUMNS, LANES = 100_000, 100, 20, 512
# Labels are made of the first ones.
NAMES = (*store.REQUIRED, *ORDER_PARAMETERS)[:COLUMNS]


def sweep_of(n_runs: int) -> Sweep:
    """`n_runs` runs, a multiple of 100: 10 alphas, 10 weight decays, and seeds."""
    return Sweep(
        name="memory",
        task="modular_addition",
        modulus=23,
        width=128,
        learning_rate=0.05,
        train_fraction=0.6,
        n_steps=RECORDS - 1,
        order_parameters=NAMES[len(store.REQUIRED) :],
        alpha=[round(0.1 * i, 1) for i in range(10)],
        weight_decay=[10.0 ** (-i / 2) for i in range(10)],
        seed=f"range:0:{n_runs // 100}:1",
    )


def trajectories_of(n_runs: int, seed: int) -> np.ndarray:
    """[n_runs * RECORDS, COLUMNS] noise; accuracies rise, so that times are found."""
    values = np.random.default_rng(seed).random(
        (n_runs, RECORDS, COLUMNS), dtype=np.float32
    )
    for name in ("train_accuracy", "test_accuracy"):
        values[:, :, NAMES.index(name)].sort(axis=1)
    return values.reshape(-1, COLUMNS)


def write(path: Path, planned: Sequence[Planned]) -> None:
    with store.Writer(path) as writer:
        for i in range(0, len(planned), LANES):
            ids = [run.run.run_id for run in planned[i : i + LANES]]
            run = np.repeat(np.arange(len(ids)), RECORDS)
            step = np.tile(np.arange(RECORDS), len(ids))
            values = trajectories_of(len(ids), seed=i)
            writer.write(ids, run, step, NAMES, values, {"seconds": 1.0})


def stages(path: Path, n_runs: int) -> Iterator[str]:
    """The road, stage by stage: the name of each when it is done."""
    sweep = sweep_of(n_runs)
    planned = plan.plan_runs(sweep)
    store.write_spec(path, sweep)
    table = plan.plan_table(planned, sweep)
    store.write_plan(path, table)
    yield "plan"
    write(path, planned)
    yield "write"
    assert missing_of(path, planned, table, store.stored(path).steps) == []
    yield "done"
    runs = write_runs(path)
    assert runs["run_id"].tolist() == [run.run.run_id for run in planned]
    yield "label"


def peak_gib() -> float:
    """Highest resident memory of this process; Linux counts it in KiB, macOS in B."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def main() -> None:
    n_runs = int(float(sys.argv[1])) if len(sys.argv) > 1 else RUNS
    seconds, peaks = {}, {"imports": peak_gib()}
    print(f"{'imports':<8} {'':9} {peaks['imports']:6.2f} GiB")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        started = time.perf_counter()
        for stage in stages(path, n_runs):
            seconds[stage] = time.perf_counter() - started
            peaks[stage] = peak_gib()
            print(f"{stage:<8} {seconds[stage]:7.1f} s {peaks[stage]:6.2f} GiB")
            started = time.perf_counter()
        size = sum(file.stat().st_size for file in path.rglob("*.parquet"))
    print(f"{size / 1e6:.0f} MB on disk")
    print(
        json.dumps(
            {
                "runs": n_runs,
                "records": RECORDS,
                "columns": COLUMNS,
                "seconds": seconds,
                "peak_gib": peaks,
                "bytes": size,
            }
        )
    )


if __name__ == "__main__":
    main()
