"""What rules that stop runs while they train would have cost and saved."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from grokmap import plot
from grokmap.analysis import stopping_rules
from grokmap.analysis.early_stopping import memorised
from grokmap.analysis.systems import system_of
from grokmap.classify import GROK, Criteria
from grokmap.result.caption import caption
from grokmap.result.drawing import Drawing
from grokmap.result.labels import criteria_with, naming, refuse_ramps
from grokmap.result.result import Result


class StoppingRules(NamedTuple):
    """table: `analysis.stopping_rules.scored`; caption: what is fixed in all runs."""

    table: pd.DataFrame
    caption: str = ""


def find(result: Result, criteria: str | Criteria = "default") -> StoppingRules:
    """Scores every rule on seeds that did not choose its threshold.

    Raises:
      SpecError: criteria without the phase "grok".
      ResultError: no run memorised; there is one seed only; weight decay was ramped.
    """
    every = result.labelled(criteria_with(criteria, [GROK]), None)
    refuse_ramps(result.path, every)
    with naming(result.path):
        runs = memorised(every)
        runs = runs.assign(system=system_of(runs))
        table = stopping_rules.scored(result.records(), runs)
    return StoppingRules(table, caption(result, runs))


def draw(rules: StoppingRules, look: plot.Look = plot.PAPER) -> Drawing:
    """Steps saved and runs missed, a panel a system."""
    figure = plot.stopping_rules(rules.table, look, rules.caption)
    return Drawing(figure, rules.table)
