"""Whole differences held out: memorise, grok, forget, no fit (Pracher et al.).

arXiv 2609.26679. In f = (1/N) sum_j a_j sigma(w_j.x) of unit weights their eta is
learning_rate N and their lambda weight_decay / N.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.classify import Criteria
from grokmap.reproduce.finding import NUMBER, OWN, Finding
from grokmap.reproduce.reproduction import Reproduction
from grokmap.reproduce.trained import Trained

PLANE, POINTS = "pracher-plane", "pracher-points"
WIDTH = 256
STEPS = 24_000
CRITERIA = Criteria(
    name="pracher", train_bar=0.9, test_bar=0.9, sustained=False, last_step=STEPS
)
FATES = ("no fit", "memorise", "grok", "forget")
# lambda -> what becomes of their run near eta = 184.
PUBLISHED = {4.0e-7: "memorise", 7.0e-6: "grok", 2.15e-5: "forget", 1e-4: "no fit"}
EXPONENT, TOLERANCE = -1.07, 0.2  # of eta in lambda along the left edge


def fates(runs: pd.DataFrame) -> pd.Series:
    """[runs] which of `FATES` each has: forget is reaching the test bar and losing it,
    which labels call grok with the flag `collapsed`."""
    reached = runs["t_grok_first"].notna()
    lost = reached & runs["collapsed"]
    names = np.where(runs["t_mem_first"].notna(), FATES[1], FATES[0])
    names = np.where(reached, FATES[2], names)
    return pd.Series(np.where(lost, FATES[3], names), runs.index)


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """The four points, and how the left edge of grokking goes."""
    runs = trained[POINTS].runs
    found = [_at(group, decay) for decay, group in runs.groupby("weight_decay")]
    return [*found, _edge(trained[PLANE].runs), _kinds(trained[PLANE].runs)]


def _at(runs: pd.DataFrame, decay: float) -> Finding:
    own = decay / WIDTH
    published = next(k for k in PUBLISHED if np.isclose(k, own, rtol=1e-3))
    counts = fates(runs).value_counts()
    expected = PUBLISHED[published]
    words = ", ".join(f"{name} {n}" for name, n in counts.items())
    return Finding(
        f"what becomes of {len(runs)} runs, eta 184, lambda {published:g}",
        expected,
        NUMBER,
        "most of the runs",
        str(counts.index[0]),
        words,
        bool(counts.get(expected, 0) > len(runs) / 2),
    )


def left_edge(runs: pd.DataFrame) -> pd.DataFrame:
    """Columns learning_rate, weight_decay: between the largest decay that only
    memorises and the smallest above it that groks, of each row that has both."""
    rows = []
    named = runs.assign(fate=fates(runs)).sort_values("weight_decay")
    for rate, row in named.groupby("learning_rate"):
        grok = row.loc[row["fate"] == FATES[2], "weight_decay"]
        before = row.loc[row["fate"] == FATES[1], "weight_decay"]
        before = before[before < grok.min()] if len(grok) else before[:0]
        if len(before):
            rows.append((rate, float(np.sqrt(before.max() * grok.min()))))
    return pd.DataFrame(rows, columns=["learning_rate", "weight_decay"])


def _edge(runs: pd.DataFrame) -> Finding:
    edge = np.log(left_edge(runs))
    slope = np.nan
    if len(edge) > 2:
        slope = float(np.polyfit(edge["weight_decay"], edge["learning_rate"], 1)[0])
    return Finding(
        "exponent of eta in lambda along the left edge of grokking",
        f"{EXPONENT:g}",
        NUMBER,
        f"± {TOLERANCE:g}",
        f"{slope:.2f}" if np.isfinite(slope) else "too few rows have an edge",
        f"{len(edge)} rows",
        bool(abs(slope - EXPONENT) <= TOLERANCE),
    )


def _kinds(runs: pd.DataFrame) -> Finding:
    """Whether the labels of a plane tell all four; forgetting is their `collapsed`."""
    counts = fates(runs).value_counts()
    words = ", ".join(f"{name} {int(counts.get(name, 0))}" for name in FATES)
    return Finding(
        f"runs of each kind on the plane of {len(runs)}",
        "all four",
        OWN,
        "one or more of each",
        words,
        "",
        all(counts.get(name, 0) > 0 for name in FATES),
    )


def figure(trained: Mapping[str, Trained]) -> Figure:
    """The plane, by what becomes of each run."""
    runs = trained[PLANE].runs
    runs = runs.assign(phase=fates(runs))
    plane = plot.Plane("weight_decay", "learning_rate", x_log=True, y_log=True)
    phases = plot.phases_of(FATES, FATES[2:3])
    caption = "lambda = weight decay / 256, eta = 256 learning rate of the paper"
    return plot.phase_diagram(
        [plot.PhasePanel("", runs)], plane, phases, caption=caption
    )


REPRODUCTIONS: dict[str, Reproduction] = {
    "pracher-plane": Reproduction(
        reference="Pracher et al. (arXiv 2609.26679)",
        claim="With whole differences held out, descent memorises, groks, forgets and "
        "fits nothing as weight decay grows; grokking begins at eta ~ lambda^-1.07.",
        setting="p = 23, 256 relu neurons, 16 of 23 differences, mse, full batch, "
        "24,000 steps; initial weights not stated, ours those of the mean-field scale",
        compare=compare,
        cpu_s=330,
        gpu_s=90,
        sweeps=(POINTS, PLANE),
        explained="Test accuracy, once reached, was not lost in any of 144 runs. Tried "
        "at the four points, three seeds each: initial weights half and twice as "
        "large, and alpha = 1/4 and 1/2 in place of 0. Twice as large gives "
        "memorise, grok, grok, and training accuracy alone at the largest lambda; "
        "none gives forget. How their weights begin would tell.",
        criteria=CRITERIA,
        figure=figure,
    ),
}
