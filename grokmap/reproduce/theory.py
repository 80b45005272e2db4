"""Reproductions that need no training: equations and exact flows against the papers.

Each function stands for one claim; tolerances and seeds are fixed here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from grokmap.arrays import Floats
from grokmap.reproduce.finding import (
    NUMBER,
    OWN,
    RECOMPUTED,
    WORDS,
    Finding,
    near,
    rising,
)
from grokmap.reproduce.reproduction import Reproduction
from grokmap.theory import gromov, levi, liu, lyu, muon, rubin, softmax

SOLVED = " (the paper's integrals, solved here)"


def levi_integrals() -> list[Finding]:
    """Times to 95%, arXiv 2310.16441: linear estimator, step 0.01, threshold 1e-3."""
    level = levi.loss_at_accuracy(0.95, 1e-3)
    known = {0.1: (272, 295), 0.3: (437, 557), 0.5: (718, 1147)}
    findings = []
    for ratio, times in known.items():
        solved = levi.crossing_times(ratio, 0.01, level)
        for name, time, steps in zip(("t_train", "t_test"), times, solved, strict=True):
            quantity = f"{name} at d/N = {ratio}, steps"
            findings.append(
                near(quantity, time, 0.005 * time, steps, SOLVED, RECOMPUTED)
            )
    floor = levi.test_loss(1.5, 0.01, 1e6)
    return [
        *findings,
        near("test loss at rest, d/N = 1.5", 1 / 3, 0.03, floor, "", NUMBER),
    ]


def liu_unique() -> list[Finding]:
    """P(only linear solutions), arXiv 2205.10343, Fig. 4a: p = 10."""
    sizes = np.arange(1, 56)
    shares = np.array([liu.probability_unique(10, int(n), 1000, 0) for n in sizes])
    half = liu.half_point(sizes / 55, shares)
    ends = shares[:10].max() <= 0.01 and shares[44:].min() >= 0.99
    rises = bool(ends and np.diff(shares).min() > -0.03)
    measured = f"0 at n/55 <= {sizes[shares == 0].max() / 55:.2f}, 1/2 at {half:.3f}, "
    measured += f"1 from {(sizes[shares < 1].max() + 1) / 55:.2f}"
    return [
        Finding(
            "P(unique linear solution) over the share n/55 of pairs, 1000 splits each",
            "rises from 0 to 1 around the critical training set size (no number)",
            WORDS,
            "<= 0.01 at n <= 10, >= 0.99 at n >= 45, no fall by 0.03 between",
            measured,
            "",
            rises,
        )
    ]


def rubin_modular() -> list[Finding]:
    """Noise at which mixed Gaussians take over, arXiv 2310.03789: modular network."""
    gamma = 1e-4
    coupling = rubin.modular_transition(gamma)
    closed = rubin.modular_transition_formula(gamma)
    setting = "P = 401, N = 1000"
    note = " (own closed form)"
    findings = [
        near("u a^2 at equal wells", closed, 0.01 * closed, coupling, note, OWN)
    ]
    for name, residual, published in (("I", -1.0, 0.227), ("II", -0.7, 0.175)):
        noise = rubin.modular_noise(coupling, residual, 401, 1000, 0.002 / 1000)
        quantity = f"sigma^2 at equal wells, a = {residual}: GMFL-{name}, {setting}"
        findings.append(near(quantity, published, 0.06 * published, noise, "", NUMBER))
    return findings


def gromov_accuracies() -> list[Finding]:
    """Accuracy of analytic weights, arXiv 2301.02679: p = 97, 3 draws of phases."""
    ranges = {50: (0.84, 0.94), 100: (0.98, 1.0), 500: (0.999, 1.0)}
    accuracies = {
        n: [gromov.accuracy(*gromov.analytic_weights(97, n, seed)) for seed in range(3)]
        for n in (50, 100, 200, 500)
    }
    findings = [
        Finding(
            f"accuracy of analytic weights, p = 97, N = {n}",
            "1 as N grows; " + ("1" if n == 500 else "no number at this N"),
            NUMBER if n == 500 else RECOMPUTED,
            f"{low} to {high}",
            f"{np.mean(accuracies[n]):.4f}",
            f"{min(accuracies[n]):.4f} to {max(accuracies[n]):.4f}",
            bool(low <= min(accuracies[n]) and max(accuracies[n]) <= high),
        )
        for n, (low, high) in ranges.items()
    ]
    means = [float(np.mean(values)) for values in accuracies.values()]
    return [*findings, rising("accuracy over N = 50, 100, 200, 500", means)]


def gaussian_baselines() -> list[Finding]:
    """Participation and Gini of cosines and of Gaussian rows: p = 97, 1e4 rows."""
    rows = gromov.analytic_weights(97, 96, 0)[0][:, :97]
    half, full = np.fft.rfft(rows), np.fft.fft(rows)
    noise_half, noise_full, gini = gromov.gaussian_baselines(97, 10_000, 0)
    known = (
        ("IPR (rfft) of cosines", 1.0, gromov.inverse_participation(half).mean(), OWN),
        ("IPR (fft) of cosines", 0.5, gromov.inverse_participation(full).mean(), OWN),
        ("IPR (rfft) of Gaussian rows", 0.0405, noise_half, RECOMPUTED),
        ("IPR (fft) of Gaussian rows", 0.0203, noise_full, RECOMPUTED),
        ("Gini of |rfft| of Gaussian rows", 0.287, gini, RECOMPUTED),
    )
    return [
        near(
            f"{name}, p = 97", published, 0.05 * published, float(computed), "", source
        )
        for name, published, computed, source in known
    ]


def muon_singular_values() -> list[Finding]:
    """Singular values after Muon's five steps, from inputs of 0.005 |G|_F and more."""
    note = " (polynomial, scanned before)"
    low, high = muon.bounds(0.005)
    findings = [
        near(
            "least singular value, inputs >= 0.005", 0.682, 0.01, low, note, RECOMPUTED
        ),
        near(
            "largest singular value, inputs >= 0.005",
            1.154,
            0.01,
            high,
            note,
            RECOMPUTED,
        ),
        near(
            "largest singular value, inputs >= 0.01",
            1.134,
            0.01,
            muon.bounds(0.01)[1],
            note,
            RECOMPUTED,
        ),
    ]
    return findings + [optax_range(shape) for shape in ((64, 256), (256, 64))]


