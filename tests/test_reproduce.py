"""`grokmap reproduce`: its choice, its verdicts, its trained runs, its table."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, TINY_SYSTEM, chunks_fail
from matplotlib.figure import Figure

from grokmap import store
from grokmap.cli import comparisons, reproduce
from grokmap.errors import ResultError, SpecError
from grokmap.models import ALPHA_CONVENTIONS
from grokmap.plan import read_sweep
from grokmap.reproduce import kumar, table
from grokmap.reproduce.budget import within
from grokmap.reproduce.finding import NUMBER, OWN, WORDS, Finding
from grokmap.reproduce.reproduction import Reproduction
from grokmap.reproduce.table import REPRODUCTIONS
from grokmap.reproduce.trained import Trained
from grokmap.session.lock import locked
from grokmap.spec import Sweep

TINY = f"""{TINY_SYSTEM}weight_decay = 1e-3
order_parameters = []
axes.seed = [0, 1]
"""


def finding(measured: str, holds: bool) -> Finding:
    return Finding("sum of 1/k^2", "pi^2/6", NUMBER, "1%", measured, "", holds)


def closed(trained: Mapping[str, Trained]) -> list[Finding]:
    """A closed form that needs no training."""
    total = sum(1 / k**2 for k in range(1, 1000))
    # numpy's bool, as comparisons give it
    holds = np.abs(total / (math.pi**2 / 6) - 1) < 0.01
    return [finding(f"{total:.4f}", holds)]


def steps(trained: Mapping[str, Trained]) -> list[Finding]:
    """Of the tiny sweep: what was trained, and a number that is wrong on purpose."""
    runs, trajectories = trained["tiny"][:2]
    last = trajectories.groupby("run_id")["step"].max()
    held = len(runs) == 2 and set(last.index) == set(runs["run_id"])
    return [
        Finding("last step", "60", OWN, "exact", f"{last.max()}", "", bool(held)),
        Finding("seeds", "3", WORDS, "exact", f"{len(runs)}", "", len(runs) == 3),
    ]


def broken(trained: Mapping[str, Trained]) -> list[Finding]:
    raise ZeroDivisionError("nothing to divide by")


def nothing(trained: Mapping[str, Trained]) -> list[Finding]:
    return []


def entry(compare: Any, cpu_s: float, **changes: Any) -> Reproduction:
    given = {"reference": "Basel, Fig. 1", "claim": "It is so.", "setting": "all k"}
    return Reproduction(**{**given, "compare": compare, "cpu_s": cpu_s, **changes})


def empty_figure(trained: Mapping[str, Trained]) -> Figure:
    return Figure()


DOUBLES = {
    "tiny-steps": entry(
        steps, 30, sweeps=("tiny",), explained="two seeds only", figure=empty_figure
    ),
    "closed-form": entry(closed, 2),
    "broken-form": entry(broken, 1),
    "large": entry(closed, 4000, gpu_s=20, gpu=True),
}


@pytest.fixture
def grokmap(command_line: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The command line with `DOUBLES` for a table."""
    sweeps = tmp_path / "sweeps"
    sweeps.mkdir()
    (sweeps / "tiny.toml").write_text(TINY)
    monkeypatch.setattr(reproduce, "SWEEPS", sweeps)
    monkeypatch.setattr(table, "REPRODUCTIONS", DOUBLES)
    return command_line


# ---- what is run


@pytest.mark.parametrize(
    ("budget", "chosen"),
    [
        (0, ""),
        (1, "a"),
        (2.9, "a"),
        (3, "ab"),
        (9, "ab"),
        (10, "abc"),
        (math.inf, "abcd"),
    ],
)
def test_the_cheapest_that_fit_together(budget: float, chosen: str) -> None:
    costs = {"d": 1e9, "b": 2.0, "c": 7.0, "a": 1.0}
    assert within(costs, budget) == (list(chosen), list("abcd"[len(chosen) :]))


def wanted(*names: str, every: bool = False, cost: str | None = None) -> Any:
    return reproduce.Wanted(names, every, cost, Path("x"))


def test_what_needs_a_gpu_waits_for_one_or_for_its_name() -> None:
    choice = reproduce.choose(wanted(every=True), DOUBLES, on_gpu=False)
    assert list(choice.costs) == ["broken-form", "closed-form", "tiny-steps"]
    assert "needs a GPU" in choice.left_out["large"]
    choice = reproduce.choose(wanted(every=True), DOUBLES, on_gpu=True)
    assert list(choice.costs) == ["broken-form", "closed-form", "large", "tiny-steps"]
    assert choice.costs["large"] == 20 and choice.left_out == {}
    choice = reproduce.choose(wanted("large", "large"), DOUBLES, on_gpu=False)
    assert choice == ({"large": 4000}, {})


