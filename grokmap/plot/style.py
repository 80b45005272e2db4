"""Colours and fonts of every figure, whatever style the user has chosen elsewhere.

Colours are from Okabe and Ito's palette, told apart by every common colour vision.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

COLOURS = {
    "no-learning": "#999999",
    "memorize-only": "#E69F00",
    "grok": "#0072B2",
    "confusion": "#999999",
    "memorization": "#E69F00",
    "grokking": "#0072B2",
    "comprehension": "#009E73",
}
# Of phases that have names of their own, by their place in `Criteria.phases`.
_BY_PLACE = ("#999999", "#E69F00", "#0072B2", "#009E73")
STYLE: Any = {
    "font.size": 8,
    "axes.linewidth": 0.6,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "hatch.linewidth": 0.5,
    "pdf.fonttype": 42,  # text stays text in the PDF
    "svg.fonttype": "none",
    "svg.hashsalt": "grokmap",  # ids of an SVG are random otherwise
    "figure.dpi": 150,
}
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


@contextmanager
def styled() -> Iterator[None]:
    """matplotlib's own defaults and STYLE; on leaving, what was set before."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """A figure as a file of this format: png, pdf, svg."""
    sink = io.BytesIO()
    with styled():
        figure.savefig(sink, format=kind, metadata=METADATA[kind])
    return sink.getvalue()
