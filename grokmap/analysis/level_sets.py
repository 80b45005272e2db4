"""Edges of P(grok) as surfaces over several axes, with bands that hold all at once.

P(grok) = h Phi(f(x)): f is a Gaussian process on the swept axes (`gaussian_process`),
Phi the normal distribution function, h the height of the plateau inside the wedge. The
edge is where P crosses half its plateau: f = 0. Points are in unit coordinates: every
axis is mapped to [0, 1] beforehand, an axis of logs by its logs, choices by rank.

A run that was cut short says nothing of f: what its like would have done is as unknown
as where nothing was tried. It does say that its like are cut short, and so are not
worth their cost (`Surface.decided`).

The band of an edge is the region that the posterior cannot tell from either side: where
|E f| <= k sd f. With k = 1.96 that holds point by point. With the k that is used, in
`share` of the draws from the posterior no point beyond the band is on the other side
(Bolin and Lindgren, J. R. Stat. Soc. B 77 (2015) 85, sections 2 and 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import cholesky
from scipy.special import ndtr, ndtri

from grokmap.analysis import gaussian_process, likelihoods
from grokmap.analysis.boundaries import BEYOND, MEASURED, NO_GROK, UNDECIDED
from grokmap.analysis.gaussian_process import Prior, Process
from grokmap.analysis.statistics import LEVEL
from grokmap.arrays import Bools, Floats

RESOLUTION = 65  # places along the axis of an edge, between which f is a straight line
DRAWS = 1000
CERTAIN = 5.0  # E f / sd f beyond which no draw is expected to be on the other side
MOST_POINTS = 1200  # that are drawn together; of more, an even selection

# Medians of the hyperparameters, and the spread of their logs: half of an axis; P that
# rises over about a tenth of it; one run in fifty that does otherwise inside the wedge.
LENGTH, AMPLITUDE, LAPSE, NOISE = (0.5, 0.6), (5.0, 0.8), (0.02, 1.2), (0.2, 1.0)
LENGTHS, AMPLITUDES, LAPSES = (0.02, 20.0), (0.3, 100.0), (1e-4, 0.5)
NOISES = (1e-3, 10.0)


class Surface(NamedTuple):
    """P(grok) over the axes.

    process: of f, given the decided runs; decided: of a latent function that is above
    0 where runs are decided by their budget (None: all are), of the same lengths.
    """

    process: Process
    decided: Process | None

    @property
    def ceiling(self) -> float:
        """h, the height of P(grok) inside the wedge."""
        return 1 - float(self.process.noise[0])

    def latent(self, points: Floats) -> tuple[Floats, Floats]:
        """Mean [n] and covariance [n, n] of f at points [n, d]."""
        return self.process.posterior(points)

    def probability(self, points: Floats) -> Floats:
        """[n] P(grok) at points [n, d]: h Phi(f), averaged over the posterior."""
        scale = np.sqrt(1 + self.process.variance(points))
        return self.ceiling * ndtr(self.process.mean(points) / scale)

    def finishing(self, points: Floats) -> Floats:
        """[n] the chance that a run at points [n, d] is decided by its budget."""
        if self.decided is None:
            return np.ones(len(points))
        scale = np.sqrt(1 + self.decided.variance(points))
        return ndtr(self.decided.mean(points) / scale)


def fit(
    points: Floats,
    grokked: Floats,
    open_: Bools | None = None,
    categorical: Sequence[int] = (),
    start: Surface | None = None,
) -> Surface:
    """P(grok) from runs.

    Args:
      points: [n, d] in unit coordinates; several seeds at one place are several rows.
      grokked: [n] 1 where a run grokked, else 0.
      open_: [n] True where a run was cut short before it could say (default: none).
      categorical: axes whose values have no order: any two are equally far apart.
      start: of fewer of the same runs: the search begins at its hyperparameters.

    Raises:
      ValueError: shapes do not fit, points outside of [0, 1], or no run is decided.
    """
    yes, cut = np.asarray(grokked) > 0.5, _open(points, open_)
    _checked(points, yes, cut)
    prior = _prior(points.shape[1], LAPSE, LAPSES)
    process = gaussian_process.learn(
        points[~cut],
        likelihoods.Outcomes(yes[~cut]),
        prior,
        categorical,
        start and start.process,
    )
    decided = None
    if cut.any():
        likelihood = likelihoods.Outcomes(~cut)
        values = np.exp(process.logs)
        decided = gaussian_process.given(points, likelihood, values, categorical)
    return Surface(process, decided)


def fit_times(
    points: Floats,
    log_time: Floats,
    censored: Bools,
    categorical: Sequence[int] = (),
    start: Process | None = None,
) -> Process:
    """ln t_grok over the axes: mean and covariance by its `posterior`.

    ln t_grok = g(x) + normal noise of one standard deviation everywhere, its `noise`;
    g is a Gaussian process around 0, so log_time is best given less its mean.

    Args:
      points: [n, d] of the runs that grokked, and of those cut short.
      log_time: [n] ln t_grok; ln of the budget where censored.
    """
    _checked(points, censored, np.zeros(len(points), bool))
    prior = _prior(points.shape[1], NOISE, NOISES)
    likelihood = likelihoods.Times(log_time, censored)
    return gaussian_process.learn(points, likelihood, prior, categorical, start)


def _open(points: Floats, open_: Bools | None) -> Bools:
    return np.zeros(len(points), bool) if open_ is None else np.asarray(open_, bool)


def _checked(points: Floats, outcome: Bools, cut: Bools) -> None:
    n = len(points)
    if points.ndim != 2 or outcome.shape != (n,) or cut.shape != (n,):
        raise ValueError(
            f"points {points.shape}, outcomes {outcome.shape}, open {cut.shape}:"
            " they have to be [n, d], [n] and [n]"
        )
    if points.size and not (points.min() >= 0 and points.max() <= 1):
        raise ValueError(
            f"points reach from {points.min():g} to {points.max():g}:"
            " map each axis to [0, 1] first"
        )
    if cut.all():
        raise ValueError(
            f"none of the {n} runs is decided, so nothing is known of P(grok):"
            " give them larger budgets"
        )


def _prior(d: int, noise: tuple[float, float], bounds: tuple[float, float]) -> Prior:
    median, spread = np.array([*[LENGTH] * d, AMPLITUDE, noise]).T
    return Prior(median, spread, np.array([*[LENGTHS] * d, AMPLITUDES, bounds]))


class Band(NamedTuple):
    """One edge at m places, in unit coordinates; all [m], NaN where unknown.

    status: measured: between low and high; beyond the axis: the wedge goes on to its
    end, and one of low and high is a bound; undecided: not both sides are known, or
    neither; no grok. pointwise_low, pointwise_high: of each place by itself.
    """

    status: np.ndarray
    estimate: Floats
    low: Floats
    high: Floats
    pointwise_low: Floats
    pointwise_high: Floats


class Edges(NamedTuple):
    """Both edges, and k: the bands are |E f| <= k sd f."""

    lower: Band
    upper: Band
    multiple: float


def level_set(
    surface: Surface,
    axis: int,
    others: Floats,
    share: float = LEVEL,
    seed: int = 0,
    resolution: int = RESOLUTION,
) -> Edges:
    """Where P(grok) crosses half its plateau along one axis, at places on the others.

    A wedge at a place is the stretch around the point that groks most certainly.

    Args:
      axis: of the edges; others: [m, d - 1] places on the axes but that, in order.
      share: of the posterior's draws that the band holds at all m places at once.
      seed: of the draws.
    """
    grid = np.linspace(0, 1, resolution)
    m = len(others)
    points = np.insert(np.repeat(others, resolution, axis=0), axis, np.tile(grid, m), 1)
    mean = surface.process.mean(points)
    sure = mean / np.sqrt(surface.process.variance(points))
    k = _multiple(surface, points, sure, share, seed)
    pointwise = float(ndtri((1 + share) / 2))
    shape = (m, resolution)
    rows = _Rows(grid, mean.reshape(shape), sure.reshape(shape), k, pointwise)
    turned = _Rows(grid, rows.mean[:, ::-1], rows.sure[:, ::-1], k, pointwise)
    return Edges(_mirrored(_upper(turned)), _upper(rows), k)


def _multiple(
    surface: Surface, points: Floats, sure: Floats, share: float, seed: int
) -> float:
    """The smallest k such that in `share` of the draws f has the sign of its mean
    wherever |mean| > k sd; sure: [n] mean over sd at the points [n, d]."""
    doubtful = np.flatnonzero(np.abs(sure) < CERTAIN)
    doubtful = doubtful[:: 1 + len(doubtful) // MOST_POINTS]
    if not len(doubtful):
        return 0.0
    mean, spread = surface.latent(points[doubtful])
    spread[np.diag_indices_from(spread)] += 1e-7 * surface.process.amplitude**2
    root = cholesky(spread, lower=True, overwrite_a=True, check_finite=False)
    normal = np.random.default_rng(seed).standard_normal((len(mean), DRAWS))
    wrong = (mean[:, None] + root @ normal > 0) != (mean > 0)[:, None]
    worst = np.max(np.abs(sure[doubtful])[:, None] * wrong, axis=0)
    return float(np.quantile(worst, share, method="higher"))


class _Rows(NamedTuple):
    """f along the axis at m places: grid [g], mean and mean over sd [m, g]."""

    grid: Floats
    mean: Floats
    sure: Floats
    multiple: float
    pointwise: float


def _upper(rows: _Rows) -> Band:
    """The upper edge of each row."""
    found = [_edge(rows, i) for i in range(len(rows.mean))]
    status = np.array([status for status, _ in found])
    return Band(status, *np.array([numbers for _, numbers in found]).T)


def _edge(rows: _Rows, i: int) -> tuple[str, list[float]]:
    """Status, and the numbers of a `Band` in their order."""
    sure = rows.sure[i]
    start = int(np.argmax(sure))
    if sure[start] < -rows.multiple:
        return NO_GROK, [np.nan] * 5
    estimate = _crossing(rows.grid, rows.mean[i], start, 0.0)
    low, high = _between(rows.grid, sure, start, rows.multiple)
    numbers = [estimate, low, high]
    numbers += _between(rows.grid, sure, start, rows.pointwise)
    if np.isnan(estimate) and not np.isnan(low):
        return BEYOND, numbers
    return (UNDECIDED if np.isnan([low, high]).any() else MEASURED), numbers


def _between(grid: Floats, sure: Floats, start: int, k: float) -> tuple[float, float]:
    """The last place from `start` on that surely groks, the first that surely does
    not; NaN where there is none."""
    inside = _crossing(grid, sure, start, k)
    if np.isnan(inside) and sure[start] >= k:
        inside = float(grid[-1])
    return inside, _crossing(grid, sure, start, -k)


def _crossing(grid: Floats, values: Floats, start: int, level: float) -> float:
    """Where values [g] first fall below the level from `start` on; NaN if nowhere, or
    if they are below it there already."""
    below = values[start:] < level
    if below[0] or not below.any():
        return np.nan
    i = start + int(np.argmax(below))
    part = (values[i - 1] - level) / (values[i - 1] - values[i])
    return float(grid[i - 1] + part * (grid[i] - grid[i - 1]))


def _mirrored(band: Band) -> Band:
    status, estimate, low, high, plow, phigh = band
    return Band(status, 1 - estimate, 1 - high, 1 - low, 1 - phigh, 1 - plow)


class Precision(NamedTuple):
    """Half-widths of the bands that are measured, in unit coordinates of the axis (NaN:
    none is), and how many edges are measured, and are not decided."""

    largest: float
    median: float
    n_measured: int
    n_undecided: int


def precision(edges: Edges) -> Precision:
    """How well both edges are known, at all places together."""
    bands = (edges.lower, edges.upper)
    halves = np.concatenate([(b.high - b.low) / 2 for b in bands])
    status = np.concatenate([b.status for b in bands])
    known = halves[status == MEASURED]
    largest, median = (
        (float(known.max()), float(np.median(known))) if len(known) else (np.nan,) * 2
    )
    return Precision(largest, median, len(known), int(np.sum(status == UNDECIDED)))
