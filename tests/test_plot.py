from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgb

from grokmap import plot
from grokmap.analysis.boundaries import boundaries
from grokmap.plot.figure import Figure

ALPHAS, DECAYS = [0.0, 0.3], [1e-3, 1e-2, 1e-1, 1.0]
# By alpha, then lambda; a capital letter is censored.
PLANTED = {0.0: "Mggn", 0.3: "MMgn"}
NAMES = {"m": "memorize-only", "g": "grok", "n": "no-learning"}


def planted(seeds: int = 2, **changes: object) -> pd.DataFrame:
    rows = [
        {
            "alpha": alpha,
            "weight_decay": decay,
            "decay_rate": decay * 0.05 * 64 ** (-2 * alpha),
            "seed": seed,
            "phase": NAMES[letter.lower()],
            "censored": letter.isupper(),
            "delay_ratio": 10.0 if letter == "g" else np.nan,
            "alpha_convention": "laziness",
            "train_fraction": 0.5,
            "width": 64,
            **changes,
        }
        for alpha, letters in PLANTED.items()
        for decay, letter in zip(DECAYS, letters, strict=True)
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows)


PLANE = plot.Plane("weight_decay", "alpha", x_log=True, y_log=False)
PHASES = plot.phases_of(("no-learning", "memorize-only", "grok", "grok"), ("grok",))


def gathered(plane: plot.Plane = PLANE) -> plot.Cells:
    return plot.gather(planted(), plane, "delay_ratio", ("grok",))


def drawn(
    runs: pd.DataFrame,
    edges: pd.DataFrame | None = None,
    shading: plot.Shading = plot.DELAY,
) -> Figure:
    """A diagram of one panel."""
    panel = plot.PhasePanel("", runs, edges)
    return plot.phase_diagram([panel], PLANE, PHASES, shading)


def test_cells_gather_seeds() -> None:
    runs = planted()
    runs.loc[runs.index[2], "phase"] = "memorize-only"  # one of the two seeds
    cells = plot.gather(runs, PLANE, "delay_ratio", ("grok",)).table
    assert len(cells) == 8
    half = cells[(cells["x"] == 1e-2) & (cells["y"] == 0)].iloc[0]
    assert half["p_grok"] == 0.5 and half["shade"] == 10
    assert cells.set_index(["x", "y"])["censored"].to_dict()[1e-3, 0.3] == 1


def test_cells_tile_the_plane_without_gaps() -> None:
    for x in ("weight_decay", "decay_rate"):
        cells = gathered(PLANE._replace(x=x)).table
        for _, row in cells.groupby("y"):
            row = row.sort_values("x")
            assert np.all((row["x_low"] < row["x"]) & (row["x"] < row["x_high"]))
            np.testing.assert_allclose(row["x_high"][:-1], row["x_low"][1:])
    edges = gathered().table
    assert edges["x_low"].min() == pytest.approx(10**-3.5)
    assert edges["y_low"].min() == pytest.approx(-0.15)


def test_boundary_only_between_measured_cells() -> None:
    cells = gathered().table
    found = {tuple(np.round(np.ravel(s), 6)) for s in plot.boundary(cells)}
    # At lambda = 10^-0.5, grok meets no-learning in both rows; where grok meets a
    # censored cell there is no edge, and between the rows neither.
    at = round(10**-0.5, 6)
    assert found == {(at, -0.15, at, 0.15), (at, 0.15, at, 0.45)}


def test_colours_hatches_and_labels_are_drawn() -> None:
    runs = planted()
    runs.loc[runs.index[2], "phase"] = "memorize-only"
    figure = drawn(runs)
    phases, ratios = figure.axes[:2]
    solid, hatched = (c for c in phases.collections if isinstance(c, PatchCollection))
    colours = [tuple(c[:3]) for c in solid.get_facecolors()]
    grok = np.array(to_rgb(plot.COLOURS["grok"]))
    assert sum(np.allclose(c, grok) for c in colours) == 2
    assert sum(np.allclose(c, 0.5 * grok + 0.5) for c in colours) == 1
    assert len(hatched.get_paths()) == 3 and hatched.get_hatch() == "////"
    assert phases.get_xscale() == "log" and "lambda" in phases.get_xlabel()
    assert "N^{\\alpha-1}" in phases.get_ylabel()
    unknown, known = ratios.collections[:2]
    assert len(known.get_paths()) == 3 and len(unknown.get_paths()) == 5
    legend = [t.get_text() for t in figure.legends[0].get_texts()]
    assert "undecided (censored)" in legend and "memorize-only" in legend
    assert "grok in a share of seeds" in legend


def test_zero_weight_decay_has_a_place_on_the_log_axis(tmp_path: Path) -> None:
    zero = planted().query("weight_decay == 1e-3").assign(weight_decay=0.0)
    figure = drawn(pd.concat([planted(), zero]))
    figure.savefig(tmp_path / "x.png")
    axes = figure.axes[0]
    labels = [t.get_text() for t in axes.get_xticklabels()]
    assert labels[0] == "0" and "0.001" in labels


