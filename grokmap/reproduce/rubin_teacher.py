"""Rubin, Seroussi and Ringel (arXiv 2310.03789): their teacher, sampled at equilibrium.

Chains of Langevin dynamics of the engine against the closed theory
(`theory.posterior`), both at sizes that two cores allow. Every number of a setting is
read from the runs; nothing is fitted to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.analysis import chains
from grokmap.analysis.mixtures import symmetric_mixture
from grokmap.analysis.statistics import student_interval
from grokmap.arrays import Floats
from grokmap.engine.lane import examples_of
from grokmap.engine.restored import started
from grokmap.reproduce.finding import OWN, RECOMPUTED, WORDS, Finding
from grokmap.reproduce.trained import Trained
from grokmap.spec import Run
from grokmap.theory import posterior
from grokmap.theory.posterior import Closed, Posterior

NOISES = ("0.3", "0.19", "0.15", "0.11", "0.075")  # sigma^2 at the paper's sizes
MAIN = tuple(f"rubin-teacher-{noise}" for noise in NOISES)
MIDDLE, NARROW, WIDE = MAIN[3], "rubin-teacher-narrow", "rubin-teacher-wide"
MORE = "rubin-teacher-examples"
BIASED = "rubin-teacher-bias"
BURN_IN, EVERY, END = 500, 50, 2500  # steps
AT = tuple(range(BURN_IN, END + 1, EVERY))
EDGES = np.linspace(0, 2, 21)  # of the histogram of |Phi|
# Set after a pilot of four chains on one training set at 0.1 and 0.07, before the runs.
LINEAR_WITHIN, CUBIC_WITHIN, DISTANCE, APART_WITHIN, LARGEST_R_HAT = (
    *(0.03, 0.015),
    *(0.1, 0.04, 1.1),
)
EVEN_WITHIN = 0.1  # of the share of specialised neurons at positive overlap
# Neurons as far from 0 stand apart in any mixture here.
FAR = 0.6


class Sampled(NamedTuple):
    """A sweep at equilibrium. overlap: [m, t, N] w.w* of neurons; linear, cubic: [m, t]
    the parts of f; seed: [m] of the training set; runs: [m]."""

    setting: Posterior
    overlap: Floats
    linear: Floats
    cubic: Floats
    seed: Floats
    runs: tuple[Run, ...]


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Levels of the theory; outputs, histograms and mixtures of sampled networks."""
    names = (*MAIN, NARROW, WIDE, MORE)
    samples = {name: sampled(trained[name]) for name in names}
    main = [samples[name] for name in MAIN]
    widths = [samples[name] for name in (NARROW, MIDDLE, WIDE)]
    examples = [samples[name] for name in (MIDDLE, MORE)]
    return [
        *(found for one in main for found in of_sample(one)),
        distances("N", [one.setting.neurons for one in widths], widths),
        distances("n", [one.setting.n for one in examples], examples),
    ]


def compare_bias(trained: Mapping[str, Trained]) -> list[Finding]:
    """Whether trained biases make one of the two wells deeper."""
    sample = sampled(trained[BIASED])
    far = np.abs(sample.overlap) > FAR
    positive = (far & (sample.overlap > 0)).sum(axis=(1, 2)) / far.sum(axis=(1, 2))
    shares = pd.Series(positive).groupby(sample.seed).mean().to_numpy()
    return [
        Finding(
            f"share of the specialised neurons (|w.w*| > {FAR:g}) at positive overlap, "
            f"trained biases, {sizes_of(sample.setting)}",
            "above or below 1/2: a weak bias favours one of the wells",
            WORDS,
            f"1/2 ± {EVEN_WITHIN:g} is no preference",
            f"{shares.mean():.3f}",
            f"{shares.min():.3f} to {shares.max():.3f}, {len(shares)} training sets",
            bool(abs(shares.mean() - 0.5) > EVEN_WITHIN),
        ),
        Finding(
            "the same",
            "1/2: f(x) and -f(-x) are as likely, whatever the bias (own derivation)",
            OWN,
            f"± {EVEN_WITHIN:g}",
            f"{shares.mean():.3f}",
            f"{shares.min():.3f} to {shares.max():.3f}",
            bool(abs(shares.mean() - 0.5) <= EVEN_WITHIN),
        ),
    ]


def of_sample(sample: Sampled) -> list[Finding]:
    """Chains, outputs, histogram and mixture of one sweep."""
    closed = posterior.close(sample.setting)
    at = f"sigma^2 = {paper_noise(sample.setting):.3g}, {sizes_of(sample.setting)}"
    linear, cubic = by_set(sample, sample.linear), by_set(sample, sample.cubic)
    return [
        _chains(sample, at),
        beside(f"linear part of f, {at}", closed.linear, LINEAR_WITHIN, linear),
        beside(f"cubic part of f, {at}", closed.cubic, CUBIC_WITHIN, cubic),
        _histogram(sample, closed, at),
        *_mixture(sample, closed, at),
    ]


