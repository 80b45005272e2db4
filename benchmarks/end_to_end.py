"""Whole sweeps and start-up: what refilling lanes and order parameters cost and save.

    python benchmarks/end_to_end.py            (part of `make bench`)

Lock-step is what vmap over a whole grid does: every lane steps until the longest run is
at its end. Refilled lanes step as runs need it. `quickstart` is the shipped sweep, half
of whose lane-steps belong to runs that `max_steps` cuts short, which nothing may stop;
`decided` is a part of its plane in which few are. Each is trained with whole budgets as
well, and labels and times compared. Start-up times are those of whole processes.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from grokmap import plan
from grokmap.classify import classify
from grokmap.engine import devices, execute
from grokmap.plan import read_sweep
from grokmap.spec import Sweep

SWEEP = Path(__file__).parents[1] / "sweeps/quickstart.toml"
DECIDED = ("alpha=0:0.3:4", "weight_decay=log:2e-3:1:10", "max_steps=20000", "tail=1")
TIMES = ("t_mem", "t_grok", "diverged_step")


def trained(sweep: Sweep) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The labelled runs of a sweep; its seconds, without compiling, and lane-steps."""
    planned = plan.plan_runs(sweep)
    progress: list[execute.Progress] = []
    frames, seconds = [], 0.0
    for done in execute.execute(planned, hooks=execute.Hooks(progress.append)):
        assert isinstance(done, execute.Done), done.trace
        frame = pd.DataFrame(np.concatenate(done.values), columns=list(done.columns))
        frame.insert(0, "step", np.concatenate(done.steps))
        ids = [run.run.run_id for run in done.runs]
        frame.insert(0, "run_id", np.repeat(ids, [len(step) for step in done.steps]))
        frames.append(frame)
        seconds += done.seconds
    table = plan.plan_table(planned, sweep)
    facts = {
        "seconds": seconds,
        "run_steps": sum(p.run_steps for p in progress),
        "lane_steps": sum(p.lane_steps for p in progress),
        "lock_step": len(planned) * max(run.n_steps for run in planned),
    }
    return classify(pd.concat(frames), table), facts


def same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether every label and time is."""
    return bool(
        (one["phase"] == other["phase"]).all()
        and all(one[name].equals(other[name]) for name in TIMES)
    )


def refill(overrides: tuple[str, ...]) -> dict[str, Any]:
    sweep = read_sweep(SWEEP, overrides)
    sweep = sweep.model_copy(update={"order_parameters": ()})
    runs, facts = trained(sweep)
    whole, whole_facts = trained(sweep.model_copy(update={"tail": math.inf}))
    facts |= {
        "runs": len(runs),
        "whole_seconds": whole_facts["seconds"],
        "whole_lane_steps": whole_facts["lane_steps"],
        "censored_run_steps": int(runs.loc[runs["censored"], "n_steps"].sum()),
        "same_labels_and_times": same(runs, whole),
    }
    return facts


def process_seconds(arguments: list[str], cache: str, repeats: int = 1) -> float:
    environment = {**os.environ, "XDG_CACHE_HOME": cache}
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        command = [sys.executable, "-m", "grokmap", *arguments]
        subprocess.run(command, env=environment, capture_output=True)
        times.append(time.perf_counter() - started)
    return min(times)


def start_up() -> dict[str, float]:
    """Seconds of whole processes; a sweep stopped at its first chunk has compiled."""
    with tempfile.TemporaryDirectory() as folder:
        sweep = ["sweep", str(SWEEP), "--time-budget", "0s", "--out"]
        return {
            "help": process_seconds(["--help"], folder, 3),
            "first chunk": process_seconds([*sweep, f"{folder}/one"], folder),
            "first chunk, cached": process_seconds(
                [*sweep, f"{folder}/two"], folder, 2
            ),
        }


def main() -> None:
    devices.use_all_cores()
    report: dict[str, Any] = {"start_up": start_up()}
    for name, overrides in {"quickstart": (), "decided": DECIDED}.items():
        report[name] = refill(overrides)
        print(name, report[name], file=sys.stderr)
    sweep = read_sweep(SWEEP)
    _, report["quickstart, all order parameters"] = trained(sweep)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
