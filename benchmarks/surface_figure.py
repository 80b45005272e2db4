"""Draws docs/figures/surface-strategies.png from benchmarks/results/surface_*.json.

python benchmarks/surface_figure.py
"""

from __future__ import annotations

import sys
from pathlib import Path

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
    """A panel for each number of axes: what is wrong against the cost, both logs."""
    groups = list(found("strategies").groupby("axes"))
    with styled(PAPER):
        figure = blank(PAPER, 20)
        panels = figure.subplots(1, len(groups), sharey=True, squeeze=False).flat
        for panel, (axes, own) in zip(panels, groups, strict=True):
            for name in STRATEGIES:
                line = curve(own, name)
                if not line.empty:
                    panel.errorbar(
                        line["cost"],
                        100 * line["wrong"],
                        100 * line["error"],
                        color=COLOURS[name],
                        marker="o",
                        label=name,
                    )
            panel.set(xscale="log", yscale="log", title=f"{axes} axes")
            panel.set_xlabel("cost of all runs, in that of the cheapest")
            panel.set_yticks([2, 3, 5, 10], ["2", "3", "5", "10"], minor=False)
            panel.set_yticks([], minor=True)
            panel.set_xticks([200, 400, 800], ["200", "400", "800"])
            panel.set_xticks([], minor=True)
        panels[0].set_ylabel("on the wrong side of the edge, % of the box")
        panels[0].legend(frameon=False)
    return figure


if __name__ == "__main__":
    file = ROOT / "docs/figures/surface-strategies.png"
    file.write_bytes(figure_bytes(draw(), "png"))