def optax_range(shape: tuple[int, int]) -> Finding:
    """Singular values of optax's update on a matrix of spread singular values."""
    values = muon.spectrum(min(shape), 0.005)
    outputs = muon.optax_singular_values(muon.matrix_with(values, shape, seed=0))
    return Finding(
        f"singular values of optax's update, {shape[0]} x {shape[1]}, "
        f"inputs {values[0]:.3f} to {values[-1]:.3f}",
        "within 0.68 to 1.15",
        RECOMPUTED,
        "± 0.01",
        f"{outputs.min():.4f} to {outputs.max():.4f}",
        "",
        bool(outputs.min() >= 0.67 and outputs.max() <= 1.16),
    )


def softmax_collapse() -> list[Finding]:
    """Margins at which the loss is exactly 0, arXiv 2501.04697: two classes."""
    findings = []
    for dtype in ("float32", "float64"):
        margin = softmax.vanishing_margin(partial(softmax.numpy_loss, dtype=dtype))
        published = softmax.collapse_margin(dtype)
        quantity = f"margin of exactly zero loss, {dtype}"
        note = f" ({softmax.BITS[dtype]} ln 2)"
        findings.append(near(quantity, published, 0.1, margin, note, RECOMPUTED))
    margin = softmax.vanishing_margin(softmax.own_loss)
    quantity = "margin of exactly zero loss, float32, own cross_entropy"
    published = softmax.collapse_margin("float32")
    return [*findings, near(quantity, published, 0.1, margin, " (24 ln 2)", OWN)]


def lyu_diagonal() -> list[Finding]:
    """lambda t_grok against ln alpha, arXiv 2311.18817: d = 100, n = 40, 5 draws.

    A draw whose sparse predictor stays below 95% has no t_grok, and is left out.
    """
    log_alpha = np.log([1e2, 1e3, 1e4, 1e6])
    findings = []
    for lambda_ in (1e-3, 1e-5):
        places = np.array(
            [[lyu_place(a, lambda_, s) for a in np.exp(log_alpha)] for s in range(5)]
        )
        known = places[np.isfinite(places).all(axis=1)]
        slopes = np.array([lyu.slope(log_alpha, draw)[0] for draw in known])
        quantity = (
            f"slope of lambda t_grok over ln alpha, alpha = 1e2 to 1e6, "
            f"lambda = {lambda_:g}; {len(known)} of 5 draws reach 95%"
        )
        findings += [
            near(quantity, 1.0, 0.1, slopes, "", NUMBER),
            falling_to_one(
                f"lambda t_grok / ln alpha at alpha = 1e2, 1e3, 1e4, 1e6, "
                f"lambda = {lambda_:g}",
                (known / log_alpha).mean(axis=0),
            ),
        ]
    return findings


