"""What changes from one table of runs to another, on tables whose answer is known."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_axes import planted

import grokmap
from grokmap import plot
from grokmap.analysis import comparison
from grokmap.analysis.cells import quartiles
from grokmap.analysis.statistics import over_cells, wilson
from grokmap.classify import CRITERIA
from grokmap.plot.lines import Line, LinePanel
from grokmap.plot.one_axis import Axis, places
from grokmap.result import comparison as comparison_of
from grokmap.result import phase_diagram, shading

ALPHAS, DECAYS = np.array([0.0, 0.1 + 0.2, 0.6]), np.array([1e-3, 1e-2, 1e-1, 1.0])
AXES = ["alpha", "weight_decay"]
GROK = ("grok",)


def table(factor: float = 1.0, seeds: int = 6, **changes: Any) -> pd.DataFrame:
    """Runs that grok at every place but the largest weight decay, where none learn."""
    rows = [
        {
            "alpha": alpha,
            "weight_decay": decay,
            "seed": seed,
            "t_grok": np.nan if decay == 1 else factor * (100 + 7 * seed) / decay,
            "t_mem": np.nan if decay == 1 else 20.0 * factor + seed,
            "phase": "no-learning" if decay == 1 else "grok",
            "n_steps": 10**7,
            "censored": False,
        }
        for alpha in ALPHAS
        for decay in DECAYS
        for seed in range(seeds)
    ]
    runs = pd.DataFrame(rows)
    return runs.assign(delay=runs["t_grok"] - runs["t_mem"], **changes)


def compared(a: pd.DataFrame, b: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(cells, summary by quantity)."""
    cells, found = comparison.measure(comparison.match(a, b, AXES), AXES, GROK)
    return cells, found.set_index("quantity")


def cut(runs: pd.DataFrame, rows: pd.Series, censored: bool) -> pd.DataFrame:
    """Runs of which some memorise and do not grok."""
    never = {"phase": "memorize-only", "censored": censored, "t_grok": np.nan}
    changed = runs.copy()
    for name, value in {**never, "delay": np.nan, "n_steps": 5000}.items():
        changed.loc[rows, name] = value
    return changed


def test_twice_as_slow_is_a_ratio_of_two_whatever_the_resample() -> None:
    cells, found = compared(table(seeds=8), table(2.0, seeds=8))
    assert len(cells) == 12
    row = found.loc["t_grok ratio"]
    assert row[["value", "low", "high"]].tolist() == pytest.approx([2, 2, 2])
    assert row[["n_cells", "only_a", "only_b", "neither"]].tolist() == [9, 0, 0, 3]
    grokked = cells[cells["t_grok_in"] == comparison.BOTH]
    for name in ("t_grok_ratio", "t_grok_low", "t_grok_high"):
        np.testing.assert_allclose(grokked[name], 2)
    assert cells["t_grok_a"].iloc[0] == np.median(100 + 7 * np.arange(8)) / 1e-3
    assert found.loc[comparison.P_CHANGE, ["value", "low", "high"]].tolist() == [0] * 3


def test_swapped_arguments_give_inverse_ratios_and_opposite_differences() -> None:
    rng = np.random.default_rng(0)
    a = table(seeds=8)
    a["t_grok"] = np.where(a["phase"] == "grok", rng.lognormal(5, 1, len(a)), np.nan)
    b = cut(table(1.3, seeds=8), rng.random(len(a)) < 0.3, censored=False)
    b.loc[b["weight_decay"] == 1, ["phase", "t_grok"]] = ["no-learning", np.nan]
    (one, forth), (two, back) = compared(a, b), compared(b, a)
    for name in ("t_grok ratio", "t_grok ratio, all", "t_mem ratio"):
        ends = back.loc[name, ["value", "high", "low"]].to_numpy(float)
        with np.errstate(divide="ignore"):
            expected = 1 / ends
        there = forth.loc[name, ["value", "low", "high"]]
        np.testing.assert_allclose(there, expected)
    change = back.loc[comparison.P_CHANGE, ["value", "high", "low"]].to_numpy(float)
    there = forth.loc[comparison.P_CHANGE, ["value", "low", "high"]]
    np.testing.assert_allclose(there, -change, atol=1e-12)
    assert there["value"] < 0 and there["low"] < there["value"] < there["high"]
    np.testing.assert_allclose(one["t_grok_ratio"], 1 / two["t_grok_ratio"])
    ends = [f"p_grok_change_{end}" for end in ("low", "high")]
    np.testing.assert_allclose(one[ends], -two[ends[::-1]], atol=1e-12)


