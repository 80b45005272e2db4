"""The command line end to end, in one process but for signals and start-up time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import ROOT, TINY_SYSTEM, chunks_fail

from grokmap import store
from grokmap.cli import app, meter
from grokmap.errors import ResultError
from grokmap.session.lock import locked

TINY = f"""{TINY_SYSTEM}order_parameters = ["snr"]
[axes]
weight_decay = [1e-3, 1]
seed = "range:0:2:1"
"""


@pytest.fixture
def grokmap(command_line: Any) -> Any:
    """`command_line` beside tiny.toml."""
    Path("tiny.toml").write_text(TINY)
    return command_line


def files(path: Path) -> dict[str, float]:
    return {
        str(p.relative_to(path)): p.stat().st_mtime_ns
        for p in path.rglob("*.parquet")
        if "trajectories" in str(p)
    }


def test_from_toml_to_figures_and_again_without_new_work(grokmap: Any) -> None:
    code, out, err = grokmap("sweep", "tiny.toml")
    assert code == 0
    assert out.splitlines()[0] == "results/tiny: 4 of 4 runs"
    assert "run-steps/s" in err
    result = Path("results/tiny")
    runs = pd.read_parquet(result / "runs.parquet")
    assert len(runs) == 4 and runs["cost_s"].gt(0).all()
    assert {"phase", "t_grok", "decay_rate", "final_snr", "censored"} <= set(runs)
    trajectories = pd.read_parquet(result / "trajectories")
    assert set(trajectories["run_id"]) == set(runs["run_id"])
    resolved = tomllib.loads((result / "sweep.toml").read_text())
    assert resolved["momentum"] == 0.0 and resolved["axes"]["seed"] == [0, 1]
    session = json.loads((result / "provenance.json").read_text())["sessions"][0]
    assert session["exit_code"] == 0 and session["runs_done"] == 4
    assert session["versions"]["jax"] and session["device"]

    before = files(result)
    assert grokmap("sweep", "tiny.toml")[0] == 0
    assert files(result) == before

    # One axis alone is swept: lines against it, but no map of uncertainty.
    code, out, err = grokmap("phase-diagram", "results/tiny")
    assert code == 0 and "figures/phase-diagram-weight_decay.png" in out, err
    code, out, err = grokmap("uncertainty", "results/tiny")
    assert code == 2 and "needs two such axes" in err and out == ""

    # Growing an axis does only the new runs.
    code, _, _ = grokmap("sweep", "tiny.toml", "-s", "alpha=0,0.3")
    assert code == 0
    assert len(files(result)) == len(before) + 1
    assert before.items() <= files(result).items()

    code, out, _ = grokmap("phase-diagram", "results/tiny", "--format", "png,pdf,svg")
    assert code == 0
    assert out.split() == [
        f"results/tiny/figures/phase-diagram.{kind}" for kind in ("png", "pdf", "svg")
    ]
    assert all(Path(name).stat().st_size > 1000 for name in out.split())
    code, out, _ = grokmap("curves", "results/tiny", "--format", "png")
    assert code == 0 and Path(out.strip()).stat().st_size > 1000


def test_result_commands_agree(grokmap: Any) -> None:
    grokmap("sweep", "tiny.toml")
    runs = pd.read_parquet("results/tiny/runs.parquet")
    code, out, _ = grokmap("status", "results/tiny", "--json")
    status = json.loads(out)
    assert code == 0
    assert (status["planned"], status["done"], status["missing"]) == (4, 4, 0)
    assert sum(status[p] for p in ("no-learning", "memorize-only", "grok")) == 4
    # Phases add up to all runs; flags stand apart, so that they seem no phases.
    phases, _, flags = grokmap("status", "results/tiny")[1].partition("\n\n")
    counts = [int(line.split()[-1]) for line in phases.splitlines()[1:]]
    assert len(counts) == 3 and sum(counts) == 4
    assert runs["censored"].sum() == 4
    head, first, *_ = flags.splitlines()
    assert (head, first.split()) == ("  of these:", ["censored", "4"])
    run_id = runs["run_id"].iloc[0]
    shown = json.loads(grokmap("show", "results/tiny", run_id[:8], "--json")[1])
    assert shown["run_id"] == run_id and shown["n_steps"] == 60
    assert shown["phase"] == runs["phase"].iloc[0]
    lines = grokmap("show", "results/tiny", run_id)[1].splitlines()
    named = dict(line.split(maxsplit=1) for line in lines)
    assert named["run_id"] == run_id
    # Settings as a sweep file calls them, not as tables of earlier versions do.
    assert named["expensive_order_parameters_per_octave"] == "2"
    assert not any(key.startswith("dear") for key in (*named, *shown))
    code, out, _ = grokmap("classify", "results/tiny", "--criteria", "liu2022")
    assert code == 0 and "confusion" in out
    liu = pd.read_parquet("results/tiny/runs-liu2022.parquet")
    assert set(liu["phase"]) <= {
        "confusion",
        "memorization",
        "grokking",
        "comprehension",
    }
    Path("mine.toml").write_text("train_bar = 0.01\ntest_bar = 0.01\nsustained = false")
    out = grokmap("classify", "results/tiny", "--criteria", "mine.toml", "--json")[1]
    assert json.loads(out)["grok"] == 4


def test_dry_run_writes_nothing(grokmap: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = grokmap("sweep", "tiny.toml", "--dry-run")
    assert code == 0
    for word in ("weight_decay", "runs", "compiles", "output", "time"):
        assert word in out
    monkeypatch.setattr(meter, "SHARE", float("inf"))  # all, though it is short
    code, out, _ = grokmap("sweep", "tiny.toml", "--dry-run", "--json")
    plan = json.loads(out)
    assert plan["runs"] == 4 and plan["run_steps"] == 240 and plan["compiles"] == 1
    assert plan["seconds"] > 0 and plan["bytes"] > 0
    assert (plan["measured"], plan["modelled"], plan["unknown"]) == (1, 0, [])
    assert set(plan["shares_alone"]) == {"snr"} and plan["order_parameters"] == 1
    assert 0 < plan["shares"]["order_parameters"] < 1
    assert sorted(os.listdir()) == ["tiny.toml"]


def test_json_events_are_json(grokmap: Any) -> None:
    code, out, _ = grokmap("sweep", "tiny.toml", "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and events[-1]["event"] == "result"
    assert events[-1]["planned"] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep", "none.toml"], "none.toml: cannot be read"),
        (["sweep", "."], "a folder"),
        (["sweep", "tiny.toml", "-s", "widht=3"], "did you mean 'width'"),
        (["sweep", "tiny.toml", "-s", "width=0"], "at least 1"),
        (["sweep", "tiny.toml", "-s", "width"], "write -s key=value"),
        (["sweep", "tiny.toml", "-s", "beta1=0.1,0.2"], "ignored by optimizer"),
        (
            ["sweep", "tiny.toml", "--time-budget", "soon"],
            "90s, 45m, 1h30m, 2d or 1:30:00",
        ),
        (["order-parameters", "x"], "no such folder"),
        (["curves", "x", "--format", "jpg"], "png, pdf, svg"),
        (["sweep", "tiny.toml", "--out", "tiny.toml"], "no sweep result"),
        (["sweep", "tiny.toml", "--out", "."], "no sweep result"),
        (["status", "none"], "no such folder"),
        (["phase-diagram", "."], "not the result of a sweep"),
        (["curves", "tiny.toml"], "a file"),
        (["classify", "none", "--criteria", "liu"], "unknown criteria"),
        (["show", "none", "abc"], "no such folder"),
    ],
)
def test_bad_usage_is_one_line_exit_2_nothing_written(
    grokmap: Any, arguments: list[str], message: str
) -> None:
    code, out, err = grokmap(*arguments)
    assert code == 2 and out == ""
    assert message in err and len(err.strip().splitlines()) == 1
    assert os.listdir() == ["tiny.toml"]


def test_several_problems_are_several_lines(grokmap: Any) -> None:
    changes = ["-s", "width=0", "-s", "alpha=1:0:3", "-s", "task=add", "-s", "x=1"]
    code, _, err = grokmap("sweep", "tiny.toml", *changes)
    assert code == 2 and len(err.strip().splitlines()) == 4


def test_another_sweep_is_refused_with_the_difference(grokmap: Any) -> None:
    grokmap("sweep", "tiny.toml")
    code, out, err = grokmap("sweep", "tiny.toml", "-s", "activation=relu")
    assert code == 4 and out == ""
    assert "activation was quadratic, now relu" in err
    code, _, err = grokmap("sweep", "tiny.toml", "-s", "seed=1,2")
    assert code == 4 and "seed had 0" in err


def test_a_locked_folder_is_refused(grokmap: Any) -> None:
    with locked(Path("results/tiny")):
        code, _, err = grokmap("sweep", "tiny.toml")
    assert code == 5 and f"process {os.getpid()}" in err


def test_failed_runs_are_reported_and_done_next_time(
    grokmap: Any,
) -> None:
    with chunks_fail():
        code, out, err = grokmap("sweep", "tiny.toml")
    assert code == 3 and "out of luck" in err and "0 of 4 runs" in out
    assert grokmap("sweep", "tiny.toml")[0] == 0


def test_a_full_disk_ends_the_sweep_and_the_next_one_does_the_rest(
    grokmap: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(path: Path, *batch: Any) -> None:
        raise ResultError(f"{path}: cannot be written: No space left on device")

    with monkeypatch.context() as full:
        full.setattr(store.trajectories, "write_batch", fails)
        code, out, err = grokmap("sweep", "tiny.toml")
    assert code == 2 and out == "" and "No space left" in err
    assert "Traceback" not in err
    assert grokmap("status", "results/tiny", "--json")[0] == 0
    assert grokmap("sweep", "tiny.toml")[1].startswith("results/tiny: 4 of 4 runs")


def test_time_budget_stops_in_good_order(grokmap: Any) -> None:
    code, out, err = grokmap("sweep", "tiny.toml", "--time-budget", "0s")
    assert code == 75 and "0 of 4 runs" in out
    assert grokmap("status", "results/tiny")[0] == 0
    assert grokmap("sweep", "tiny.toml")[0] == 0


def test_doctor_and_schema(grokmap: Any) -> None:
    code, out, _ = grokmap("doctor")
    assert code == 0 and "jaxlib" in out and "device" in out
    assert json.loads(grokmap("doctor", "--json")[1])["versions"]["jax"]
    assert json.loads(grokmap("schema")[1])["properties"]["alpha"]


def test_doctor_warns_of_known_bad_combinations() -> None:
    from grokmap.cli.doctor import warnings

    facts = {"versions": {"jaxlib": "0.10.2"}, "backend": "gpu", "flags": {}}
    assert "scatter-add" in warnings(facts)[0]
    assert warnings({**facts, "backend": "cpu"}) == []


def test_every_command_has_help() -> None:
    names = [c.name or c.callback.__name__ for c in app.registered_commands]
    assert len(names) >= 10
    for command in app.registered_commands:
        assert command.callback.__doc__


def test_help_does_not_load_jax() -> None:
    code = (
        "import sys; from grokmap.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('jax', 'pandas', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_smoke_sweep_has_all_three_phases(
    grokmap: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = "order_parameters=rqi,snr"
    out = grokmap("sweep", str(ROOT / "sweeps/smoke.toml"), "-s", few, "--json")[1]
    result = json.loads(out.splitlines()[-1])
    assert result["grok"] == result["memorize-only"] == result["no-learning"] == 2
    runs = pd.read_parquet("results/smoke/runs.parquet")
    _check_order_parameters(grokmap)
    assert runs.loc[runs["phase"] == "memorize-only", "censored"].all()
    assert not runs.loc[runs["phase"] != "memorize-only", "censored"].any()


def _check_order_parameters(grokmap: Any) -> None:
    """Of the smoke sweep: the table, the figures, and what is undefined."""
    code, out, _ = grokmap("order-parameters", "results/smoke", "--format", "png")
    assert code == 0 and "rqi" in out and "AUC" in out
    for file in ("order-parameters.parquet", "figures/order-parameters.png"):
        assert f"results/smoke/{file}" in out and Path("results/smoke", file).is_file()
    table = json.loads(grokmap("order-parameters", "results/smoke", "--json")[1])
    rows = {row["quantity"]: row for row in table["quantities"]}
    assert rows["rqi"]["n_runs"] == 2 and rows["rqi"]["auc"] == 1
    assert "teacher_overlap" not in rows
    code, _, err = grokmap(
        "phase-diagram", "results/smoke", "--colour", "teacher_overlap"
    )
    assert code == 2 and "was not recorded" in err


def test_an_automatic_learning_rate_is_chosen_once_and_kept(
    grokmap: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    auto = ("sweep", "tiny.toml", "-s", "learning_rate=auto")
    code, _, err = grokmap(*auto)
    assert code == 0
    spec = tomllib.loads(Path("results/tiny/sweep.toml").read_text())
    assert spec["learning_rate_choice"] == "auto"
    assert f'learning_rate = "auto": {spec["learning_rate"]:g}' in err
    runs = pd.read_parquet("results/tiny/runs.parquet")
    assert set(runs["learning_rate"]) == {spec["learning_rate"]}

    # Again, and with an axis grown: the number of the folder, whatever is found now.
    monkeypatch.setattr(
        "grokmap.session.folder.choose_learning_rate", lambda sweep: 1.0
    )
    assert grokmap(*auto)[0] == 0
    assert tomllib.loads(Path("results/tiny/sweep.toml").read_text()) == spec
    # A given number is another sweep.
    assert grokmap("sweep", "tiny.toml")[0] == 4
    # How it was chosen is known afterwards.
    made = json.loads(Path("results/tiny/provenance.json").read_text())
    chosen = made["sessions"][0]["learning_rate"]
    assert chosen["auto"] == spec["learning_rate"] and "curvature" in chosen["rule"]
    several = ("-s", "optimizer=gd,adamw", "--out", "results/other")
    code, _, err = grokmap(*auto, *several)
    assert code == 2 and "needs its own" in err


def test_an_impossible_figure_is_refused_before_any_work(grokmap: Any) -> None:
    result = str(ROOT / "results/quickstart-reference")
    for out, message in ((".", "a folder"), ("n" * 300, "too long")):
        for command in ("laws", "forecast", "uncertainty", "early-stopping"):
            code, printed, err = grokmap(command, result, "--json", "--out", out)
            assert code == 2 and not printed and message in err
    assert [path.name for path in Path().iterdir()] == ["tiny.toml"]


def test_nothing_finished_is_said_once(grokmap: Any) -> None:
    assert grokmap("sweep", "tiny.toml", "--time-budget", "0s")[0] == 75
    for command in ("early-stopping", "forecast", "boundaries"):
        code, _, err = grokmap(command, "results/tiny")
        assert code == 2 and err.count("results/tiny") == 1, err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--colour", "rqy"], "did you mean 'rqi'"),
        (["--colour", "rqi", "--when", "now"], "known: final, t_mem"),
        (["--at", "depth=2"], "depth"),
        (["--x", "widht"], "alpha"),
    ],
)
def test_what_a_result_does_not_have_is_one_line(
    grokmap: Any, options: list[str], message: str
) -> None:
    result = str(ROOT / "results/quickstart-reference")
    code, out, err = grokmap("phase-diagram", result, "--out", "x", *options)
    assert code == 2 and out == ""
    assert message in err and len(err.strip().splitlines()) == 1
    assert os.listdir() == ["tiny.toml"]
