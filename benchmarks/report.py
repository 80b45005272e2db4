"""What a page of `grokmap report` costs at 140, 10,000 and 100,000 runs.

    python benchmarks/report.py [runs ...]

The 140 are those of results/quickstart-reference. The others are made up: each run of a
finer grid has the records of the reference's nearest run, with 1% of noise on all but
the accuracies. Making, opening and clicking are timed, the last two in Chromium by
Playwright, in a process of their own; without these, null. Ten minutes on two cores;
the last line of output is JSON.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from grokmap import plan, report, store
from grokmap.plan import read_sweep
from grokmap.result.result import Result

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "results/quickstart-reference"
GRIDS = {
    10_000: ("alpha=0:0.6:50", "weight_decay=log:5e-4:0.5:50", "seed=range:0:4:1"),
    100_000: ("alpha=0:0.6:100", "weight_decay=log:5e-4:0.5:100", "seed=range:0:10:1"),
}
COLUMNS = [
    *("train_accuracy", "test_accuracy", "train_loss", "test_loss", "weight_norm"),
    *("zero_loss_fraction", "rqi", "snr", "function_snr", "ipr"),
    *("specialised_fraction", "restricted_loss"),
]
RUNS_A_FILE = 500
OPENINGS = 3
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measured(runs: int, folder: Path) -> dict[str, Any]:
    """Bytes of the page, seconds to make, to open and to click, GiB at most."""
    path = REFERENCE if runs == 140 else folder / str(runs)
    if runs != 140:
        made_up(path, GRIDS[runs])
    page = folder / f"{runs}.html"
    facts = {"runs": runs, **in_process("make", path, page)}
    facts["bytes"] = page.stat().st_size
    openings = [in_process("open", path, page) for _ in range(OPENINGS)]
    for key in openings[0]:
        times = [each[key] for each in openings]
        facts[key] = None if None in times else times
    if runs != 140:
        shutil.rmtree(path)
    return facts


def in_process(stage: str, path: Path, page: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--stage", stage, str(path), str(page)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(answer.stdout.splitlines()[-1]))


def make(path: Path, page: Path) -> dict[str, Any]:
    started = time.perf_counter()
    report.write([Result(path)], page)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"make_s": seconds, "peak_gib": peak}


def open_page(page: Path) -> dict[str, Any]:
    """Seconds until the maps are drawn, and from a click to the curves of a run."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return {"open_s": None, "click_s": None}
    browser = next(filter(None, map(shutil.which, CHROMIUM)), None)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=browser, args=["--no-sandbox"]
        )
        tab = chromium.new_page(viewport={"width": 1280, "height": 900})
        started = time.perf_counter()
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-ready]")
        # The frame is painted once a second one is asked for.
        twice = "() => new Promise(f => requestAnimationFrame(() => setTimeout(f)))"
        tab.evaluate(twice)
        opened = time.perf_counter()
        tab.locator("svg.map").first.click()
        tab.wait_for_selector("path.line.front")
        clicked = time.perf_counter()
        chromium.close()
    return {"open_s": opened - started, "click_s": clicked - opened}


def made_up(path: Path, grid: tuple[str, ...]) -> None:
    """A result of this grid, each run with the records of the nearest real one."""
    known = Result(REFERENCE)
    records = known.records(COLUMNS).sort_values(["run_id", "step"])
    curves = dict(list(records.groupby("run_id")))
    real = known.plan.set_index("run_id").loc[list(curves)]
    sweep = read_sweep(ROOT / "sweeps/quickstart.toml", grid)
    planned = plan.plan_runs(sweep)
    table = plan.plan_table(planned, sweep)
    path.mkdir()
    store.write_spec(path, sweep)
    store.write_plan(path, table)
    rng = np.random.default_rng(0)
    nearest = nearest_of(real, table, rng)
    for first in range(0, len(table), RUNS_A_FILE):
        ids = table["run_id"].iloc[first : first + RUNS_A_FILE].tolist()
        parts = [curves[k] for k in nearest[first : first + RUNS_A_FILE]]
        write(path, ids, parts, rng)


def nearest_of(real: Any, table: Any, rng: np.random.Generator) -> list[str]:
    """Of each planned run the id of a real one nearest on the map, of any seed."""
    places = [
        np.stack([t["alpha"] / 0.6, np.log(t["weight_decay"]) / np.log(1e3)], axis=1)
        for t in (real, table)
    ]
    away = ((places[1][:, None] - places[0][None]) ** 2).sum(axis=2)
    away += rng.random(away.shape) * 1e-9  # which of the seeds
    return list(real.index[away.argmin(axis=1)])


def write(path: Path, ids: list[str], parts: list[Any], rng: Any) -> None:
    place = np.repeat(np.arange(len(ids)), [len(part) for part in parts])
    step = np.concatenate([part["step"].to_numpy(np.int64) for part in parts])
    values = np.concatenate([part[COLUMNS].to_numpy(np.float32) for part in parts])
    noise = 1 + 0.01 * rng.standard_normal(values.shape, np.float32)
    noise[:, :2] = 1
    facts = {"seconds": 1.0, "lanes": 64, "tile": 512}
    store.write_batch(path, ids, place, step, COLUMNS, values * noise, facts)


def main() -> None:
    if sys.argv[1:2] == ["--stage"]:
        stage, path, page = sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
        print(json.dumps(make(path, page) if stage == "make" else open_page(page)))
        return
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for runs in map(int, sys.argv[1:] or ("140", *map(str, GRIDS))):
            found.append(measured(runs, Path(folder)))
            log(str(found[-1]))
    print(json.dumps({"sizes": found}))


if __name__ == "__main__":
    main()
