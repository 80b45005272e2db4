"""Times to grok at a norm that is held: Truong et al. (arXiv 2606.13753, Fig. 3).

From step 500 on all weights are held at rho times the norm that free runs have when
they grok; rho is what they sweep. Numbers are from the records published with the paper
(github.com/ClevixLab/critical-norm-grokking, data/denserho).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.arrays import Floats
from grokmap.reproduce.finding import NUMBER, RECOMPUTED, Finding, spread
from grokmap.reproduce.reproduction import Reproduction
from grokmap.reproduce.trained import Trained
from grokmap.reproduce.truong import CRITERIA

FAST, ALL = "truong-clamp", "truong-clamp-all"
CRITICAL = 54.513  # their norm at which free runs grok: median of 16 seeds
# Of initial weights: entries of an array times 1 / fan_in, embedding, first, readout.
INITIAL = (59.0 + 256.0 + 59.0) ** 0.5
# rho -> median t_grok of their 16 seeds.
PUBLISHED = {
    **{0.85: 1495.0, 0.90: 1781.0, 0.95: 2469.5, 1.00: 3999.0, 1.05: 6380.0},
    **{1.10: 9433.0, 1.15: 13030.0, 1.20: 19407.0, 1.25: 26929.0},
}
TIME, SLOPE, FIT = 0.2, 0.15, 0.03  # tolerances: of a median, of the slope, of R^2


class Line(NamedTuple):
    """ln t = constant + slope x, by least squares; r2: share of variance explained."""

    slope: float
    r2: float


def line(x: Floats, times: Floats) -> Line:
    """x [n], times [n]: over three or more points; NaN where one is not finite or none
    differs."""
    y = np.log(times)
    if len(x) < 3 or not np.isfinite(y).all() or np.ptp(y) == 0:
        return Line(np.nan, np.nan)
    fitted = np.polyfit(x, y, 1)
    left = y - np.polyval(fitted, x)
    return Line(float(fitted[0]), float(1 - left.var() / y.var()))


def medians(runs: pd.DataFrame) -> pd.Series:
    """Median t_grok by rho, a key of `PUBLISHED`; a run that never groks is late."""
    rho = runs["norm_clamp"] * INITIAL / CRITICAL
    nearest = [min(PUBLISHED, key=lambda known: abs(known - r)) for r in rho]
    return _times(runs).groupby(nearest).median()


def _times(runs: pd.DataFrame) -> pd.Series:
    return runs["t_grok_first"].astype(float).fillna(np.inf)


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Medians, and the law through them: exponential in rho, or a power of rho."""
    (runs,) = (one.runs for one in trained.values())
    found = medians(runs)
    rho, ours = found.index.to_numpy(float), found.to_numpy(float)
    theirs = np.array([PUBLISHED[r] for r in rho])
    rows = runs.groupby("norm_clamp")["t_grok_first"]
    spreads = [spread(times.astype(float)) for _, times in rows]
    n_seeds = runs["seed"].nunique()
    each = zip(rho, ours, theirs, spreads, strict=True)
    return [
        *(_median(*one, n_seeds) for one in each),
        *_law(rho, ours, theirs),
        _power(rho, ours, theirs),
    ]


def _median(
    rho: float, ours: float, theirs: float, spread: str, n_seeds: int
) -> Finding:
    return Finding(
        f"t_grok, steps, median of {n_seeds} seeds, norm held at rho = {rho:.2f}",
        f"{theirs:g}",
        NUMBER,
        f"± {TIME:.0%}",
        f"{ours:.0f}",
        spread,
        abs(ours - theirs) <= TIME * theirs,
    )


def _law(rho: Floats, ours: Floats, theirs: Floats) -> list[Finding]:
    """Slope and R^2 of ln t_grok in rho, of medians at the rho that were trained."""
    measured, published = line(rho, ours), line(rho, theirs)
    whole = len(rho) == len(PUBLISHED)
    source = NUMBER if whole else RECOMPUTED
    where = f"rho = {rho[0]:.2f} to {rho[-1]:.2f}"
    return [
        Finding(
            f"d ln t_grok / d rho, {where}, {len(rho)} medians",
            f"{published.slope:.2f}",
            source,
            f"± {SLOPE:.0%}",
            f"{measured.slope:.2f}",
            "",
            abs(measured.slope - published.slope) <= SLOPE * published.slope,
        ),
        Finding(
            f"R² of ln t_grok as a line in rho, {where}",
            f"{published.r2:.3f}",
            source,
            f">= {published.r2 - FIT:.3f}",
            f"{measured.r2:.3f}",
            "",
            measured.r2 >= published.r2 - FIT,
        ),
    ]


def _power(rho: Floats, ours: Floats, theirs: Floats) -> Finding:
    """Whether a power of rho, which has as many constants, explains less."""
    measured, published = line(rho, ours), line(rho, theirs)
    power, their_power = line(np.log(rho), ours), line(np.log(rho), theirs)
    return Finding(
        "R² of the line in rho, less that of the line in ln rho (a power law)",
        f"{published.r2 - their_power.r2:.3f}",
        RECOMPUTED,
        "> 0",
        f"{measured.r2 - power.r2:.3f}",
        "",
        measured.r2 > power.r2,
    )


def figure(trained: Mapping[str, Trained]) -> Figure:
    """t_grok of each run by rho, with the published medians."""
    (runs,) = (one.runs for one in trained.values())
    rho = runs["norm_clamp"] * INITIAL / CRITICAL
    points = pd.DataFrame({"rho": rho, "t_grok": _times(runs)})
    return plot.held_times(points[np.isfinite(points["t_grok"])], PUBLISHED)


SETTING = (
    "p = 59, 40%, embeddings of 128 side by side, 256 gelu neurons, cross-entropy, "
    "full batch, AdamW 1e-3, decay 1; all weights held at rho times 54.5 from step 500"
)
REPRODUCTIONS: dict[str, Reproduction] = {
    FAST: Reproduction(
        reference="Truong et al. (arXiv 2606.13753), published records",
        claim="Held at rho times the norm at which free runs grok, networks grok after "
        "a time that grows exponentially with rho.",
        setting=f"{SETTING}; rho = 0.85 to 1.05, 4 seeds",
        compare=compare,
        cpu_s=710,
        sweeps=(FAST,),
        criteria=CRITERIA,
        figure=figure,
    ),
    ALL: Reproduction(
        reference="Truong et al. (arXiv 2606.13753), published records",
        claim="The same at all nine of their norms, with as many seeds as theirs.",
        setting=f"{SETTING}; rho = 0.85 to 1.25, 16 seeds",
        compare=compare,
        cpu_s=12_000,
        gpu_s=600,
        gpu=True,
        sweeps=(ALL,),
        criteria=CRITERIA,
        figure=figure,
    ),
}
