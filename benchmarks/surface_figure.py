"""Draws docs/figures/surface-strategies.png from benchmarks/results/surface_*.json.

python benchmarks/surface_figure.py
"""

from __future__ import annotations

import io
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter
from PIL import Image

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from surface_tables import STRATEGIES, curve, found  # noqa: E402

from grokmap.plot.figure import Figure, blank  # noqa: E402
from grokmap.plot.style import PAPER, figure_bytes, styled  # noqa: E402

COLOURS = {
    "look-ahead": "#0072B2",
    "straddle": "#E69F00",
    "random": "#808080",
    "rows": "#009E73",
}


def draw() -> Figure:
    """What is wrong against the cost, both logs; a row a width, a column a number of
    axes."""
    table = found("strategies")
    widths, axes = table["width"].unique(), table["axes"].unique()
    with styled(PAPER):
        figure = blank(PAPER, 34)
        shape = (len(widths), len(axes))
        panels = figure.subplots(*shape, sharex=True, sharey="row", squeeze=False)
        for (width, n), panel in zip(product(widths, axes), panels.flat, strict=True):
            own = table[(table["width"] == width) & (table["axes"] == n)]
            _draw(panel, own)
            panel.set_title(f"{n} axes, edges of width {width:g}")
        figure.supxlabel("cost of all runs, in that of the cheapest", size=8)
        figure.supylabel("on the wrong side of the edge, % of the box", size=8)
        panels.flat[0].legend(frameon=False)
    return figure


def _draw(panel: Any, own: pd.DataFrame) -> None:
    for name in STRATEGIES:
        line = curve(own, name)
        if not line.empty:
            values = (line["cost"], 100 * line["wrong"], 100 * line["error"])
            panel.errorbar(*values, color=COLOURS[name], marker="o", label=name)
    panel.set(xscale="log", yscale="log")
    for axis, ticks in ((panel.xaxis, (200, 400, 800)), (panel.yaxis, (1, 2, 5, 10))):
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_locator(NullLocator())


if __name__ == "__main__":
    file = ROOT / "docs/figures/surface-strategies.png"
    image = Image.open(io.BytesIO(figure_bytes(draw(), "png")))
    image.convert("RGB").quantize(48).save(file, optimize=True)  # a quarter of the size
