"""The library does what the command line does, in a program with habits of its own."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import grokmap
from grokmap import store
from grokmap.cli import main
from grokmap.errors import OtherSweepError, ResultError, SpecError
from grokmap.session.counts import Counts

SPEC = {
    "name": "small",
    "task": "modular_addition",
    "modulus": 7,
    "width": 16,
    "train_fraction": 0.6,
    "learning_rate": 0.05,
    "n_steps": 300,
    "order_parameters": [],
    "axes": {"alpha": [0.0, 0.2], "weight_decay": "log:1e-3:1e-1:3"},
}
TEXT = """
name = "small"
task = "modular_addition"
modulus = 7
width = 16
train_fraction = 0.6
learning_rate = 0.05
n_steps = 300
order_parameters = []
[axes]
alpha = [0.0, 0.2]
weight_decay = "log:1e-3:1e-1:3"
"""


def silent(counts: Counts) -> None:
    """Shows nothing."""


def command_line(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("library")


@pytest.fixture(scope="module")
def result(folder: Path) -> Any:
    return grokmap.sweep(SPEC, out=folder / "dict", on_progress=silent)


def same_records(one: Path, other: Path) -> None:
    tables = [store.read_trajectories(path)[0] for path in (one, other)]
    assert len(tables[0]) > 0
    pd.testing.assert_frame_equal(*tables, check_exact=True)


@pytest.mark.parametrize("form", ["text", "path", "folder", "command line"])
def test_every_form_of_a_sweep_trains_the_same_runs(
    result: Any, folder: Path, form: str
) -> None:
    file, out = folder / "small.toml", folder / form
    file.write_text(TEXT)
    if form == "command line":
        assert command_line("sweep", str(file), "--out", str(out)) == 0
    elif form == "folder":
        # One run first; then the rest, by the folder's own spec and a larger axis.
        grokmap.sweep(file, {"alpha": 0.0}, out=out, on_progress=silent)
        grokmap.sweep(out, {"alpha": [0.0, 0.2]}, on_progress=silent)
    else:
        spec = TEXT if form == "text" else file
        grokmap.sweep(spec, out=out, on_progress=silent)
    same_records(result.path, out)


@pytest.mark.slow
def test_a_program_keeps_its_settings_of_jax_and_they_change_no_run(
    result: Any, folder: Path
) -> None:
    code = """
import json, sys, jax, jax.numpy as jnp
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_default_prng_impl", "rbg")
jnp.ones(3).sum()
import grokmap
result = grokmap.sweep(json.loads(sys.argv[1]), out=sys.argv[2])
assert jax.config.jax_enable_x64 and jax.config.jax_default_prng_impl == "rbg"
print(len(result.runs))
"""
    out = folder / "program"
    arguments = [sys.executable, "-c", code, json.dumps(SPEC), str(out)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "6\n"
    assert "6/6 runs" in done.stderr  # progress, as on the command line
    same_records(result.path, out)


def test_progress_is_told_to_a_function_until_all_is_done(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    grokmap.sweep(
        SPEC,
        {"seed": [3, 4]},
        out=folder / "told",
        on_progress=lambda counts: seen.append((counts.runs_done, counts.total)),
    )
    assert seen[-1] == (12, 12)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_thread_may_sweep(result: Any, folder: Path) -> None:
    """Signals are the main thread's, so that a sweep elsewhere does without."""
    out = folder / "thread"
    work = threading.Thread(
        target=grokmap.sweep, args=(SPEC,), kwargs={"out": out, "on_progress": silent}
    )
    work.start()
    work.join()
    same_records(result.path, out)


def test_a_result_is_its_tables(result: Any) -> None:
    axes = {axis.name: (axis.values, axis.kind) for axis in result.axes}
    assert axes == {
        "alpha": ((0.0, 0.2), "linear"),
        "weight_decay": ((0.001, 0.01, 0.1), "log"),
    }
    runs, again = result.runs, grokmap.open(str(result.path)).runs
    pd.testing.assert_frame_equal(runs, again)
    assert len(runs) == len(result.plan) == 6
    nearest = result.nearest(alpha=0.19, weight_decay=0.02)
    assert (nearest["alpha"], nearest["weight_decay"]) == (0.2, 0.01)
    records = result.records(["train_loss"], [nearest["run_id"]])
    assert records.columns.tolist() == ["run_id", "step", "train_loss"]
    assert records["step"].iloc[-1] == 300
    last = runs.set_index("run_id")["final_train_loss"][nearest["run_id"]]
    assert records["train_loss"].iloc[-1] == last
    assert result.find(nearest["run_id"][:9]) == nearest["run_id"]
    assert repr(result).endswith("alpha (2), weight_decay (3))")


def test_methods_give_what_the_commands_write(result: Any, folder: Path) -> None:
    out = folder / "edges"
    assert command_line("boundaries", str(result.path), "--out", str(out)) == 0
    written = pd.read_parquet(f"{out}-boundaries.parquet")
    table = result.boundaries()
    pd.testing.assert_frame_equal(table, written, check_dtype=False)
    figure = result.phase_diagram()
    assert figure.axes[0].get_xlabel() and figure.axes[0].get_ylabel()


def test_mistakes_are_errors_of_grokmap(result: Any, folder: Path) -> None:
    with pytest.raises(SpecError, match="unknown key 'widht'"):
        grokmap.sweep(SPEC | {"widht": 3}, out=folder / "no")
    with pytest.raises(SpecError, match="did you mean 'quickstart'"):
        grokmap.sweep("quickstrat")
    with pytest.raises(OtherSweepError, match="n_steps was 300, now 200"):
        grokmap.sweep(SPEC, {"n_steps": 200}, out=result.path)
    with pytest.raises(ResultError, match="no such folder"):
        grokmap.open(folder / "none")
    with pytest.raises(SpecError, match="'width' is not swept; swept: alpha"):
        result.axis("width")
    with pytest.raises(SpecError, match="no axis 'beta1'"):
        result.nearest(beta1=0.5)
    assert not (folder / "no").exists()


def test_a_folder_without_its_trajectories_says_how_to_have_them(
    result: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = folder / "labels only"
    shutil.copytree(result.path, bare)
    shutil.rmtree(bare / "trajectories")
    with pytest.raises(ResultError, match="6 rows of runs.parquet") as refused:
        grokmap.open(bare).boundaries()
    _, *words = shlex.split(str(refused.value).rpartition(": ")[2])
    assert command_line(*words, "--dry-run") == 0
    assert "6 to do" in capsys.readouterr().out
    (bare / "runs.parquet").unlink()
    with pytest.raises(ResultError, match="no finished run in it yet"):
        grokmap.open(bare).boundaries()
