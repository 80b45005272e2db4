"""Gaussian processes against closed forms, and surfaces against planted edges."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import ROOT
from scipy.integrate import quad
from scipy.special import ndtr
from scipy.stats import binomtest, norm
from surfaces import (
    SHAPES,
    SMOOTH,
    Planted,
    covered,
    design,
    fitted,
    holds,
    misplaced,
    places,
)

from grokmap.analysis import gaussian_process as gp
from grokmap.analysis import level_sets, likelihoods
from grokmap.analysis.acquisition import RANDOM, STRADDLE, _told, propose
from grokmap.analysis.boundaries import BEYOND, MEASURED, NO_GROK
from grokmap.analysis.level_sets import fit, fit_times, level_set, precision

RNG = np.random.default_rng(0)
POINTS = RNG.random((12, 2))
SQUARES = gp.distances(POINTS, POINTS)
LENGTHS, AMPLITUDE = np.array([0.4, 0.9]), 2.5
PRIOR = gp.covariance(SQUARES, LENGTHS, AMPLITUDE)
NOTHING = (np.full(12, gp.LEAST_PRECISION), np.zeros(12))


def exact(prior: np.ndarray, likelihood: gp.Likelihood, noise: float) -> gp._Fixed:
    n = len(prior)
    sites = (np.full(n, gp.LEAST_PRECISION), np.zeros(n))
    return gp.propagate(prior, likelihood, np.array([noise]), sites, close=1e-10)


@pytest.mark.parametrize("grokked", [True, False])
def test_one_run_gives_the_moments_of_the_exact_posterior(grokked: bool) -> None:
    variance, lapse = 7.0, 0.1
    outcome = likelihoods.Outcomes(np.array([grokked]))
    found = exact(np.array([[variance]]), outcome, lapse)

    def density(f: float) -> float:
        p = (1 - lapse) * ndtr(f)
        return (p if grokked else 1 - p) * norm.pdf(f, scale=np.sqrt(variance))

    total, first, second = (
        quad(lambda f, k=k: density(f) * f**k, -30, 30, epsabs=1e-12)[0]
        for k in range(3)
    )
    mean = variance * found.weights[0]
    left = variance - variance**2 * found.inverse[0, 0]
    assert found.evidence == pytest.approx(np.log(total), abs=1e-8)
    assert mean == pytest.approx(first / total, abs=1e-8)
    assert left == pytest.approx(second / total - mean**2, abs=1e-8)


def test_two_runs_have_nearly_the_probability_of_an_orthant() -> None:
    """P(yes, yes) = 1/4 + asin(rho) / 2 pi, rho that of f plus the link's own noise."""
    prior = np.array([[4.0, 3.0], [3.0, 4.0]])
    found = exact(prior, likelihoods.Outcomes(np.array([True, True])), 1e-12)
    orthant = 0.25 + np.arcsin(3 / 5) / (2 * np.pi)
    assert np.exp(found.evidence) == pytest.approx(orthant, rel=5e-3)


LIKELIHOODS = {
    "outcomes": (likelihoods.Outcomes(POINTS[:, 0] > 0.5), 0.05),
    "times": (likelihoods.Times(POINTS[:, 1], POINTS[:, 0] > 0.6), 0.3),
}


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_slopes_of_the_evidence_are_its_differences(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gp, "CLOSE", 1e-11)
    likelihood, noise = LIKELIHOODS[name]
    logs = np.log([*LENGTHS, AMPLITUDE, noise])

    def at(moved: np.ndarray) -> tuple[gp._Fixed, np.ndarray]:
        return gp._evidence(SQUARES, likelihood, np.exp(moved), NOTHING)

    slopes = at(logs)[1]
    for i, step in enumerate(1e-4 * np.eye(len(logs))):
        change = at(logs + step)[0].evidence - at(logs - step)[0].evidence
        assert slopes[i] == pytest.approx(change / 2e-4, abs=1e-5)


