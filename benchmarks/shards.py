"""What shards cost: planning, status and merge at scale, balance, throughput, kills.

    python benchmarks/shards.py [scale | balance | ends | throughput | kills ...]

Without a name all of them, about an hour on two cores, of which kills take most; the
last line of output is JSON. With a name, that part is measured and the others are kept
from benchmarks/results/shards.json. Peak memory is that of a process of its own.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from grokmap import cli, plan, store
from grokmap.cli import results
from grokmap.engine import shards
from grokmap.engine.train import names_by_cost
from grokmap.plan import read_sweep
from grokmap.session import lock, planned_in
from grokmap.session.merge import merge
from grokmap.spec.shard import Shard

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from shard_sweeps import TEXT  # noqa: E402

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks/results/shards.json"
MILLION = (
    "alpha=0:0.6:100",
    "weight_decay=log:1e-4:1:100",
    "train_fraction=0.3:0.7:10",
    "seed=range:0:10:1",
)
OF = 1000
RECORDS, RUNS_A_FILE = 4, 256
STAGES = ("plan", "status", "merge", "status merged", "merge again")


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# Scale: a million runs in a thousand shards, their files made up.


def scale() -> dict[str, Any]:
    """Seconds and GiB of each stage, in a process of its own, and files."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s"
        in_process("simulate", path)
        found: dict[str, Any] = {"runs": 10**6, "shards": OF, "stages": {}}
        found["load"] = os.getloadavg()[0]  # what else the machine does: processes
        found["files_before"] = count_files(path)
        for stage in STAGES:
            facts = in_process(stage, path)
            found["stages"][stage] = facts
            log(f"{stage}: {facts}")
        found["files_after"] = count_files(path)
        found["links"] = len(store.batch_files(path))
    return found


def count_files(path: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(path))


