"""The figures of a result, as methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from grokmap.classify import Criteria
    from grokmap.result.groups import Place
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
        when: str = "final",
        criteria: str | Criteria = "default",
        at: Place | None = None,
    ) -> Figure:
        """The phases in the plane of two axes, and beside them t_grok / t_mem or
        another quantity; see `grokmap.result.phase_diagram.draw`."""
        from grokmap.result import phase_diagram

        drawing = phase_diagram.draw(self._result, x, y, colour, when, criteria, at)
        return drawing.figure

    def uncertainty(
        self,
        x: str = "weight_decay",
        y: str = "alpha",
        criteria: str | Criteria = "default",
        at: Place | None = None,
    ) -> Figure:
        """Maps of P(grok), its interval, t_grok, and of labels that other bars change;
        see `grokmap.result.uncertainty.find`."""
        from grokmap.result import uncertainty

        found = uncertainty.find(self._result, x, y, criteria, at)
        return uncertainty.draw(found).figure

    def curves(
        self,
        runs: Sequence[str] = (),
        show: Sequence[str] | None = None,
        criteria: str | Criteria = "default",
    ) -> Figure:
        """Trajectories of the runs named, or of one run per phase; see
        `grokmap.result.curves.draw`."""
        from grokmap.result import curves

        return curves.draw(self._result, runs, show, criteria).figure