def test_a_table_and_itself_do_not_differ() -> None:
    runs = cut(table(), table()["alpha"] == 0.6, censored=True)
    matched = comparison.match(runs, runs, AXES)
    cells, found = comparison.measure(matched, AXES, GROK)
    found = found.set_index("quantity")
    for name in ("t_mem ratio", "t_grok ratio", "t_grok ratio, all"):
        assert found.loc[name, ["value", "low", "high"]].tolist() == [1, 1, 1]
    labels = comparison.labels(matched, cells, GROK)
    # Four cells of six seeds are open.
    expected = {("cells", True): 8, ("cells", False): 4}
    expected |= {("pairs", True): 48, ("pairs", False): 24}
    assert labels.set_index(["of", "decided"])["n"].to_dict() == expected
    assert labels["differ"].sum() == 0
    same = comparison.confusion(matched, GROK)
    assert (same["phase_a"] == same["phase_b"]).all() and same["n"].sum() == 72


def test_cells_where_one_alone_groks_are_counted_apart() -> None:
    a, b = table(), table(2.0)
    first = (b["alpha"] == 0) & (b["weight_decay"] < 1)
    late = (b["alpha"] == 0.6) & (b["weight_decay"] == 1e-3)
    b = cut(cut(b, first, censored=False), late, censored=True)
    cells, found = compared(a, b)
    row = found.loc["t_grok ratio"]
    assert row[["n_cells", "only_a", "only_b", "open"]].tolist() == [5, 4, 0, 1]
    assert row[["value", "low", "high"]].tolist() == pytest.approx([2, 2, 2])
    every = found.loc["t_grok ratio, all"]
    assert every["n_cells"] == 9 and every["value"] == pytest.approx(2)
    # Four of nine are infinite: the median is still 2, the upper quartile is not.
    assert every[["low", "high"]].tolist() == pytest.approx([2, 2])
    assert every["q25"] == pytest.approx(2) and every["q75"] == np.inf
    # Where all runs of b are undecided it has no P(grok), and its interval is all.
    open_ = cells[~cells["decided"]]
    assert len(open_) == 1 and open_["p_grok_b"].isna().all()
    assert open_[["p_grok_b_low", "p_grok_b_high"]].to_numpy().tolist() == [[0, 1]]
    assert found.loc[comparison.P_CHANGE, "n_cells"] == 11
    assert found.loc[comparison.P_CHANGE, "value"] == pytest.approx(-3 / 11)
    labels = comparison.labels(comparison.match(a, b, AXES), cells, GROK)
    differ = labels.set_index(["of", "decided"])["differ"].to_dict()
    assert differ == {
        ("cells", True): 3,
        ("cells", False): 1,
        ("pairs", True): 18,
        ("pairs", False): 6,
    }


def test_the_change_of_p_grok_in_a_cell_is_newcombes() -> None:
    a, b = table(), cut(table(), table()["seed"] < 2, censored=False)
    cells, _ = compared(a, b)
    row = cells.iloc[0]
    assert row["p_grok_change"] == pytest.approx(-1 / 3)
    (low_a, high_a), (low_b, high_b) = (wilson(k, 6) for k in (6, 4))
    low = -1 / 3 - np.hypot(4 / 6 - low_b, high_a - 1)
    high = -1 / 3 + np.hypot(high_b - 4 / 6, 1 - low_a)
    assert row["p_grok_change_low"] == pytest.approx(low)
    assert row["p_grok_change_high"] == pytest.approx(high)