def test_values_without_censoring_are_a_regression_of_scikit_learns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gp, "CLOSE", 1e-12)
    process = pytest.importorskip("sklearn.gaussian_process")
    kernels = process.kernels
    values, noise = np.sin(5 * POINTS[:, 0]), 0.3
    times = likelihoods.Times(values, np.zeros(12, bool))
    ours = gp.given(POINTS, times, np.array([*LENGTHS, AMPLITUDE, noise]))
    kernel = AMPLITUDE**2 * (kernels.Matern(LENGTHS, nu=1.5) + 1.0)
    theirs = process.GaussianProcessRegressor(kernel, alpha=noise**2, optimizer=None)
    theirs.fit(POINTS, values)
    new = RNG.random((5, 2))
    mean, spread = theirs.predict(new, return_cov=True)
    np.testing.assert_allclose(ours.posterior(new)[0], mean, atol=1e-8)
    np.testing.assert_allclose(ours.posterior(new)[1], spread, atol=1e-8)
    evidence = theirs.log_marginal_likelihood_value_
    assert ours.evidence == pytest.approx(evidence, abs=1e-8)


def test_outcomes_are_nearly_a_classification_of_scikit_learns() -> None:
    """Theirs has a logistic link, here 1.7 times wider, and Laplace's approximation."""
    process = pytest.importorskip("sklearn.gaussian_process")
    points = np.random.default_rng(3).random((60, 2))
    grokked = points[:, 0] > 0.3 + 0.4 * points[:, 1]
    outcome = likelihoods.Outcomes(grokked)
    ours = gp.given(points, outcome, np.array([*LENGTHS, AMPLITUDE, 1e-9]))
    matern = process.kernels.Matern(LENGTHS, nu=1.5)
    kernel = (1.7 * AMPLITUDE) ** 2 * (matern + 1.0)
    theirs = process.GaussianProcessClassifier(kernel, optimizer=None)
    theirs.fit(points, grokked)
    new = np.random.default_rng(4).random((200, 2))
    own = level_sets.Surface(ours, None).probability(new)
    other = theirs.predict_proba(new)[:, 1]
    # Laplace's mode lies nearer 0 than the mean, so theirs are less certain.
    assert np.abs(own - other).max() < 0.12
    sure = np.abs(other - 0.5) > 0.05
    np.testing.assert_array_equal(own[sure] > 0.5, other[sure] > 0.5)


def test_what_a_run_is_expected_to_tell_is_what_it_tells_on_average() -> None:
    """E var' + var E' = var, with both outcomes' posteriors made by hand."""
    surface = fitted(Planted(2, SMOOTH), 40)
    mean, spread = surface.latent(places(3, 1, 5))
    told = _told(mean, spread, surface.ceiling, 2)
    variance = np.diag(spread)
    left, moved = np.zeros(5), np.zeros(5)
    for outcome in (likelihoods.yes, likelihoods.no):
        run = outcome(mean[2:3], variance[2:3], surface.ceiling)
        chance = np.exp(run.log_z[0])
        left += chance * (variance - spread[:, 2] ** 2 * run.curvature[0])
        moved += chance * (spread[:, 2] * run.slope[0]) ** 2
    np.testing.assert_allclose(left + moved, variance, rtol=1e-12)
    np.testing.assert_allclose(variance - np.diag(told), left, rtol=1e-10)


SHARP = Planted(2, SMOOTH, 1, width=0.02)


@pytest.fixture(scope="module")
def surface() -> level_sets.Surface:
    return fitted(SHARP, 160)


def test_a_planted_edge_is_found(surface: level_sets.Surface) -> None:
    hold, edges = covered(SHARP, surface)
    found = precision(edges)
    assert hold and found.n_measured > 16 and found.median < 0.15
    truth = SHARP.truth(places(2, 0))
    for band, place in zip(edges[:2], truth, strict=True):
        known = band.status == MEASURED
        assert np.abs(band.estimate - place)[known].max() < 0.06
        assert (band.low < band.pointwise_low)[known].all()
    assert misplaced(SHARP, surface) < 0.05


