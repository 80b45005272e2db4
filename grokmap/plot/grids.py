"""Grids of phases side by side, cell by cell, and how far seeds agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.patches import Patch

from grokmap.plot.diagram import label_grid
from grokmap.plot.figure import (
    Figure,
    blank,
    entitle,
    finished,
    legend_above,
    wrapped,
)
from grokmap.plot.style import COLOURS, PAPER, Look, points, styled
from grokmap.plot.ticks import numbers

Names = npt.NDArray[np.str_]
NOTHING = "#FFFFFF"
# Dark enough to tell one step from the next in print.
GREYS = ListedColormap(["#FFFFFF", "#BBBBBB", "#555555"])


SMALLEST = 12.0  # width of a panel in letters


def phase_grids(
    grids: Mapping[str, Names],
    agreement: npt.NDArray[np.float64],
    axes: tuple[Sequence[float], Sequence[float]],
    labels: tuple[str, str],
    look: Look = PAPER,
) -> Figure:
    """A panel for each grid, and one with the agreement between seeds.

    Args:
      grids: phases [rows, columns] by title, rows from the top; "" is drawn empty.
      agreement: [rows, columns] share of seeds with the commonest phase.
      axes: values of rows from the top and of columns; labels: of both.
    """
    count = len(grids) + 1
    columns = min(count, look.columns(SMALLEST), -(-count // 2) if count > 3 else 3)
    rows, ems = -(-count // columns), look.ems / columns
    with styled(look):
        figure = blank(look, rows * (ems + 2.0) + 4.5)
        panels: Any = figure.subplots(rows, columns, squeeze=False)
        for panel, phases in zip(panels.flat, grids.values(), strict=False):
            _draw_phases(panel, phases)
        last = panels.flat[count - 1]
        last.imshow(agreement, cmap=GREYS.reversed(), vmin=0, vmax=1)
        for panel in panels.flat[:count]:
            _tick_axes(panel, axes, 2 if ems < 16 else 4)
        words = [wrapped(label, ems - 4) for label in labels[::-1]]
        label_grid(panels, count, words)
        titles = [*grids, "share of our seeds with their commonest phase"]
        entitle(panels.flat[:count], titles, ems - 4)
        legend_above(figure, look, _handles(grids, agreement))
        return finished(figure, look)


def _draw_phases(panel: Any, phases: Names) -> None:
    """Colours, and initials for eyes that do not tell the colours apart."""
    colour = np.array(
        [[to_rgb(COLOURS.get(x, NOTHING)) for x in row] for row in phases]
    )
    panel.imshow(colour)
    for (row, column), name in np.ndenumerate(phases):
        place = {"ha": "center", "va": "center", "fontsize": points(5)}
        panel.text(column, row, _initial(str(name)), **place)


def _initial(name: str) -> str:
    """First letter; X for confusion, since comprehension has the same one."""
    return "X" if name == "confusion" else name[:1].upper()


def _tick_axes(
    panel: Any, axes: tuple[Sequence[float], Sequence[float]], most: int
) -> None:
    for side, values in zip((panel.yaxis, panel.xaxis), axes, strict=True):
        places = [i for i, x in enumerate(values) if np.isclose(np.log10(x) % 1, 0)]
        if len(places) < 2:
            places = list(range(len(values)))
        places = places[:: -(-len(places) // most)]
        side.set_ticks(places, numbers([values[i] for i in places]))


def _handles(
    grids: Mapping[str, Names], agreement: npt.NDArray[np.float64]
) -> list[Patch]:
    """The phases by name and initial, and the shares of seeds."""
    named = sorted({str(x) for grid in grids.values() for x in grid.ravel()} - {""})
    patches = [
        Patch(color=COLOURS[name], label=f"{_initial(name)} {name}") for name in named
    ]
    for share in np.unique(agreement[np.isfinite(agreement)]):
        colour = GREYS.reversed()(float(share))
        outline: Any = {"edgecolor": "#808080", "linewidth": points(0.4)}
        label = f"{share:.0%} of our seeds"
        patches.append(Patch(facecolor=colour, label=label, **outline))
    return patches
