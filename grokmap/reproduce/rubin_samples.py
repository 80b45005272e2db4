"""How many examples the cubic part of Rubin's teacher takes: n ~ d against d^3.

Rubin, Seroussi and Ringel (arXiv 2310.03789): networks that specialise on the linear
part learn the cubic one with it; a Gaussian process needs n ~ d^3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from grokmap.arrays import Floats
from grokmap.engine.lane import examples_of
from grokmap.engine.restored import started
from grokmap.reproduce.finding import RECOMPUTED, WORDS, Finding
from grokmap.reproduce.rubin_teacher import (
    CUBIC_WITHIN,
    Sampled,
    beside,
    by_set,
    sampled,
    sizes_of,
    teacher_of,
)
from grokmap.reproduce.trained import Trained
from grokmap.spec import Run
from grokmap.theory import posterior
from grokmap.theory.posterior import Posterior

SIZES = ("rubin-teacher-d15", "rubin-teacher-d45")
FRESH, BLOCK = 20_000, 2000  # inputs that a Gaussian process is tested on
# Set before the runs.
PROCESS_WITHIN, EXPONENT_WITHIN = 0.03, 0.3


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """The cubic part from n = 20 d examples, and that of a Gaussian process."""
    samples = [sampled(trained[name]) for name in SIZES]
    findings = []
    for sample in samples:
        closed = posterior.close(sample.setting)
        at = sizes_of(sample.setting)
        findings += [
            beside(
                f"cubic part learned, of {posterior.EPSILON}, {at}",
                closed.cubic / posterior.EPSILON,
                CUBIC_WITHIN / abs(posterior.EPSILON),
                by_set(sample, sample.cubic / posterior.EPSILON),
            ),
            _process(sample),
        ]
    return [*findings, _examples_needed(samples)]


def _process(sample: Sampled) -> Finding:
    """The cubic part that kernel regression finds in the same training sets."""
    setting = sample.setting
    runs = {run.seed: run for run in sample.runs}
    parts = np.array([process_cubic(run, setting) for run in runs.values()])
    share = parts / posterior.EPSILON
    expected = posterior.gaussian_process(setting)[1] / posterior.EPSILON
    return Finding(
        f"the same of a Gaussian process (N to infinity), {sizes_of(setting)}",
        f"{expected:.3f} (moments of its kernel)",
        RECOMPUTED,
        f"± {PROCESS_WITHIN:g}",
        f"{share.mean():.3f}",
        f"{share.min():.3f} to {share.max():.3f}, {len(share)} training sets",
        bool(abs(share.mean() - expected) <= PROCESS_WITHIN),
    )


def process_cubic(run: Run, setting: Posterior) -> float:
    """The part of H3 in K (K + sigma^2)^-1 y, over fresh inputs.

    K of erf neurons (Williams, Neural Comput. 10 (1998) 1203): sigma_a^2 (2/pi)
    arcsin(2 k / sqrt((1 + 2 k_xx)(1 + 2 k_yy))), k = sigma_w^2 x.y / d.
    """
    data = examples_of(run.system, started(run))
    x = np.asarray(data.inputs, float)[: setting.n]
    y = np.asarray(data.target, float)[: setting.n, 0]
    ridge = setting.noise * np.eye(setting.n)
    weights = np.linalg.solve(_kernel(x, x, setting) + ridge, y)
    rng, total = np.random.default_rng(run.seed), 0.0
    direction = teacher_of(run)
    for _ in range(FRESH // BLOCK):
        fresh = rng.normal(size=(BLOCK, setting.d))
        s = fresh @ direction
        f = _kernel(fresh, x, setting) @ weights
        f -= s * (f @ s) / (s @ s)  # less noise: its linear part says nothing of H3
        total += float(f @ (s**3 - 3 * s)) / 6
    return total / FRESH


def _kernel(x: Floats, other: Floats, setting: Posterior) -> Floats:
    scale = setting.weight_variance / setting.d
    lengths = [1 + 2 * scale * (z**2).sum(axis=1) for z in (x, other)]
    cosines = 2 * scale * x @ other.T / np.sqrt(np.multiply.outer(*lengths))
    kernel: Floats = setting.readout_variance * 2 / np.pi * np.arcsin(cosines)
    return kernel


def _examples_needed(samples: Sequence[Sampled]) -> Finding:
    """How many times n a Gaussian process needs for the cubic part of the networks."""
    ratios = [
        posterior.examples_needed(one.setting, float(one.cubic.mean())) / one.setting.n
        for one in samples
    ]
    sizes = [sample.setting.d for sample in samples]
    slope = float(np.diff(np.log(ratios))[0] / np.diff(np.log(sizes))[0])
    return Finding(
        f"examples that a Gaussian process needs for it, over n = 20 d, at d = "
        f"{sizes[0]} and {sizes[1]}",
        "n ~ d^3 against n ~ d: the ratio grows as d^2",
        WORDS,
        f"exponent 2 ± {EXPONENT_WITHIN:g}",
        f"exponent {slope:.2f}",
        ", ".join(f"{ratio:.0f} n" for ratio in ratios),
        bool(abs(slope - 2) <= EXPONENT_WITHIN),
    )
