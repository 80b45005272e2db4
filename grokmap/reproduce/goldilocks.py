"""The Goldilocks zone of the survey, its three conditions against a measured plane."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.analysis import goldilocks
from grokmap.analysis.goldilocks import ZONES
from grokmap.classify import GROK
from grokmap.reproduce.finding import OWN, WORDS, Finding
from grokmap.reproduce.trained import Trained

SWEEP, DEGREE = "goldilocks", 3
# Set after a first look at the runs.
TELLS, SAME = 0.9, 0.1
NAMES = {
    "metastable": "1, memorising is not the minimum of F",
    "fits": "2, the network can fit",
    "slower": "3, signal gains, but less than noise (weights)",
    "slower_in_f": "3 (outputs)",
    "zone": "all three, 3 of weights",
    "zone_in_f": "all three, 3 of outputs",
}
LETTERS = 6.5  # points, of the figure: a small file
# In the figure.
TITLES = {
    "metastable": "1: memorising is not the least F",
    "fits": "2: it can fit",
    "slower": "3: signal slower (weights)",
}


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Precision and recall of each condition, among all runs and among decided ones."""
    table = table_of(trained[SWEEP])
    decided = table[~table["censored"].astype(bool)]
    return [
        *_scored(table, "all runs"),
        *_scored(decided, "decided runs"),
        _foretold(table),
        _lower_edge(table),
        _energies(table),
    ]


def table_of(trained: Trained) -> pd.DataFrame:
    """The plane's runs, with `goldilocks.conditions`."""
    return goldilocks.conditions(trained.runs, trained.trajectories, DEGREE)


def _scored(table: pd.DataFrame, which: str) -> list[Finding]:
    rows = goldilocks.scores(table, list(NAMES)).to_dict("records")
    findings = []
    for row in rows:
        whole = row["condition"] in ZONES
        asked = [row["recall"], row["precision"]][: 2 if whole else 1]
        findings.append(
            Finding(
                f"precision, recall of {NAMES[row['condition']]}; {which}",
                "grok there and nowhere else" if whole else "met where runs grok",
                WORDS,
                f"both >= {TELLS:g}" if whole else f"recall >= {TELLS:g}",
                f"{row['precision']:.2f}, {row['recall']:.2f}",
                f"{row['n']} of {len(table)} meet it; {row['base']:.0%} grok",
                bool(min(asked) >= TELLS),
            )
        )
    return findings


def _foretold(table: pd.DataFrame) -> Finding:
    """Whether a network that fits is a minimum of F where networks do fit."""
    same = table["foretold"] == table["fits"]
    return Finding(
        "runs that fit where F has a minimum other than f = 0, or do neither",
        "all",
        OWN,
        f">= {TELLS:.0%}",
        f"{same.mean():.0%}",
        f"{int(same.sum())} of {len(same)}",
        bool(same.mean() >= TELLS),
    )


def _lower_edge(table: pd.DataFrame) -> Finding:
    """Whether condition 1 ends the zone towards little decay, as the survey has it."""
    memorised = table[table["t_mem"].notna()]
    least = memorised[memorised["weight_decay"] == memorised["weight_decay"].min()]
    met = least["metastable"]
    return Finding(
        "runs that memorise at the least weight decay and meet condition 1",
        "none: there regularisation is too weak",
        WORDS,
        "no run",
        f"{int(met.sum())} of {len(met)}",
        f"F there {(least['f_memorised'] / least['f_generalising']).median():.2g} "
        "times that of a network that generalises (median)",
        not met.any(),
    )


def _energies(table: pd.DataFrame) -> Finding:
    """Whether F of grokked runs at their end is that of the rescaled network."""
    grokked = table[(table["phase"] == GROK) & ~table["collapsed"].astype(bool)]
    penalty = grokked["weight_decay"] / (2 * grokked["width"])
    last = grokked["final_train_loss"] + penalty * grokked["final_weight_norm"] ** 2
    ratio = np.log(last / grokked["f_generalising"])
    middle = float(np.exp(ratio.median()))
    low, high = np.exp(ratio.quantile([0.25, 0.75]))
    return Finding(
        "F at the end of grokked runs over that of one network, rescaled",
        "1",
        OWN,
        f"± {SAME:g}",
        f"{middle:.3f}",
        f"quartiles {low:.3f} to {high:.3f}, {len(ratio)} runs",
        bool(abs(middle - 1) <= SAME),
    )


def figure(trained: Mapping[str, Trained]) -> Figure:
    """The conditions (3 of weights) over the plane, and the outline of what groks."""
    table = table_of(trained[SWEEP])
    columns = {words: name for name, words in TITLES.items()}
    plane = plot.Plane("weight_decay", "alpha", x_log=True, y_log=False)
    return plot.zone_maps(table, columns, plane, plot.Look(3.35, LETTERS))