def in_process(stage: str, path: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--stage", stage, str(path)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(answer.stdout.splitlines()[-1]))


def run_stage(stage: str, path: Path) -> None:
    started = time.perf_counter()
    facts = (
        simulate if stage == "simulate" else globals()["stage_" + stage.split()[0]]
    )(path)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    cpu = time.process_time()
    print(json.dumps({"seconds": seconds, "cpu_s": cpu, "peak_gib": peak, **facts}))


def million() -> Any:
    return read_sweep(ROOT / "sweeps/alpha-lambda.toml", MILLION)


def stage_plan(path: Path) -> dict[str, Any]:
    """What one shard of a thousand does before it trains."""
    sweep = million()
    planned = plan.plan_runs(sweep)
    part = shards.part(planned, 500, OF)
    table = plan.plan_table(part, sweep)
    return {"part": len(table)}


def stage_status(path: Path) -> dict[str, Any]:
    results.print_status(path, as_json=False)
    return {}


def stage_merge(path: Path) -> dict[str, Any]:
    merged = merge(path, (), log)
    assert merged.done == 10**6 and merged.code == 0
    return {"taken": merged.taken.runs}


def simulate(path: Path) -> dict[str, Any]:
    """Shards as they are when they have ended: real files, of made-up records.

    A few records a run, so that the disk holds them; every other number is as it is.
    """
    sweep = million()
    planned = plan.plan_runs(sweep)
    numbers = shards.shard_numbers(planned, OF)
    costs = shards.costs_of(planned)
    columns = [
        n for names in names_by_cost(planned[0].run.system).values() for n in names
    ]
    order = np.argsort(numbers, kind="stable")
    bounds = np.searchsorted(numbers[order], np.arange(OF + 1))
    rng = np.random.default_rng(0)
    for k in range(OF):
        part = [planned[i] for i in order[bounds[k] : bounds[k + 1]]]
        folder = store.make_shard_folder(path, Shard(k + 1, OF))
        store.write_spec(folder, sweep)
        store.write_shard(folder, store.ShardFacts(Shard(k + 1, OF), len(part)))
        store.write_plan(folder, plan.plan_table(part, sweep))
        store.add_session(folder, {"command": ["grokmap"], "shard": f"{k + 1}/{OF}"})
        for first in range(0, len(part), RUNS_A_FILE):
            runs = part[first : first + RUNS_A_FILE]
            made_up(folder, runs, columns, rng)
    return {"imbalance": shards.imbalance(costs, numbers, OF)}


def made_up(folder: Path, runs: list[Any], columns: list[str], rng: Any) -> None:
    ids = [run.run.run_id for run in runs]
    place = np.repeat(np.arange(len(ids)), RECORDS)
    shares = np.linspace(0, 1, RECORDS)
    step = np.concatenate([(shares * run.n_steps).astype(np.int64) for run in runs])
    values = rng.random((len(place), len(columns)), np.float32)
    facts = {"seconds": 1.0, "lanes": 64, "tile": 512}
    store.write_batch(folder, ids, place, step, columns, values, facts)


# Balance: of predicted costs, and of what the committed sweeps took.


def balance() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for file in sorted((ROOT / "results").glob("*/runs.parquet")):
        path = file.parent
        planned = planned_in(path, read_sweep(path))
        runs = pd.read_parquet(file).set_index("run_id")
        ids = [run.run.run_id for run in planned]
        if not set(ids) <= set(runs.index) or len(ids) < 56:
            continue
        costs = shards.costs_of(planned)
        budgets = np.array([run.n_steps for run in planned], float)
        measured = {
            "predicted": costs,
            "steps": np.array(costs)
            * runs.loc[ids, "n_steps"].to_numpy(float)
            / budgets,
            "seconds": runs.loc[ids, "cost_s"].to_numpy(float),
        }
        found[path.name] = {"runs": len(ids), "systems": len(plan.by_system(planned))}
        for of in (2, 4, 8):
            numbers = shards.shard_numbers(planned, of)
            found[path.name][of] = {
                name: shards.imbalance(values, numbers, of)
                for name, values in measured.items()
            }
    return found


def ends() -> dict[str, Any]:
    """Imbalance of the million runs, if each takes the share of its budget that a run
    of the quickstart took: the nearest in alpha and ln(lambda), of any of its seeds."""
    planned = plan.plan_runs(million())
    path = ROOT / "results/quickstart-reference"
    reference = pd.read_parquet(path / store.RUNS)
    budgets = {
        run.run.run_id: run.n_steps for run in planned_in(path, read_sweep(path))
    }
    shares = (reference["n_steps"] / reference["run_id"].map(budgets)).to_numpy(float)
    alphas = np.array([run.run.control.alpha for run in planned])
    decays = np.log([run.run.control.weight_decay for run in planned])
    rng = np.random.default_rng(0)
    near = (reference["alpha"], np.log(reference["weight_decay"]))
    cells = list(zip(*near, strict=True))
    grid = sorted(set(cells))
    members = [[i for i, cell in enumerate(cells) if cell == each] for each in grid]
    spans = np.ptp(np.array(grid), axis=0)
    found = np.empty(len(planned))
    for place in set(zip(alphas, decays, strict=True)):
        inside = (alphas == place[0]) & (decays == place[1])
        away = np.square((np.array(grid) - place) / spans).sum(axis=1)
        of_cell = members[int(np.argmin(away))]
        found[inside] = rng.choice(shares[of_cell], inside.sum())
    costs, numbers = shards.costs_of(planned), shards.shard_numbers(planned, OF)
    return {
        "predicted": shards.imbalance(costs, numbers, OF),
        "steps": shards.imbalance(np.array(costs) * found, numbers, OF),
        "shares": [float(found.min()), float(found.mean())],
    }


# Throughput: two shards on two cores against one process.

PLANE = ("-s", "seed=0")
ROUNDS = 3


def throughput() -> dict[str, Any]:
    """Seconds of whole commands, and of the training (`lane_s`), summed over processes.

    Starting, labelling and merging take some seconds, however long the training is.
    """
    found: dict[str, list[Any]] = {"one": [], "two": []}
    with tempfile.TemporaryDirectory() as folder:
        for k in range(ROUNDS + 1):  # the first compiles
            for name, words in (
                ("one", ["sweep", "quickstart"]),
                ("two", ["submit", "quickstart", "--shards", "2"]),
            ):
                out = Path(folder) / f"{name}{k}"
                started = time.perf_counter()
                command = [sys.executable, "-m", "grokmap", *words, *PLANE]
                subprocess.run(
                    [*command, "--out", str(out)],
                    cwd=ROOT,
                    check=True,
                    capture_output=True,
                )
                seconds = time.perf_counter() - started
                facts = {
                    "seconds": seconds,
                    "run_steps": sum(store.stored(out).steps.values()),
                    "lane_s": sum(made.seconds for _, made in store.origins(out)),
                }
                log(f"{name}: {facts}")
                if k:
                    found[name].append(facts)
                shutil.rmtree(out)
    return found


# Kills: shards and merges, killed at random moments.

KILLS = int(os.environ.get("KILLS", "200"))  # at least
SMALL = TEXT.replace("n_steps = 3000", "n_steps = 12000")


def kills() -> dict[str, Any]:
    """SIGKILL to shards and merges until enough have hit, each in a fork of this
    process, which has imported all and started nothing.

    Shards and merges take turns. Whenever all is done, the result is compared with that
    of one process, and everything begins again.
    """
    for file in (ROOT / "grokmap/cli").glob("[a-z]*.py"):
        importlib.import_module(f"grokmap.cli.{file.stem}")
    rng = random.Random(0)
    found = {"shards": 0, "merges": 0, "sweeps": 0, "lost": 0, "twice": 0, "unequal": 0}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "s.toml").write_text(SMALL)
        assert ended(forked(folder, "sweep", "s.toml", "--out", "whole")) == 0
        while found["shards"] + found["merges"] < KILLS:
            round_of_kills(folder, rng, found)
            found["sweeps"] += 1
            compared = json.loads((folder / "compared").read_text())
            found |= {key: found[key] + n for key, n in compared.items()}
            log(str(found))
    return found


