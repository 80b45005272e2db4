"""What the avalanches of gradients cost, as shares of the training they look at.

    python benchmarks/avalanches.py

One run of modular addition (grokmap/reproduce/sweeps/wang-modular.toml), looked at as
often as expensive order parameters are recorded by default: twice an octave. All
compiled before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from grokmap.avalanches import NULLS, snapshots
from grokmap.engine.gradients import gradients_of
from grokmap.engine.records import record_grid, recorded
from grokmap.engine.restored import Reached, settings_of, weights_at
from grokmap.plan import plan_runs, read_sweep

FILE = Path(__file__).parents[1] / "grokmap/reproduce/sweeps/wang-modular.toml"


def best(function: Callable[[], object]) -> float:
    """Seconds of the fastest of four calls, of which the first compiles."""
    times = []
    for _ in range(4):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def shares(width: str) -> str:
    """What each part takes of the training of a run of one width."""
    own = ["seed=0", "weight_decay=0.02", f"width={width}"]
    runs = plan_runs(read_sweep(FILE, own))
    run, n_steps = runs[0].run, runs[0].n_steps
    grid = record_grid(n_steps, run.system.records_per_octave)
    steps = grid[recorded(grid, n_steps, run.system).expensive].tolist()
    settings = settings_of(runs, None)

    def train(at: list[int]) -> list[Reached]:
        return list(weights_at(runs, {run.run_id: at}, settings))

    reached = train(steps)
    (gradients,) = gradients_of(reached)
    whole = best(lambda: train([n_steps]))
    parts = {
        "gradients": best(lambda: list(gradients_of(reached))),
        "probe": best(lambda: snapshots([gradients], nulls=())),
        "probe and nulls": best(lambda: snapshots([gradients], nulls=tuple(NULLS))),
    }
    words = ", ".join(f"{k} {v / whole:.1%}" for k, v in parts.items())
    n = gradients.values.shape[1]
    return f"N = {n}, {len(steps)} snapshots of {whole:.2g} s of training: {words}"


def main() -> None:
    for width in ("48", "127", "243"):
        print(shares(width), flush=True)


if __name__ == "__main__":
    main()
