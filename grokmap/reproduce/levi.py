"""Levi, Beck and Bar-Sinai (arXiv 2310.16441): a linear student, trained.

Against their integrals (`theory.levi`) over the spectrum of infinitely many inputs.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.arrays import Floats
from grokmap.classify import Criteria
from grokmap.reproduce.crossing import steps_at
from grokmap.reproduce.finding import NUMBER, OWN, RECOMPUTED, Finding, near
from grokmap.reproduce.reproduction import Reproduction
from grokmap.reproduce.trained import Trained
from grokmap.theory import levi

RATE, THRESHOLD = 0.01, 1e-3
LEVEL = levi.loss_at_accuracy(0.95, THRESHOLD)
RATIOS, BEYOND = (0.1, 0.3, 0.5), 1.5  # d / N_tr below 1, and above
SWEEPS = tuple(f"levi-{ratio}" for ratio in (*RATIOS, BEYOND))
# First crossings; losses fall all the time.
CRITERIA = Criteria(name="levi", train_bar=0.95, test_bar=0.95, sustained=False)
DELAY_WITHIN, TIME_WITHIN = 0.1, 0.03  # of the number itself; mean of the seeds


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Delays and times at the loss of 95% accuracy; what is left beyond ratio 1."""
    findings = [
        finding
        for ratio in RATIOS
        for finding in _times(ratio, trained[f"levi-{ratio}"].trajectories)
    ]
    left = _last(trained[f"levi-{BEYOND}"].trajectories)
    return [
        *findings,
        near(f"test loss at rest, d/N = {BEYOND}", 1 / 3, 0.03, left, "", NUMBER),
    ]


def figure(trained: Mapping[str, Trained]) -> Figure:
    """One seed at each ratio."""
    runs = pd.concat([trained[name].runs for name in SWEEPS])
    records = pd.concat([trained[name].trajectories for name in SWEEPS])
    return plot.curves(records, runs[runs["seed"] == runs["seed"].min()])


def _times(ratio: float, records: pd.DataFrame) -> list[Finding]:
    train, test = (
        steps_at(records, f"{part}_loss", LEVEL).to_numpy()
        for part in ("train", "test")
    )
    flow = levi.crossing_times(ratio, RATE, LEVEL)
    descent = levi.crossing_times(ratio, RATE, LEVEL, discrete=True)
    at = f"at d/N = {ratio}, steps"
    delay = flow[1] - flow[0]
    accuracy = _accuracy(records)
    return [
        near(
            f"t_test - t_train {at}",
            delay,
            DELAY_WITHIN * delay,
            test - train,
            " (the paper's integrals, solved here)",
            RECOMPUTED,
        ),
        *(
            near(
                f"{name} {at}",
                exact,
                TIME_WITHIN * exact,
                steps,
                " (own, discrete)",
                OWN,
            )
            for name, exact, steps in zip(
                ("t_train", "t_test"), descent, (train, test), strict=True
            )
        ),
        near(f"test accuracy at t_test, d/N = {ratio}", 0.95, 0.01, accuracy, "", OWN),
    ]


def _accuracy(records: pd.DataFrame) -> Floats:
    """Test accuracy of each run where its test loss falls to `LEVEL`."""
    at = steps_at(records, "test_loss", LEVEL)
    ordered = records.sort_values("step").groupby("run_id")
    accuracies = [
        np.interp(at[name], run["step"], run["test_accuracy"]) for name, run in ordered
    ]
    return np.array(accuracies)


def _last(records: pd.DataFrame) -> Floats:
    return records.sort_values("step").groupby("run_id")["test_loss"].last().to_numpy()


REPRODUCTIONS: dict[str, Reproduction] = {
    "levi-simulation": Reproduction(
        reference="Levi, Beck, Bar-Sinai (arXiv 2310.16441)",
        claim="A trained linear estimator groks, later than it learns its training "
        "set by the time that two integrals give; with fewer examples than inputs it "
        "never does.",
        setting="d = 1000, d/N = 0.1, 0.3, 0.5, 1.5, gd, eta = 0.01, threshold 1e-3, "
        "5 seeds; times at a loss of threshold / 3.84",
        compare=compare,
        cpu_s=31,
        sweeps=SWEEPS,
        criteria=CRITERIA,
        figure=figure,
    ),
}
