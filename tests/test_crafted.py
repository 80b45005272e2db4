"""Every command on result folders that are damaged or made to harm.

No traceback, no hang, no more than 2 GiB, no sequence that a terminal obeys, and
nothing outside the folder changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import CACHE, ROOT, mostly_slow
from crafted import CRAFTED, FOREIGN, foreign_files

from grokmap import plan, store
from grokmap.classify import CRITERIA
from grokmap.order_parameters import ORDER_PARAMETERS
from grokmap.result.labels import label_runs

REFERENCE = ROOT / "results/quickstart-reference"
FIGURE, TABLE = ("--format", "png"), ("--format", "csv")
READ = [
    ("status", "r"),
    ("status", "r", "--json"),
    ("verify", "r"),
    ("classify", "r"),
    ("show", "r", "alpha=0.2"),
    ("show", "r", "0"),
    ("show", "r", "alpha=0.2", "--reproduce"),
    ("curves", "r", *TABLE),
    ("phase-diagram", "r", *FIGURE),
    ("phase-diagram", "r", "--colour", "rqi", "--when", "t_mem", *TABLE),
    ("boundaries", "r"),
    ("surface", "r", "--over", "alpha,weight_decay", *TABLE),
    ("uncertainty", "r", *TABLE),
    ("order-parameters", "r", *TABLE),
    ("laws", "r", *TABLE),
    ("forecast", "r", *TABLE),
    ("early-stopping", "r", *TABLE),
    ("scaling", "r", *TABLE),
    ("transition", "r", *TABLE),
    ("hysteresis", "r", *TABLE),
    ("refine", "r", "--dry-run"),
    ("sweep", "r", "--dry-run"),
]
WRITE = [
    ("sweep", "r", "--time-budget", "0s"),
    # So coarse that no run is left to choose: nothing is compiled.
    ("refine", "r", "--precision", "9", "--time-budget", "0s"),
    ("sweep", "r", "--time-budget", "0s", "-s", "max_steps=7000", "--extend"),
    ("verify", "r"),
]
KEPT = ("rqi", "gini")
# Of commands that read, and of those that may have to compile a program.
CPU_SECONDS, COMPILE_SECONDS, MIB = 10, 60, 2048
# Beside results: 75 stopped by the time budget, 4 another sweep, 1 of `verify` only.
CODES = {0, 2, 4, 75}
FEW = ("ends are a link", "step -1")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small part of the reference result, as a folder of its own."""
    path = tmp_path_factory.mktemp("sound") / "r"
    path.mkdir()
    sweep = store.read_spec(REFERENCE)
    axes = {"alpha": (0.0, 0.1, 0.2), "weight_decay": sweep.weight_decay[1::3]}
    there = plan.plan_runs(sweep.model_copy(update=axes))
    sweep = sweep.model_copy(update=axes | {"order_parameters": KEPT})
    planned = plan.plan_runs(sweep)
    table = plan.plan_table(planned, sweep)
    ids = table["run_id"].tolist()
    store.write_spec(path, sweep)
    store.write_plan(path, table)
    found, _ = store.read_trajectories(REFERENCE, None, [p.run.run_id for p in there])
    # Other order parameters, other ids: the same runs in the same order.
    place = {run.run.run_id: index for index, run in enumerate(there)}
    left = set(ORDER_PARAMETERS) - set(KEPT)
    columns = [n for n in found if n not in ("run_id", "step", *left)]
    ((_, made), *_) = store.origins(REFERENCE)
    store.write_batch(
        path,
        ids,
        found["run_id"].map(place).to_numpy(np.int64),
        found["step"].to_numpy(np.int64),
        columns,
        found[columns].to_numpy(np.float32),
        made.facts,
    )
    store.write_found(path, label_runs(path, CRITERIA["default"])[0])
    store.add_session(path, {"command": ["grokmap"]})
    return path


