"""Kumar et al. (arXiv 2310.06110), Fig. 2: modular addition without weight decay.

In sweeps/kumar-modular.toml alpha = s^2 / (2p), s their output scale.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.classify import Criteria
from grokmap.reproduce.finding import WORDS, Finding, median, spread
from grokmap.reproduce.reproduction import Reproduction
from grokmap.reproduce.trained import Trained

# First crossings, as read off the figure: all of the training set, 95% of the rest.
CRITERIA = Criteria(name="kumar-modular", train_bar=1.0, test_bar=0.95, sustained=False)
SWEEP = "kumar-modular"
STEPS = 50_000  # length of their runs at s = 1


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Order and times of the crossings, their growth with s, the norm's growth."""
    runs, trajectories = trained[SWEEP][:2]
    runs = runs.assign(s=np.sqrt(2 * runs["modulus"] * runs["alpha"]).round(6))
    at_one = runs[runs["s"] == 1]
    norm = norm_growth(trajectories, at_one, STEPS)
    return [
        _order(runs),
        _time(at_one, "t_mem", "100% train accuracy, s = 1"),
        _time(at_one, "t_grok", "95% test accuracy, s = 1"),
        _earlier(runs),
        _never(trajectories, runs[runs["s"] >= 1.5]),
        Finding(
            f"weight norm at step {STEPS} over the initial one, s = 1",
            "grows, without weight decay",
            WORDS,
            "> 2 in every run",
            f"{median(norm):.3g}",
            spread(norm),
            bool((norm > 2).all()),
        ),
    ]


def figure(trained: Mapping[str, Trained]) -> Figure:
    """One seed at each s."""
    runs, trajectories = trained[SWEEP][:2]
    one = runs[runs["seed"] == runs["seed"].min()].sort_values("alpha")
    return plot.curves(trajectories, one)


def norm_growth(trajectories: pd.DataFrame, runs: pd.DataFrame, step: int) -> pd.Series:
    """|theta| at the last record up to `step` over that at step 0, by run_id."""
    early = trajectories[trajectories["run_id"].isin(runs["run_id"])]
    early = early[early["step"] <= step].sort_values("step")
    norms = early.groupby("run_id")["weight_norm"]
    return norms.last() / norms.first()


def _order(runs: pd.DataFrame) -> Finding:
    both = runs[runs["t_grok"].notna()]
    first = int((both["t_mem"] < both["t_grok"]).fillna(False).sum())
    return Finding(
        "100% train before 95% test accuracy",
        "train first",
        WORDS,
        "in every run that groks",
        f"{first} of {len(both)} runs",
        "",
        0 < first == len(both),
    )


def _time(runs: pd.DataFrame, column: str, what: str) -> Finding:
    steps = runs[column].astype(float)
    return Finding(
        f"steps to {what}",
        f"within {STEPS}",
        WORDS,
        f"10000 to {STEPS} in every run",
        f"{median(steps):.0f}",
        spread(steps),
        bool(steps.between(10_000, STEPS).all()),
    )


def _earlier(runs: pd.DataFrame) -> Finding:
    times = runs.assign(t=runs["t_grok"].astype(float)).groupby("s")["t"]
    low = times.min()[1.0] / times.max()[0.5]
    high = times.max()[1.0] / times.min()[0.5]
    ratio = times.median()[1.0] / times.median()[0.5]
    known = bool(runs.loc[runs["s"] <= 1, "t_grok"].notna().all())
    return Finding(
        "steps to 95% test accuracy, s = 1 over s = 0.5",
        "later at larger s",
        WORDS,
        ">= 3 for any two runs",
        f"{ratio:.3g}",
        spread(pd.Series([low, high])),
        known and bool(low >= 3),
    )


def _never(trajectories: pd.DataFrame, runs: pd.DataFrame) -> Finding:
    early = trajectories[trajectories["run_id"].isin(runs["run_id"])]
    early = early[early["step"] <= STEPS]
    highest = early.groupby("run_id")["test_accuracy"].max()
    return Finding(
        f"highest test accuracy by step {STEPS}, s = 1.5 and 2",
        "no grokking yet",
        WORDS,
        "< 0.95 in every run",
        f"{highest.max():.3g}",
        spread(highest),
        bool((highest < 0.95).all()),
    )


REPRODUCTIONS: dict[str, Reproduction] = {
    "kumar-modular": Reproduction(
        reference="Kumar, Bordelon, Gershman, Pehlevan (arXiv 2310.06110), Fig. 2",
        claim="Modular addition groks under gradient descent without weight decay, "
        "later the larger the output scale s, while the weight norm grows.",
        setting="p = 23, 90% of the pairs, N = 100, quadratic, mse, gd, no weight "
        "decay, s = 0.5, 1, 1.5, 2",
        compare=compare,
        cpu_s=84,
        sweeps=("kumar-modular",),
        criteria=CRITERIA,
        figure=figure,
    ),
}
