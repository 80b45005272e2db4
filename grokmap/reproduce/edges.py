"""The upper edge of the wedge against width and alpha, where minima have it.

With neurons of degree L the minimum of F depends on lambda, N and K = N^alpha through
lambda_eff = lambda N^(2/L - 1) K^(-2/L) alone (`condensation`). If an edge lies where
the minimum no longer generalises, or no longer fits the training set, it goes as
N^(1 - 2/L) K^(2/L): as N^(1/3) K^(2/3) for quadratic neurons, as K for relu. The second
edge was added once it was seen that relu hardly groks in this setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from grokmap.analysis import boundaries as wedge
from grokmap.analysis.statistics import LEVEL
from grokmap.classify import GROK, MEMORIZE_ONLY
from grokmap.models import ACTIVATIONS
from grokmap.reproduce.finding import OWN, Finding
from grokmap.reproduce.trained import Trained

SWEEP = "mean-field-edges"
WITHIN = 0.15  # of each exponent; set before the runs
FEWEST = 3  # rows of a line
# Phases below an edge, by what is said of it.
EDGES = {"grokking": (GROK,), "learning": (GROK, MEMORIZE_ONLY)}


class Line(NamedTuple):
    """Exponent of lambda_max, its interval, and the rows that it is a line through."""

    exponent: float
    low: float
    high: float
    rows: int


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Exponents of both edges in K at each width and in N at each alpha, where there
    are rows enough, by activation."""
    runs = trained[SWEEP].runs
    return [
        finding
        for activation, own in runs.groupby("activation")
        for edge, phases in EDGES.items()
        for finding in _of_edges(
            f"of {edge}, {activation}",
            upper_edges(own, phases),
            ACTIVATIONS[str(activation)].degree,
        )
    ]


def _of_edges(of: str, edges: pd.DataFrame, degree: int) -> list[Finding]:
    lines = [
        (
            f"{of}, in K = N^alpha at N = {width}",
            line(np.log(width) * row["alpha"], row["estimate"]),
            2 / degree,
        )
        for width, row in edges.groupby("width")
    ]
    lines += [
        (
            f"{of}, in N at alpha = {alpha:g}",
            line(np.log(row["width"]), row["estimate"]),
            1 - 2 / degree + 2 * float(alpha) / degree,
        )
        for alpha, row in edges.groupby("alpha")
    ]
    return [_finding(*one) for one in lines if one[1].rows >= FEWEST]


def upper_edges(runs: pd.DataFrame, phases: tuple[str, ...]) -> pd.DataFrame:
    """Where the phases end, if that was measured: width, alpha, estimate."""
    edges = wedge.boundaries(runs, by=("width",), grokked=phases)
    here = (edges["edge"] == wedge.MAX) & (edges["status"] == wedge.MEASURED)
    return edges.loc[here, ["width", "alpha", "estimate"]]


def line(x: pd.Series, edge: pd.Series) -> Line:
    """d ln(edge) / dx, by least squares; NaN of too few rows."""
    if len(x) < FEWEST:
        return Line(np.nan, np.nan, np.nan, len(x))
    fit = stats.linregress(x.to_numpy(float), np.log(edge.to_numpy(float)))
    half = stats.t.ppf((1 + LEVEL) / 2, len(x) - 2) * fit.stderr
    return Line(fit.slope, fit.slope - half, fit.slope + half, len(x))


def _finding(of: str, found: Line, expected: float) -> Finding:
    return Finding(
        f"exponent of the edge {of}",
        f"{expected:.3g}",
        OWN,
        f"± {WITHIN:g}",
        f"{found.exponent:.3f}",
        f"95%: {found.low:.3f} to {found.high:.3f}, {found.rows} rows",
        bool(abs(found.exponent - expected) <= WITHIN),
    )