@pytest.fixture(scope="module")
def forks() -> Iterator[subprocess.Popen[str]]:
    """The process that runs commands."""
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": CACHE.name}
    environment |= {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, str(ROOT / "tests/forks.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        yield process
        assert process.stdin
        process.stdin.close()


def ask(process: Any, cwd: Path, arguments: tuple[str, ...]) -> dict[str, Any]:
    request = {"cwd": str(cwd), "arguments": arguments, "seconds": 120}
    print(json.dumps(request), file=process.stdin, flush=True)
    return dict(json.loads(process.stdout.readline()))


def surroundings(root: Path, but: Path) -> str:
    """A digest of everything below a folder but one: names, kinds, contents, times."""
    found = hashlib.blake2b()
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if Path(folder, name) != but)
        for name in (*names, *sorted(files)):
            path = Path(folder, name)
            facts = path.lstat()
            found.update(f"{path} {facts.st_mode} {facts.st_mtime_ns}".encode())
            if path.is_file() and not path.is_symlink():
                found.update(path.read_bytes())
    return found.hexdigest()


def foreign(out: Path, sound: Path) -> None:
    """The folder that nobody may touch."""
    out.mkdir()
    np.savez(out / "a.npz", a=np.arange(3))
    np.savez(out / "latest.npz", a=np.arange(3))
    pd.DataFrame({"a": [1]}).to_parquet(out / "t.parquet")
    shutil.copy(sound / "sweep.toml", out / "sweep.toml")
    for name in (".x.tmp", "note.txt"):
        (out / name).write_text("mine")
    assert {path.name for path in out.iterdir()} == set(FOREIGN)


def check(answer: dict[str, Any], what: Any) -> None:
    out, err, code = answer["out"], answer["err"], answer["code"]
    said = f"{what}: {code}\n{out[-2000:]}\n{err[-4000:]}"
    assert "Traceback" not in out + err, said
    assert code in CODES or (code == 1 and what[1][0] == "verify"), said
    assert all(c.isprintable() or c == "\n" for c in out + err), said
    assert "\ngrokmap: all is well" not in "\n" + out + err, said
    if code == 2:
        lines = err.strip().splitlines()
        assert lines and all(line.startswith("grokmap: ") for line in lines), said
    most = COMPILE_SECONDS if what[1][0] in ("sweep", "refine") else CPU_SECONDS
    assert answer["cpu_s"] < most, (answer["cpu_s"], said)
    assert answer["mib"] < MIB, (answer["mib"], said)


def met_by(name: str, commands: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The first commands for FEW; else every third one that reads, in turn, and all
    that write. Neighbours in the table are damaged alike, and meet the others."""
    if name in FEW:
        return commands[:4]
    return (
        commands[list(CRAFTED).index(name) % 3 :: 3] if commands is READ else commands
    )


@pytest.mark.parametrize("name", mostly_slow(CRAFTED, FEW))
def test_crafted_folders_harm_nothing(
    sound: Path, forks: Any, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out"
    foreign(out, sound)
    for place, commands in enumerate((READ, WRITE)):
        cwd = tmp_path / str(place)
        cwd.mkdir()
        shutil.copytree(sound, cwd / "r")
        CRAFTED[name](cwd / "r", out)
        before = surroundings(tmp_path, cwd / "r")
        for arguments in met_by(name, commands):
            check(ask(forks, cwd, arguments), (name, arguments))
            assert surroundings(tmp_path, cwd / "r") == before, (name, arguments)
        shutil.rmtree(cwd)


@pytest.mark.slow
def test_the_sound_folder_is_read_by_all_commands(
    sound: Path, forks: Any, tmp_path: Path
) -> None:
    shutil.copytree(sound, tmp_path / "r")
    codes = {arguments: ask(forks, tmp_path, arguments) for arguments in READ}
    said = {a: answer["err"] for a, answer in codes.items() if answer["code"] != 0}
    # Few runs, no axis that is a size, none that is ramped: nothing to do for these.
    few = {"laws", "forecast", "scaling", "transition", "hysteresis"}
    assert {arguments[0] for arguments in said} == few, said


def test_foreign_files_in_the_folder_stay(
    sound: Path, forks: Any, tmp_path: Path
) -> None:
    r = tmp_path / "r"
    shutil.copytree(sound, r)
    before = set(r.rglob("*"))
    foreign_files(r, tmp_path)
    new = [path for path in set(r.rglob("*")) - before if path.is_file()]
    mine = {path: path.read_bytes() for path in new}
    assert len(mine) == 5
    for arguments in WRITE:
        ask(forks, tmp_path, arguments)
    assert {path: path.read_bytes() for path in mine} == mine
