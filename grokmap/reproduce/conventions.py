"""What alpha does to the weights: relative motion for one change of the function.

f = N^-s sum_j a_j sigma(w_j.x) with weights N(0, 1) needs a relative motion of
N^(s - 1) to change by O(1) (Chizat, Oyallon, Bach, arXiv 1812.07956): N^-alpha where
s = 1 - alpha, the convention "laziness", and N^(alpha - 1) where s = alpha, "literal".
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from grokmap.reproduce.finding import RECOMPUTED, Finding, near
from grokmap.reproduce.reproduction import Reproduction
from grokmap.reproduce.trained import Trained

FALL = 0.5  # the change of the function: to this share of the first loss
TOLERANCE = 0.1
EXPONENTS = {
    "weight-motion-laziness": ("laziness", lambda alpha: -alpha),
    "weight-motion-literal": ("literal", lambda alpha: alpha - 1),
}


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Fitted exponents of the width, at each alpha of each convention."""
    findings = []
    for sweep, (convention, exponent) in EXPONENTS.items():
        runs, trajectories = trained[sweep][:2]
        motion = runs.join(motion_at(trajectories, FALL).rename("motion"), on="run_id")
        for alpha, runs_at_alpha in motion.groupby("alpha"):
            slopes = np.array([slope(one) for _, one in runs_at_alpha.groupby("seed")])
            quantity = f"exponent of N, {convention}, alpha = {alpha:g}"
            published = exponent(alpha) + 0.0
            findings.append(
                near(quantity, published, TOLERANCE, slopes, "", RECOMPUTED)
            )
    return findings


def motion_at(trajectories: pd.DataFrame, fall: float) -> pd.Series:
    """|theta - theta_0| / |theta_0| where the training loss has fallen to a share of
    its first value, linear in the loss between records; by run_id, NaN if it has not.
    """
    motion_of = {}
    for run_id, records in trajectories.sort_values("step").groupby("run_id"):
        loss = records["train_loss"].to_numpy() / records["train_loss"].iloc[0]
        motion = records["weight_motion"].to_numpy()
        after = int(np.argmax(loss <= fall))
        motion_of[run_id] = np.nan
        if after > 0:
            pair = slice(after - 1, after + 1)
            motion_of[run_id] = np.interp(-fall, -loss[pair], motion[pair])
    return pd.Series(motion_of, dtype=float)


def slope(runs: pd.DataFrame) -> float:
    """Slope of log motion over log width, least squares; NaN if a run has no motion."""
    return float(np.polyfit(np.log(runs["width"]), np.log(runs["motion"]), 1)[0])


REPRODUCTIONS: dict[str, Reproduction] = {
    "laziness-weight-motion": Reproduction(
        reference="Chizat, Oyallon, Bach (arXiv 1812.07956); Kumar et al. "
        "(arXiv 2310.06110)",
        claim="For the same change of the function weights move, relative to their "
        "size, as N^-alpha in the convention laziness and as N^(alpha - 1) in literal.",
        setting="a + b mod 7, quadratic, centred, gd without decay, half the training "
        "loss, N = 64 to 4096, alpha = 0, 0.25, 0.5, 3 seeds",
        compare=compare,
        cpu_s=4,
        sweeps=("weight-motion-laziness", "weight-motion-literal"),
    ),
}
