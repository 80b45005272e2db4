"""Every figure, as it is laid out: by every style, in the widths of journals."""

from __future__ import annotations

import itertools
import re
import shutil
import zlib
from pathlib import Path
from typing import get_type_hints

import figure_checks as checks
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from figure_makers import MAKERS, QUICK, QUICK_MAKERS, diagram, opened, three_alphas
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import grokmap
from grokmap import plot
from grokmap.arrays import Floats
from grokmap.errors import SpecError
from grokmap.plot import figure as figures
from grokmap.plot.cells import boundary
from grokmap.plot.names import system_words
from grokmap.plot.style import COLOURS, NO_VALUE
from grokmap.plot.ticks import number
from grokmap.result.caption import caption

# The other widths lie between these: "neurips" and "slide".
LOOKS = [("paper", "double"), ("paper", "single"), ("talk", "half-slide")]
# Of figures of larger results: as they are by default, and where there is least room.
ENDS = (LOOKS[0], LOOKS[-1])
# The others are made in the slow tests.
FIRST = (
    "diagram",
    "diagram, empty",
    "diagrams of three axes",
    "uncertainty",
    "curves, one run",
    "collapse",
)
CASES = [
    pytest.param(
        name,
        look,
        id=f"{name}-{look[0]}-{look[1]}",
        marks=() if name in FIRST and look == LOOKS[0] else pytest.mark.slow,
    )
    for name in MAKERS
    for look in (LOOKS if name in QUICK_MAKERS else ENDS)
]


@pytest.mark.parametrize(("name", "look"), CASES)
def test_a_figure_is_fit_to_print(name: str, look: tuple[str, str]) -> None:
    function, make = MAKERS[name]
    figure = make(plot.look_of(*look))
    renderer = checks.laid_out(figure)
    assert figure.get_figwidth() == plot.WIDTHS[look[1]]
    assert checks.overlapping_ticks(figure, renderer) == []
    assert checks.overlapping_titles(figure, renderer) == []
    if function == "phase_diagram":
        assert checks.longer_than_their_bar(figure, renderer) == []
    assert checks.outside(figure, renderer) == []
    assert checks.beyond_their_panel(figure, renderer) == []
    assert checks.raw_words(figure) == []
    # Below the loops of hysteresis stands one wide panel.
    assert len(checks.sizes(figure)) == (2 if function == "hysteresis_loops" else 1)
    letters = checks.letters(figure)
    assert letters == [figures.letter(i).strip("()") for i in range(len(letters))]
    if function != "curves":  # where a column of panels has one
        assert len(letters) == len(checks.panels(figure))
    words = checks.legend_words(figure)
    assert len(words) == len(set(words))


def test_every_figure_is_in_the_table() -> None:
    functions = {name: getattr(plot, name) for name in plot.__all__}
    drawing = {
        name
        for name, function in functions.items()
        if callable(function)
        and not isinstance(function, type)
        and issubclass(_returned(function), Figure)
    }
    assert drawing == {function for function, _ in MAKERS.values()}
    assert set(FIRST) <= set(QUICK_MAKERS)


def _returned(function: object) -> type:
    returned = get_type_hints(function).get("return", object)
    return returned if isinstance(returned, type) else object


def test_the_legend_says_what_is_drawn_and_nothing_else() -> None:
    figure = diagram(QUICK)(plot.PAPER)
    runs = opened(QUICK).labelled()
    share = (runs["phase"] == "grok").groupby([runs["alpha"], runs["weight_decay"]])
    cut = runs["censored"].groupby([runs["alpha"], runs["weight_decay"]]).mean()
    assert share.mean().between(0, 1, inclusive="neither").any() and (cut >= 0.5).any()
    assert checks.legend_words(figure) == [
        *("no-learning", "memorize-only", "grok", "grok in a share of seeds"),
        *("undecided (censored)", "no run groks", "P(grok) = ½"),
        *("edge, 95% interval", "edge lies that way"),
    ]
    figure = diagram(QUICK, x="decay_rate")(plot.PAPER)  # whose rows are of two lengths
    assert "not run" in checks.legend_words(figure)
    assert "edge, 95% interval" not in checks.legend_words(figure)


