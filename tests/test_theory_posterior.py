"""The closed theory of Rubin's teacher against sums and draws of its own neurons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import erf
from scipy.stats import chi2

from grokmap.theory import posterior, rubin
from grokmap.theory.posterior import EPSILON, Posterior
from grokmap.theory.rubin import Teacher

SMALL = posterior.scaled(posterior.paper(0.11), 600, 30, 100)


def overlaps_of(setting: Posterior, n: int) -> Any:
    """e_1 and e_3 of neurons, on grids of their overlap and their length beside the
    teacher, erf and H_k averaged by quadrature; the log of their prior weights."""
    scale = np.sqrt(setting.weight_variance / setting.d)
    law = chi2(setting.d - 1)
    squares = np.linspace(*law.ppf([1e-12, 1 - 1e-12]), n)
    square = scale**2 * squares
    overlap = np.linspace(0, 2.5, 51)[:, None]
    log_weights = law.logpdf(squares) - overlap**2 / (2 * scale**2)
    log_weights[0] -= np.log(2)
    length = np.sqrt(square + overlap**2)
    first, third = np.zeros_like(length), np.zeros_like(length)
    nodes, weights = hermegauss(60)
    for z, weight in zip(nodes, weights / weights.sum(), strict=True):
        value = weight * erf(length * z)
        first += value * z
        third += value * (z**3 - 3 * z)
    # H_k(w*.x) along w: the cosine to the power of k (Mehler).
    cosine = overlap / length
    return cosine * first, cosine**3 * third, log_weights


def test_neurons_put_out_what_the_residual_lacks() -> None:
    closed = posterior.close(SMALL)
    first, third, log_weights = overlaps_of(SMALL, 150)
    g = closed.b * first + closed.c * third
    strength = SMALL.readout_variance * SMALL.precision
    log_weights = log_weights + strength * SMALL.precision / (2 * SMALL.neurons) * g**2
    weights = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    # N neurons, each with the readout sigma_a^2 / N (n / sigma^2) g on average.
    linear = strength * (weights * g * first).sum()
    cubic = strength * (weights * g * third).sum() / 6
    assert linear == pytest.approx(closed.linear, rel=0.02)
    assert cubic == pytest.approx(closed.cubic, rel=0.04)
    assert closed.density.sum() == pytest.approx(1)


def test_weak_neurons_are_a_gaussian_process() -> None:
    expected, gaps = posterior.gaussian_process(SMALL), []
    for neurons in (10**6, 10**7):
        closed = posterior.close(SMALL._replace(neurons=neurons))
        gaps.append(np.subtract((closed.linear, closed.cubic), expected))
    # Approached as 1/N.
    np.testing.assert_allclose(gaps[0] / gaps[1], 10, rtol=0.1)
    np.testing.assert_allclose(gaps[1], 0, atol=5e-5)
    # Few neurons learn more of the cubic part.
    assert posterior.close(SMALL).cubic / expected[1] > 2


def test_the_grids_are_fine_enough(monkeypatch: Any) -> None:
    coarse = posterior.close(SMALL)
    monkeypatch.setattr(posterior, "POINTS", 1201)
    monkeypatch.setattr(posterior, "LENGTHS", 96)
    fine = posterior.close(SMALL)
    assert coarse[:4] == pytest.approx(fine[:4], abs=2e-4)


def test_scaling_keeps_coupling_and_examples_a_neuron() -> None:
    paper = posterior.paper(0.11)
    assert paper.coupling == pytest.approx(SMALL.coupling)
    one, other = (s.precision / s.neurons for s in (paper, SMALL))
    assert one == pytest.approx(other)
    # u of the paper as it is written, 8/N in the place of sigma_a^2.
    assert paper.coupling == pytest.approx(3000**2 * 8 / 700 / (0.11**2 * 150 * 700))


def test_the_gaussian_phase_is_that_of_many_dimensions() -> None:
    gaps = []
    for d in (400, 800):
        at = posterior.scaled(posterior.paper(0.25), 20 * d, d, 700)
        b = posterior.close(at).b
        gaps.append(b - posterior.unspecialised_residual(at))
    # It is approached as 1/d, by 0.003 at 800.
    assert abs(gaps[1]) > 1e-3
    assert 2 * gaps[1] - gaps[0] == pytest.approx(0, abs=1e-4)


def test_wells_are_as_deep_at_the_transition_and_end_above_it() -> None:
    paper = posterior.paper(1.0)
    noise = posterior.transition(paper, 0.1, 0.3)
    at = paper._replace(noise=noise)
    teacher = Teacher(posterior.unspecialised_residual(at), EPSILON, 0.5)
    assert rubin.teacher_well(at.coupling, teacher)[1] == pytest.approx(0, abs=1e-6)
    ends = posterior.metastable(paper, 0.1, 0.3)
    assert ends > noise
    wells = []
    for factor in (0.98, 1.02):
        at = paper._replace(noise=factor * ends)
        teacher = Teacher(posterior.unspecialised_residual(at), EPSILON, 0.5)
        grid = np.linspace(0.3, 1.5, 400)
        s = np.array([rubin.teacher_action(x, at.coupling, teacher) for x in grid])
        wells.append(bool((np.diff(s) < 0).any()))
    assert wells == [True, False]


@pytest.mark.parametrize(
    "noise, at_zero, beyond",
    [(0.3, True, False), (0.1, True, True), (0.01, False, True)],
)
def test_the_three_phases_at_the_papers_sizes(
    noise: float, at_zero: bool, beyond: bool
) -> None:
    found = posterior.peaks(posterior.close(posterior.paper(noise)))
    assert (found[0], found[1] > 0.5) == (at_zero, beyond)


def test_a_gaussian_process_needs_n_as_the_cube_of_d() -> None:
    needed = [
        posterior.examples_needed(
            SMALL._replace(d=d, n=d, neurons=10**6, readout_variance=0.02), -0.06
        )
        for d in (100, 200)
    ]
    assert np.log2(needed[1] / needed[0]) == pytest.approx(3, abs=0.1)