def test_cells_are_matched_up_to_rounding_and_others_are_counted() -> None:
    b = table()
    b["alpha"] = b["alpha"].replace({0.1 + 0.2: 0.3})
    b = b[b["weight_decay"] != 1e-2].assign(
        weight_decay=lambda t: t["weight_decay"] * (1 + 1e-9)
    )
    more = b[b["alpha"] == 0].assign(alpha=0.9)
    matched = comparison.match(table(), pd.concat([b, more]), AXES)
    assert len(comparison.measure(matched, AXES, GROK)[0]) == 9
    assert matched.only_a["weight_decay"].tolist() == [1e-2] * 3
    assert matched.only_b["alpha"].tolist() == [0.9] * 3
    near = table().assign(alpha=table()["alpha"] * (1 + 1e-4))
    assert set(comparison.match(table(), near, AXES).a["alpha"]) == {0}
    # Words, and places where an axis is not read, are matched, too.
    words = table(model="mlp", depth=np.nan)
    assert len(comparison.match(words, words, ["model", "depth"]).only_a) == 0
    assert comparison.match(words, table(model="x"), ["model"]).a.empty
    assert set(comparison.match(words, words, []).a["cell"]) == {0}


def test_an_average_over_cells_with_its_interval_is_mirrored() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(1001, 7))
    values[1:300, 2], values[:, 3], values[:, 4] = np.nan, np.inf, -np.inf
    value, low, high = over_cells(values, 6)
    assert value == np.median(values[0]) and low < value < high
    assert over_cells(-values, 6) == (-value, -high, -low)
    assert np.isnan(over_cells(values[:, :0], 6)).all()
    assert np.isnan(over_cells(values, 5)[1:]).all()  # too few seeds
    # What resamples leave open is as low, and as high, as can be.
    values[1:, :] = np.nan
    assert over_cells(values, 6) == (value, -np.inf, np.inf)


def test_few_seeds_have_no_interval_and_others_are_resampled_apart() -> None:
    cells, found = compared(table(seeds=3), table(2.0, seeds=3))
    row = found.loc["t_grok ratio"]
    assert row["value"] == pytest.approx(2)
    assert np.isnan(row[["low", "high"]].to_numpy(float)).all()
    assert row[["q25", "q75"]].tolist() == pytest.approx([2, 2])
    assert np.isnan(cells["t_grok_low"]).all()
    # The same times, under other seeds: no pair is resampled together.
    other = table(2.0).assign(seed=table()["seed"] + 10)
    there = compared(table(), other)[1].loc["t_grok ratio"]
    assert there["value"] == pytest.approx(2)
    assert there["low"] < 1.9 < 2.1 < there["high"]
    back = compared(other, table())[1].loc["t_grok ratio", ["high", "low"]]
    np.testing.assert_allclose(
        1 / back.to_numpy(float), there[["low", "high"]].to_numpy(float)
    )


def test_quartiles_know_what_censoring_leaves_open() -> None:
    runs = table(seeds=8).query("alpha == 0 and weight_decay == 0.1")
    row = quartiles(runs, AXES, GROK).iloc[0]
    times = (100 + 7 * np.arange(8)) / 0.1
    assert row["t_grok"] == np.median(times)
    assert (row["t_grok_q25"], row["t_grok_q75"]) == (
        times[1:3].mean(),
        times[5:7].mean(),
    )
    late = cut(runs, runs["seed"] >= 5, censored=True)
    row = quartiles(late, AXES, GROK).iloc[0]
    assert row["t_grok"] == np.median(times) and row["t_grok_q75"] == np.inf
    assert row["t_mem_q75"] == 20 + 5.5
    never = quartiles(cut(runs, runs["seed"] >= 3, censored=False), AXES, GROK).iloc[0]
    assert never["t_grok"] == np.inf and never["delay"] == np.inf