def lyu_place(alpha: float, lambda_: float, seed: int) -> float:
    """lambda t_grok, at accuracy 95% on 2e4 fresh inputs; inf past ln alpha + 8."""
    data = lyu.sparse_sign(40, 100, seed)
    test = lyu.sparse_sign(20_000, 100, [seed, 1])
    end = float(np.log(alpha)) + 8
    return lyu.grok_place(lyu.flow(data, alpha, lambda_, end), test, end, 0.95)


def falling_to_one(quantity: str, values: Floats) -> Finding:
    """Whether values fall and stay above 1."""
    return Finding(
        quantity,
        "within 1 ± c as alpha grows",
        WORDS,
        "falls, above 1",
        ", ".join(f"{v:.3f}" for v in values),
        "",
        bool(np.all(np.diff(values) < 0) and values[-1] > 1),
    )


def _alone(function: Callable[[], list[Finding]]) -> Callable[..., list[Finding]]:
    """A comparison that needs no sweep."""
    return lambda trained: function()


REPRODUCTIONS: dict[str, Reproduction] = {
    "levi-integrals": Reproduction(
        reference="Levi, Beck, Bar-Sinai (arXiv 2310.16441)",
        claim="A linear estimator groks: its test accuracy reaches 95% later than its "
        "training accuracy, by times that two integrals give.",
        setting="eta = 0.01, threshold 1e-3, d/N = 0.1, 0.3, 0.5, 1.5; exact",
        compare=_alone(levi_integrals),
        cpu_s=1,
    ),
    "liu-unique": Reproduction(
        reference="Liu et al. (arXiv 2205.10343), Fig. 4a",
        claim="Whether the parallelograms of a training set leave only linear "
        "representations jumps from no to yes with its size.",
        setting="plain addition, p = 10, 1000 splits at each n",
        compare=_alone(liu_unique),
        cpu_s=3,
    ),
    "rubin-modular": Reproduction(
        reference="Rubin, Seroussi, Ringel (arXiv 2310.03789), modular addition",
        claim="Below a noise level the weights' law becomes a mixture of Gaussians, "
        "where its wells are equally deep.",
        setting="P = 401, N = 1000, sigma_a^2 = 0.002/N, gamma = 1e-4; exact",
        compare=_alone(rubin_modular),
        cpu_s=1,
        explained="GMFL-II is taken as the same condition at the published residual "
        "a = -0.7; the theory's own drift of a is not solved.",
    ),
    "gromov-weights": Reproduction(
        reference="Gromov (arXiv 2301.02679)",
        claim="Analytic weights solve modular addition once wide enough.",
        setting="p = 97, N = 50, 100, 200, 500, 3 draws of phases",
        compare=_alone(gromov_accuracies),
        cpu_s=1,
    ),
    "fourier-baselines": Reproduction(
        reference="Gromov (arXiv 2301.02679); Doshi et al. (arXiv 2310.13061)",
        claim="Inverse participation ratio and Gini of cosines and of Gaussian rows.",
        setting="p = 97, 1e4 rows",
        compare=_alone(gaussian_baselines),
        cpu_s=1,
    ),
    "muon-newton-schulz": Reproduction(
        reference="Jordan et al. 2024 (Muon)",
        claim="Five Newton-Schulz steps take singular values near 1, not to 1.",
        setting="the polynomial, and optax's update, wide and tall",
        compare=_alone(muon_singular_values),
        cpu_s=2,
    ),
    "softmax-collapse": Reproduction(
        reference="Prieto et al. (arXiv 2501.04697)",
        claim="Cross-entropy is exactly 0 from a margin on, which floats set.",
        setting="two classes, float32 and float64",
        compare=_alone(softmax_collapse),
        cpu_s=1,
    ),
    "lyu-diagonal": Reproduction(
        reference="Lyu et al. (arXiv 2311.18817)",
        claim="A diagonal linear network groks at (1/lambda) ln alpha.",
        setting="d = 100, n = 40, y of three inputs, alpha = 1e2 to 1e6, "
        "lambda = 1e-3, 1e-5; the exact flow",
        compare=_alone(lyu_diagonal),
        cpu_s=24,
    ),
}