def forked(folder: Path, *words: str) -> int:
    """The process that runs a command, or, of no words, that compares results."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.chdir(folder)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nowhere, number)
        if words:
            cli.main(list(words))
        compare(folder)
        code = 0
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def round_of_kills(folder: Path, rng: random.Random, found: dict[str, int]) -> None:
    """Kills until there was nothing left to do for the shards and the merge."""
    shutil.rmtree(folder / "killed", ignore_errors=True)
    todo = {1, 2, 3}
    while todo and found["shards"] + found["merges"] < 2 * KILLS:
        for number in sorted(todo):
            words = ("sweep", "s.toml", "--out", "killed", "--checkpoint", "0.2s")
            held = folder / f"killed/shards/000{number}"
            shard = ("--shard", f"{number}/3")
            code = killed(folder, rng, held, 4.0, *words, *shard)
            found["shards"] += code == -signal.SIGKILL
            if code == 0:
                todo.discard(number)
        code = killed(folder, rng, folder / "killed", 0.5, "merge", "killed")
        found["merges"] += code == -signal.SIGKILL
        log(str(found))
    for number in sorted(todo):  # on a slow machine no round might ever end
        sweep = ("sweep", "s.toml", "--out", "killed", "--shard", f"{number}/3")
        assert ended(forked(folder, *sweep)) == 0
    assert ended(forked(folder, "merge", "killed")) == 0
    assert ended(forked(folder)) == 0


def killed(
    folder: Path, rng: random.Random, held: Path, most: float, *words: str
) -> int:
    """Runs a command and kills it at a random moment: mostly of the first seconds in
    which it holds its folder, else while it starts. The exit code."""
    pid = forked(folder, *words)
    if rng.random() < 0.85:
        while (lock.holder(held) or NOBODY).pid != str(pid):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return ended(pid)
            time.sleep(0.002)
    time.sleep(rng.uniform(0, most))
    os.kill(pid, signal.SIGKILL)
    return ended(pid)


NOBODY = lock.Holder("", "", 0.0, 0.0, False)


def compare(folder: Path) -> None:
    """Writes how many runs are lost, stand twice, or whether a bit differs."""
    tables = []
    for path in (folder / "killed", folder / "whole"):
        records, unreadable = store.read_trajectories(path)
        assert not unreadable
        runs = pd.read_parquet(path / store.RUNS).drop(columns="cost_s")
        tables.append((records, runs))
    (records, runs), (others, reference) = tables
    stored = [run for ids, _ in store.origins(folder / "killed") for run in ids]
    same = records.equals(others) and runs.equals(reference)
    found = {
        "lost": len(set(reference["run_id"]) - set(runs["run_id"])),
        "twice": len(stored) - len(set(stored)),
        "unequal": int(not same),
    }
    (folder / "compared").write_text(json.dumps(found))


AT_SCALE: dict[str, Callable[[Path], dict[str, Any]]] = {
    "simulate": simulate,
    "plan": stage_plan,
    "status": stage_status,
    "merge": stage_merge,
}
PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "scale": scale,
    "balance": balance,
    "ends": ends,
    "throughput": throughput,
    "kills": kills,
}


def main() -> None:
    if sys.argv[1:2] == ["--stage"]:
        run_stage(sys.argv[2], Path(sys.argv[3]))
        return
    names = sys.argv[1:] or list(PARTS)
    before = json.loads(RESULT.read_text())["found"] if RESULT.exists() else {}
    found = {k: v for k, v in before.items() if k not in names}
    print(json.dumps(found | {name: PARTS[name]() for name in names}))


if __name__ == "__main__":
    main()
