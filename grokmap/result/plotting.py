"""The figures of a result, as methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from grokmap.analysis.early_stopping import PATIENCE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from grokmap.classify import Criteria
    from grokmap.plot import Look
    from grokmap.result.groups import Place
    from grokmap.result.result import Result

Width = str | float | None


def _look(style: str, width: Width) -> Look:
    # matplotlib is loaded for figures alone.
    from grokmap.plot import look_of

    return look_of(style, width)


class Plots:
    """`result.plot`: a method for each figure; each returns a matplotlib Figure.

    All take `style` (paper, talk) and `width`, a name of `grokmap.plot.WIDTHS` such as
    "single" or "aps-double", or inches; see `grokmap.plot.look_of`.
    """

    def __init__(self, result: Result) -> None:
        self._result = result

    def phase_diagram(
        self,
        x: str | None = None,
        y: str | None = None,
        colour: str = "delay_ratio",
        when: str = "final",
        criteria: str | Criteria = "default",
        at: Place | None = None,
        style: str = "paper",
        width: Width = None,
        theory: str | None = None,
    ) -> Figure:
        """The phases in the plane of two axes, and beside them t_grok / t_mem or
        another quantity; see `grokmap.result.phase_diagram.draw`."""
        from grokmap.result import phase_diagram

        look = _look(style, width)
        drawing = phase_diagram.draw(
            self._result, x, y, colour, when, criteria, at, look, theory
        )
        return drawing.figure

    def uncertainty(
        self,
        x: str = "weight_decay",
        y: str = "alpha",
        criteria: str | Criteria = "default",
        at: Place | None = None,
        style: str = "paper",
        width: Width = None,
    ) -> Figure:
        """Maps of P(grok), its interval, t_grok, and of labels that other bars change;
        see `grokmap.result.uncertainty.find`."""
        from grokmap.result import uncertainty

        cells = uncertainty.find(self._result, x, y, criteria, at)
        return uncertainty.draw(cells, _look(style, width)).figure

    def surface(
        self,
        over: Sequence[str],
        x: str = "weight_decay",
        criteria: str | Criteria = "default",
        at: Place | None = None,
        style: str = "paper",
        width: Width = None,
    ) -> Figure:
        """Slices of the edges of the wedge over several axes, with bands; see
        `grokmap.result.surface.find`."""
        from grokmap.result import surface

        edges = surface.find(self._result, over, x, criteria, at)
        return surface.draw(edges, self._result, _look(style, width)).figure

    def curves(
        self,
        runs: Sequence[str] = (),
        show: Sequence[str] | None = None,
        criteria: str | Criteria = "default",
        style: str = "paper",
        width: Width = None,
        theory: str | None = None,
    ) -> Figure:
        """Trajectories of the runs named, or of one run per phase; see
        `grokmap.result.curves.draw`."""
        from grokmap.result import curves

        look = _look(style, width)
        return curves.draw(self._result, runs, show, criteria, look, theory).figure

    def laws(
        self,
        criteria: str | Criteria = "default",
        style: str = "paper",
        width: Width = None,
    ) -> Figure:
        """Each run's residual from each law of t_grok."""
        from grokmap.result import laws

        found = laws.find(self._result, criteria)
        return laws.draw(found, _look(style, width)).figure

    def law_collapse(
        self,
        criteria: str | Criteria = "default",
        style: str = "paper",
        width: Width = None,
    ) -> Figure:
        """t_grok r over alpha, before and after it is divided by laws."""
        from grokmap.result import laws

        found = laws.find(self._result, criteria)
        return laws.draw_collapse(found, _look(style, width)).figure

    def forecast(
        self,
        criteria: str | Criteria = "default",
        style: str = "paper",
        width: Width = None,
    ) -> Figure:
        """Forecasts of runs whose answer is known, against it."""
        from grokmap.result import forecast

        found = forecast.find(self._result, criteria)
        return forecast.draw(found, _look(style, width)).figure

    def early_stopping(
        self,
        patience: Sequence[float] = PATIENCE,
        unit: str = "t_mem",
        criteria: str | Criteria = "default",
        style: str = "paper",
        width: Width = None,
    ) -> Figure:
        """What a stop would have cost, and what would have warned of it."""
        from grokmap.result import early_stopping

        costs = early_stopping.find(self._result, patience, unit, criteria)
        return early_stopping.draw(costs, _look(style, width)).figure

    def stopping_rules(
        self,
        criteria: str | Criteria = "default",
        style: str = "paper",
        width: Width = None,
    ) -> Figure:
        """What rules that stop runs by their records miss, and what they save."""
        from grokmap.result import stopping_rules

        found = stopping_rules.find(self._result, criteria)
        return stopping_rules.draw(found, _look(style, width)).figure

    def scaling(
        self,
        size: str = "width",
        x: str = "weight_decay",
        quantity: str = "test_accuracy",
        at: Place | None = None,
        between: tuple[float, float] | None = None,
        log: bool | None = None,
        clock: str = "decay",
        criteria: str | Criteria = "default",
        style: str = "paper",
        width: Width = None,
    ) -> Figure:
        """What scales with size; see `grokmap.result.scaling.find`."""
        from grokmap.result import scaling

        measured = scaling.find(
            self._result, size, x, quantity, at, between, log, clock, criteria
        )
        return scaling.draw(measured, _look(style, width)).figure

    def transition(
        self,
        quantity: str | Sequence[str] = "test_accuracy",
        x: str = "weight_decay",
        at: Place | None = None,
        loops: Result | None = None,
        style: str = "paper",
        width: Width = None,
    ) -> Figure:
        """Evidence for the order of a transition; see `grokmap.result.transition`."""
        from grokmap.result import transition

        judged = transition.find(self._result, quantity, x, at, loops)
        return transition.draw(judged, _look(style, width)).figure

    def hysteresis(
        self,
        quantity: str = "test_accuracy",
        style: str = "paper",
        width: Width = None,
    ) -> Figure:
        """Loops by family and rate, and their areas against the rate."""
        from grokmap.result import hysteresis

        found = hysteresis.find(self._result, quantity)
        return hysteresis.draw(found, _look(style, width)).figure

    def order_parameters(
        self,
        criteria: str | Criteria = "default",
        style: str = "paper",
        width: Width = None,
    ) -> Figure:
        """Each quantity against step / t_grok."""
        from grokmap.result import order_parameters

        found = order_parameters.find(self._result, criteria)
        return order_parameters.draw(found, _look(style, width)).figure
