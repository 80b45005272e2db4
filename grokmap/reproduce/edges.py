"""The upper edge of the wedge against width and alpha, where minima have it.

With neurons of degree L the minimum of F depends on lambda, N and K = N^alpha through
lambda_eff = lambda N^(2/L - 1) K^(-2/L) alone (`condensation`). If the edge lies where
the minimum no longer generalises, lambda_max goes as N^(1 - 2/L) K^(2/L): as N^(1/3)
and K^(2/3) for quadratic neurons, as N^0 and K for relu.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from grokmap.analysis import boundaries as wedge
from grokmap.analysis.statistics import LEVEL
from grokmap.models import ACTIVATIONS
from grokmap.reproduce.finding import OWN, Finding
from grokmap.reproduce.trained import Trained

SWEEP = "mean-field-edges"
WITHIN = 0.15  # of each exponent; set before the runs


class Line(NamedTuple):
    """Exponent of lambda_max, its interval, and the rows that it is a line through."""

    exponent: float
    low: float
    high: float
    rows: int


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Exponents in K at each width, and in N at each alpha, by activation."""
    findings = []
    for activation, runs in trained[SWEEP].runs.groupby("activation"):
        degree = ACTIVATIONS[str(activation)].degree
        edges = upper_edges(runs)
        for width, row in edges.groupby("width"):
            over = np.log(width) * row["alpha"]
            at = f"K = N^alpha, {activation}, N = {width}"
            findings.append(_finding(at, line(over, row["estimate"]), 2 / degree))
        for alpha, row in edges.groupby("alpha"):
            expected = 1 - 2 / degree + 2 * float(alpha) / degree
            of_width = line(np.log(row["width"]), row["estimate"])
            findings.append(
                _finding(f"N, {activation}, alpha = {alpha:g}", of_width, expected)
            )
    return findings


def upper_edges(runs: pd.DataFrame) -> pd.DataFrame:
    """lambda_max where it was measured: width, alpha, estimate."""
    edges = wedge.boundaries(runs, by=("width",))
    here = (edges["edge"] == wedge.MAX) & (edges["status"] == wedge.MEASURED)
    return edges.loc[here, ["width", "alpha", "estimate"]]


def line(x: pd.Series, edge: pd.Series) -> Line:
    """d ln(edge) / dx, by least squares; NaN of less than three rows."""
    if len(x) < 3:
        return Line(np.nan, np.nan, np.nan, len(x))
    fit = stats.linregress(x.to_numpy(float), np.log(edge.to_numpy(float)))
    half = stats.t.ppf((1 + LEVEL) / 2, len(x) - 2) * fit.stderr
    return Line(fit.slope, fit.slope - half, fit.slope + half, len(x))


def _finding(of: str, found: Line, expected: float) -> Finding:
    return Finding(
        f"exponent of lambda_max in {of}",
        f"{expected:.3g}",
        OWN,
        f"± {WITHIN:g}",
        f"{found.exponent:.3f}",
        f"95%: {found.low:.3f} to {found.high:.3f}, {found.rows} rows",
        bool(abs(found.exponent - expected) <= WITHIN),
    )
