"""Tangent kernels of finite width, measured on trained and on fresh networks.

Against `theory.finite_width`, and against exponents in N that are derived in
docs/theory.md. After Eq. 19 of the survey *Grokking as a Phase Transition in Neural
Networks* (2026), and Guillen, Misof and Gerken (arXiv 2508.11522).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.analysis.statistics import percentile_interval, resample_weights
from grokmap.arrays import Floats, Ints
from grokmap.reproduce.finding import OWN, WORDS, Finding, near
from grokmap.reproduce.reproduction import Reproduction
from grokmap.reproduce.trained import Trained
from grokmap.theory.finite_width import SIGMAS, kernel_table, two_hidden_layers

MODULUS = N_OUTPUTS = 11
SIGMA_NAMES, DEEP_NAMES = (
    ("quadratic", "relu", "erf", "tanh"),
    ("quadratic", "relu", "erf"),
)
NARROWEST = 16  # where means are compared with those of infinite width
ALPHAS = (0.0, 0.25, 0.5)
EARLY, LATE = 16, 512  # steps
FROM_WIDTH = 512  # from which exponents of motion are taken
CROSSES = 1e-12  # of a variance that is 0


class Cube(NamedTuple):
    """Kernels of networks that differ in width and seed.

    widths: [W]; values: [W, S, r, m, m] at r steps, in units of the step N^(1 - 2
    alpha), so that they are means over neurons; steps: [r]; pairs: [m, 2] the inputs.
    """

    widths: Ints
    values: Floats
    steps: Ints
    pairs: Ints


def cube(trained: Trained, **place: float | str) -> Cube:
    """The recorded kernels at one value of some axes; every width has every seed."""
    runs = trained.runs
    for axis, value in place.items():
        runs = runs[runs[axis] == value]
    kernels = trained.kernels()
    table = runs.sort_values(["width", "seed"])
    widths = np.unique(table["width"]).astype(np.int64)
    found = [kernels[name] for name in table["run_id"]]
    speed = table["width"].to_numpy(float) ** (1 - 2 * table["alpha"].to_numpy(float))
    values = np.stack([kernel.values for kernel in found])
    values = values * speed[:, None, None, None]
    shape = (len(widths), -1, *values.shape[1:])
    pairs = np.stack(np.divmod(found[0].examples, MODULUS), axis=1)
    return Cube(widths, values.reshape(shape), found[0].steps, pairs)


def shared_tokens(pairs: Ints) -> Floats:
    """[m, m] how many tokens two pairs share: inner products of their one-hots."""
    same = pairs[:, None, :] == pairs[None, :, :]
    return np.asarray(same.sum(axis=2), np.float64)


def exponents(widths: Ints, values: Floats) -> Floats:
    """[B] slopes of ln values [B, W] on ln widths, by least squares."""
    x = np.log(widths)
    x = x - x.mean()
    return np.asarray(np.log(values) @ x / (x @ x))


def with_interval(finding: Finding, drawn: Floats, n: int) -> Finding:
    """The finding with its 95% interval from resamples of n seeds."""
    low, high = percentile_interval(drawn, n)
    return finding._replace(spread=f"{low:.3g} to {high:.3g} (95%)")


# ---- kernels at initialisation


class Variances(NamedTuple):
    """mean, variance: [B, W, E] of entries over networks, by resamples of seeds;
    expected: [E] of the mean, predicted: [E] of N times the variance; n: networks."""

    widths: Ints
    mean: Floats
    variance: Floats
    expected: Floats
    predicted: Floats
    n: int

    @property
    def ratio(self) -> Floats:
        """[B, W] N times the variance over the predicted, mean over entries."""
        scaled = self.variance * self.widths[:, None] / self.predicted
        return np.asarray(scaled.mean(axis=-1))


def variances(trained: Trained, name: str) -> Variances:
    """Of the networks with one activation at step 0."""
    found = cube(trained, activation=name)
    rows, columns = np.triu_indices(len(found.pairs))
    entries = found.values[:, :, 0][:, :, rows, columns]
    n = entries.shape[1]
    middle = entries.mean(axis=1, keepdims=True)
    moved, square = _resampled(entries - middle), _resampled((entries - middle) ** 2)
    variance = (square - moved**2) * n / (n - 1)
    mean = moved + middle[:, 0]
    gram = shared_tokens(found.pairs)
    expected, predicted = (
        table[rows, columns] for table in kernel_table(SIGMAS[name], gram, N_OUTPUTS)
    )
    return Variances(found.widths, mean, variance, expected, predicted, n)


def _resampled(entries: Floats) -> Floats:
    """[B, W, E] means over networks of entries [W, S, E], by resamples of seeds."""
    n = entries.shape[1]
    weights = resample_weights(n) / n
    return np.stack([weights @ of_width for of_width in entries], axis=1)


def kernel_variance(trained: Mapping[str, Trained]) -> list[Finding]:
    """Exponent and prefactor of the variance, and the mean, of each activation; then
    the mean of two hidden layers."""
    findings = []
    for name in SIGMA_NAMES:
        found = variances(trained["kernel-variance"], name)
        slopes = exponents(found.widths, found.ratio / found.widths)
        factor = np.exp(np.log(found.ratio).mean(axis=1))
        place = int(np.flatnonzero(found.widths == NARROWEST)[0])
        mean = found.mean[:, place].sum(axis=-1) / found.expected.sum()
        for what, value, within, drawn, source in (
            ("d ln Var K / d ln N", -1.0, 0.1, slopes, WORDS),
            ("N Var K over the predicted", 1.0, 0.1, factor, OWN),
            (f"mean K over that of infinite width, N = {NARROWEST}",
             1.0, 0.05, mean, OWN),
        ):  # fmt: skip
            finding = near(f"{what}, {name}", value, within, drawn[0], "", source)
            findings.append(with_interval(finding, drawn, found.n))
    return [*findings, *_depth(trained["kernel-mean-depth"])]


def _depth(trained: Trained) -> list[Finding]:
    findings = []
    for name in DEEP_NAMES:
        found = cube(trained, activation=name)
        n = found.values.shape[1]
        weights = resample_weights(n) / n
        at_narrow = found.values[found.widths == NARROWEST][0][:, 0]
        leading, correction = deep_tables(name, found.pairs)
        for what, places in _places(len(found.pairs)).items():
            total = leading[places].sum()
            drawn = weights @ (at_narrow[:, *places].sum(axis=1) / total)
            expected = float(1 + correction[places].sum() / total / NARROWEST)
            flat = name == "relu" and what == "on the diagonal"
            finding = near(
                f"mean K of two hidden layers over that of infinite width, {what}, "
                f"N = {NARROWEST}, {name}",
                expected,
                0.05 * max(1.0, expected),
                float(drawn[0]),
                "",
                WORDS if flat else OWN,
            )
            findings.append(with_interval(finding, drawn, n))
    return findings


def deep_tables(name: str, pairs: Ints) -> tuple[Floats, Floats]:
    """[m, m] leading and [m, m] correction of the mean with two hidden layers."""
    gram = shared_tokens(pairs) / (2 * MODULUS)
    tables = np.empty((2, *gram.shape))
    diagonal = two_hidden_layers(SIGMAS[name], gram[:1, :1], N_OUTPUTS)
    for product in np.unique(gram):
        pair = np.array([[gram[0, 0], product], [product, gram[0, 0]]])
        is_diagonal = product == gram[0, 0]
        found = (
            diagonal
            if is_diagonal
            else two_hidden_layers(SIGMAS[name], pair, N_OUTPUTS)
        )
        tables[:, gram == product] = np.array(found)[:, None]
    return tables[0], tables[1]


def _places(m: int) -> dict[str, tuple[Ints, Ints]]:
    rows, columns = np.triu_indices(m, 1)
    every = np.arange(m)
    return {"on the diagonal": (every, every), "off it": (rows, columns)}


def variance_figure(trained: Mapping[str, Trained]) -> Figure:
    """Variance over the squared mean, and the means of one and two hidden layers."""
    spread, mean, deep = [], [], []
    for name in SIGMA_NAMES:
        found = variances(trained["kernel-variance"], name)
        size = np.sum(found.expected**2)
        relative = found.variance.sum(axis=-1) / size
        line = found.predicted.sum() / size / found.widths
        spread.append(_series(name, found.widths, relative, found.n, line))
        ratio = found.mean.sum(axis=-1) / found.expected.sum()
        mean.append(
            _series(name, found.widths, ratio, found.n, np.ones(len(found.widths)))
        )
    for name in DEEP_NAMES:
        at = cube(trained["kernel-mean-depth"], activation=name)
        leading, correction = deep_tables(name, at.pairs)
        n = at.values.shape[1]
        ratio = at.values[:, :, 0].sum(axis=(2, 3)) / leading.sum()
        drawn = resample_weights(n) / n @ ratio.T
        line = 1 + correction.sum() / leading.sum() / at.widths
        deep.append(_series(name, at.widths, drawn, n, line))
    return plot.width_panels([
        plot.WidthPanel("one hidden layer", r"Var $K_N$ / $K_\infty^2$", spread),
        plot.WidthPanel("one hidden layer", r"mean $K_N / K_\infty$", mean, log=False),
        plot.WidthPanel("two hidden layers", r"mean $K_N / K_\infty$", deep, log=False),
    ])  # fmt: skip


def _series(
    label: str, widths: Ints, drawn: Floats, n: int, predicted: Floats
) -> plot.WidthSeries:
    """drawn: [B, W] by resamples of n seeds, the data first."""
    ends = np.array([percentile_interval(column, n) for column in drawn.T])
    return plot.WidthSeries(
        label, widths.astype(float), drawn[0], ends[:, 0], ends[:, 1], predicted
    )


# ---- kernels in training


class Motion(NamedTuple):
    """[B, W] by resamples of seeds, at one step: root mean square over networks of
    |K_t - K_0| / |K_0|, and mean of 1 - CKA(K_0, K_t)."""

    widths: Ints
    relative: Floats
    turn: Floats
    n: int


def motion(found: Cube, step: int) -> Motion:
    """How far the kernels have moved by a step."""
    now = int(np.flatnonzero(found.steps == step)[0])
    start, end = found.values[:, :, 0], found.values[:, :, now]
    n = start.shape[1]
    weights = resample_weights(n) / n
    square = np.sum((end - start) ** 2, axis=(2, 3)) / np.sum(start**2, axis=(2, 3))
    relative = np.sqrt(weights @ square.T)
    return Motion(found.widths, relative, weights @ turns(start, end).T, n)


def turns(one: Floats, two: Floats) -> Floats:
    """[...] 1 - CKA of kernels [..., m, m], in float64: `ntk_drift` to 1e-12.

    As half the squared distance of the centred kernels over their norms, since 1 - x of
    an x near 1 would round.
    """
    units = []
    for kernel in (one, two):
        rows = kernel - kernel.mean(axis=-1, keepdims=True)
        centred = rows - rows.mean(axis=-2, keepdims=True)
        units.append(centred / np.linalg.norm(centred, axis=(-2, -1), keepdims=True))
    return np.asarray(np.sum((units[0] - units[1]) ** 2, axis=(-2, -1)) / 2)


def drift_width(trained: Mapping[str, Trained]) -> list[Finding]:
    """Exponents in N of the motion of weights and kernel, at three alpha."""
    of_sweep = trained["kernel-drift-width"]
    findings = []
    for alpha in ALPHAS:
        found = cube(of_sweep, alpha=alpha)
        wide = found.widths >= FROM_WIDTH
        early, late = motion(found, EARLY), motion(found, LATE)
        weights = weight_motion(of_sweep, alpha, LATE)
        at = f"alpha = {alpha:g}, N = {FROM_WIDTH} to {found.widths[-1]}"
        for what, drawn, value, within, source in (
            ("motion of the weights", weights, 0.0 - alpha, 0.05, OWN),
            (
                "motion of the tangent kernel",
                late.relative,
                0.0 - 2 * alpha,
                0.1,
                WORDS if alpha == 0.5 else OWN,
            ),
            ("turn of the kernel", early.turn, -1 - 2 * alpha, 0.15, OWN),
        ):
            slopes = exponents(found.widths[wide], drawn[:, wide])
            step = EARLY if drawn is early.turn else LATE
            quantity = f"exponent in N: {what}, step {step}, {at}"
            finding = near(quantity, value, within, slopes[0], "", source)
            findings.append(with_interval(finding, slopes, late.n))
        findings.append(
            _between(
                exponents(found.widths[wide], late.turn[:, wide]), alpha, at, late.n
            )
        )
    return findings


def weight_motion(trained: Trained, alpha: float, step: int) -> Floats:
    """[B, W] mean over seeds of |theta - theta_0| / |theta_0|."""
    runs = trained.runs[trained.runs["alpha"] == alpha]
    records = trained.trajectories
    records = records[records["step"] == step].set_index("run_id")["weight_motion"]
    table = runs.assign(motion=records.reindex(runs["run_id"]).to_numpy(float))
    values = table.pivot(index="width", columns="seed", values="motion").to_numpy()
    return np.asarray(resample_weights(values.shape[1]) @ values.T / values.shape[1])


def _between(slopes: Floats, alpha: float, at: str, n: int) -> Finding:
    """Late the turn is a sum of two powers, of which the slower wins in the end."""
    low, high = sorted((-4 * alpha, -1 - 2 * alpha))
    finding = Finding(
        f"exponent in N: turn of the kernel, step {LATE}, {at}",
        f"{low:g} to {high:g}",
        OWN,
        "± 0.15 at either end",
        f"{slopes[0]:.3g}",
        "",
        bool(low - 0.15 <= slopes[0] <= high + 0.15),
    )
    return with_interval(finding, slopes, n)


def drift_figure(trained: Mapping[str, Trained]) -> Figure:
    """Relative motion, and the turn early and late; lines of the predicted exponents
    through the widest networks."""
    series: dict[str, list[plot.WidthSeries]] = {"late": [], "turn": [], "turned": []}
    for alpha in ALPHAS:
        found = cube(trained["kernel-drift-width"], alpha=alpha)
        early, late = motion(found, EARLY), motion(found, LATE)
        label = rf"$\alpha$ = {alpha:g}"
        slower = max(-4 * alpha, -1 - 2 * alpha)
        for key, drawn, exponent in (
            ("late", late.relative, -2 * alpha),
            ("turn", early.turn, -1 - 2 * alpha),
            ("turned", late.turn, slower),
        ):
            line = drawn[0, -1] * (found.widths / found.widths[-1]) ** exponent
            series[key].append(_series(label, found.widths, drawn, late.n, line))
    moved, turned = r"$|K_t - K_0| / |K_0|$", r"$1 - \mathrm{CKA}$"
    return plot.width_panels([
        plot.WidthPanel(f"motion, step {LATE}", moved, series["late"]),
        plot.WidthPanel(f"turn, step {EARLY}", turned, series["turn"]),
        plot.WidthPanel(f"turn, step {LATE}", turned, series["turned"]),
    ])  # fmt: skip


SURVEY = "Grokking as a Phase Transition in Neural Networks (2026), Eq. 19"
REPRODUCTIONS: dict[str, Reproduction] = {
    "kernel-variance": Reproduction(
        reference=f"{SURVEY}; Guillen, Misof, Gerken (arXiv 2508.11522)",
        claim="The tangent kernel of a network of N neurons differs from that of "
        "infinite width by terms of order 1/N, given by Hermite coefficients of the "
        "activation; on the diagonal a relu network has none in the mean.",
        setting="a + b mod 11, kernel between 16 pairs at step 0, N = 16 to 1024, 128 "
        "networks each; two hidden layers: N = 16 and 64, 256 networks each",
        compare=kernel_variance,
        cpu_s=150,
        sweeps=("kernel-variance", "kernel-mean-depth"),
        figure=variance_figure,
    ),
    "kernel-drift-width": Reproduction(
        reference=SURVEY,
        claim="At alpha = 1/2 the kernel moves in training by 1/N; at smaller alpha by "
        "N^(-2 alpha).",
        setting="a + b mod 11, quadratic, centred, gd without momentum and decay, 512 "
        "steps, kernel between 24 pairs, N = 64 to 4096, 16 seeds",
        compare=drift_width,
        cpu_s=90,
        sweeps=("kernel-drift-width",),
        figure=drift_figure,
    ),
}