def distances(name: str, sizes: Sequence[int], samples: Sequence[Sampled]) -> Finding:
    """Whether the histogram comes closer to exp(-S) as a size grows, on the training
    seeds that all samples have."""
    seeds = set.intersection(*(set(one.seed) for one in samples))
    found = []
    for one in samples:
        rows = np.isin(one.seed, list(seeds))
        part = one._replace(overlap=one.overlap[rows])
        found.append(distance(part, posterior.close(one.setting)))
    return Finding(
        f"total variation between histogram of |w.w*| and exp(-S), sigma^2 = "
        f"{paper_noise(samples[0].setting):.3g}, {name} = {', '.join(map(str, sizes))}",
        f"falls as {name} grows",
        OWN,
        "falls",
        ", ".join(f"{one:.3f}" for one in found),
        f"{len(seeds)} training sets",
        bool(np.all(np.diff(found) < 0)),
    )


def sampled(trained: Trained) -> Sampled:
    """The networks of a sweep after burn-in, in the order of its runs."""
    by_run: dict[str, list[tuple[Floats, ...]]] = {}
    runs: dict[str, Run] = {}
    for one in sorted(trained.weights(AT), key=lambda reached: reached.step):
        runs[one.run.run_id] = one.run
        parts = parts_of(one.run, one.leaves)
        by_run.setdefault(one.run.run_id, []).append(parts)
    series = [
        tuple(np.array(part) for part in zip(*by_run[name], strict=True))
        for name in runs
    ]
    overlap, linear, cubic = (np.array(part) for part in zip(*series, strict=True))
    seeds = np.array([run.seed for run in runs.values()])
    setting = setting_of(next(iter(runs.values())))
    return Sampled(setting, overlap, linear, cubic, seeds, tuple(runs.values()))


def setting_of(run: Run) -> Posterior:
    """The posterior that a run samples: exp(-F / T), priors by `output_scale`."""
    control, system = run.control, run.system
    n = round(control.train_fraction * system.n_examples)
    decay = control.weight_decay / system.width
    variance = control.temperature / decay
    readout = control.alpha**2 / system.width * variance
    noise = n * control.temperature / 2
    return Posterior(n, system.n_inputs, system.width, noise, variance, readout)


def paper_noise(setting: Posterior) -> float:
    """sigma^2 at which the paper's sizes have the same n / (sigma^2 N)."""
    paper = posterior.paper(1.0)
    return paper.n / paper.neurons * setting.neurons / setting.precision


def parts_of(run: Run, leaves: Mapping[str, Floats]) -> tuple[Floats, Floats, Floats]:
    """(w.w* [N], linear, cubic part of f) of a network, over all x ~ N(0, I).

    e_1, e_3 of `theory.posterior`, with a bias beta of a neuron times exp(-beta^2/q),
    and the cubic one 1 - 2 beta^2/q; the part of H3 is the mean of f H3 over its 6.
    """
    first = np.asarray(leaves["first"], float) / np.sqrt(run.system.n_inputs)
    bias = np.asarray(leaves.get("first_bias", 0.0), float)
    readout = np.asarray(leaves["readout"], float)[0]
    readout = readout * run.control.alpha / run.system.width
    overlap = teacher_of(run) @ first
    q = 1 + 2 * (first**2).sum(axis=0)
    damped = np.exp(-(bias**2) / q) / np.sqrt(np.pi)
    linear = readout @ (2 * damped * overlap / np.sqrt(q))
    cubic = -4 * damped * (1 - 2 * bias**2 / q) * (overlap / np.sqrt(q)) ** 3
    return overlap, linear, readout @ cubic / 6


@lru_cache(maxsize=512)
def teacher_of(run: Run) -> Floats:
    """[d] the direction w* of a run's examples, of length 1."""
    beta = np.asarray(examples_of(run.system, started(run)).teacher, float)
    direction: Floats = beta / np.linalg.norm(beta)
    return direction


def distance(sample: Sampled, closed: Closed) -> float:
    """Total variation between the binned laws of |w.w*|: half the sum of |differences|.

    Beyond the last edge counts as one bin more.
    """
    found = histogram(sample) * np.diff(EDGES)
    expected = binned(closed)
    inside = np.abs(found - expected).sum()
    beyond = abs(found.sum() - expected.sum())
    return float((inside + beyond) / 2)


def histogram(sample: Sampled) -> Floats:
    """[20] density of |w.w*| over neurons, times, chains and training sets."""
    size = np.abs(sample.overlap).ravel()
    counts: Floats = np.histogram(size, EDGES)[0] / (size.size * np.diff(EDGES))
    return counts


