"""What theories say, drawn over a diagram and over curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, SMALL
from matplotlib.figure import Figure

import grokmap
from grokmap import plot
from grokmap.classify import CRITERIA
from grokmap.engine.linearised import linearised
from grokmap.errors import SpecError
from grokmap.result import curves, phase_diagram, theory
from grokmap.result.selection import run_of
from grokmap.theory import lazy

PLANE = plot.Plane("weight_decay", "alpha", x_log=True, y_log=False)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Any:
    axes = {"alpha": [0.0, 0.5], "weight_decay": [0.01, 1.0]}
    values = {k: v for k, v in SMALL.items() if k not in axes}
    folder = tmp_path_factory.mktemp("theory") / "small"
    return grokmap.sweep({**values, "axes": axes}, out=folder)


def labels_of(figure: Figure) -> list[str]:
    return [text.get_text() for each in figure.legends for text in each.get_texts()]


@pytest.mark.slow
def test_the_edge_parts_decays_that_end_memorised_from_others(result: Any) -> None:
    said = theory.in_plane(result, result.runs, PLANE, "lazy", CRITERIA["default"])
    found = said.edges
    assert found["alpha"].tolist() == [0.0, 0.5]
    for alpha, edge in zip(found["alpha"], found["memorises_to"], strict=True):
        run_id = str(result.nearest(alpha=alpha)["run_id"])
        run = run_of(result.spec, result.plan, run_id)
        for factor, learned in ((0.97, True), (1.04, False)):
            decay = run.control._replace(weight_decay=float(edge * factor))
            modes, descent = linearised(run._replace(control=decay))
            end = lazy.scores(modes.network, *lazy.end(modes, descent.ridge))
            assert (end["train_accuracy"] >= 0.99) == learned
    # An addition is never generalised, at any decay.
    assert found[["generalises_from", "generalises_to"]].isna().all(axis=None)


@pytest.mark.slow
def test_the_diagram_has_the_line_and_the_table_its_places(result: Any) -> None:
    drawing = phase_diagram.draw(result, theory="lazy")
    assert "lazy limit: memorises up to here, never generalises" in labels_of(
        drawing.figure
    )
    cells, axes = drawing.data, drawing.figure.axes[0]
    edges = cells.drop_duplicates("alpha")["lazy_memorises_to"].to_numpy()
    drawn = [line.get_xdata() for line in axes.lines if line.get_color() == "#CC79A7"]
    np.testing.assert_array_equal(drawn, [edges])
    without = phase_diagram.draw(result)
    assert "lazy_memorises_to" not in without.data
    assert not any("lazy" in label for label in labels_of(without.figure))


def test_a_theory_that_generalises_says_between_which_decays() -> None:
    # One row generalises between 0.1 and 1, the other nowhere.
    lines = phase_diagram._lines(
        plot_table([2.0, 3.0], [0.1, np.nan], [1.0, np.nan]), PLANE, "lazy"
    )
    assert [line.label for line in lines] == [
        "lazy limit: memorises up to here",
        *["lazy limit: generalises between"] * 2,
    ]
    np.testing.assert_array_equal(lines[1].x, [0.1, np.nan])
    np.testing.assert_array_equal(lines[1].y, [0.0, 0.5])


def plot_table(*columns: list[float]) -> Any:
    names = ("alpha", *theory.Edges._fields)
    return pd.DataFrame(dict(zip(names, ([0.0, 0.5], *columns), strict=True)))


@pytest.mark.slow
def test_curves_have_the_prediction_beside_the_records(result: Any) -> None:
    run = str(result.nearest(alpha=0.5, weight_decay=0.01)["run_id"])
    drawing = curves.draw(result, [run], theory="lazy")
    table = drawing.data
    assert {"lazy limit, train", "lazy limit, test"} <= set(labels_of(drawing.figure))
    modes, descent = linearised(run_of(result.spec, result.plan, run))
    expected = lazy.records(modes, descent, table["step"].to_numpy())
    np.testing.assert_allclose(table["test_loss_lazy"], expected["test_loss"])
    # It starts where the run starts.
    assert table["train_loss_lazy"].iloc[0] == pytest.approx(
        table["train_loss"].iloc[0]
    )


@pytest.mark.parametrize(
    "options, words",
    [
        ({"theory": "lasy"}, "--theory 'lasy'.*lazy"),
        ({"theory": "lazy", "x": "decay_rate"}, "along weight_decay.*--x weight_decay"),
        ({"theory": "lazy", "y": "none"}, "one number is drawn here"),
    ],
)
def test_what_has_no_such_line_is_said(options: Any, words: str) -> None:
    quick = grokmap.open(ROOT / "results" / "quickstart-reference")
    with pytest.raises(SpecError, match=words):
        phase_diagram.draw(quick, **options)


def test_runs_that_the_theory_does_not_cover_are_named() -> None:
    adamw = grokmap.open(ROOT / "results" / "survey2026")
    with pytest.raises(SpecError, match="does not cover") as error:
        adamw.curves(theory="lazy")
    assert "optimizer = 'adamw'; for 'gd'" in str(error.value)
    assert "loss = 'cross_entropy'; it is known for 'mse'" in str(error.value)


@pytest.mark.slow
def test_the_command_line_draws_it(
    result: Any, command_line: Any, tmp_path: Path
) -> None:
    for command in ("phase-diagram", "curves"):
        out = tmp_path / command
        options = ("--theory", "lazy", "--out", str(out), "--format", "png,csv")
        code, _, err = command_line(command, str(result.path), *options)
        assert code == 0
        assert "lazy limit: " in err and " of " in err
        assert "lazy" in out.with_suffix(".csv").read_text().splitlines()[0]


# ---- the mean-field limit


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A plane of networks wide enough to do nearly as the limit does."""
    axes = {"alpha": [0.0, 0.1], "weight_decay": [0.01, 0.06]}
    given = {
        **{k: v for k, v in SMALL.items() if k not in axes},
        **{"activation": "relu", "learning_rate": 0.4, "momentum": 0.9},
        **{"modulus": 11, "width": 512, "n_steps": 320, "train_fraction": 0.85},
    }
    folder = tmp_path_factory.mktemp("theory") / "wide"
    return grokmap.sweep({**given, "axes": axes}, out=folder)


