"""Laws of the overlap of neurons with a teacher, measured and predicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from grokmap.arrays import Floats, Ints
from grokmap.plot.figure import (
    Figure,
    blank,
    entitle,
    finished,
    legend_above,
    panels_of,
)
from grokmap.plot.lines import DARK, MARKERS
from grokmap.plot.style import COLOURS, NEUTRAL, PAPER, Look, points, styled

SMALLEST = 17.0  # width of a panel in letters
PHASES = ("no-learning", "memorize-only", "grok")  # whose colours a map takes


class Law(NamedTuple):
    """One panel. edges: [k + 1] of bins of |w.w*|; measured, predicted: [k] densities
    in them."""

    title: str
    edges: Floats
    measured: Floats
    predicted: Floats


class LawNames(NamedTuple):
    """What is drawn. title: of the last panel; along: of the axis of laws; part: of the
    last panel's axis, and of a row of its legend; least: density that is drawn."""

    title: str = "parts of f"
    along: str = r"$|w \cdot w^*|$"
    part: str = "part of f"
    least: float = 1e-3


def overlap_laws(
    laws: Sequence[Law],
    parts: pd.DataFrame,
    measured: str,
    predicted: str,
    look: Look = PAPER,
    caption: str = "",
    names: LawNames = LawNames(),
) -> Figure:
    """A panel a law, filled steps measured, a line predicted; then parts of f.

    parts: noise, part, measured, predicted, a row a point of the last panel.
    """
    columns = min(look.columns(SMALLEST), len(laws) + 1)
    rows, ems = -(-(len(laws) + 1) // columns), look.ems / columns
    with styled(look):
        figure = blank(look, rows * (0.75 * ems + 3.0) + 3.0)
        places = panels_of(figure, len(laws) + 1, columns)
        for axes, law in zip(places, laws, strict=False):
            _draw_law(axes, law, names)
        _draw_parts(places[-1], parts, names)
        titles = [*(law.title for law in laws), names.title]
        entitle(places, titles, ems - 4.0)
        legend_above(figure, look, _handles(measured, predicted, parts, names))
        return finished(figure, look, caption)


def _draw_law(axes: Any, law: Law, names: LawNames) -> None:
    axes.stairs(law.measured, law.edges, fill=True, color=NEUTRAL, alpha=0.5)
    axes.stairs(law.predicted, law.edges, color=DARK, linewidth=points(1.1))
    axes.set_yscale("log")
    axes.set_ylim(names.least, 2 * max(law.measured.max(), law.predicted.max()))
    axes.set_xlim(law.edges[0], law.edges[-1])
    axes.set_xlabel(names.along)
    axes.set_ylabel("density")


def _draw_parts(axes: Any, parts: pd.DataFrame, names: LawNames) -> None:
    for place, (name, part) in enumerate(parts.groupby("part", sort=False)):
        hue = _hue(place)
        axes.plot(part["noise"], part["measured"], linestyle="", label=name, **hue)
        axes.plot(part["noise"], part["predicted"], color=hue["color"])
    axes.set_xscale("log")
    axes.axhline(0, color=NEUTRAL, linewidth=points(0.5))
    ticks = _apart(np.unique(parts["noise"]))
    axes.set_xticks(ticks, [f"{tick:.2g}".lstrip("0") for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(r"noise $\sigma^2$")
    axes.set_ylabel(names.part)


def _apart(ticks: Floats) -> list[float]:
    """Those whose labels do not meet on a logarithmic axis over all of them."""
    kept: list[float] = []
    for tick in ticks:
        if not kept or np.log(tick / kept[-1]) > 0.15 * np.log(ticks[-1] / ticks[0]):
            kept.append(float(tick))
    return kept


def _hue(place: int) -> dict[str, Any]:
    colour = (COLOURS["grok"], COLOURS["memorize-only"])[place % 2]
    return {"color": colour, "marker": MARKERS[place % len(MARKERS)]}


def _handles(
    measured: str, predicted: str, parts: pd.DataFrame, names: LawNames
) -> list[Any]:
    square: Any = {"marker": "s", "linestyle": "", "color": NEUTRAL, "alpha": 0.5}
    marks: list[Any] = [
        Line2D([], [], label=measured, **square),
        Line2D([], [], label=predicted, color=DARK, linewidth=points(1.1)),
    ]
    for place, name in enumerate(dict.fromkeys(parts["part"])):
        marks.append(Line2D([], [], label=f"{name} {names.part}", **_hue(place)))
    return marks


class Equilibrium(NamedTuple):
    """A plane. noises: [c], sizes: [r] ascending; kinds: [r, c] places of phases;
    shares: [r, c] of specialised neurons; equal: [r] noises of equal wells."""

    noises: Floats
    sizes: Floats
    kinds: Ints
    shares: Floats
    equal: Floats


def equilibrium_map(
    plane: Equilibrium, names: Sequence[str], look: Look = PAPER, caption: str = ""
) -> Figure:
    """Phases, and how many neurons specialise, over noise and number of examples."""
    columns = min(look.columns(SMALLEST), 2)
    rows, ems = 2 // columns, look.ems / columns
    with styled(look):
        figure = blank(look, rows * (0.75 * ems + 3.0) + 3.0)
        places = panels_of(figure, 2, columns)
        colours = ListedColormap([COLOURS[name] for name in PHASES[: len(names)]])
        grid = plane.noises, plane.sizes
        limits: Any = {"vmin": -0.5, "vmax": len(names) - 0.5, "shading": "nearest"}
        places[0].pcolormesh(*grid, plane.kinds, cmap=colours, **limits)
        shades = places[1].pcolormesh(*grid, plane.shares, cmap="Greys", vmin=0)
        figure.colorbar(shades, ax=places[1], label="share beyond the dip")
        for axes in places:
            axes.plot(plane.equal, plane.sizes, "--", color=DARK)
            axes.set(xscale="log", yscale="log", xlim=plane.noises[[0, -1]])
            axes.set_xlabel(r"noise $\sigma^2$")
            axes.set_ylabel("examples $n$")
        entitle(places, ["phases", "specialised neurons"], ems - 4.0)
        patches = [Patch(color=colours(k), label=name) for k, name in enumerate(names)]
        line: Any = {"color": DARK, "linestyle": "--", "linewidth": points(1.1)}
        equal = Line2D([], [], label="equal wells, large d", **line)
        legend_above(figure, look, [*patches, equal])
        return finished(figure, look, caption)