def binned(closed: Closed) -> Floats:
    """[20] probabilities of the bins by exp(-S), by its integral between edges."""
    cumulative = np.concatenate([[0.0], np.cumsum(closed.density)])
    step = closed.overlap[1] - closed.overlap[0]
    ends = np.concatenate([[0.0], closed.overlap + step / 2])
    return np.diff(np.interp(EDGES, ends, cumulative))


def by_set(sample: Sampled, values: Floats) -> Floats:
    """Means over times and chains, one a training set."""
    means: Floats = (
        pd.Series(values.mean(axis=1)).groupby(sample.seed).mean().to_numpy()
    )
    return means


def beside(quantity: str, expected: float, within: float, values: Floats) -> Finding:
    """The mean of one value a training set beside what the closed theory says."""
    mean, low, high = student_interval(values)
    enough = len(values) >= 6
    spread = f"95%: {low:.4f} to {high:.4f}" if enough else ""
    return Finding(
        quantity,
        f"{expected:.4f} (the theory, closed here)",
        RECOMPUTED,
        f"± {within:.3g}",
        f"{mean:.4f}",
        ", ".join([*([spread] if spread else []), f"{len(values)} training sets"]),
        bool(abs(mean - expected) <= within),
    )


def _chains(sample: Sampled, at: str) -> Finding:
    """The worst training set: largest R-hat of the linear and the cubic part."""
    found = [
        chains.summary(values[sample.seed == seed])
        for seed in np.unique(sample.seed)
        for values in (sample.linear, sample.cubic)
    ]
    worst = max(one.r_hat for one in found)
    times = [one.time * EVERY for one in found]
    return Finding(
        f"split R-hat of the parts of f, largest, {at}",
        "1: chains from cold and hot starts agree",
        OWN,
        f"<= {LARGEST_R_HAT:g}",
        f"{worst:.3f}",
        f"tau {np.median(times):.0f} steps, at least "
        f"{min(one.effective for one in found):.0f} draws a set",
        bool(worst <= LARGEST_R_HAT),
    )


def _histogram(sample: Sampled, closed: Closed, at: str) -> Finding:
    found = distance(sample, closed)
    return Finding(
        f"total variation between histogram of |w.w*| and exp(-S), {at}",
        "0 (the theory, closed here)",
        RECOMPUTED,
        f"<= {DISTANCE:g}",
        f"{found:.3f}",
        "",
        bool(found <= DISTANCE),
    )


def _mixture(sample: Sampled, closed: Closed, at: str) -> list[Finding]:
    """Where the theory has two kinds of peaks: whether, and how many neurons."""
    middles = (EDGES[1:] + EDGES[:-1]) / 2
    fitted = symmetric_mixture(middles, histogram(sample))
    theory = symmetric_mixture(closed.overlap, closed.density)
    words = {True: "a dip: GMFL", False: "no dip: GFL"}
    is_mixed = posterior.peaks(closed)[1] > 0
    kind = Finding(
        f"a mixture fitted to w.w*, {at}",
        words[is_mixed] + " (the theory, closed here)",
        RECOMPUTED,
        "the same",
        words[fitted.apart],
        "",
        fitted.apart == is_mixed,
    )
    if not is_mixed:
        return [kind]
    return [
        kind,
        Finding(
            f"share of specialised neurons by that fit, {at}",
            f"{theory.share:.3f} at {theory.place:.2f} (of exp(-S), by the same fit)",
            RECOMPUTED,
            f"± {APART_WITHIN:g}",
            f"{fitted.share:.3f} at {fitted.place:.2f}",
            f"{fitted.share * sample.setting.neurons:.1f} neurons a network",
            bool(abs(fitted.share - theory.share) <= APART_WITHIN),
        ),
    ]


def sizes_of(setting: Posterior) -> str:
    """In the words of a finding."""
    return f"d = {setting.d}, n = {setting.n}, N = {setting.neurons}"


def figure(trained: Mapping[str, Trained]) -> Figure:
    """Histograms of w.w* and exp(-S); the parts of f against sigma^2."""
    samples = [sampled(trained[name]) for name in MAIN]
    laws = []
    for sample in samples:
        closed = posterior.close(sample.setting)
        title = f"$\\sigma^2$ = {paper_noise(sample.setting):.3g}"
        expected = binned(closed) / np.diff(EDGES)
        laws.append(plot.Law(title, EDGES, histogram(sample), expected))
    return plot.overlap_laws(laws, parts_table(samples), "sampled", "theory")


def parts_table(samples: Sequence[Sampled]) -> pd.DataFrame:
    """noise, part, measured, predicted: of the linear and the cubic part of f."""
    rows = []
    for sample in samples:
        closed = posterior.close(sample.setting)
        noise = paper_noise(sample.setting)
        for part in ("linear", "cubic"):
            measured = float(getattr(sample, part).mean())
            rows.append((noise, part, measured, getattr(closed, part)))
    return pd.DataFrame(rows, columns=["noise", "part", "measured", "predicted"])