@pytest.mark.slow
def test_cells_of_the_limit_are_those_of_wide_networks(wide: Any) -> None:
    said: list[str] = []
    drawing = phase_diagram.draw(wide, theory="mean-field", say=said.append)
    cells = drawing.data.set_index(["alpha", "weight_decay"])
    assert set(cells["mean-field_phase"]) == {"grok", "memorize-only", "no-learning"}
    assert (cells["mean-field_phase"] == cells["phase"]).all()
    runs = wide.runs.set_index(["alpha", "weight_decay"]).loc[cells.index]
    ratio = runs["t_grok"].astype(float) / cells["mean-field_t_grok"].astype(float)
    assert ratio.notna().sum() == 2 and (ratio.dropna() - 1).abs().max() < 0.3
    rows = [(f"{alpha:g}", i) for i, alpha in enumerate((0.0, 0.1), 1)]
    title = "mean-field limit: "
    assert said == [f"{title}alpha = {a}, seed 0, {i} of 2" for a, i in rows]
    assert any(label.startswith(title) for label in labels_of(drawing.figure))


@pytest.mark.slow
def test_curves_of_the_limit_are_near_those_of_a_wide_network(wide: Any) -> None:
    run = str(wide.nearest(alpha=0.1, weight_decay=0.01)["run_id"])
    table = curves.draw(wide, [run], theory="mean-field").data
    # f_0 of the limit is 0, so that the loss starts at |y|^2 = 1.
    assert table["train_loss_mean-field"].iloc[0] == pytest.approx(1, abs=1e-4)
    late = table[table["step"] > 50]
    gap = np.log(late["test_loss"] / late["test_loss_mean-field"])
    assert late["test_loss"].iloc[-1] < 0.6 * late["test_loss"].iloc[0]
    assert np.abs(gap).max() < 0.15


def test_edges_lie_between_cells_whose_labels_differ() -> None:
    decays = np.array([0.01, 0.1, 1.0, 10.0])
    times = pd.array([5, 5, 6, None], dtype="Int64")
    late = pd.array([None, 50, None, None], dtype="Int64")
    found = theory.of_cells(decays, pd.DataFrame({"t_mem": times, "t_grok": late}))
    np.testing.assert_allclose(found, [10**0.5, 10**-1.5, 10**-0.5])
    never = pd.DataFrame({"t_mem": times[3:], "t_grok": late[3:]})
    assert np.isnan(theory.of_cells(decays[3:], never)).all()
    # Edges that are not seen lie at the end of the axis.
    both = pd.DataFrame({"t_mem": times[:3], "t_grok": times[:3]})
    assert theory.of_cells(decays[:3], both) == (1.0, 0.01, 1.0)


def test_quadratic_neurons_under_decay_have_no_mean_field_limit() -> None:
    quick = grokmap.open(ROOT / "results" / "quickstart-reference")
    with pytest.raises(SpecError, match="neurons of degree 3 have no limit") as error:
        phase_diagram.draw(quick, theory="mean-field")
    assert "weight_decay = 0" in str(error.value)
    adamw = grokmap.open(ROOT / "results" / "survey2026")
    with pytest.raises(SpecError, match="mean-field limit does not cover") as error:
        adamw.curves(theory="mean-field")
    text = str(error.value)
    assert "optimizer = 'adamw'; for 'gd'" in text and "'survey_code'" in text
