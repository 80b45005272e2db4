"""The page of a report: what it holds equals the tables, and no name breaks out."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import report_pages
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from report_pages import Elements, Read

import grokmap
from grokmap import report, store
from grokmap.classify import FLAGS
from grokmap.errors import ResultError, SpecError
from grokmap.order_parameters import ORDER_PARAMETERS
from grokmap.plan import plan_runs, read_sweep
from grokmap.plot.names import AXES
from grokmap.report import curves as kept_curves
from grokmap.report import words
from grokmap.report.packing import differences, long, pack, short
from grokmap.report.runs import NOT_DONE, SHOWN_FLAGS
from grokmap.report.thinning import kept
from grokmap.result import surface
from grokmap.result.result import Result

QUICK, WIDTHS = ROOT / "results/quickstart-reference", ROOT / "results/widths"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("report") / "report.html"
    return grokmap.open(QUICK).report(file).read_text("utf-8")


@pytest.fixture(scope="module")
def read(page: str) -> Read:
    return report_pages.read(page)[0]


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return grokmap.open(QUICK).runs.set_index("run_id")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A copy of two files of the reference, so that most of its runs are not done."""
    path = tmp_path / "small"
    shutil.copytree(QUICK, path, ignore=shutil.ignore_patterns("figures", "t*s"))
    (path / store.TRAJECTORIES).mkdir()
    for file in sorted((QUICK / store.TRAJECTORIES).iterdir())[:2]:
        shutil.copy(file, path / store.TRAJECTORIES)
    return path


def test_labels_and_times_are_those_of_the_table(
    read: Read, runs: pd.DataFrame
) -> None:
    mine = runs.loc[read.ids]
    names = [phase["name"] for phase in read.facts["phases"]]
    assert [names[k] for k in read.table["phase"]] == mine["phase"].tolist()
    assert len(set(mine["phase"])) == 3
    for name in ("t_mem", "t_grok", "n_steps", "budget_steps"):
        wanted = mine[name].astype(float).fillna(-1)
        assert read.table[name].tolist() == wanted.tolist()
    for k, flag in enumerate(SHOWN_FLAGS):
        assert (read.table["flags"] >> k & 1 == mine[flag].astype(int)).all(), flag
    assert read.facts["flags"][: len(FLAGS)] == list(FLAGS)
    assert read.facts["counts"] == mine["phase"].value_counts().to_dict()


def test_places_and_final_values_are_those_of_the_table(
    read: Read, runs: pd.DataFrame
) -> None:
    mine = runs.loc[read.ids]
    for axis in read.facts["axes"]:
        values = [axis["values"][k] for k in read.table[f"axis:{axis['name']}"]]
        assert values == mine[axis["name"]].tolist()
    assert read.table["decay_rate"].tolist() == mine["decay_rate"].tolist()
    for name in ("rqi", "test_loss", "weight_norm"):
        np.testing.assert_array_equal(
            read.table[f"final:{name}"], mine[f"final_{name}"].to_numpy(np.float32)
        )


def test_curves_are_records_of_the_run(read: Read, runs: pd.DataFrame) -> None:
    known = grokmap.open(QUICK).records().set_index(["run_id", "step"])
    for i in (3, 40, 77):
        for name in ("train_accuracy", "test_loss", "rqi", "sharpness"):
            steps, values = read.curve(name, i)
            wanted = known.loc[read.ids[i], name].loc[steps].to_numpy()
            np.testing.assert_allclose(values, wanted, rtol=2**-12)
            assert len(steps) > 10


def test_thinned_curves_keep_ends_and_crossings(read: Read, runs: pd.DataFrame) -> None:
    known = grokmap.open(QUICK).records(["test_accuracy"])
    assert read.facts["curves"]["kept"] < 0.5 * read.facts["curves"]["records"]
    assert read.facts["curves"]["records"] == len(known)
    steps_of = dict(list(known.groupby("run_id")["step"]))
    checked = 0
    for i, run in enumerate(read.ids):
        steps = set(read.curve("test_accuracy", i)[0])
        recorded = steps_of[run].tolist()
        assert {recorded[0], recorded[-1]} <= steps
        for t in runs.loc[run, ["t_mem", "t_grok"]].dropna():
            at = recorded.index(int(t))
            assert {recorded[at], recorded[at - 1]} <= steps
            checked += 1
    assert checked > 100