def test_few_swept_values_have_a_tick_each() -> None:
    axes = checks.panels(three_alphas()(plot.PAPER))[0]
    assert tick_words(axes, "y") == ["0", "0.2", "0.4"]
    assert axes.get_yticks().tolist() == pytest.approx([0.0, 0.2, 0.4])
    assert tick_words(axes, "x") == ["0.001", "0.01", "0.1"]  # 3.2e-3 stands between
    axes = checks.panels(MAKERS["diagrams of alphas"][1](plot.PAPER))[0]
    assert tick_words(axes, "y") == ["64", "128", "256"]  # on a log axis


def tick_words(axes: Axes, side: str) -> list[str]:
    checks.laid_out(axes.figure)
    return [text.get_text() for text in checks.shown_ticks(axes, side)]


@pytest.mark.slow
def test_panels_of_many_axes_are_large_and_alpha_is_defined_once() -> None:
    for name, columns, ems in (
        ("diagrams of two optimizers", 2, 25.0),
        ("diagrams of three axes", 4, 12.0),
    ):
        figure = MAKERS[name][1](plot.PAPER)
        checks.laid_out(figure)
        axes = checks.panels(figure)
        # The maps stand below, where the bar is, too.
        tops = [round(one.get_position().y1, 3) for one in axes]
        assert tops == sorted(tops, reverse=True) and tops.count(tops[0]) == columns
        wide = axes[0].get_position().width * plot.PAPER.ems
        assert ems < wide < 31
        labels = [one.get_ylabel() for one in axes]
        assert [bool(label) for label in labels] == [
            i % columns == 0 for i in range(len(axes))
        ]
    assert {*labels} == {r"$\alpha$", ""}
    assert figure._supxlabel.get_text().count("Sigma") == 1  # type: ignore[attr-defined]


def test_an_empty_panel_says_so_in_words() -> None:
    _, make = MAKERS["diagram, empty"]
    right = checks.panels(make(plot.PAPER))[1]
    assert [t.get_text() for t in right.texts] == ["no run groks"]


def test_the_caption_says_what_is_fixed_and_what_is_missing(tmp_path: Path) -> None:
    runs = opened(QUICK).labelled()
    said = caption(opened(QUICK), runs).replace("\N{NO-BREAK SPACE}", " ")
    assert said == (
        "two-layer, quadratic, MSE, GD; modular addition, $p$ = 23, $N$ = 128, "
        r"train fraction = 0.6, $\eta$ = 0.05, $\beta$ = 0.9; 2 seeds a cell"
    )
    assert r"$\alpha$ = 0.1" in caption(
        opened(QUICK), runs[runs["alpha"] == 0.1]
    ).replace("\N{NO-BREAK SPACE}", " ")
    part = tmp_path / "part"
    shutil.copytree(opened(QUICK).path, part)
    files = sorted((part / "trajectories").iterdir())
    gone = len(pd.read_parquet(files[0])["run_id"].unique())
    files[0].unlink()
    result = grokmap.open(part)
    there = result.labelled()
    assert 0 < len(there) == 140 - gone
    assert f"; {len(there)} of 140 runs" in caption(result, there)


def test_names_and_numbers_are_as_in_text() -> None:
    place = plot.place_words({"alpha": 0.125, "weight_decay": 3.429e-5, "depth": None})
    words = place.replace("\N{NO-BREAK SPACE}", " ")
    assert words == r"$\alpha$ = 0.125, $\lambda$ = $3.4 \times 10^{-5}$"
    words = system_words("optimizer=adamw, train_fraction=0.5, width=64")
    words = words.replace("\N{NO-BREAK SPACE}", " ")
    assert words == "optimizer = AdamW, train fraction = 0.5, $N$ = 64"
    assert [number(x) for x in (0, 0.00232079, 128, 25000, 342900)] == [
        *("0", "0.00232", "128", "25000", r"$3.4 \times 10^{5}$"),
    ]


def test_titles_are_wrapped_outside_of_formulas() -> None:
    text = r"(a) $\alpha = 0.3$, all of the rest"
    lines = figures.wrapped(text, 9).split("\n")
    assert len(lines) > 1 and " ".join(lines) == text
    assert all(line.count("$") % 2 == 0 for line in lines)


