"""Figures of comparisons and of one axis: what they show, on tables that are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import figure_checks as checks
import numpy as np
import pandas as pd
import pytest
from figure_makers import QUICK, QUICK_MAKERS, opened
from matplotlib.colors import to_hex
from test_plot import PHASES, PLANE
from test_plot import planted as planted_runs

import grokmap
from grokmap import plot
from grokmap.errors import SpecError
from grokmap.plot.comparison import _changed
from grokmap.plot.figure import length, shortened
from grokmap.plot.hysteresis import LINES
from grokmap.plot.lines import Below, Line, LinePanel, hues
from grokmap.plot.one_axis import Axis, places
from grokmap.plot.style import COLOURS
from grokmap.plot.ticks import label_zero
from grokmap.result import comparison_drawing, groups, one_axis
from grokmap.result.caption import caption_of_two


def changes(values: dict[tuple[float, float], float]) -> pd.DataFrame:
    rows = [
        {"x": x, "y": y, "value": value, "letter": "", "open": False}
        for (x, y), value in values.items()
    ]
    return pd.DataFrame(rows)


def maps(cells: pd.DataFrame, **looks: Any) -> Any:
    """A comparison of the runs of `test_plot` with themselves."""
    runs = planted_runs()
    rows = [plot.ComparedRow("", runs, runs, cells)]
    change = plot.Shading("t_grok", "B over A", True)
    sides = plot.Sides("one", "two")
    return plot.comparison_maps(rows, PLANE, PHASES, change, sides, **looks)


def line(title: str = "", value: float = 100.0, extra: bool = False) -> Line:
    """Two places, at 0 and 0.1, with the same times."""
    cells = pd.DataFrame({"x": [0.0, 0.1], "t_mem": 10.0, "t_grok": value})
    cells = cells.assign(at=places(cells["x"].to_numpy(float), log=True))
    cells = cells.assign(p_grok=1.0, p_grok_low=0.5, p_grok_high=1.0)
    for name in ("t_mem", "t_grok"):
        cells[f"{name}_q25"] = cells[f"{name}_q75"] = cells[name]
    below = cells.assign(value=[2.0, np.nan], low=1.0, high=3.0) if extra else None
    return Line(title, cells, None, below)


def test_matched_cells_have_the_edges_of_their_plane() -> None:
    own = plot.gather(
        planted_runs().assign(none=0.0), PLANE, "none", PHASES.grokked
    ).table
    some = changes({(1e-3, 0.0): 1.0, (1.0, 0.3): 2.0})
    changed = _changed(some, own, PLANE)
    expected = own.set_index(["x", "y"]).loc[[(1e-3, 0.0), (1.0, 0.3)]]
    for edge in ("x_low", "x_high", "y_low", "y_high"):
        assert changed[edge].tolist() == expected[edge].tolist()
    # The two alone would reach half-way to each other.
    assert changed["x_high"].iloc[0] == pytest.approx(10**-2.5)
    words = checks.legend_words(maps(some))
    assert "change: not in both" in words and "not run" not in words
    both = changes({(x, y): 1.0 for x in (1e-3, 1e-2, 1e-1, 1.0) for y in (0.0, 0.3)})
    assert "change: not in both" not in checks.legend_words(maps(both))


def test_a_bar_of_ratios_near_1_has_ticks_on_both_sides() -> None:
    for largest, ticks in ((1.3, ["0.833", "1", "1.2"]), (1.6, ["0.667", "1", "1.5"])):
        bar = maps(changes({(1e-3, 0.0): largest, (1.0, 0.3): 1.0})).axes[-1]
        assert [text.get_text() for text in bar.get_yticklabels()] == ticks
    bar = maps(changes({(1e-3, 0.0): 1 / 9, (1.0, 0.3): 1.0})).axes[-1]
    assert "1" in [text.get_text() for text in bar.get_yticklabels()]


def test_where_nothing_changes_there_are_words_and_no_bar() -> None:
    figure = maps(changes({(1e-3, 0.0): np.nan, (1.0, 0.3): np.nan}))
    assert len(figure.axes) == 3
    assert [text.get_text() for text in figure.axes[2].texts] == ["neither groks"]
    assert checks.legend_words(figure)[-1] == "neither groks"


def test_where_three_panels_have_no_room_the_change_stands_below() -> None:
    cells = changes({(1e-3, 0.0): 2.0, (1.0, 0.3): 1.0})
    for look, rows in ((plot.PAPER, 1), (plot.look_of("paper", "single"), 2)):
        figure = maps(cells, look=look, caption="what is fixed")
        renderer = checks.laid_out(figure)
        tops = {round(axes.get_position().y0, 2) for axes in checks.panels(figure)}
        assert len(tops) == rows and len(checks.sizes(figure)) == 1
        assert checks.outside(figure, renderer) == []
        assert checks.letters(figure) == ["a", "b", "c"]
        assert figure.get_supxlabel() == "what is fixed"


def test_one_line_has_the_colours_of_phases_and_several_keep_theirs() -> None:
    alone = hues([LinePanel("", [line()])])[""]
    assert (alone.mem, alone.grok) == (COLOURS["memorize-only"], COLOURS["grok"])
    panels = [LinePanel("", [line("a"), line("b")]), LinePanel("", [line("b")])]
    assert [hue.grok for hue in hues(panels).values()] == list(LINES[:2])
    figure = plot.axis_lines(panels, Axis("x", log=True))
    second = figure.axes[1].lines
    assert {to_hex(drawn.get_color()) for drawn in second} == {LINES[1].lower()}
    assert checks.legend_words(figure)[-2:] == ["a", "b"]


def test_the_legend_of_lines_says_what_is_drawn() -> None:
    figure = plot.axis_lines([LinePanel("", [line()])], Axis("x", log=True))
    times = [
        rf"$t_{{\mathrm{{{name}}}}}$: median, quartiles" for name in ("mem", "grok")
    ]
    assert checks.legend_words(figure) == [*times, "P(grok): 95% interval"]
    beyond = line()
    assert beyond.cells is not None
    runs = pd.DataFrame({"at": beyond.cells["at"], "t_mem": 9.0, "t_grok": np.nan})
    runs = runs.assign(n_steps=5000.0, undecided=[True, False])
    cells = beyond.cells.assign(t_grok_q75=np.inf)
    shading = plot.Shading("q", "$q$ of all", False)
    panel = LinePanel("", [Line("", cells, runs, line(extra=True).extra)])
    below = Below(shading, "$q$: median", even=1.0)
    figure = plot.axis_lines([panel], Axis("x", log=True), below)
    more = ["a seed", "budget of an undecided run", "upper quartile beyond"]
    shares = "P(grok): 95% interval"
    assert checks.legend_words(figure) == [*times, *more, shares, "$q$: median"]
    assert len(checks.sizes(figure)) == 1 and checks.letters(figure) == ["a", "b", "c"]


def test_panels_of_lines_without_a_value_say_so() -> None:
    _, make = QUICK_MAKERS["lines, empty"]
    times, shares = make(plot.PAPER).axes
    for axes, said in ((times, "no run memorises"), (shares, "nothing is decided")):
        assert [" ".join(text.get_text().split()) for text in axes.texts] == [said]


def test_zero_stands_apart_and_one_value_above_it_is_named() -> None:
    figure = plot.axis_lines([LinePanel("", [line()])], Axis("x", log=True))
    checks.laid_out(figure)
    axes = figure.axes[0]
    assert [text.get_text() for text in checks.shown_ticks(axes, "x")] == ["0", "0.1"]
    assert len(axes.xaxis.get_minorticklocs()) == 0
    label_zero(axes.xaxis, 1e-4, 1e-2, 1.0, 4)
    minor = axes.xaxis.get_minorticklocs()
    assert minor.min() == pytest.approx(0.02) and minor.max() == pytest.approx(0.9)


def test_lines_of_runs_that_do_not_read_their_axis_have_a_name() -> None:
    runs = pd.DataFrame()
    assert one_axis._title(groups.Group("", {"momentum": None}, runs)) == "no momentum"
    named = one_axis._title(groups.Group("", {"depth": 2}, runs))
    assert named.replace("\N{NO-BREAK SPACE}", " ") == "depth = 2"


def test_names_of_folders_are_as_long_as_tells_them_apart() -> None:
    tails = comparison_drawing._tails
    assert tails(Path("a/x"), Path("b/y")) == ("x", "y")
    assert tails(Path("a/x"), Path("b/x")) == ("a/x", "b/x")
    assert tails(Path("a/x"), Path("a/x")) == ("x", "x")
    name = "a-folder-with-a-long-name"
    assert shortened(name, 20) == name
    cut = shortened(name, 8)
    assert length(cut) <= 8 and cut[0] == "a" and cut[-1] == "e" and "…" in cut


def test_the_caption_of_two_tells_them_apart() -> None:
    result, runs = opened(QUICK), opened(QUICK).labelled()
    one = runs[runs["seed"] == 0]
    said = caption_of_two((result, result), (runs, one), {"horizon": (8.0, 16.0)})
    words = said.replace("\N{NO-BREAK SPACE}", " ")
    assert words == (
        "two-layer, quadratic, MSE, GD; modular addition, $p$ = 23, $N$ = 128, "
        r"train fraction = 0.6, $\eta$ = 0.05, $\beta$ = 0.9; "
        "A: horizon = 8, B: horizon = 16; A: 2 seeds a cell, B: 1 seed a cell"
    )


def test_axes_that_some_cells_do_not_read_are_refused() -> None:
    found = grokmap.compare(opened(QUICK), opened(QUICK))
    cells = found.cells.assign(alpha=found.cells["alpha"].where(lambda a: a > 0))
    unread = found._replace(cells=cells)
    with pytest.raises(SpecError, match="alpha is not read in 10 of 70 cells"):
        comparison_drawing.draw(unread)