def test_a_budget_names_what_it_leaves_out() -> None:
    choice = reproduce.choose(wanted(every=True, cost="0.5min"), DOUBLES, False)
    assert list(choice.costs) == ["broken-form", "closed-form"]
    assert choice.left_out["tiny-steps"] == "30s, beyond --max-cost"
    with pytest.raises(SpecError, match="left to run\ntiny-steps: 30s, beyond"):
        reproduce.choose(wanted("tiny-steps", cost="29s"), DOUBLES, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["closed-fom"], "no reproduction 'closed-fom'; did you mean 'closed-form'?"),
        (["closed-form", "--all"], "give one or the other"),
        (["--all", "--max-cost", "soon"], "--max-cost 'soon': not a time"),
        (["--all", "--time-budget", "soon"], "--time-budget 'soon'"),
        (["--max-cost", "3min"], "Give names or --all"),
    ],
)
def test_bad_usage_is_one_line_exit_2_nothing_written(
    grokmap: Any, arguments: list[str], message: str
) -> None:
    code, out, err = grokmap("reproduce", *arguments)
    assert code == 2 and out == "" and not Path("results").exists()
    assert message in err and len(err.strip().splitlines()) == 1


# ---- the list, and verdicts


def test_the_list_has_cost_and_last_verdict(grokmap: Any) -> None:
    code, out, _ = grokmap("reproduce")
    assert code == 0 and out.count("not run") == len(DOUBLES)
    assert "1h06m on two CPU cores, GPU: about 20s; needs a GPU" in out
    assert grokmap("reproduce", "closed-form", "--out", "mine")[0] == 0
    assert grokmap("reproduce")[1] == out
    assert "holds; 1 of 1 published" in grokmap("reproduce", "--out", "mine")[1]
    rows = json.loads(grokmap("reproduce", "--out", "mine", "--json")[1])
    by_name = {row["name"]: row for row in rows["reproductions"]}
    assert list(by_name) == list(DOUBLES) and by_name["tiny-steps"]["last"] is None
    assert by_name["closed-form"]["last"]["holds"] is True
    file = Path("mine/closed-form/comparison.json")
    file.write_text("{")
    code, out, _ = grokmap("reproduce", "--out", "mine")
    assert code == 0 and f"{file}: damaged" in out


def test_the_verdict_says_why_it_misses() -> None:
    both = [finding("1.64", True), finding("2", False)]
    lines = comparisons.verdict_text("basel", DOUBLES["tiny-steps"], both).splitlines()
    assert [line.split(" | ")[-1] for line in lines[-4:-1]] == [
        "verdict",
        "holds",
        "MISSED",
    ]
    assert lines[-1] == "  why it misses: two seeds only"
    assert len({line.index(" | ") for line in lines[-4:-1]}) == 1
    text = comparisons.verdict_text("basel", DOUBLES["closed-form"], both)
    assert text.endswith(f"why it misses: {comparisons.UNEXPLAINED}")
    page = comparisons.verdict_markdown("basel", DOUBLES["closed-form"], both[:1])
    assert "| pi^2/6 | number | 1% | 1.64 | holds |" in page and "misses" not in page
    counts = comparisons.totals({"a": both, "b": both[:1]})
    assert (counts["reproductions"], counts["reproductions_hold"]) == (2, 1)
    assert (counts["number"], counts["number_hold"]) == (3, 2)


def test_what_nobody_published_is_no_reproduction() -> None:
    own = [finding("1.64", True)._replace(source=OWN)]
    counts = comparisons.totals({"a": own})
    assert (counts["reproductions"], counts["number"], counts["own_hold"]) == (0, 0, 1)
    assert comparisons.verdict(own).startswith(
        "nothing published to compare with; 1 of"
    )
    missed = [finding("1.64", True), finding("2", False)._replace(source=OWN)]
    assert comparisons.verdict(missed) == (
        "holds; 1 of 1 published within tolerance; 0 of 1 recomputed or own within "
        "tolerance"
    )


def test_what_is_kept_reads_back(grokmap: Any) -> None:
    code, out, _ = grokmap("reproduce", "closed-form")
    assert code == 0
    assert out.splitlines()[-1] == (
        "1 of 1 reproductions hold, in all that their authors publish: 1 of 1 numbers "
        "and 0 of 0 statements within tolerance; beside them 0 of 0 values recomputed "
        "here and 0 of 0 of this package"
    )
    folder = Path("results/reproduce/closed-form")
    kept = store.read_comparison(folder)
    assert kept and kept["versions"]["jax"] and kept["seconds"]["training"] == 0
    assert kept["holds"] is True and kept["findings"][0]["measured"] == "1.6439"
    (row,) = pd.read_csv(folder / "comparison.csv").to_dict("records")
    assert row["measured"] == 1.6439 and row["holds"]
    assert "| 1.6439 | holds |" in (folder / "comparison.md").read_text()
    (folder / "comparison.json").write_text('{"findings": [{"quantity": "x"}]}')
    with pytest.raises(
        ResultError, match="no findings in it, or of an earlier version; the same"
    ):
        store.read_comparison(folder)