def test_crowded_curves_fit_into_the_budget(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, read: Read
) -> None:
    monkeypatch.setattr(kept_curves, "BUDGET", 60_000)
    file = grokmap.open(QUICK).report(tmp_path / "page.html")
    (thin,) = report_pages.read(file.read_text("utf-8"))
    said, before = thin.facts["curves"], read.facts["curves"]
    assert len(Elements(file.read_text("utf-8")).texts["curves-0"]) <= 80_000
    assert said["rate"] < 4 and said["kept"] < before["kept"] / 3
    assert {"rqi", "snr"} <= set(sum(said["groups"], []))
    assert "gini" not in sum(said["groups"], [])
    # Labels, times and final values are not thinned.
    assert thin.table["t_grok"].tolist() == read.table["t_grok"].tolist()
    assert "final:gini" in thin.table


def test_chosen_curves(small: Path, tmp_path: Path) -> None:
    result = Result(small)
    (only,) = report_pages.read(
        report.write([result], tmp_path / "page.html", show=["gini"]).read_text("utf-8")
    )
    names = set(sum(only.facts["curves"]["groups"], []))
    assert "gini" in names and "rqi" not in names
    with pytest.raises(SpecError, match="--show 'ginni'.*gini"):
        report.write([result], tmp_path / "page.html", show=["ginni"])


def test_edges_are_those_of_boundaries(read: Read) -> None:
    wanted = grokmap.open(QUICK).boundaries(budget=False)
    mine = [e for e in read.facts["edges"] if (e["x"], e["y"]) == EDGES]
    assert [e["row"] for e in mine] == wanted["alpha"].tolist()
    assert [e["edge"] for e in mine] == wanted["edge"].tolist()
    for name in ("estimate", "low", "high"):
        found = np.array([e[name] for e in mine], float)
        np.testing.assert_array_equal(found, wanted[name].to_numpy(float))
    assert list(EDGES) in read.facts["fitted"]
    assert np.isfinite(wanted["estimate"]).sum() >= 4


def test_planes_over_several_axes_are_those_of_the_model(tmp_path: Path) -> None:
    result, over = Result(WIDTHS), ("alpha", "weight_decay", "width")
    file = result.report(tmp_path / "page.html", over=over)
    (page,) = report_pages.read(file.read_text("utf-8"))
    facts = page.facts["surface"]
    assert [facts[k]["name"] for k in "xy"] == ["weight_decay", "alpha"]
    assert [axis["values"] for axis in facts["rest"]] == [[64, 128, 256]]
    found = page.surface["sure"].reshape(3, 33, 49) * facts["step"]
    model = surface.model_of(result, over)
    points = model.cube.points(
        pd.DataFrame({"alpha": [0.2], "weight_decay": [0.05], "width": [128]})
    )
    wanted = model.process.mean(points) / np.sqrt(model.process.variance(points))
    x, y = (np.array(facts[k]["values"]) for k in "xy")
    across = [np.interp(np.log(0.05), np.log(x), row) for row in found[1]]
    assert np.interp(0.2, y, across) == pytest.approx(wanted[0], abs=0.1)
    assert facts["bands"] == list(result_bands(model))


def result_bands(model: surface.Model) -> tuple[float, float]:
    return surface.edges_of(model, 0.1).bands


