"""Rubin, Seroussi and Ringel (arXiv 2310.03789): modular addition, with gamma.

Their levels belong to a term of sixth order in the prior of the hidden layer. Chains of
Langevin dynamics with that prior against the law of one neuron, closed
(`theory.sextic_posterior`). Settings are read from the runs; nothing is fitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.optimize import brentq

from grokmap import plot
from grokmap.analysis.statistics import student_interval
from grokmap.arrays import Floats
from grokmap.reproduce.finding import NUMBER, OWN, Finding
from grokmap.reproduce.rubin_modular import (
    EDGES,
    Sampled,
    agreement,
    counts,
    mixture,
    onset,
    sampled,
)
from grokmap.reproduce.trained import Trained
from grokmap.theory import rubin, sextic_posterior
from grokmap.theory.modular_posterior import Modular
from grokmap.theory.sextic_posterior import Draws, Law

NOISES = ("0.0014", "0.0012", "0.001", "0.0008")  # sigma^2
SWEEPS = tuple(f"rubin-sextic-{noise}" for noise in NOISES)
# Steps at which networks are looked at: of chains of 16 000, 48 000 and 32 000.
MOMENTS = dict(zip(SWEEPS, (
    tuple(range(6000, 16_001, 500)),
    tuple(range(16_000, 48_001, 2000)),
    *(tuple(range(12_000, 32_001, 1000)),) * 2,
), strict=True))  # fmt: skip
# Set after a pilot of two chains at sigma^2 = 0.0012 and 0.0009, before the runs.
RESIDUAL_WITHIN, DISTANCE = 0.03, 0.02
APART_FACTOR, ONSET_FACTOR, PLACE_WITHIN = 1.5, 1.06, 0.08
FEWEST_APART = 0.3  # a network, predicted, below which they are not compared
PUBLISHED = ((-1.0, 0.227, "I"), (-0.7, 0.175, "II"))  # a, sigma^2, GMFL
THEIRS = (401, 1000, 0.002 / 1000)  # p, N, sigma_a^2
THEIR_GAMMA = 1e-4


class Sample(NamedTuple):
    """Networks at one noise and what theory says of them."""

    networks: Sampled
    gamma: float
    draws: Draws
    law: Law

    @property
    def middle(self) -> float:
        """sqrt(Phi Psi) half way to the well of the action, p phi / 2."""
        return middle(self.networks.setting.p, self.gamma)


def middle(p: int, gamma: float) -> float:
    return float(p * np.sqrt(3 / gamma) / 4)


@lru_cache(maxsize=2)
def draws_of(p: int, gamma: float) -> Draws:
    return sextic_posterior.draw(p, gamma)


def gamma_of(runs: pd.DataFrame) -> float:
    """The prior exp(-w^2/2 - gamma w^6/15), w^2 in units of its Gaussian part; of runs
    that share it: (kappa / 6) s^3 / T of an energy kappa w^6 / 6, s = T / decay."""
    variance = runs["temperature"] * runs["width"] / runs["weight_decay"]
    gamma = 15 / 6 * runs["sextic_decay"] / runs["weight_decay"] * variance**2
    return float(np.round(gamma.iloc[0], 9))


def sample_of(trained: Trained, name: str) -> Sample:
    networks = sampled(trained, MOMENTS[name])
    gamma = gamma_of(trained.runs)
    return of_theory(networks, gamma)


def of_theory(networks: Sampled, gamma: float) -> Sample:
    draws = draws_of(networks.setting.p, gamma)
    return Sample(
        networks, gamma, draws, sextic_posterior.close(networks.setting, draws)
    )


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Levels of the action as published, then networks by falling noise."""
    return [
        *of_action(),
        *of_samples([sample_of(trained[name], name) for name in SWEEPS]),
    ]


def of_action() -> list[Finding]:
    """The paper's level against u as derived here, and what it leaves out."""
    found = [_published(*one) for one in PUBLISHED]
    worth = sextic_posterior.worth(PUBLISHED[0][1], THEIR_GAMMA)
    action = Finding(
        "gain of a neuron in the well by their action, over all that the target at its "
        f"frequency is worth, {_theirs(PUBLISHED[0][1])}",
        "far below 1, if the action is that of a neuron",
        OWN,
        "<= 0.1",
        f"{worth:.3g}",
        "2 sigma^2 (3 / gamma)^(1/2)",
        bool(worth <= 0.1),
    )
    return [*found, action]