# ---- trained first, and going on


def trained_files() -> dict[Path, int]:
    found = Path("results/reproduce").rglob("trajectories/*.parquet")
    return {path: path.stat().st_mtime_ns for path in found}


def test_trains_once_and_goes_on_where_it_was(grokmap: Any) -> None:
    code, out, err = grokmap("reproduce", "tiny-steps", "--time-budget", "0s")
    assert code == 75 and "unfinished: tiny-steps" in out
    assert not Path("results/reproduce/tiny-steps/comparison.json").exists()
    code, out, err = grokmap("reproduce", "tiny-steps")
    assert code == 0 and "2/2 runs" in err and "about 30s" in err
    assert "why it misses: two seeds only" in out
    assert "0 of 1 reproductions hold, " in out
    assert "0 of 0 numbers and 0 of 1 statements" in out and "1 of 1 of this" in out
    assert Path("results/reproduce/tiny-steps/figures/tiny-steps.png").is_file()
    before = trained_files()
    assert before and grokmap("reproduce", "tiny-steps")[0] == 0
    assert trained_files() == before
    provenance = Path("results/reproduce/tiny-steps/tiny/provenance.json").read_text()
    sessions = json.loads(provenance)["sessions"]
    assert [session["runs_done"] for session in sessions] == [0, 2, 0]
    # It is a result folder as any other.
    assert grokmap("verify", "results/reproduce/tiny-steps/tiny")[0] == 0


def test_failed_runs_are_not_compared_and_done_next_time(
    grokmap: Any,
) -> None:
    with chunks_fail():
        code, out, err = grokmap("reproduce", "tiny-steps")
    assert code == 3 and "tiny-steps: " in err and "2 runs failed" in err
    assert "0 of 0 reproductions hold" in out and "unfinished: tiny-steps" in out
    assert grokmap("reproduce", "tiny-steps")[0] == 0


def test_an_error_in_one_does_not_stop_the_others(grokmap: Any) -> None:
    with locked(Path("results/reproduce/tiny-steps")):
        code, out, err = grokmap("reproduce", "--all", "--max-cost", "1min")
    assert code == 3 and "large: left out: needs a GPU" in err
    assert "broken-form: ZeroDivisionError: nothing to divide by" in err
    assert "tiny-steps: results/reproduce/tiny-steps: being written by" in err
    assert "1 of 1 reproductions hold" in out
    assert "unfinished: broken-form, tiny-steps" in out


