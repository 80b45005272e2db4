"""The smoke sweep on a CPU, and what another machine or precision makes of it.

    JAX_PLATFORMS=cpu python benchmarks/gpu_smoke.py > benchmarks/results/smoke-cpu.json

trains sweeps/smoke.toml and prints its labels, times, early weight norms and order
parameters at step 0: the reference of `make gpu-day`.

Tolerances: equal labels; t_mem and t_grok within a factor `TIMES`; the weight norm at
the steps `EARLY` within `NORM`, and order parameters at step 0 within `START`, both
relative (of an order parameter: to 1 where it is smaller). On one CPU, with lanes that
step together and other products in the first layer, they are 1, 1.3e-7 and 6e-7
(`test_other_sums_stay_far_inside_the_tolerances` in tests/test_gpu_results.py); the
rest is room for another machine's functions and for times that fall on a neighbouring
record.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
SWEEP = ROOT / "sweeps/smoke.toml"
REFERENCE = Path(__file__).parent / "results/smoke-cpu.json"
KEYS = ["weight_decay", "seed"]
LANES = 6  # a run each; finding out how many fit would take two compiles more
TIMES_OF = ("t_mem", "t_grok")
EARLY = (1, 4, 16, 64)
TIMES, NORM, START = 1.05, 1e-5, 1e-3
LOW = 1e-2  # of both with products in another precision than float32


def train(
    out: Path, cache: str, overrides: Sequence[str] = (), seconds: float = 300
) -> float:
    """Trains the smoke sweep by its command, as a process of its own; wall seconds.

    cache: folder of compiled programs.
    """
    command = [sys.executable, "-m", "grokmap", "sweep", str(SWEEP), "--out", str(out)]
    command += ["--lanes", str(LANES)]
    command += [word for override in overrides for word in ("-s", override)]
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": cache}
    started = time.monotonic()
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=seconds
    )
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr[-3000:]}")
    return time.monotonic() - started


def tables(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs of a result, by weight decay and seed; and their records likewise."""
    runs = pd.read_parquet(path / "runs.parquet")
    records = pd.read_parquet(path / "trajectories").merge(runs[["run_id", *KEYS]])
    index = [*KEYS, "step"]
    records = records.drop(columns="run_id").set_index(index).sort_index()
    return runs.set_index(KEYS).sort_index(), records


def summary(path: Path) -> list[dict[str, Any]]:
    """A row a run: what `against` compares, as JSON holds it."""
    runs, records = tables(path)
    rows = []
    for key, run in runs.iterrows():
        own = records.loc[key]
        times = {k: None if pd.isna(run[k]) else int(run[k]) for k in TIMES_OF}
        early = {str(step): float(own.loc[step, "weight_norm"]) for step in EARLY}
        start = {k: float(v) for k, v in own.loc[0].items() if np.isfinite(v)}
        named = dict(zip(KEYS, map(float, key), strict=True))
        facts = {"phase": run["phase"], **times, "early": early, "start": start}
        rows.append({**named, **facts})
    return rows


def against(
    found: list[dict[str, Any]],
    reference: list[dict[str, Any]],
    norm: float = NORM,
    start: float = START,
) -> dict[str, Any]:
    """How far the runs of two summaries are apart, and whether within tolerance.

    times_ratio: the largest, infinite where one is never; start: by order parameter,
    of those that both recorded.
    """
    pairs = list(zip(found, reference, strict=True))
    for one, other in pairs:
        if any(one[key] != other[key] for key in KEYS):
            raise ValueError(f"runs differ: {one} and {other}: train the reference")
    same = sum(one["phase"] == other["phase"] for one, other in pairs)
    ratio = max(_ratio(a[key], b[key]) for a, b in pairs for key in TIMES_OF)
    early = max(
        abs(a["early"][step] / b["early"][step] - 1)
        for a, b in pairs
        for step in b["early"]
    )
    starts = _starts(pairs)
    agrees = same == len(pairs) and ratio <= TIMES and early <= norm
    agrees = agrees and max(starts.values()) <= start
    return {
        "runs": len(pairs),
        "same_labels": same,
        "times_ratio": ratio if np.isfinite(ratio) else "one is never",
        "early_norm": early,
        "start": starts,
        "agrees": bool(agrees),
    }


def _ratio(one: float | None, other: float | None) -> float:
    if one is None or other is None:
        return 1.0 if one == other else float("inf")
    return max(one, other, 1) / max(min(one, other), 1)


def _starts(pairs: Sequence[tuple[Any, Any]]) -> dict[str, float]:
    """Largest difference at step 0 of what both recorded, by name."""
    found: dict[str, float] = {}
    for one, other in pairs:
        for name in one["start"].keys() & other["start"].keys():
            value = other["start"][name]
            apart = abs(one["start"][name] - value) / max(abs(value), 1.0)
            found[name] = max(found.get(name, 0.0), apart)
    return dict(sorted(found.items()))


def difference(one: Path, other: Path) -> dict[str, Any]:
    """Of two results of the same command: whether bitwise equal, else by how much not.

    first_step: of the earliest record that differs; largest: relative difference of
    any number of it, and of the weight norm anywhere.
    """
    (runs, a), (other_runs, b) = tables(one), tables(other)
    labels = bool((runs["phase"] == other_runs["phase"]).all())
    if a.equals(b):
        return {"bitwise": True, "same_labels": labels}
    common = a.index.intersection(b.index)
    a, b = a.loc[common], b.loc[common]
    apart = (a - b).abs() / np.maximum(a.abs(), b.abs()).replace(0, 1)
    differs = (apart > 0).any(axis=1).to_numpy()
    steps = common.get_level_values("step")
    first = int(steps[differs].min()) if differs.any() else None
    return {
        "bitwise": False,
        "same_labels": labels,
        "first_step": first,
        "largest": None if first is None else float(apart[steps == first].max().max()),
        "largest_norm": float(apart["weight_norm"].max()),
    }


def reference() -> list[dict[str, Any]]:
    return json.loads(REFERENCE.read_text(encoding="utf-8"))["runs"]


def main() -> None:
    if os.environ.get("JAX_PLATFORMS") != "cpu":
        sys.exit("the reference is a CPU's: set JAX_PLATFORMS=cpu")
    with tempfile.TemporaryDirectory() as folder:
        train(Path(folder, "smoke"), f"{folder}/cache")
        rows = summary(Path(folder, "smoke"))
    facts = {"sweep": SWEEP.relative_to(ROOT).as_posix(), "runs": rows}
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