def test_two_values_of_a_choice_of_one_result(
    tmp_path: Path, command_line: Any
) -> None:
    result = planted("optimizer", tmp_path / "result")
    found = grokmap.compare(result, by={"optimizer": ("gd", "adamw")})
    assert found.names == ("optimizer = gd", "optimizer = adamw")
    # Momentum is a setting of gd alone.
    assert found.axes == AXES and found.settings["optimizer"] == ("gd", "adamw")
    assert len(found.cells) == 8 and found.unmatched.empty
    row = found.summary.set_index("quantity").loc["t_grok ratio"]
    assert row[["only_a", "only_b", "neither", "open"]].tolist() == [6, 0, 2, 0]
    changed = found.summary.set_index("quantity").loc[comparison.P_CHANGE, "value"]
    assert changed == pytest.approx(-6 / 8)
    back = grokmap.compare(result, by={"optimizer": ("adamw", "gd")}).summary
    assert back.set_index("quantity").loc[comparison.P_CHANGE, "value"] == -changed
    figure = found.plot()
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    words = [title.replace("\N{NO-BREAK SPACE}", " ") for title in titles]
    named = ["(a) A: optimizer = GD", "(b) B: optimizer = AdamW", "(c) from A to B"]
    assert words == named  # and no colour bar, since nothing has both times
    assert [text.get_text() for text in figure.axes[2].texts] == ["A"] * 6
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[-2:] == ["A alone groks", "neither groks"]
    wide = found.plot(style="talk", width="slide")
    assert wide.get_figwidth() == plot.WIDTHS["slide"]

    options = ("--by", "optimizer", "--json", "--format", "csv", "--at", "alpha=1")
    code, out, err = command_line("compare", str(result.path), *options)
    assert code == 0, err
    facts = json.loads(out)
    assert facts["n_cells"] == {"matched": 4, "only_a": 0, "only_b": 0}
    assert facts["labels"][0] == {"of": "cells", "decided": True, "n": 4, "differ": 3}
    written = pd.read_parquet(facts["file"])
    assert written["differ"].tolist() == [False, True, True, True]
    assert Path(facts["file"]).name.startswith(
        "compare-optimizer=gd,adamw-weight_decay"
    )


@pytest.mark.slow
def test_two_results_and_what_cannot_be_compared(
    tmp_path: Path, command_line: Any
) -> None:
    one = str(planted("optimizer", tmp_path / "one").path)
    two = str(planted("depth", tmp_path / "two").path)
    code, out, err = command_line("compare", one, one, "--out", "x", "--format", "csv")
    assert code == 0, err
    assert "16 matched cells along optimizer, alpha, weight_decay" in out
    assert "t_grok, B over A: 1 {1 to 1}, median of 6 cells with both" in out
    assert "whose labels differ: 0 of 32 decided, 0 of 0 with an undecided run" in out
    assert "P(grok), B - A: +0.000" in out and "only" not in out
    # In Python it shows as the same.
    result = grokmap.open(one)
    assert out.startswith(f"{grokmap.compare(result, result)!r}\nx")
    few = repr(grokmap.compare(result.at(alpha=1), result.at(alpha=1)))
    assert "median of only " in few and "(only: below 5 cells" in few
    assert len(few.splitlines()) < 20
    assert len(pd.read_csv("x.csv")) == 16
    for words, message in {
        (one,): "--by optimizer=gd,adamw",
        (one, one, "--by", "alpha=0.5,1"): "two results, or two values",
        (one, "--by", "alpha=0.5,0.5"): "by alpha: two different values of 0.5, 1",
        (one, "--by", "alpha=1,0.6"): "alpha=0.6: no such value; known: 0.5, 1",
        (one, "--by", "depth=1,2"): "'depth' is not swept; swept: optimizer, alpha",
        (one, two): "depth is swept in one of them, and the other does not read it",
        (one, one, "--colour", "rqy"): "did you mean 'rqi'",
        (one, one, "--x", "seed"): "choose among alpha, weight_decay",
    }.items():
        code, out, err = command_line("compare", *words, "--out", "y")
        assert code == 2 and message in err, (words, err)
        assert len(err.strip().splitlines()) == 1
    sliced = ("--at", "depth=1", "--at", "optimizer=gd", "--format", "png")
    code, out, err = command_line("compare", one, two, *sliced, "--out", "z")
    assert code == 0 and "model: two_layer in A, mlp in B" in out, err
    assert "8 matched cells along alpha, weight_decay" in out


def test_planes_that_share_nothing_say_where() -> None:
    names = ("one", "two")
    other = table().assign(weight_decay=table()["weight_decay"] * 3)
    words = comparison_of._nothing_shared([table(), other], AXES, names)
    assert words == (
        "one and two share no cell: weight_decay is 0.001, 0.01, 0.1, 1 in A, "
        "0.003, 0.03, 0.3, 3 in B"
    )