def test_the_band_holds_as_many_new_draws_as_it_says(
    surface: level_sets.Surface,
) -> None:
    others, x = places(2, 0), np.linspace(0, 1, 65)
    k = level_set(surface, 0, others).multiple
    points = np.stack([np.tile(x, len(others)), np.repeat(others[:, 0], 65)], axis=1)
    mean, spread = surface.latent(points)
    beyond = np.abs(mean) > k * np.sqrt(np.diag(spread))
    rng = np.random.default_rng(99)
    root = np.linalg.cholesky(spread + 1e-6 * np.eye(len(mean)))
    draws = mean[:, None] + root @ rng.standard_normal((len(mean), 1000))
    right = ((draws > 0) == (mean > 0)[:, None])[beyond].all(axis=0)
    assert binomtest(int(right.sum()), 1000, 0.95).pvalue > 0.001
    assert 1.96 < k < 4


@pytest.mark.slow
def test_inside_a_plateau_below_one_the_probability_is_its_height() -> None:
    planted = Planted(2, SMOOTH, 2, width=0.02, height=0.75)
    partial = fitted(planted, 160)
    inside = places(3, 7, 300)
    inside = inside[planted.probability(inside) > 0.74]
    assert partial.probability(inside).mean() == pytest.approx(0.75, abs=0.1)
    assert covered(planted, partial)[0]


def test_a_wedge_that_goes_on_or_is_nowhere_has_no_edges() -> None:
    points = np.linspace(0, 1, 40)[:, None] * [1.0, 0.0] + [[0.0, 0.5]]
    rises = level_set(fit(points, points[:, 0] > 0.4), 0, np.array([[0.5]]))
    assert rises.lower.status[0] == MEASURED
    assert rises.lower.low[0] < 0.4 < rises.lower.high[0]
    assert rises.upper.status[0] == BEYOND and np.isnan(rises.upper.estimate[0])
    nothing = level_set(fit(points, np.zeros(40)), 0, np.array([[0.5]]))
    assert nothing.lower.status[0] == nothing.upper.status[0] == NO_GROK


def test_runs_that_are_cut_short_say_nothing_but_that_they_are() -> None:
    points = places(3, 5, 120)
    grokked, open_ = points[:, 0] < 0.7, points[:, 0] < 0.4
    cut = fit(points, np.where(open_, 0, grokked), open_)
    shown = fit(points[~open_], grokked[~open_])
    new = places(3, 6, 20)
    np.testing.assert_allclose(cut.probability(new), shown.probability(new), atol=1e-9)
    edges = level_set(cut, 0, np.array([[0.5]]))
    assert edges.lower.status[0] != MEASURED and edges.upper.status[0] == MEASURED
    low, high = cut.finishing(np.array([[0.1, 0.5], [0.9, 0.5]]))
    assert low < 0.1 and high > 0.9


def test_a_search_from_an_earlier_surface_ends_where_one_from_scratch_does() -> None:
    planted = Planted(2, SMOOTH, 4)
    early = fitted(planted, 60)
    points = design(planted, 80, 1)
    grokked, open_ = planted.runs(points, np.random.default_rng(0))
    cold, warm = fit(points, grokked, open_), fit(points, grokked, open_, start=early)
    new = places(3, 8, 100)
    np.testing.assert_allclose(cold.probability(new), warm.probability(new), atol=0.05)
    again = fit(points, grokked, open_)
    np.testing.assert_array_equal(again.process.weights, cold.process.weights)


def test_choices_are_equally_far_apart() -> None:
    one, other = np.array([[0.2, 0.0]]), np.array([[0.2, 0.5], [0.2, 1.0], [0.2, 0.0]])
    np.testing.assert_array_equal(gp.distances(one, other, [1])[1], [[1, 1, 0]])