def test_edges_of_a_page_are_over_all_swept_axes(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    for over, said in (
        (("alpha", "weight_decay"), "width is swept too.*width,alpha,weight_decay"),
        (("alpha", "weight_decy", "width"), "'weight_decy' is no swept axis"),
    ):
        with pytest.raises(SpecError, match=said):
            Result(WIDTHS).report(out, over=over)
    assert not out.exists()


EDGES = ("weight_decay", "alpha")


def commands(read: Read) -> list[str]:
    """As the page's script puts them together."""
    frame, found = read.facts["command"], []
    for i, run in enumerate(read.ids):
        words = [frame["head"]]
        for axis in read.facts["axes"]:
            words.append(axis["settings"][read.table[f"axis:{axis['name']}"][i]])
        words.append(f"--tile {read.table['tile'][i]}")
        found.append(" ".join([*words, frame["tail"].replace(frame["run"], run)]))
    return found


def test_commands_make_the_same_runs(read: Read, command_line: Any) -> None:
    for i in (0, 71, 139):
        line = commands(read)[i]
        code, out, _ = command_line("show", str(QUICK), read.ids[i], "--reproduce")
        assert code == 0 and out.strip() == line
        words = shlex.split(line)
        sets = [words[k + 1] for k, word in enumerate(words) if word == "-s"]
        (planned,) = plan_runs(read_sweep(QUICK, sets))
        assert planned.run.run_id == read.ids[i]


def test_the_same_result_gives_the_same_page(page: str, tmp_path: Path) -> None:
    again = grokmap.open(QUICK).report(tmp_path / "again.html").read_text("utf-8")
    assert again == page
    assert len(page.encode()) < 500_000


def test_the_page_needs_nothing_else(page: str) -> None:
    elements = Elements(page)
    loads = ("src", "href", "srcset", "data", "action")
    assert not [a for _, attrs in elements.tags for a in attrs if a in loads]
    rules = next(a["content"] for _, a in elements.tags if "http-equiv" in a)
    assert rules and rules.startswith("default-src 'none'")
    for name in ("script", "style"):
        text = elements.texts[name].encode()
        digest = base64.b64encode(hashlib.sha256(text).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in rules
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval", page
    )


NASTY = ("a<", "script><img src=x onerror=alert(1)>'\"&amp;{{script}} --")


def test_names_cannot_break_out(small: Path, tmp_path: Path, page: str) -> None:
    path = tmp_path / NASTY[0] / NASTY[1]
    path.parent.mkdir()
    small.rename(path)
    text = report.write([Result(path)], tmp_path / "page.html").read_text("utf-8")
    elements, clean = Elements(text), Elements(page)
    assert [tag for tag, _ in elements.tags] == [tag for tag, _ in clean.tags]
    assert "<" not in elements.texts["facts"]
    (found,) = report_pages.read(text)
    assert found.facts["path"] == str(path)
    assert str(path) in shlex.split(found.facts["command"]["head"])


def test_runs_that_are_not_done_are_there(small: Path, tmp_path: Path) -> None:
    text = Result(small).report(tmp_path / "page.html").read_text("utf-8")
    (found,) = report_pages.read(text)
    done = found.table["phase"] != NOT_DONE
    assert found.facts["planned"] == 140 and 0 < found.facts["done"] < 140
    assert done.sum() == found.facts["done"]
    assert (found.table["t_mem"][~done] == -1).all()
    assert f"{done.sum()} of 140 runs done" in text


def test_a_result_without_trajectories_shows_its_labels(tmp_path: Path) -> None:
    path = ROOT / "results/adamw"
    (found,) = report_pages.read(
        Result(path).report(tmp_path / "page.html").read_text("utf-8")
    )
    table = pd.read_parquet(path / store.RUNS).set_index("run_id").loc[found.ids]
    names = [phase["name"] for phase in found.facts["phases"]]
    assert [names[k] for k in found.table["phase"]] == table["phase"].tolist()
    assert found.facts["curves"] is None


def test_nothing_is_done_yet(small: Path, tmp_path: Path) -> None:
    shutil.rmtree(small / store.TRAJECTORIES)
    (small / store.RUNS).unlink()
    text = Result(small).report(tmp_path / "page.html").read_text("utf-8")
    (found,) = report_pages.read(text)
    assert found.facts["done"] == 0 and set(found.table["phase"]) == {NOT_DONE}


def test_only_the_page_is_written(
    small: Path, tmp_path: Path, command_line: Any
) -> None:
    def files() -> dict[str, int]:
        return {
            str(file): file.stat().st_mtime_ns
            for file in tmp_path.rglob("*")
            if file.is_file()
        }

    before = files()
    code, out, err = command_line("report", str(small), "--out", "seen/page.html")
    assert (code, out, err) == (0, "seen/page.html\n", "")
    after = files()
    assert after.pop(str(tmp_path / "seen/page.html"))
    assert after == before
    code, out, err = command_line("report", str(small), "--out", "seen")
    assert (code, out) == (2, "") and "name a file" in err
    code, _, err = command_line("report", "nowhere", "--out", "p.html")
    assert code == 2 and "no such folder" in err and not Path("p.html").exists()


def test_several_results_stand_in_their_order(
    small: Path, tmp_path: Path, command_line: Any
) -> None:
    code, _, _ = command_line("report", str(QUICK), str(small), "-o", "two.html")
    one, two = report_pages.read(Path("two.html").read_text("utf-8"))
    assert code == 0
    assert (one.facts["path"], two.facts["path"]) == (str(QUICK), str(small))
    assert one.facts["done"] == 140 > two.facts["done"]


def test_live_writes_again_until_it_is_interrupted(
    small: Path, tmp_path: Path, command_line: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def sleep(seconds: float) -> None:
        text = Path("page.html").read_text("utf-8")
        seen.append(json.loads(Elements(text).texts["facts"])["live"])
        if len(seen) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    words = ("report", str(small), "-o", "page.html", "--live", "--every", "7s")
    code, out, err = command_line(*words)
    assert (code, out, seen) == (130, "page.html\n", [7.0, 7.0])
    assert "of 140 runs done; again in 7" in err
    text = Path("page.html").read_text("utf-8")
    assert json.loads(Elements(text).texts["facts"])["live"] is None


def test_live_ends_once_all_is_done(
    tmp_path: Path, command_line: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("waits"))
    code, _, err = command_line("report", str(QUICK), "-o", "page.html", "--live")
    assert (code, err) == (0, "") and Path("page.html").is_file()
    code, _, err = command_line("report", str(QUICK), "--live", "--every", "0s")
    assert code == 2 and "--every 0s" in err


def test_no_result_and_no_folder_for_the_page(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="name one result"):
        report.write([], tmp_path / "page.html")
    with pytest.raises(ResultError, match="a folder"):
        report.write([Result(QUICK)], tmp_path)


FLOATS = st.floats(width=32)


@given(st.lists(FLOATS, min_size=1))
def test_short_floats_keep_twelve_digits(values: list[float]) -> None:
    given = np.array(values, np.float32)
    codes = short(given)
    found = long(codes)
    finite = np.isfinite(given) & (np.abs(given) < 3e38)
    tiny = np.abs(given) < 1.2e-38  # below which a float32 has fewer digits itself
    error = np.abs(found[finite & ~tiny] - given[finite & ~tiny])
    assert (error <= 2**-12 * np.abs(given[finite & ~tiny])).all()
    assert (np.isnan(found) == np.isnan(given)).all()
    assert (found[np.isinf(given)] == given[np.isinf(given)]).all()
    order = np.argsort(given[finite], kind="stable")
    assert (np.diff(codes[finite][order]) >= 0).all()


@given(st.lists(st.integers(-(2**40), 2**40)), st.lists(FLOATS))
def test_what_is_packed_is_unpacked(wholes: list[int], floats: list[float]) -> None:
    arrays = {
        "i": np.array(wholes, np.int64),
        "u": np.abs(np.array(wholes, np.int64)).astype(np.uint64),
        "f": np.array(floats, np.float32),
        "d": np.array(floats, np.float64),
    }
    packed = pack(arrays)
    found = report_pages.unpacked(packed.layout, packed.data)
    for name, array in arrays.items():
        assert len(found[name]) == len(array)
        np.testing.assert_array_equal(found[name], array.astype(found[name].dtype))


def test_differences_begin_anew_with_each_curve() -> None:
    codes, starts = np.array([5, 7, 7, 2, 1]), np.array([0, 3])
    assert differences(codes, starts).tolist() == [5, 2, 0, 2, -1]


def test_what_thinning_keeps() -> None:
    step = np.concatenate([np.arange(65), np.arange(33)])
    run = np.repeat([0, 1], [65, 33])
    crossings = (run == 0) & (step == 50)
    rows = kept(run, step, 1.0, crossings)
    octaves = [0, 1, 3, 7, 15, 31, 63]
    assert step[rows & (run == 0)].tolist() == sorted({*octaves, 49, 50, 64})
    assert step[rows & (run == 1)].tolist() == [*octaves[:6], 32]


def test_edges_of_a_part_are_those_of_boundaries(small: Path, tmp_path: Path) -> None:
    text = Result(small).report(tmp_path / "page.html").read_text("utf-8")
    (found,) = report_pages.read(text)
    wanted = Result(small).boundaries(budget=False)
    mine = [e for e in found.facts["edges"] if (e["x"], e["y"]) == EDGES]
    assert [e["status"] for e in mine] == wanted["status"].tolist()
    values = np.array([e["estimate"] for e in mine], float)
    np.testing.assert_array_equal(values, wanted["estimate"].to_numpy(float))


def test_axes_and_quantities_are_called_as_in_figures() -> None:
    labels = {name: words.label(name) for name in (*AXES, *ORDER_PARAMETERS)}
    assert not [name for name, label in labels.items() if set(label) & set("$\\{}_")]
    assert labels["weight_decay"] == "weight decay λ" and labels["beta1"] == "β₁"
    assert labels["decay_rate"] == "decay rate r (per step)"
    assert labels["function_snr"] == "function SNR"