def test_a_recorded_quantity_is_compared_by_its_difference_or_ratio() -> None:
    rng = np.random.default_rng(1)
    a, b = (table(quantity=rng.lognormal(size=72)) for _ in range(2))
    matched = comparison.match(a, b, AXES)
    one, two = (runs.groupby(AXES)["quantity"].median().to_numpy() for runs in (a, b))
    np.testing.assert_allclose(comparison.medians(matched, "quantity", True), two / one)
    found = comparison.medians(matched, "quantity", False)
    np.testing.assert_allclose(found, two - one)


def test_lines_leave_a_gap_where_a_median_is_beyond() -> None:
    cells = pd.DataFrame({"x": [0.0, 0.1, 1.0], "p_grok": [0.0, 1.0, 0.5]})
    cells = cells.assign(p_grok_low=0.0, p_grok_high=1.0, t_mem=10.0)
    cells["t_grok"] = [np.inf, 100.0, 1000.0]
    cells["at"] = places(cells["x"].to_numpy(float), log=True)
    assert cells["at"].tolist() == [pytest.approx(10**-2.5), 0.1, 1.0]
    for name in ("t_mem", "t_grok"):
        cells[f"{name}_q25"] = cells[name]
        cells[f"{name}_q75"] = cells[name]
    cells.loc[2, "t_grok_q75"] = np.inf
    runs = pd.DataFrame({"at": cells["at"], "t_mem": 10.0, "t_grok": np.nan})
    runs = runs.assign(n_steps=5000.0, undecided=[True, False, False])
    panel = LinePanel("", [Line("", cells, runs)])
    times, shares = plot.axis_lines([panel], Axis("lambda", log=True)).axes
    lines = {tuple(np.asarray(line.get_ydata(), float)) for line in times.lines}
    assert (np.inf, 100.0, 1000.0) not in lines
    assert any(np.isnan(y[0]) and y[1:] == (100, 1000) for y in lines if len(y) == 3)
    assert (1250.0,) in lines  # an arrow above the last, whose upper quartile is open
    assert (5000.0,) in lines
    assert [text.get_text() for text in shares.get_xticklabels()][0] == "0"
    assert shares.get_ylabel() == "P(grok)"


def test_colours_of_times_and_shares_are_those_of_cells() -> None:
    # Of an axis that some do not read, null is a place, too.
    one, two = table(model="two_layer", momentum=0.9), table(2.0, model="mlp")
    runs = pd.concat([one, two.assign(momentum=np.nan)], ignore_index=True)
    runs = cut(runs, (runs["alpha"] == 0.6) & (runs["seed"] < 2), censored=True)
    axes = [SimpleNamespace(name=name) for name in (*AXES, "momentum", "seed")]
    result: Any = SimpleNamespace(axes=axes)
    rules = CRITERIA["default"]
    shown = {
        colour: shading.shaded(result, runs, rules, colour)[0][f"cell_{colour}"]
        for colour in ("t_grok", "delay", "p_grok")
    }
    for _, cell in runs.groupby([*AXES, "model"]):
        grokked = cell["phase"] == "grok"
        share = grokked[grokked | ~cell["censored"]].mean()
        assert (shown["p_grok"][cell.index] == share).all()
        for colour in ("t_grok", "delay"):
            values = shown[colour][cell.index]
            if grokked.all():
                assert (values == cell[colour].median()).all()
            elif not grokked.any():
                assert np.isinf(values).all()
            elif colour == "t_grok":
                # Two of six were cut at 5000: before the others, or after them.
                known = cell["t_grok"].fillna(np.inf)
                known = known[grokked | (known[grokked].max() < 5000)]
                assert (values == np.median(known)).all()


def test_a_map_of_t_grok_is_of_its_cells(tmp_path: Path) -> None:
    result = planted("optimizer", tmp_path / "result").at(optimizer="gd")
    cells = phase_diagram.draw(result, colour="t_grok").data.set_index(AXES)
    assert set(cells.loc[cells["p_grok"] == 1, "cell_t_grok"]) == {40.0}
    assert np.isinf(cells.loc[cells["p_grok"] == 0, "cell_t_grok"]).all()
