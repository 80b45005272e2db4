"""Colours and fonts of every figure, whatever style the user has chosen elsewhere.

Colours are from Okabe and Ito's palette, told apart by every common colour vision;
those of phases differ in lightness, too.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

from grokmap.errors import SpecError, short

COLOURS = {
    "no-learning": "#C8C8C8",
    "memorize-only": "#E69F00",
    "grok": "#0072B2",
    "confusion": "#C8C8C8",
    "memorization": "#E69F00",
    "grokking": "#0072B2",
    "comprehension": "#009E73",
}
# Of phases that have names of their own, by their place in `Criteria.phases`.
_BY_PLACE = ("#C8C8C8", "#E69F00", "#0072B2", "#009E73")
NEUTRAL = "#808080"  # of what is drawn to compare with
NO_VALUE = "#DADADA"  # of cells in a map that have none; white is where nothing ran
# Of a paper; `Look` scales what is not a colour or a format.
STYLE: Any = {
    "xtick.direction": "out",
    "ytick.direction": "out",
    "pdf.fonttype": 42,  # text stays text in the PDF, in TrueType
    "svg.fonttype": "none",
    "svg.hashsalt": "grokmap",  # ids of an SVG are random otherwise
    "figure.dpi": 150,
}
# What scales with the letters, in points, where these are of 8 points.
SIZES = {
    **{"axes.linewidth": 0.6, "hatch.linewidth": 0.5, "lines.linewidth": 1.1},
    **{"lines.markersize": 3, "axes.labelpad": 2.5, "axes.titlepad": 4},
    **{"font.size": 8, "axes.labelsize": 8, "axes.titlesize": 7.5},
    **{"xtick.labelsize": 7, "ytick.labelsize": 7, "legend.fontsize": 7},
    **{"xtick.major.size": 3, "ytick.major.size": 3},
    **{"xtick.minor.size": 1.6, "ytick.minor.size": 1.6},
    **{"xtick.major.width": 0.6, "ytick.major.width": 0.6},
    **{"xtick.minor.width": 0.4, "ytick.minor.width": 0.4},
}
LETTERS = 8.0  # points, of a paper
# Letters in points, and the width of a figure in inches where none is asked for.
STYLES = {"paper": (LETTERS, 7.0), "talk": (14.0, 12.0)}
MM = 1 / 25.4
# Inches. APS: "Style basics for authors"; Nature: "Guide to preparing final artwork";
# NeurIPS: the text width of its LaTeX style file; slide: of 13.3 in, less margins.
WIDTHS = {
    "single": 3.4,
    "double": 7.0,
    "aps": 86 * MM,
    "aps-double": 178 * MM,
    "nature": 89 * MM,
    "nature-double": 183 * MM,
    "neurips": 5.5,
    "half-slide": 6.0,
    "slide": 12.0,
}
NARROWEST = 30.0  # a figure, in its letters
WIDEST = 40.0  # inches
# No dates: the same table gives the same bytes.
METADATA: Any = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}


class Phases(NamedTuple):
    """The phases of one set of rules: a colour by name, and which generalised."""

    colours: dict[str, str]
    grokked: tuple[str, ...]


def phases_of(names: Sequence[str], grokked: Sequence[str]) -> Phases:
    """The phases as they are drawn.

    names: of (neither, train only, both, both without delay); grokked: those of them
      that generalised.
    """
    by_place = dict(zip(reversed(names), reversed(_BY_PLACE), strict=True))
    colours = {name: COLOURS.get(name, by_place[name]) for name in names}
    return Phases(colours, tuple(grokked))


class Look(NamedTuple):
    """How wide a figure is, in inches, and how large its letters are, in points."""

    width: float
    letters: float

    @property
    def ems(self) -> float:
        """The width in letters."""
        return self.width * 72 / self.letters

    def inches(self, ems: float) -> float:
        """A length in letters, in inches."""
        return ems * self.letters / 72

    def columns(self, ems: float) -> int:
        """How many panels of so many letters stand side by side, at least one."""
        return max(1, int(self.ems / ems))


PAPER = Look(STYLES["paper"][1], LETTERS)


def look_of(style: str = "paper", width: str | float | None = None) -> Look:
    """The look of a style, in a column of a journal or any other width.

    Args:
      style: paper, talk.
      width: a name of `WIDTHS` or inches (None: that of the style).

    Raises:
      SpecError: a style or width that is not known, or a width too narrow for the
        letters of the style.
    """
    if style not in STYLES:
        raise SpecError(f"--style {short(style)!r}; known: {', '.join(STYLES)}")
    letters, usual = STYLES[style]
    look = Look(usual if width is None else _inches(width), letters)
    least = look.inches(NARROWEST)
    if not least <= look.width <= WIDEST:
        raise SpecError(
            f"--width {short(str(width))!r}: {look.width:.3g} in; with letters of "
            f"{letters:g} points ({style}) from {least:.2g} to {WIDEST:g} in"
        )
    return look


def _inches(width: str | float) -> float:
    if width in WIDTHS:
        return WIDTHS[str(width)]
    try:
        return float(width)
    except ValueError:
        known = ", ".join(WIDTHS)
        raise SpecError(
            f"--width {short(str(width))!r}: neither inches nor one of {known}"
        ) from None


@contextmanager
def styled(look: Look = PAPER) -> Iterator[None]:
    """matplotlib's own defaults and STYLE; on leaving, what was set before."""
    scale = look.letters / LETTERS
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        sizes: Any = {name: size * scale for name, size in SIZES.items()}
        mpl.rcParams.update(sizes)
        yield


def size_of(name: str) -> float:
    """One of `SIZES`, in points, in the style that is drawn in."""
    parameters: Any = mpl.rcParams
    return float(parameters[name])


def points(size: float) -> float:
    """A size given for letters of 8 points, in the style that is drawn in."""
    return size * size_of("font.size") / LETTERS


def area(size: float) -> float:
    """The same of an area, as that of the marks of a scatter plot."""
    return size * points(1.0) ** 2


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """A figure as a file of this format: png, pdf, svg."""
    sink = io.BytesIO()
    with styled():
        figure.savefig(sink, format=kind, metadata=METADATA[kind])
    return sink.getvalue()