def test_unknown_looks_are_refused() -> None:
    assert plot.look_of("paper", "aps").width == pytest.approx(8.6 / 2.54)
    assert plot.look_of("paper", "nature-double").width == pytest.approx(18.3 / 2.54)
    assert plot.look_of("talk").letters > plot.look_of().letters
    assert plot.look_of("paper", "4.5").width == plot.look_of("paper", 4.5).width == 4.5
    for style, width in (("poster", None), ("paper", "wide"), ("talk", "single")):
        with pytest.raises(SpecError, match="--(style|width)"):
            plot.look_of(style, width)


@pytest.mark.slow
def test_files_are_the_same_each_time_with_fonts_and_without_dates() -> None:
    for kind in ("pdf", "svg", "png"):
        once, again = (
            plot.figure_bytes(diagram(QUICK)(plot.PAPER), kind) for _ in range(2)
        )
        assert once == again
        assert len(once) < 120_000
        if kind == "pdf":
            assert b"CreationDate" not in once
            streams = re.findall(rb"stream\r?\n(.*?)endstream", once, re.DOTALL)
            whole = once + b"".join(map(_inflated, streams))
            assert b"/FontFile2" in whole and b"/Type3" not in whole
        if kind == "svg":
            assert b"<dc:date>" not in once and b"<text" in once


def _inflated(stream: bytes) -> bytes:
    try:
        return zlib.decompress(stream)
    except zlib.error:
        return b""


# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
VISION = {
    "common": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def lightness(colour: str, seen: Floats) -> float:
    """CIE L*, 0 to 100, of a colour as it is seen."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    y = float(np.clip(seen @ linear, 0, 1) @ [0.2126, 0.7152, 0.0722])
    return 116 * y ** (1 / 3) - 16


@pytest.mark.parametrize("vision", VISION)
def test_phases_differ_in_lightness_in_every_vision(vision: str) -> None:
    names = ("no-learning", "memorize-only", "grok", "comprehension")
    seen = [lightness(COLOURS[name], VISION[vision]) for name in names]
    assert min(abs(a - b) for a, b in itertools.combinations(seen, 2)) > 6


def test_what_was_not_run_is_told_from_what_has_no_value() -> None:
    white, grey, none = (
        lightness(colour, VISION["common"])
        for colour in ("white", NO_VALUE, COLOURS["no-learning"])
    )
    assert white - grey > 10 and grey - none > 6


def test_lines_of_one_half_meet_but_never_cross() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        cells = ragged(rng)
        segments = boundary(cells)
        assert segments
        for one, two in itertools.combinations(segments, 2):
            assert not crosses(one, two)


def ragged(rng: np.random.Generator) -> pd.DataFrame:
    """Rows of cells whose edges are not those of the row below."""
    rows = []
    for y in range(5):
        edges = np.sort(np.r_[0.0, rng.uniform(0, 10, 6), 10.0])
        rows += [
            {"x_low": a, "x_high": b, "y_low": y, "y_high": y + 1, "p_grok": p}
            for a, b in itertools.pairwise(edges)
            for p in [float(rng.random())]
        ]
    return pd.DataFrame(rows).assign(censored=0.0)


def crosses(one: tuple, two: tuple) -> bool:  # type: ignore[type-arg]
    """Whether an upright and a flat segment pass through each other, or two of one
    direction lie on each other."""
    flat = [s for s in (one, two) if s[0][1] == s[1][1]]
    if len(flat) == 1:
        upright = two if flat[0] is one else one
        (x, low), (_, high) = upright
        (left, y), (right, _) = flat[0]
        return bool(left < x < right and low < y < high)
    k = 0 if flat else 1  # the direction of both
    if one[0][1 - k] != two[0][1 - k]:
        return False
    return bool(max(one[0][k], two[0][k]) < min(one[1][k], two[1][k]))


def test_the_command_draws_in_the_width_that_is_asked_for(tmp_path: Path) -> None:
    from grokmap.cli import app

    words = ["phase-diagram", str(ROOT / "results" / QUICK), "--format", "png"]
    more = ["--style", "talk", "--width", "slide", "--out", str(tmp_path / "x")]
    app(args=[*words, *more], standalone_mode=False)
    header = (tmp_path / "x.png").read_bytes()[16:20]
    assert int.from_bytes(header, "big") == 12 * 150
