"""The figures of a result, as methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from grokmap.analysis.early_stopping import PATIENCE

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
        x: str | None = None,
        y: str | None = None,
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

        cells = uncertainty.find(self._result, x, y, criteria, at)
        return uncertainty.draw(cells).figure

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

    def laws(self, criteria: str | Criteria = "default") -> Figure:
        """Each run's residual from each law of t_grok."""
        from grokmap.result import laws

        return laws.draw(laws.find(self._result, criteria)).figure

    def law_collapse(self, criteria: str | Criteria = "default") -> Figure:
        """t_grok r over alpha, before and after it is divided by laws."""
        from grokmap.result import laws

        return laws.draw_collapse(laws.find(self._result, criteria)).figure

    def forecast(self, criteria: str | Criteria = "default") -> Figure:
        """Forecasts of runs whose answer is known, against it."""
        from grokmap.result import forecast

        return forecast.draw(forecast.find(self._result, criteria)).figure

    def early_stopping(
        self,
        patience: Sequence[float] = PATIENCE,
        unit: str = "t_mem",
        criteria: str | Criteria = "default",
    ) -> Figure:
        """What a stop would have cost, and what would have warned of it."""
        from grokmap.result import early_stopping

        costs = early_stopping.find(self._result, patience, unit, criteria)
        return early_stopping.draw(costs).figure

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
    ) -> Figure:
        """What scales with size; see `grokmap.result.scaling.find`."""
        from grokmap.result import scaling

        measured = scaling.find(
            self._result, size, x, quantity, at, between, log, clock, criteria
        )
        return scaling.draw(measured).figure

    def transition(
        self,
        quantity: str | Sequence[str] = "test_accuracy",
        x: str = "weight_decay",
        at: Place | None = None,
        loops: Result | None = None,
    ) -> Figure:
        """Evidence for the order of a transition; see `grokmap.result.transition`."""
        from grokmap.result import transition

        judged = transition.find(self._result, quantity, x, at, loops)
        return transition.draw(judged).figure

    def hysteresis(self, quantity: str = "test_accuracy") -> Figure:
        """Loops by family and rate, and their areas against the rate."""
        from grokmap.result import hysteresis

        return hysteresis.draw(hysteresis.find(self._result, quantity)).figure

    def order_parameters(self, criteria: str | Criteria = "default") -> Figure:
        """Each quantity against step / t_grok."""
        from grokmap.result import order_parameters

        return order_parameters.draw(
            order_parameters.find(self._result, criteria)
        ).figure
