"""Which law of t_grok holds in a result, and how far the times collapse."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from grokmap import plot
from grokmap.analysis import laws
from grokmap.classify import GROK, Criteria
from grokmap.result.caption import caption
from grokmap.result.drawing import Drawing
from grokmap.result.labels import criteria_with, naming, refuse_ramps
from grokmap.result.result import Result

# The laws by which the master curve is drawn, after t_grok r itself.
_DELAY = r"$(t_{\mathrm{grok}}-t_{\mathrm{mem}})$"
_WHOLE = r"$t_{\mathrm{grok}}\ r$" + "\nno constant"
PREFACTORS = {
    "kinetic": _DELAY + " $r$\nno constant",
    "log-scale-free": _DELAY + r" $r\ /\ (c + k \ln K / L)$" + "\n1 constant",
    "two-rates": _DELAY + r" $(r/C + \kappa_N r/\lambda)$" + "\n1 constant a system",
}


class Laws(NamedTuple):
    """The laws, fitted and compared.

    table: `analysis.laws.compare`; runs: `analysis.laws.memorised`, what was fitted;
      decay: `analysis.laws.pure_decay`.
    outside: runs outside the laws' scope, by reason.
    skipped: laws that do not apply to all runs.
    few: systems fitted with the others only, for they have too few grokked runs.
    caption: what is fixed in all runs.
    """

    table: pd.DataFrame
    runs: pd.DataFrame
    decay: pd.DataFrame
    outside: dict[str, int]
    skipped: list[str]
    few: list[str]
    caption: str = ""


def find(result: Result, criteria: str | Criteria = "default") -> Laws:
    """Fits every law to all runs, and to each system (all axes but alpha, weight decay
    and seed) alone.

    Raises:
      ResultError: weight decay was ramped, or too few runs grokked.
      SpecError: criteria without the phase "grok".
    """
    every = result.labelled(criteria_with(criteria, [GROK]))
    refuse_ramps(result.path, every)
    runs = laws.memorised(result.records(["weight_norm"]), every)
    with naming(result.path):
        table = laws.compare(runs)
    fitted = set(table.loc[table["scope"] == laws.ALL, "law"])
    skipped = [name for name in laws.LAWS if name not in fitted]
    few = sorted(set(runs["system"]) - set(laws.fitted_alone(runs)) - {laws.ALL})
    decay = laws.pure_decay(runs)
    fitted_runs = every[every["run_id"].isin(runs["run_id"])]
    words = caption(result, fitted_runs)
    return Laws(table, runs, decay, laws.outside(every), skipped, few, words)


def decay_facts(decay: pd.DataFrame) -> dict[str, float]:
    """Of `laws.pure_decay`: runs, runs whose norm fell, and the median ratio."""
    known = decay["ratio"].dropna()
    return {
        "n_runs": len(decay),
        "n_norm_fell": len(known),
        "median_ratio": float(known.median()),
        "smallest_ratio": float(known.min()),
    }


def draw(comparison: Laws, look: plot.Look = plot.PAPER) -> Drawing:
    """Each run's residual from each law of all runs."""
    drawn = laws.residuals(comparison.runs, comparison.table)
    figure = plot.law_residuals(drawn, look, comparison.caption)
    return Drawing(figure, drawn)


def draw_collapse(comparison: Laws, look: plot.Look = plot.PAPER) -> Drawing:
    """t_grok r over alpha, before and after it is divided by laws."""
    curve = master_table(comparison.runs)
    figure = plot.master_curve(curve, look, comparison.caption)
    return Drawing(figure, curve)


def master_table(table: pd.DataFrame) -> pd.DataFrame:
    """t_grok r of the grokked runs, and delays over the laws of PREFACTORS.

    A factor common to all runs does not count as a constant: it cannot collapse them.
    """
    grokked = table["grokked"].to_numpy()
    runs = table.loc[grokked, ["run_id", "system", "alpha", "weight_decay", "seed"]]
    rate = (table["time"] * table["decay_rate"])[grokked]
    parts = [runs.assign(panel=_WHOLE, value=rate)]
    data = laws.data_of(table, laws.T_MEM)
    for name, title in PREFACTORS.items():
        law = laws.LAWS[name]
        if not laws.applies(law, data):
            continue
        time = law.time(laws.fit(law, data).p[:-1], data)
        value = ((data["time"] - data["t_0"]) / time)[grokked]
        parts.append(runs.assign(panel=title, value=value))
    drawn = pd.concat(parts, ignore_index=True)
    return drawn[drawn["value"] > 0]
