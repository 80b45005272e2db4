"""Rubin, Seroussi and Ringel (arXiv 2310.03789): modular addition, sampled.

Chains of Langevin dynamics of the engine against the law of one neuron, closed
(`theory.modular_posterior`). Settings are read from the runs; nothing is fitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.analysis import chains
from grokmap.analysis.statistics import student_interval
from grokmap.arrays import Floats
from grokmap.reproduce.finding import OWN, WORDS, Finding
from grokmap.reproduce.trained import Trained
from grokmap.spec import Run
from grokmap.theory import modular_posterior
from grokmap.theory.modular_posterior import Law, Modular

NOISES = ("0.2", "0.1", "0.05", "0.035", "0.025", "0.014")  # sigma^2
SWEEPS = tuple(f"rubin-modular-{noise}" for noise in NOISES)
WIDE = "rubin-modular-wide"  # N = 800 at the least noise
MOMENTS = tuple(range(1000, 4001, 50))  # steps at which networks are looked at
# The step goes as sigma^2 in units of relaxation: the least noise takes longer.
LATER = tuple(range(2000, 10_001, 100))
EDGES = np.linspace(0, 30, 31)  # of sqrt(Phi Psi), in units of the prior's mean
# A product of two exponentials is beyond 8^2 once in 2 million.
FAR = 8.0
# Set after a pilot of single chains at these noises, before the runs.
RESIDUAL_WITHIN, DISTANCE, LARGEST_R_HAT = 0.03, 0.02, 1.1
APART_FACTOR, ONSET_FACTOR = 2.0, 1.2
FEWEST_APART = 0.3  # a network, predicted, below which they are not compared
# Set after a look at which frequencies they hold, at the least noise in two chains.
SPREAD_WITHIN = 0.3
DIP = 0.5  # neurons a network that a later bin holds more than an earlier one


class Sampled(NamedTuple):
    """A sweep at equilibrium. residual: [m, t] share of the target that is left; size:
    [m, t, K, N] sqrt(Phi Psi) of each frequency and neuron, over the prior's mean;
    every: steps between two times."""

    setting: Modular
    residual: Floats
    size: Floats
    every: int


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """What is left of the target, and amplitudes of neurons, by falling noise."""
    samples = [sampled(trained[name], moments(name)) for name in SWEEPS]
    wide = sampled(trained[WIDE], moments(WIDE))
    return [*of_samples(samples), *_wider(wide)]


def of_samples(samples: Sequence[Sampled]) -> list[Finding]:
    """samples: by falling noise, of one p and N."""
    laws = [modular_posterior.close(one.setting) for one in samples]
    pairs = list(zip(samples, laws, strict=True))
    return [
        agreement(samples),
        *(_residual(*pair) for pair in pairs),
        *(_histogram(*pair) for pair in pairs),
        *(
            _apart(sample, law)
            for sample, law in pairs
            if predicted_apart(sample.setting, law) >= FEWEST_APART
        ),
        spread(samples[-1]),
        _onset(samples, laws),
        _gaussian(samples),
        mixture(samples),
    ]


def _wider(sample: Sampled) -> list[Finding]:
    """The same with more neurons, of the same eigenvalue on the target."""
    law = modular_posterior.close(sample.setting)
    finders = (_residual, _histogram, _apart)
    return [agreement([sample]), *(find(sample, law) for find in finders),
            spread(sample)]  # fmt: skip


def moments(name: str) -> tuple[int, ...]:
    """Steps after burn-in at which a sweep is looked at."""
    return LATER if name in (SWEEPS[-1], WIDE) else MOMENTS


def sampled(trained: Trained, steps: tuple[int, ...]) -> Sampled:
    """The networks of a sweep after burn-in, one row a run."""
    by_run: dict[str, list[tuple[float, Floats]]] = {}
    for one in sorted(trained.weights(steps), key=lambda reached: reached.step):
        by_run.setdefault(one.run.run_id, []).append(parts_of(one.run, one.leaves))
        run = one.run
    residual = [[part[0] for part in parts] for parts in by_run.values()]
    size = [[part[1] for part in parts] for parts in by_run.values()]
    return Sampled(
        setting_of(run), np.array(residual), np.array(size), steps[1] - steps[0]
    )


def setting_of(run: Run) -> Modular:
    """The posterior that a run samples: exp(-F / T), sigma^2 = n T / 2."""
    control, system = run.control, run.system
    n = round(control.train_fraction * system.modulus**2)
    variance = control.temperature * system.width / control.weight_decay
    return Modular(
        p=system.modulus,
        neurons=system.width,
        noise=n * control.temperature / 2,
        readout_variance=(control.alpha / system.width) ** 2 * variance,
        weight_variance=variance,
    )


def parts_of(run: Run, leaves: Mapping[str, Floats]) -> tuple[float, Floats]:
    """(1 - f.y / y.y over the whole table, y = target less its mean; [K, N] amplitudes
    sqrt(Phi Psi) over the prior's mean).

    f.y is that of a_c sum_m 2 u_m v_(c-m), u and v less their means.
    """
    setting = setting_of(run)
    p = setting.p
    first = np.asarray(leaves["first"], float)
    waves = np.fft.fft(first.reshape(2, p, -1), axis=1)
    waves[:, 0] = 0
    signal = 2 * np.fft.ifft(waves[0] * waves[1], axis=0).real
    readout = np.asarray(leaves["readout"], float) * run.control.alpha / setting.neurons
    learned = float((readout * signal).sum()) / (p * (p - 1))
    power = np.abs(waves[:, 1 : setting.frequencies + 1]) ** 2 / p
    size: Floats = np.sqrt(power[0] * power[1]) / setting.weight_variance
    return 1 - learned, size


def apart(sample: Sampled) -> Floats:
    """[m] pairs of neuron and frequency beyond `FAR` a network, means of chains."""
    found: Floats = (sample.size > FAR).sum(axis=(2, 3)).mean(axis=1)
    return found


def predicted_apart(setting: Modular, law: Law) -> float:
    """The same of the theory."""
    pairs = setting.neurons * setting.frequencies
    share = modular_posterior.beyond(law, np.array([FAR, np.inf])).sum()
    return float(pairs * share)


def counts(sample: Sampled) -> Floats:
    """[m, bins] pairs of neuron and frequency between `EDGES` a network."""
    times = sample.size.shape[1]
    found = [np.histogram(one, EDGES)[0] / times for one in sample.size]
    return np.array(found)


def has_dip(sample: Sampled) -> bool:
    """Whether a bin holds `DIP` more than one before it, above 0 in 95% by chains."""
    found = counts(sample)
    mean = found.mean(axis=0)
    rise = np.triu(mean[None, :] - mean[:, None])
    i, j = np.unravel_index(np.argmax(rise), rise.shape)
    low = student_interval(found[:, j] - found[:, i])[1]
    return bool(rise[i, j] >= DIP and low > 0)


def onset(noises: Sequence[float], numbers: Sequence[float]) -> float:
    """The noise at which one pair a network is beyond `FAR`, logs joined by lines.

    NaN where the numbers do not reach 1.
    """
    logs = np.log(np.maximum(numbers, 1e-9))
    above = np.flatnonzero(logs >= 0)
    if not len(above) or above[0] == 0:
        return float("nan")
    k = above[0]
    share = -logs[k - 1] / (logs[k] - logs[k - 1])
    ends = np.log(noises[k - 1 : k + 1])
    return float(np.exp(ends[0] + share * (ends[1] - ends[0])))


def spread(sample: Sampled) -> Finding:
    """Whether neurons far out are independent of each other, as the law takes them."""
    found = (sample.size > FAR).sum(axis=3)
    ratio = float(found.var() / found.mean()) if found.any() else float("nan")
    return Finding(
        f"neurons beyond {FAR:g} at one frequency, variance over mean, "
        f"{_at(sample.setting)}",
        "1 (independent neurons)",
        OWN,
        f"± {SPREAD_WITHIN:g}",
        f"{ratio:.2f}",
        f"mean {found.mean():.2f}, most often {np.bincount(found.ravel()).argmax()}",
        bool(abs(ratio - 1) <= SPREAD_WITHIN),
    )


def agreement(samples: Sequence[Sampled]) -> Finding:
    """Whether chains from cold and hot starts sample one distribution."""
    found = [chains.summary(one.residual) for one in samples]
    worst = max(found, key=lambda one: one.r_hat)
    times = [one.time * of.every for one, of in zip(found, samples, strict=True)]
    return Finding(
        "split R-hat of what is left of the target, largest of all noises, "
        f"{_sizes(samples[0].setting)}",
        "1: chains from cold and hot starts agree",
        OWN,
        f"<= {LARGEST_R_HAT:g}",
        f"{worst.r_hat:.3f}",
        f"at sigma^2 = {samples[found.index(worst)].setting.noise:.3g}; tau up to "
        f"{max(times):.0f} steps",
        bool(worst.r_hat <= LARGEST_R_HAT),
    )


def _residual(sample: Sampled, law: Law) -> Finding:
    mean, low, high = student_interval(sample.residual.mean(axis=1))
    return Finding(
        f"share of the target that is left, {_at(sample.setting)}",
        f"{law.residual:.3f} (the law of a neuron, closed)",
        OWN,
        f"± {RESIDUAL_WITHIN:g}",
        f"{mean:.3f}",
        f"95%: {low:.3f} to {high:.3f}, {len(sample.residual)} chains",
        bool(abs(mean - law.residual) <= RESIDUAL_WITHIN),
    )


def _histogram(sample: Sampled, law: Law) -> Finding:
    expected = modular_posterior.beyond(law, EDGES)
    pairs = sample.setting.neurons * sample.setting.frequencies
    found = counts(sample).mean(axis=0) / pairs
    distance = float(np.abs(found - expected).sum() / 2)
    return Finding(
        f"total variation between histogram of sqrt(Phi Psi) and its law, "
        f"{_at(sample.setting)}",
        "0 (the law of a neuron, closed)",
        OWN,
        f"<= {DISTANCE:g}",
        f"{distance:.4f}",
        "",
        bool(distance <= DISTANCE),
    )


def _apart(sample: Sampled, law: Law) -> Finding:
    expected = predicted_apart(sample.setting, law)
    mean, low, high = student_interval(apart(sample))
    return Finding(
        f"neurons beyond sqrt(Phi Psi) = {FAR:g}, {_at(sample.setting)}",
        f"{expected:.2f} a network (the law of a neuron, closed)",
        OWN,
        f"a factor of {APART_FACTOR:g}",
        f"{mean:.2f}",
        f"95%: {low:.2f} to {high:.2f}, {len(sample.size)} chains",
        bool(1 / APART_FACTOR <= mean / expected <= APART_FACTOR),
    )


def _onset(samples: Sequence[Sampled], laws: Sequence[Law]) -> Finding:
    noises = [one.setting.noise for one in samples]
    expected = onset(
        noises,
        [predicted_apart(one.setting, law) for one, law in zip(samples, laws,
                                                              strict=True)],
    )  # fmt: skip
    found = onset(noises, [float(apart(one).mean()) for one in samples])
    near = 1 / ONSET_FACTOR <= found / expected <= ONSET_FACTOR
    return Finding(
        f"sigma^2 below which one neuron a network is beyond {FAR:g}",
        f"{expected:.4f} (the law of a neuron, closed)",
        OWN,
        f"a factor of {ONSET_FACTOR:g}",
        f"{found:.4f}",
        "between the noises joined in logarithms",
        bool(near),
    )


def _gaussian(samples: Sequence[Sampled]) -> Finding:
    """Where networks leave what Gaussian neurons leave, and where they do not."""
    misses = [
        abs(one.residual.mean() - modular_posterior.gaussian_residual(one.setting))
        for one in samples
    ]
    kept = [bool(miss <= RESIDUAL_WITHIN) for miss in misses]
    noises = [f"{one.setting.noise:.3g}" for one in samples]
    inside = [noise for noise, is_kept in zip(noises, kept, strict=True) if is_kept]
    return Finding(
        "sigma^2 at which the share left is 1 / (1 + 4 N v s^2 / sigma^2), that of "
        "Gaussian neurons",
        "down to a level, and not below: GFL",
        WORDS,
        f"± {RESIDUAL_WITHIN:g}; once in, then out",
        f"{', '.join(inside) or 'none'} of {', '.join(noises)}",
        ", ".join(f"off by {miss:.3f}" for miss in misses),
        _once(kept),
    )


def mixture(samples: Sequence[Sampled]) -> Finding:
    """Whether the histogram has one peak at first, and two from some noise on."""
    plain = [not has_dip(one) for one in samples]
    words = ["one peak" if one else "two peaks" for one in plain]
    noises = (f"{one.setting.noise:.3g}" for one in samples)
    return Finding(
        "histogram of sqrt(Phi Psi) as sigma^2 falls",
        "one Gaussian, then a mixture of them: GMFL-I",
        WORDS,
        "one peak, then two",
        ", ".join(f"{at}: {word}" for at, word in zip(noises, words, strict=True)),
        "",
        _once(plain),
    )


def _once(first: Sequence[bool]) -> bool:
    """Whether it holds at first, and from some place on no more."""
    falls = list(first) == sorted(first, reverse=True)
    return falls and first[0] and not first[-1]


def _sizes(setting: Modular) -> str:
    return f"p = {setting.p}, N = {setting.neurons}"


def _at(setting: Modular) -> str:
    return f"sigma^2 = {setting.noise:.3g}, {_sizes(setting)}"


def figure(trained: Mapping[str, Trained]) -> Figure:
    """Histograms of sqrt(Phi Psi) and their laws; the share left against sigma^2."""
    panels, rows = [], []
    for name in (*SWEEPS, WIDE):
        sample = sampled(trained[name], moments(name))
        law, setting = modular_posterior.close(sample.setting), sample.setting
        expected = modular_posterior.beyond(law, EDGES) / np.diff(EDGES)
        pairs = setting.neurons * setting.frequencies * np.diff(EDGES)
        found = counts(sample).mean(axis=0) / pairs
        title = f"$\\sigma^2$ = {setting.noise:.3g}, $N$ = {setting.neurons}"
        panels.append(plot.Law(title, EDGES, found, expected))
        rows.append((setting.noise, f"N = {setting.neurons},",
                     sample.residual.mean(), law.residual))  # fmt: skip
    parts = pd.DataFrame(rows, columns=["noise", "part", "measured", "predicted"])
    along = r"$\sqrt{\Phi \Psi}$ / prior's mean"
    names = plot.LawNames("share of the target left", along, "share left", 1e-5)
    return plot.overlap_laws(panels, parts, "sampled", "theory", names=names)
