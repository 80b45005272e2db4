"""When the runs of a result that memorised will grok, and how well that is known."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from grokmap import plot
from grokmap.analysis import forecast
from grokmap.analysis.systems import VARIABLES, places, varying
from grokmap.classify import GROK, Criteria
from grokmap.result.caption import caption
from grokmap.result.drawing import Drawing
from grokmap.result.labels import criteria_with, naming, refuse_ramps
from grokmap.result.result import Result


class Forecast(NamedTuple):
    """Forecasts and what they are worth.

    table: `analysis.forecast.outlook`, one row a run cut by its budget.
    hindcasts: `analysis.forecast.hindcasts`, of runs whose answer is known.
    score: of the hindcasts, of all and of each system.
    axes: what tells the runs apart, alpha, weight decay and seed among them.
    caption: what is fixed in all of them.
    """

    table: pd.DataFrame
    hindcasts: pd.DataFrame
    score: pd.DataFrame
    axes: list[str]
    caption: str = ""


def find(result: Result, criteria: str | Criteria = "default") -> Forecast:
    """Forecasts t_grok, for runs that have it as if they had not, and for others.

    Raises:
      ResultError: weight decay was ramped, or too few runs grokked to calibrate.
      SpecError: criteria without the phase "grok".
    """
    every = result.labelled(criteria_with(criteria, [GROK]))
    refuse_ramps(result.path, every)
    runs = forecast.candidates(every)
    records = result.records(list(forecast.QUANTITIES))
    with naming(result.path):
        known = forecast.hindcasts(records, runs)
        ahead = forecast.outlook(records, runs)
    score = forecast.score_by_system(known, varying(runs))
    words = caption(result, runs)
    return Forecast(ahead, known, score, varying(runs, beside=()), words)


def draw(forecasts: Forecast, look: plot.Look = plot.PAPER) -> Drawing:
    """Forecasts and their intervals against the answer."""
    known = forecasts.hindcasts
    systems = places(known, [key for key in forecasts.axes if key not in VARIABLES])
    figure = plot.forecast_panels(known, systems, look, forecasts.caption)
    return Drawing(figure, known)
