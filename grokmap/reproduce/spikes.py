"""Spikes of the first layer's spectrum beside t_grok (survey, Eq. 17 and its lemma).

The survey: learned features are a spike of strength beta in noise of level sigma, which
leaves the bulk once beta > sigma, at beta + sigma^2 / beta, and "the grokking instant
corresponds to the BBP transition". For rectangular matrices see `theory.spiked`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.analysis.spikes import first_spikes
from grokmap.analysis.statistics import student_interval
from grokmap.arrays import Floats
from grokmap.classify import GROK
from grokmap.reproduce.finding import OWN, RECOMPUTED, WORDS, Finding, near
from grokmap.reproduce.trained import Trained
from grokmap.theory import spiked

# Sweeps by what they train; the last has nothing that could be generalised.
NETWORKS = {
    "one layer, quadratic": "spikes-quadratic",
    "one layer, relu, parity": "spikes-parity",
    "three layers, relu": "spikes-deep",
    "transformer": "spikes-transformer",
}
LABELS, PARITY = "spikes-labels", "spikes-parity"
STEPS = (0, 8, 16, 24, 32, 45, 64, 91, 128, 181, 256)  # at which weights are looked at
# Set before the runs of all seeds, after a trial with two.
FACTOR, EXPONENT_WITHIN, POSITION_WITHIN = 1.25, 0.25, 0.05
LETTERS = 6.5  # points, of the figure: a small file
SHUFFLES = 8  # of the neurons of what was added


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """By network: is there a spike by t_grok, when, and does it move with t_grok?"""
    findings = []
    for network, name in NETWORKS.items():
        findings += of_network(network, table_of(trained[name]))
    findings.append(of_random_labels(table_of(trained[LABELS])))
    return findings + of_weights(weights_table(trained[PARITY]))


def table_of(trained: Trained) -> pd.DataFrame:
    """seed, weight_decay, phase, t_mem, t_grok, t_spike (of W) and t_motion (of
    W - W_0) in steps; one row a run."""
    runs, records = trained.runs, trained.trajectories
    times = {
        "t_spike": first_spikes(records, runs, "bulk_outliers"),
        "t_motion": first_spikes(records, runs, "motion_outliers"),
    }
    kept = runs[["seed", "weight_decay", "phase"]]
    known = {key: runs[key].astype(float) for key in ("t_mem", "t_grok")}
    return kept.assign(**known, **times).reset_index(drop=True)


def of_network(network: str, table: pd.DataFrame) -> list[Finding]:
    """Findings of one network; without spikes in half of its runs the first alone."""
    grokked = table[table["phase"] == GROK]
    seen = grokked[grokked["t_spike"] <= grokked["t_grok"]]
    there = Finding(
        f"runs with a spike of W by t_grok, {network}",
        "all",
        WORDS,
        "every run that groks",
        f"{len(seen)} of {len(grokked)}",
        "",
        len(seen) == len(grokked) > 0,
    )
    if 2 * len(seen) < len(grokked):
        return [there]
    return [
        there,
        _ratio(f"first spike of W over t_grok, {network}", seen, "t_spike"),
        _ratio(f"first spike of W - W_0 over t_grok, {network}", seen, "t_motion"),
        *_exponents(network, seen),
    ]


def _ratio(quantity: str, table: pd.DataFrame, column: str) -> Finding:
    """Geometric mean over runs of the time over t_grok; its interval over seeds."""
    logs = np.log(table[column] / table["t_grok"])
    by_seed: Floats = logs.groupby(table["seed"]).mean().dropna().to_numpy()
    mean, low, high = np.exp(student_interval(by_seed))
    return Finding(
        quantity,
        "1",
        WORDS,
        f"within a factor {FACTOR:g}",
        f"{mean:.3g}",
        f"95%: {low:.3g} to {high:.3g}, {len(by_seed)} seeds",
        bool(1 / FACTOR <= mean <= FACTOR),
    )


def _exponents(network: str, table: pd.DataFrame) -> list[Finding]:
    """d ln t / d ln lambda of t_spike and of t_grok, the means over seeds."""
    rows = [
        np.polyfit(
            np.log(part["weight_decay"]), np.log(part[["t_spike", "t_grok"]]), 1
        )[0]
        for _, part in table.groupby("seed")
        if part["weight_decay"].nunique() > 1
    ]
    if len(rows) < 2:
        return []
    spike, grok = np.array(rows).T
    mean, low, high = student_interval(spike)
    expected, *ends = student_interval(grok)
    return [
        Finding(
            f"exponent of t_spike in weight decay, {network}",
            f"that of t_grok: {expected:.2f} ({ends[0]:.2f} to {ends[1]:.2f})",
            WORDS,
            f"± {EXPONENT_WITHIN:g}",
            f"{mean:.2f}",
            f"95%: {low:.2f} to {high:.2f}, {len(rows)} seeds",
            bool(abs(mean - expected) <= EXPONENT_WITHIN),
        )
    ]


def of_random_labels(table: pd.DataFrame) -> Finding:
    """Whether spikes need something that can be generalised."""
    seen = table["t_spike"].notna()
    when = table.loc[seen, "t_spike"]
    return Finding(
        "runs with a spike of W, transformer on random labels",
        "none",
        OWN,
        "no run",
        f"{seen.sum()} of {len(table)}",
        f"at step {when.min():.0f} to {when.max():.0f}" if seen.any() else "",
        not seen.any(),
    )


def weights_table(trained: Trained) -> pd.DataFrame:
    """Of each run at STEPS but the first: run_id, seed, step, t_grok, top (of W),
    predicted (`spiked.predicted_top`), shuffled (`shuffled_top`), signal."""
    t_grok = trained.runs.set_index("run_id")["t_grok"].astype(float)
    reached = trained.weights(STEPS)
    first = {(one.run.run_id, one.step): _first(one.leaves) for one in reached}
    rows = []
    for one in reached:
        run_id, now = one.run.run_id, _first(one.leaves)
        if one.step == 0:
            continue
        start = first[run_id, 0]
        predicted, _ = spiked.predicted_top(now, start)
        n_relevant = one.run.system.n_relevant
        assert n_relevant is not None
        rows.append(
            {
                "run_id": run_id,
                "seed": one.run.seed,
                "step": one.step,
                "t_grok": t_grok[run_id],
                "top": np.linalg.norm(now, 2),
                "predicted": predicted,
                "shuffled": shuffled_top(now, start, one.run.seed),
                "signal": signal_in_outliers(now, n_relevant),
            }
        )
    return pd.DataFrame(rows)


def _first(leaves: Mapping[str, Floats]) -> Floats:
    return np.asarray(leaves["first"], np.float64)


def shuffled_top(now: Floats, start: Floats, seed: int) -> float:
    """Largest singular value of what is left of W_0 and, at other neurons than it was
    trained at, what was added: the same spike, independent of the noise."""
    share, rest = spiked.split(now, start)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(rest.shape[1]) for _ in range(SHUFFLES)]
    tops = [np.linalg.norm(share * start + rest[:, order], 2) for order in orders]
    return float(np.mean(tops))


def signal_in_outliers(matrix: Floats, n_relevant: int) -> float:
    """Share of the first `n_relevant` inputs' directions in the span of the outliers'
    left singular vectors; 0 without outliers, of one random direction 1/d."""
    left, values, _ = np.linalg.svd(matrix, full_matrices=False)
    sigma = spiked.noise_level(values, matrix.shape)
    outside = values**2 > sigma**2 * spiked.largest_power(matrix.shape)
    return float(np.sum(left[:n_relevant, outside] ** 2) / n_relevant)


def of_weights(table: pd.DataFrame) -> list[Finding]:
    """Where the top singular value stands, and when the spikes hold the signal."""
    seen = table[table["signal"] > 0]
    place = "parity, steps 8 to 256"
    position, shuffled = (
        near(
            f"top singular value over that of its spike in independent noise, {what}",
            1.0,
            POSITION_WITHIN,
            (seen[name] / seen["predicted"]).groupby(seen["seed"]).mean().to_numpy(),
            "",
            source,
        )
        for name, what, source in (
            ("top", place, RECOMPUTED),
            ("shuffled", f"what was added shuffled over neurons, {place}", OWN),
        )
    )
    half = table[table["signal"] > 0.5].groupby("run_id").first()
    signal = _ratio(
        "spikes hold half of the signal's directions, over t_grok, parity",
        half.reset_index(),
        "step",
    )
    return [position, shuffled, signal]


def figure(trained: Mapping[str, Trained]) -> Figure:
    """First spikes against t_grok, a panel a network that has them."""
    panels = []
    for network, name in NETWORKS.items():
        table = table_of(trained[name]).dropna(subset=["t_spike", "t_grok"])
        if len(table) > len(trained[name].runs) / 2:
            panels.append(plot.TimesPanel(network, table))
    return plot.spike_times(panels, plot.Look(4.15, LETTERS))