def _published(a: float, published: float, phase: str) -> Finding:
    coupling = rubin.modular_transition_formula(THEIR_GAMMA)
    printed = rubin.modular_noise(coupling, a, *THEIRS)
    derived = printed / np.sqrt(2)
    return Finding(
        f"sigma^2 at equal wells, a = {a}: GMFL-{phase}, with u = v P^2 / sigma^4 as "
        "derived here",
        f"{published:g}",
        NUMBER,
        f"± {0.06 * published:.2g}",
        f"{derived:.4f}",
        f"with twice that, as printed: {printed:.4f}",
        bool(abs(derived - published) <= 0.06 * published),
    )


def of_samples(samples: Sequence[Sample]) -> list[Finding]:
    """samples: by falling noise, of one p, N and gamma."""
    findings = [agreement([one.networks for one in samples])]
    for find in (_residual, _histogram):
        findings += [find(one) for one in samples]
    enough = [one for one in samples if predicted(one) >= FEWEST_APART]
    findings += [_apart(one) for one in enough]
    findings += [_place(one) for one in enough[-2:]]
    onsets = [_onset(samples, 1.0), _onset(samples, 2.0), _level(samples[0])]
    return [*findings, *onsets, mixture([one.networks for one in samples])]


def beyond(sample: Sample) -> Floats:
    """[m] pairs of neuron and frequency beyond `middle`, a network, means of chains."""
    found: Floats = (sample.networks.size > sample.middle).sum(axis=(2, 3)).mean(axis=1)
    return found


def predicted(sample: Sample) -> float:
    """The same of the theory."""
    return in_well(sample.networks.setting, sample.gamma, sample.draws, sample.law)


def in_well(setting: Modular, gamma: float, draws: Draws, law: Law) -> float:
    far = (draws.size > middle(setting.p, gamma)).sum(axis=1)
    return float(setting.neurons * law.weight @ far)


def _residual(sample: Sample) -> Finding:
    left = sample.networks.residual
    mean, low, high = student_interval(left.mean(axis=1))
    expected = sample.law.residual
    return Finding(
        f"share of the target that is left, {_at(sample)}",
        f"{expected:.3f} (the law of a neuron, closed)",
        OWN,
        f"± {RESIDUAL_WITHIN:g}",
        f"{mean:.3f}",
        f"95%: {low:.3f} to {high:.3f}, {len(left)} chains",
        bool(abs(mean - expected) <= RESIDUAL_WITHIN),
    )


def densities(sample: Sample) -> tuple[Floats, Floats]:
    """Shares of pairs of neuron and frequency between `EDGES`: sampled, predicted."""
    setting = sample.networks.setting
    found = counts(sample.networks).mean(axis=0)
    waves = sample.draws.size.shape[1]
    weights = np.repeat(sample.law.weight / waves, waves)
    expected = np.histogram(sample.draws.size.ravel(), EDGES, weights=weights)[0]
    return found / (setting.neurons * waves), expected


def _histogram(sample: Sample) -> Finding:
    found, expected = densities(sample)
    distance = float(np.abs(found - expected).sum() / 2)
    return Finding(
        "total variation between histogram of sqrt(Phi Psi) and its law, "
        f"{_at(sample)}",
        "0 (the law of a neuron, closed)",
        OWN,
        f"<= {DISTANCE:g}",
        f"{distance:.4f}",
        f"{sample.law.n_effective:.0f} effective draws",
        bool(distance <= DISTANCE),
    )


def _apart(sample: Sample) -> Finding:
    expected = predicted(sample)
    mean, low, high = student_interval(beyond(sample))
    return Finding(
        f"neurons beyond sqrt(Phi Psi) = {sample.middle:g}, {_at(sample)}",
        f"{expected:.1f} a network (the law of a neuron, closed)",
        OWN,
        f"a factor of {APART_FACTOR:g}",
        f"{mean:.1f}",
        f"95%: {low:.1f} to {high:.1f}, {len(sample.networks.size)} chains",
        bool(1 / APART_FACTOR <= mean / expected <= APART_FACTOR),
    )