def test_times_that_are_censored_are_not_taken_for_times() -> None:
    points = places(3, 2, 80)
    truth = 2 - 3 * points[:, 0]
    times = truth + 0.1 * np.random.default_rng(1).standard_normal(80)
    censored = times > 1
    seen = np.where(censored, 1.0, times)
    mean = seen.mean()
    process = fit_times(points, seen - mean, censored)
    at = np.array([[0.15, 0.5], [0.8, 0.5]])
    found, spread = process.posterior(at)
    off = np.abs(found + mean - (2 - 3 * at[:, 0])) / np.sqrt(np.diag(spread))
    assert (off < 3).all() and found[0] + mean > 1.1
    assert 0.07 < process.noise[0] < 0.14


def test_runs_are_chosen_near_the_edge_and_apart(surface: level_sets.Surface) -> None:
    candidates = places(3, 9, 200)
    even = np.ones(200)

    def distance(chosen: list[int]) -> float:
        assert len(set(chosen)) == len(chosen) == 12
        x = candidates[chosen]
        both = [np.abs(x[:, 0] - e) for e in SHARP.edges(x[:, 1:])]
        return float(np.median(np.min(both, axis=0)))

    near = distance(propose(surface, candidates, even, 12))
    any_ = distance(propose(surface, candidates, even, 12, RANDOM))
    assert near < any_ / 2
    assert distance(propose(surface, candidates, even, 12, STRADDLE)) < any_ / 2
    # Of two edges, none is forgotten.
    x = candidates[propose(surface, candidates, even, 12)][:, 0]
    assert (x > 0.5).any() and (x < 0.5).any()
    # A run that costs a hundred times as much has to tell as much more.
    cost = np.where(candidates[:, 0] < 0.5, 100.0, 1.0)
    x = candidates[propose(surface, candidates, cost, 6)][:, 0]
    assert (x > 0.5).all()


def test_runs_that_would_be_cut_short_are_not_chosen() -> None:
    planted = Planted(2, SMOOTH, 3, cut=0.35)
    candidates = places(3, 9, 200)
    cut = fitted(planted, 80)
    x = candidates[propose(cut, candidates, np.ones(200), 12)][:, 0]
    full = fitted(planted._replace(cut=None), 80)
    other = candidates[propose(full, candidates, np.ones(200), 12)][:, 0]
    assert (x < 0.25).sum() < 2 and (other < 0.35).sum() > 3


@pytest.mark.parametrize(
    ("points", "open_", "words"),
    [
        (POINTS * 10, None, "map each axis"),
        (POINTS, np.ones(12, bool), "larger budgets"),
        (POINTS[:5], None, "they have to be"),
    ],
)
def test_errors_say_what_to_do(points: np.ndarray, open_: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit(points, np.ones(12), open_)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_bands_hold_everywhere_at_once(shape: str) -> None:
    """And bands of each place by itself do not: the test can tell."""
    held, by_place = 0, 0
    for number in range(100, 120):
        planted = Planted(2, shape, number)
        hold, edges = covered(planted, fitted(planted, 96), number)
        held += hold
        truth = planted.truth(places(2, number))
        single = [
            b._replace(low=b.pointwise_low, high=b.pointwise_high) for b in edges[:2]
        ]
        pairs = zip(single, truth, strict=True)
        by_place += all(holds(band, place).all() for band, place in pairs)
    assert binomtest(held, 20, 0.93).pvalue > 0.01
    assert by_place < held


def test_the_committed_coverage_is_what_is_claimed() -> None:
    file = ROOT / "benchmarks/results/surface_coverage.json"
    rows = json.loads(file.read_text())
    held, n = (sum(row[key] for row in rows) for key in ("held", "n"))
    assert n >= 300 and held / n >= 0.93
