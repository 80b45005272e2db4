"""Which runs tell most, for their cost, where the edge of a surface is.

look-ahead: the run after which the side of the edge on which each candidate lies is
expected to be least uncertain, over all of them: the mutual information of a run's
outcome and the level set, GlobalMI of Letham, Guan, Tymms, Bakshy and Shvartsman,
Look-Ahead Acquisition Functions for Bernoulli Level Set Estimation (AISTATS 2022,
arXiv 2203.09751). The posterior after a run is that of one factor matched in moments,
where they take the exact one.
straddle: 1.96 sd f - |E f| (Bryan et al., NeurIPS 2005): uncertain, near the edge.
random: any candidate.

Batches are greedy: after each pick the posterior is narrowed by what the run is
expected to tell, its mean as it was, so that the next pick goes elsewhere.
"""

from __future__ import annotations

import numpy as np
from scipy.special import entr, ndtr, ndtri

from grokmap.analysis import likelihoods
from grokmap.analysis.level_sets import Surface
from grokmap.analysis.statistics import LEVEL
from grokmap.arrays import Floats, Ints

LOOK_AHEAD, STRADDLE, RANDOM = "look-ahead", "straddle", "random"
STRATEGIES = (LOOK_AHEAD, STRADDLE, RANDOM)
NEGLIGIBLE = 0.01  # entropy of a side: about one chance in 750 of the other


def propose(
    surface: Surface,
    candidates: Floats,
    cost: Floats,
    batch: int,
    strategy: str = LOOK_AHEAD,
    seed: int = 0,
) -> list[int]:
    """The candidates to run next, most useful first; none of them twice.

    What a run is expected to tell is multiplied by its chance to be decided, and
    divided by its cost.

    Args:
      candidates: [k, d] places in unit coordinates, some thousand at most: look-ahead
        compares each with each. cost: [k] of a run there, in any unit, above 0.
      batch: runs to choose; of fewer candidates, all.
      seed: of the strategy "random".

    Raises:
      ValueError: an unknown strategy, or costs that are not positive.
    """
    if strategy not in STRATEGIES:
        names = ", ".join(STRATEGIES)
        raise ValueError(f"strategy {strategy!r}: one of {names}")
    if cost.shape != (len(candidates),) or not (cost > 0).all():
        raise ValueError(f"costs {cost.shape}: one above 0 for each candidate")
    batch = min(batch, len(candidates))
    if strategy == RANDOM:
        order = np.random.default_rng(seed).permutation(len(candidates))
        return [int(i) for i in order[:batch]]
    return _greedy(surface, candidates, cost, batch, strategy)


def _greedy(
    surface: Surface, candidates: Floats, cost: Floats, batch: int, strategy: str
) -> list[int]:
    near = _near(surface, candidates, batch)
    mean, spread = surface.latent(candidates[near])
    worth = surface.finishing(candidates[near]) / cost[near]
    score = _look_ahead if strategy == LOOK_AHEAD else _straddle
    picked: list[int] = []
    for _ in range(batch):
        scores = np.maximum(score(mean, spread, surface.ceiling), 0) * worth
        scores[picked] = -1
        best = int(np.argmax(scores))
        picked.append(best)
        spread = spread - _told(mean, spread, surface.ceiling, best)
    return [int(near[i]) for i in picked]


def _near(surface: Surface, candidates: Floats, batch: int) -> Ints:
    """The candidates whose side of the edge is not known; at least as many as wanted.

    Of the others runs would tell nothing, and nothing of them is left to be told.
    """
    mean = surface.process.mean(candidates)
    doubt = _entropy(mean, surface.process.variance(candidates))
    wanted = max(batch, int(np.sum(doubt > NEGLIGIBLE)))
    return np.sort(np.argsort(-doubt, kind="stable")[:wanted])


def _told(mean: Floats, spread: Floats, ceiling: float, i: int) -> Floats:
    """[k, k] by how much a run at i is expected to reduce the covariance of f.

    Means move by spread[:, i] times the slope of ln P(outcome); by the law of total
    variance what is left shrinks by the expected square of that.
    """
    own = mean[i : i + 1], np.diag(spread)[i : i + 1]
    both = [each(*own, ceiling) for each in (likelihoods.yes, likelihoods.no)]
    information = sum(float(np.exp(m.log_z[0]) * m.slope[0] ** 2) for m in both)
    return np.outer(spread[:, i], spread[i]) * information


def _straddle(mean: Floats, spread: Floats, ceiling: float) -> Floats:
    return float(ndtri((1 + LEVEL) / 2)) * _deviation(np.diag(spread)) - np.abs(mean)


def _look_ahead(mean: Floats, spread: Floats, ceiling: float) -> Floats:
    """[k] expected loss of entropy, summed over the candidates, by a run at each."""
    variance = np.diag(spread)
    expected = np.zeros(len(mean))
    for outcome in (likelihoods.yes, likelihoods.no):
        run = outcome(mean, variance, ceiling)
        moved = mean + spread * run.slope[:, None]
        left = variance - spread**2 * run.curvature[:, None]
        expected += np.exp(run.log_z) * _entropy(moved, left).sum(axis=1)
    return _entropy(mean, variance).sum() - expected


def _entropy(mean: Floats, variance: Floats) -> Floats:
    """Of which side of f = 0 a point is on."""
    above = ndtr(mean / _deviation(variance))
    return entr(above) + entr(1 - above)


def _deviation(variance: Floats) -> Floats:
    return np.sqrt(np.maximum(variance, 1e-12))