def _place(sample: Sample) -> Finding:
    """Where neurons in the well are, on average."""
    size, weight = sample.draws.size, sample.law.weight[:, None]
    far = weight * (size > sample.middle)
    expected = float((far * size).sum() / far.sum())
    seen = sample.networks.size
    found = float(seen[seen > sample.middle].mean())
    action = sample.networks.setting.p / 2 * np.sqrt(3 / sample.gamma)
    return Finding(
        f"mean sqrt(Phi Psi) of neurons beyond {sample.middle:g}, {_at(sample)}",
        f"{expected:.2f} (the law of a neuron, closed)",
        OWN,
        f"± {PLACE_WITHIN * expected:.2g}",
        f"{found:.2f}",
        f"equal wells of the action: {action:.2f}",
        bool(abs(found - expected) <= PLACE_WITHIN * expected),
    )


def _onset(samples: Sequence[Sample], factor: float) -> Finding:
    """The noise at which one pair a network is in the well; factor: of u."""
    noises = [one.networks.setting.noise for one in samples]
    found = onset(noises, [float(beyond(one).mean()) for one in samples])
    expected = predicted_onset(samples[0], factor)
    near = 1 / ONSET_FACTOR <= found / expected <= ONSET_FACTOR
    u = "u = v P^2 / sigma^4" if factor == 1 else "u twice that, as printed"
    return Finding(
        f"sigma^2 below which one neuron a network is in the well, {u}",
        f"{expected:.5f} (the law of a neuron, closed)",
        OWN,
        f"a factor of {ONSET_FACTOR:g}",
        f"{found:.5f}",
        "between the noises joined in logarithms",
        bool(near),
    )


def _level(sample: Sample) -> Finding:
    """Theory alone, of targets less 1 / p, as theirs are: law against action."""
    draws = sample.draws
    plain = sample._replace(
        draws=draws._replace(constant=np.zeros_like(draws.constant))
    )
    found = predicted_onset(plain, 1.0)
    level = sextic_posterior.level(sample.networks.setting, sample.gamma)
    return Finding(
        "the same of the law, targets less 1 / p, not sampled",
        f"{level:.5f} (equal wells of the action, a = -1: (u a^2)^2 = 4 gamma / 3)",
        OWN,
        f"a factor of {ONSET_FACTOR:g}",
        f"{found:.5f}",
        "",
        bool(1 / ONSET_FACTOR <= found / level <= ONSET_FACTOR),
    )


def predicted_onset(sample: Sample, factor: float) -> float:
    """The same of the law of a neuron; factor: of the readout's variance, and so of
    u."""
    setting = sample.networks.setting
    setting = setting._replace(readout_variance=factor * setting.readout_variance)
    level = sextic_posterior.level(setting, sample.gamma)

    def log_number(noise: float) -> float:
        at = setting._replace(noise=noise)
        law = sextic_posterior.close(at, sample.draws)
        return float(np.log(in_well(at, sample.gamma, sample.draws, law)))

    return float(brentq(log_number, 0.9 * level, 1.5 * level, xtol=1e-3 * level))


def _at(sample: Sample) -> str:
    setting = sample.networks.setting
    return f"sigma^2 = {setting.noise:.3g}, p = {setting.p}, N = {setting.neurons}"


def _theirs(noise: float) -> str:
    return f"sigma^2 = {noise:g}, gamma = {THEIR_GAMMA:g}"


def figure(trained: Mapping[str, Trained]) -> Figure:
    """Histograms of sqrt(Phi Psi) and their laws; the share left against sigma^2."""
    samples = [sample_of(trained[name], name) for name in SWEEPS]
    panels, rows = [], []
    for sample in samples:
        found, expected = densities(sample)
        width, setting = np.diff(EDGES), sample.networks.setting
        title = f"$\\sigma^2$ = {setting.noise:.3g}"
        panels.append(plot.Law(title, EDGES, found / width, expected / width))
        rows.append((setting.noise, f"N = {setting.neurons},",
                     sample.networks.residual.mean(), sample.law.residual))  # fmt: skip
    parts = pd.DataFrame(rows, columns=["noise", "part", "measured", "predicted"])
    along = r"$\sqrt{\Phi \Psi}$"
    names = plot.LawNames("share of the target left", along, "share left", 1e-5)
    return plot.overlap_laws(panels, parts, "sampled", "theory", names=names)
