"""Grids of phases side by side, cell by cell, and how far seeds agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.patches import Patch

from grokmap.plot.figure import Figure
from grokmap.plot.style import COLOURS, styled

Names = npt.NDArray[np.str_]
NOTHING = "#FFFFFF"
# Dark enough to tell one step from the next in print.
GREYS = ListedColormap(["#FFFFFF", "#BBBBBB", "#555555"])


def phase_grids(
    grids: Mapping[str, Names],
    agreement: npt.NDArray[np.float64],
    axes: tuple[Sequence[float], Sequence[float]],
    labels: tuple[str, str],
) -> Figure:
    """A panel for each grid, and one with the agreement between seeds.

    Args:
      grids: phases [rows, columns] by title, rows from the top; "" is drawn empty.
      agreement: [rows, columns] share of seeds with the commonest phase.
      axes: values of rows from the top and of columns; labels: of both.
    """
    with styled():
        count = len(grids) + 1
        figure = Figure(figsize=(2.7 * count, 3.2), layout="constrained")
        panels = figure.subplots(1, count, squeeze=False)[0]
        for panel, (title, phases) in zip(panels, grids.items(), strict=False):
            _draw_phases(panel, phases)
            panel.set_title(title)
        image = panels[-1].imshow(agreement, cmap=GREYS.reversed(), vmin=0, vmax=1)
        panels[-1].set_title("agreement of our seeds")
        bar = figure.colorbar(image, ax=panels[-1], shrink=0.6)
        bar.set_ticks([0, 1 / 3, 2 / 3, 1], labels=["0", "1/3", "2/3", "1"])
        bar.set_label("share with the commonest phase")
        for panel in panels:
            _label_axes(panel, axes, labels[1])
        panels[0].set_ylabel(labels[0])
        _legend(figure, grids)
    return figure


def _draw_phases(panel: Any, phases: Names) -> None:
    """Colours, and initials for eyes that do not tell the colours apart."""
    colour = np.array(
        [[to_rgb(COLOURS.get(x, NOTHING)) for x in row] for row in phases]
    )
    panel.imshow(colour)
    for (row, column), name in np.ndenumerate(phases):
        place = {"ha": "center", "va": "center", "fontsize": 5}
        panel.text(column, row, _initial(str(name)), **place)


def _initial(name: str) -> str:
    """First letter; X for confusion, since comprehension has the same one."""
    return "X" if name == "confusion" else name[:1].upper()


def _label_axes(
    panel: Any, axes: tuple[Sequence[float], Sequence[float]], label: str
) -> None:
    rows, columns = ([f"{x:.1e}" for x in values] for values in axes)
    panel.set_xticks(range(0, len(columns), 3), columns[::3])
    panel.set_yticks(range(0, len(rows), 3), rows[::3])
    panel.set_xlabel(label)


def _legend(figure: Figure, grids: Mapping[str, Names]) -> None:
    named = sorted({str(x) for grid in grids.values() for x in grid.ravel()} - {""})
    patches = [
        Patch(color=COLOURS[name], label=f"{_initial(name)} {name}") for name in named
    ]
    figure.legend(handles=patches, loc="outside lower center", ncols=4, frameon=False)