def test_small_multiples_are_laid_out_and_titled() -> None:
    panels = [
        plot.PhasePanel(f"width = {n}", planted(width=n))
        for n in (32, 64, 128, 256, 512)
    ]
    figure = plot.phase_diagram(panels, PLANE, PHASES, columns=3)
    axes = figure.axes[:5]  # the sixth place is left empty, the map follows
    titles = [a.get_title(loc="left") for a in figure.axes[:10]]
    letters = "abcdefghij"
    expected = [f"({x}) {p.title}" for x, p in zip(letters, panels * 2, strict=True)]
    assert titles == expected
    # The third has nothing below it, so that it says itself what its axis is.
    assert [bool(a.get_xlabel()) for a in axes[:5]] == [False, False, True, True, True]
    assert [bool(a.get_ylabel()) for a in axes[:5]] == [True, False, False, True, False]


def test_phases_with_names_of_their_own_have_colours() -> None:
    names = {"no-learning": "a", "memorize-only": "b", "grok": "c"}
    runs = planted().replace({"phase": names})
    phases = plot.phases_of(("a", "b", "c", "d"), ("c", "d"))
    figure = plot.phase_diagram([plot.PhasePanel("", runs)], PLANE, phases)
    legend = [t.get_text() for t in figure.legends[0].get_texts()]
    assert legend[:3] == ["a", "b", "c"]
    assert phases.colours["c"] == plot.COLOURS["grok"]


def test_curves_mark_the_times() -> None:
    steps = np.array([0, 1, 10, 100, 1000])
    table = pd.DataFrame(
        {
            "run_id": "a",
            "step": steps,
            "train_accuracy": [0, 0, 1, 1, 1],
            "test_accuracy": [0, 0, 0, 0, 1],
            "train_loss": 1.0 / (1 + steps),
            "test_loss": 1.0,
            "weight_norm": 3.0,
            "snr": [0.1, np.nan, np.nan, 2.0, 5.0],
            "rqi": np.nan,
        }
    )
    run = {"run_id": "a", "phase": "grok", "censored": False, "alpha": 0.1}
    run |= {"weight_decay": 0.01, "seed": 0, "t_mem": 10, "t_grok": 1000}
    figure = plot.curves(table, pd.DataFrame([run]), {"snr": True, "rqi": False})
    assert len(figure.axes) == 4  # rqi is undefined throughout: no empty panel
    times = [
        line.get_xdata()[0]
        for line in figure.axes[0].lines
        if len(set(line.get_xdata())) == 1
    ]
    assert times == [10, 1000]
    assert figure.axes[3].lines[0].get_xdata().tolist() == [0.5, 100, 1000]
    assert all(axes.get_xscale() == "log" for axes in figure.axes)


def test_a_map_of_another_quantity_is_coloured_by_it() -> None:
    runs = planted()
    runs["q"] = np.where(runs["phase"] == "grok", 0.9, 0.1)
    runs.loc[runs["phase"] == "no-learning", "q"] = np.nan
    figure = drawn(runs, shading=plot.Shading("q", "$q$", False))
    axes = figure.axes[1]
    grey, cells, hatched = (
        c for c in axes.collections if isinstance(c, PatchCollection)
    )
    # An undefined value is a grey cell, what a budget cut short is hatched.
    assert len(grey.get_paths()) == 2
    assert len(cells.get_paths()) == 6 and len(hatched.get_paths()) == 3
    assert len({tuple(c) for c in cells.get_facecolors()}) == 2
    assert figure.axes[-1].get_ylabel() == "$q$"
    runs["q"] = np.nan
    drawn(runs, shading=plot.Shading("q", "$q$", True))


def test_transition_panels_show_median_band_and_half_way() -> None:
    times = np.geomspace(0.1, 10, 5)
    values = np.array([[1, 2, 3, 4, np.nan], [3, 4, 5, 6, np.nan], [2, 3, 4, 5, 9]])
    panels = {
        "a": plot.Panel("$a$", False, {"all": values}),
        "b": plot.Panel("$b$", True, {"all": values}),
    }
    moves = pd.DataFrame({"quantity": ["a", "b"], "t_half_over_t_grok": [0.5, np.nan]})
    moves["system"] = "all"
    figure = plot.transition_panels(panels, times, moves)
    a, b = (axes for axes in figure.axes if axes.get_visible())
    # One run of three is too few to draw.
    np.testing.assert_allclose(a.lines[0].get_ydata(), [2, 3, 4, 5])
    assert [line.get_xdata()[0] for line in a.lines[1:]] == [0.5, 1]
    assert [line.get_xdata()[0] for line in b.lines[1:]] == [1]
    assert (a.get_yscale(), b.get_yscale()) == ("linear", "log")


def test_a_map_with_nothing_to_show_says_so() -> None:
    runs = planted().assign(delay_ratio=np.nan, phase="no-learning", censored=False)
    edges = boundaries(runs)
    figure = drawn(runs, edges)
    words = [text.get_text() for text in figure.axes[1].texts]
    assert words == ["no run groks"]
    legend = figure.legends[0].get_texts()
    assert not any("edge" in text.get_text() for text in legend)


def test_a_bar_of_one_value_has_ticks() -> None:
    runs = planted().assign(delay_ratio=lambda t: t["delay_ratio"] * 1.23)
    bar = drawn(runs).axes[-1]
    ticks = [text.get_text() for text in bar.get_yticklabels()]
    assert ticks == ["12.3"]  # its colours span a factor of 2


def test_a_figure_shows_itself_in_a_notebook() -> None:
    figure = Figure(figsize=(2, 1), dpi=50)
    picture = figure._repr_png_()
    assert picture.startswith(b"\x89PNG")
    size = struct.unpack(">II", picture[16:24])
    assert size == (100, 50)  # pixels
