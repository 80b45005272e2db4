"""The figures of a result, as methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from grokmap.classify import Criteria
    from grokmap.result.result import Result


class Plots:
    """`result.plot`: a method for each figure; each returns a matplotlib Figure."""

    def __init__(self, result: Result) -> None:
        self._result = result

    def phase_diagram(
        self,
        x: str = "weight_decay",
        y: str = "alpha",
        colour: str = "delay_ratio",
        at: str = "final",
        criteria: str | Criteria = "default",
    ) -> Figure:
        """The phases in the plane of two axes, and beside them t_grok / t_mem or
        another quantity; see `grokmap.result.phase_diagram.draw`."""
        from grokmap.result import phase_diagram

        return phase_diagram.draw(self._result, x, y, colour, at, criteria).figure
