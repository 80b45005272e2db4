"""The figures of this package: matplotlib's, which notebooks show as they are."""

from __future__ import annotations

from matplotlib import figure

from grokmap.plot.style import figure_bytes


class Figure(figure.Figure):
    """A figure that a notebook shows, whether or not pyplot has been loaded there."""

    def _repr_png_(self) -> bytes:
        return figure_bytes(self, "png")