def test_alone_an_error_keeps_its_exit_code(
    grokmap: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with locked(Path("results/reproduce/closed-form")):
        code, out, err = grokmap("reproduce", "closed-form")
    assert code == 5 and out == "" and "being written by" in err
    assert grokmap("reproduce", "broken-form")[0] == 3
    monkeypatch.setitem(DOUBLES, "closed-form", entry(nothing, 2))
    code, out, err = grokmap("reproduce", "closed-form")
    assert code == 2 and "the comparison has no finding" in err


def test_json_is_a_line_an_event(grokmap: Any) -> None:
    names = ("tiny-steps", "broken-form", "closed-form")
    code, out, _ = grokmap("reproduce", *names, "--json")
    events = [json.loads(line) for line in out.splitlines()]
    kinds = [e["event"] for e in events if e["event"] != "progress"]
    assert code == 3
    assert kinds == ["choice", "error", "reproduction", "reproduction", "result"]
    by_name = {e["name"]: e for e in events if "name" in e}
    assert by_name["broken-form"]["problems"][0].startswith("ZeroDivisionError")
    assert [f["holds"] for f in by_name["tiny-steps"]["findings"]] == [True, False]
    assert by_name["tiny-steps"]["explained"] == "two seeds only"
    assert events[-1] == {
        "event": "result",
        "reproductions": 2,
        "reproductions_hold": 1,
        "number": 1,
        "number_hold": 1,
        "words": 1,
        "words_hold": 0,
        "recomputed": 0,
        "recomputed_hold": 0,
        "own": 1,
        "own_hold": 1,
        "unfinished": ["broken-form"],
        "exit_code": 3,
    }


# ---- the table: to be listed is to be tested


def shipped(name: str) -> Sweep:
    path = ROOT / "grokmap/reproduce/sweeps" / f"{name}.toml"
    return read_sweep(path)


@pytest.mark.parametrize("name", REPRODUCTIONS)
def test_every_reproduction_is_whole(name: str) -> None:
    own = REPRODUCTIONS[name]
    assert "arXiv" in own.reference or "20" in own.reference
    assert own.claim.endswith(".") and own.setting and "\n" not in own.setting
    assert own.cpu_s > 0 and (own.gpu_s is None or own.gpu_s > 0)
    assert own.gpu_s is not None or not own.gpu
    for sweep in own.sweeps:
        assert shipped(sweep).name == sweep


def test_every_sweep_file_belongs_to_a_reproduction() -> None:
    files = (ROOT / "grokmap/reproduce/sweeps").glob("*.toml")
    listed = [sweep for own in REPRODUCTIONS.values() for sweep in own.sweeps]
    assert {file.stem for file in files} == set(listed)


@pytest.mark.parametrize("name", REPRODUCTIONS)
def test_a_kept_miss_is_explained(name: str) -> None:
    kept = store.read_comparison(ROOT / "results/reproduce" / name)
    if kept is not None:
        held = all(row["holds"] for row in kept["findings"])
        assert kept["holds"] == held
        assert held or REPRODUCTIONS[name].explained


# ---- Kumar et al., Fig. 2


def test_kumars_step_and_scale_are_theirs() -> None:
    # Theirs: f = s^2 W2 (W1 x)^2 / (2p N), step 100 / s^2 on the loss / s^2, a mean
    # over examples and classes, which is ours / p.
    sweep = shipped("kumar-modular")
    (p,), (width,), (rate,) = sweep.modulus, sweep.width, sweep.learning_rate
    for s, alpha in zip((0.5, 1, 1.5, 2), sweep.alpha, strict=True):
        scale = ALPHA_CONVENTIONS["output_scale"].scale(alpha, width, 3, 2 * p)
        assert scale.prefactor == pytest.approx(s**2 / (2 * p * width))
        assert scale.gd_step * rate * p == pytest.approx(100 / s**4)


def planted(**changes: Any) -> Mapping[str, Trained]:
    """Runs that agree with the paper, but for what is changed at s = 1."""
    rows, records = [], []
    for s in (0.5, 1.0, 1.5, 2.0):
        for seed in (0, 1):
            run = f"{s}-{seed}"
            values = {"t_mem": 20_000 * s**2, "t_grok": 25_000 * s**2, "norm": 3.0}
            values |= changes if s == 1 else {}
            norm = values.pop("norm")
            times = {k: v if s < 1.5 else None for k, v in values.items()}
            rows.append({"run_id": run, "modulus": 23, "alpha": s**2 / 46, **times})
            for step, size in ((0, 1.0), (50_000, norm), (60_000, 9.0)):
                late = step > 50_000 or s < 1.5
                records.append((run, step, 1.0 if late else 0.1, size))
    runs = pd.DataFrame(rows).astype({"t_mem": "Int64", "t_grok": "Int64"})
    columns = ["run_id", "step", "test_accuracy", "weight_norm"]
    return {kumar.SWEEP: Trained(runs, pd.DataFrame(records, columns=columns))}


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({}, []),
        ({"t_mem": 26_000}, [0]),
        ({"t_mem": 9_000}, [1]),
        ({"t_mem": 60_000, "t_grok": 61_000}, [1, 2]),
        ({"t_grok": None}, [2, 3]),
        ({"t_mem": 12_000, "t_grok": 15_000}, [3]),
        ({"norm": 1.9}, [5]),
    ],
)
def test_kumars_comparison_finds_what_is_wrong(
    changes: dict[str, Any], missed: list[int]
) -> None:
    found = kumar.compare(planted(**changes))
    assert [i for i, own in enumerate(found) if not own.holds] == missed


def test_kumars_late_grokking_is_missed_when_it_is_early() -> None:
    runs, records = planted()[kumar.SWEEP][:2]
    early = records.assign(test_accuracy=1.0)
    found = kumar.compare({kumar.SWEEP: Trained(runs, early)})
    assert [i for i, own in enumerate(found) if not own.holds] == [4]


def test_what_is_loaded_later_is_there() -> None:
    parts = [
        part for own in REPRODUCTIONS.values() for part in (own.compare, own.figure)
    ]
    named = [part.args for part in parts if isinstance(part, partial)]
    assert named
    for module, name in named:
        assert callable(getattr(import_module(f"grokmap.reproduce.{module}"), name))


def test_the_list_does_not_wait_for_jax() -> None:
    code = "import sys, grokmap.cli.comparisons; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
