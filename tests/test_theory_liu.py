"""Effective theory of addition, arXiv 2205.10343."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from grokmap.theory import liu

P = 10


def random_set(n: int, seed: int, p: int = P) -> np.ndarray:
    pairs = liu.all_pairs(p)
    return pairs[np.random.default_rng(seed).permutation(len(pairs))[:n]]


def unique_set(n: int) -> np.ndarray:
    return next(s for s in (random_set(n, k) for k in range(99)) if liu.is_unique(s, P))


def test_ten_symbols_have_seventy_parallelograms() -> None:
    assert len(liu.all_pairs(P)) == 55
    rows = liu.equations(liu.all_pairs(P), P)
    assert rows.shape == (70, P)
    assert not np.any(rows @ (3 + 2 * np.arange(P)))


def test_a_known_parallelogram() -> None:
    pairs = np.array([[0, 3], [1, 2], [2, 2]])
    np.testing.assert_array_equal(
        liu.equations(pairs, 4), [[1, -1, -1, 1]]
    )  # 0 + 3 = 1 + 2; 2 + 2 has no partner
    assert liu.null_dimension(pairs, 4) == 3
    assert liu.null_dimension(pairs[:1], 4) == 4


@pytest.mark.parametrize("p", [4, 10, 25])
def test_null_dimension_is_that_of_all_equations(p: int) -> None:
    for seed in range(20):
        pairs = random_set(2 + seed * p // 8, seed, p)
        rows = liu.equations(pairs, p)
        rank = np.linalg.matrix_rank(rows) if len(rows) else 0
        assert liu.null_dimension(pairs, p) == p - rank


def test_many_sets_at_once() -> None:
    sets = np.stack([random_set(20, seed) for seed in range(30)])
    one_by_one = [liu.null_dimension(s, P) for s in sets]
    np.testing.assert_array_equal(liu.null_dimension(sets, P), one_by_one)
    assert len(set(np.array(one_by_one).tolist())) > 1


def test_ranks_are_exact_up_to_25_symbols() -> None:
    with pytest.raises(ValueError, match="25"):
        liu.is_unique(liu.all_pairs(26), 26)


def test_smallest_unique_sets() -> None:
    # Three symbols: 1 + 1 = 0 + 2 alone makes a line of them.
    assert liu.is_unique(np.array([[0, 2], [1, 1]]), 3)
    assert not liu.is_unique(np.array([[0, 2], [1, 2]]), 3)


def test_probability_rises_from_0_to_1() -> None:
    shares = [liu.probability_unique(P, n, 200, seed=1) for n in (9, 15, 22, 30, 55)]
    assert shares == sorted(shares)
    # p - 2 equations need p - 2 samples beside the first of each sum.
    assert shares[0] == 0 and shares[-1] == 1
    assert 0.2 < shares[2] < 0.8


def test_effective_loss_of_known_representations() -> None:
    rows = liu.equations(liu.all_pairs(P), P)
    assert liu.effective_loss(np.arange(P) + 0.5, rows) == 0
    e = np.array([1.0, 0, 0, 0])
    assert liu.effective_loss(e, liu.equations(liu.all_pairs(4), 4)) == pytest.approx(
        2 / 3  # 0 + 3 = 1 + 2 and 0 + 2 = 1 + 1 of three
    )
    assert liu.effective_loss(e, np.zeros((0, 4), int)) == 0


def test_flow_is_the_gradient_of_the_effective_loss() -> None:
    rows = liu.equations(random_set(40, 3), P)
    e, h = np.random.default_rng(0).standard_normal(P), 1e-6
    gradient = [
        (liu.effective_loss(e + h * d, rows) - liu.effective_loss(e - h * d, rows))
        / (2 * h)
        for d in np.eye(P)
    ]
    np.testing.assert_allclose(liu.effective_flow(e, rows), -np.array(gradient), 1e-6)


def test_conserved_quantities() -> None:
    rows = liu.equations(unique_set(40), P)
    rng = np.random.default_rng(1)
    for centre in (0.0, 0.4):
        start = rng.uniform(-0.5, 0.5, P)
        start += centre - start.mean()
        flow = solve_ivp(
            lambda _, e: liu.effective_flow(e, rows), (0, 30), start, rtol=1e-11,
            atol=1e-12, dense_output=True,
        )  # fmt: skip
        end = flow.y[:, -1]
        assert liu.effective_loss(end, rows) < 0.01 * liu.effective_loss(start, rows)
        assert end @ end == pytest.approx(start @ start, rel=1e-8)
        # d ln C / dt = 2 l_eff / Z_0, so C stays where it is 0.
        times = np.linspace(0, 30, 20001)
        loss = [liu.effective_loss(e, rows) for e in flow.sol(times).T]
        grown = np.exp(2 * np.trapezoid(loss, times) / (start @ start))
        np.testing.assert_allclose(end.sum(), start.sum() * grown, atol=1e-9, rtol=1e-5)


def test_eigenvalues_tell_unique_sets() -> None:
    line = np.arange(P) - 4.5
    for seed in range(15):
        pairs = random_set(14 + seed, seed)
        hessian = liu.effective_hessian(liu.equations(pairs, P))
        values = np.linalg.eigvalsh(hessian)
        assert np.abs(hessian @ np.stack([np.ones(P), line], 1)).max() < 1e-12
        third = liu.structure_rate(pairs, P)
        assert (third > 0) == bool(liu.is_unique(pairs, P))
        assert third == pytest.approx(values[2], abs=1e-12)


def test_late_decay_is_that_of_the_third_eigenvalue() -> None:
    pairs = unique_set(35)
    rows, e = liu.equations(pairs, P), np.random.default_rng(2).standard_normal(P)
    e -= e.mean()
    rate = liu.structure_rate(pairs, P, z0=float(e @ e))
    times = np.array([8.0, 11.0]) / rate
    flow = solve_ivp(
        lambda _, e: liu.effective_flow(e, rows), (0, times[1]), e, t_eval=times,
        rtol=1e-11, atol=1e-13,
    )  # fmt: skip
    early, late = (liu.effective_loss(e, rows) for e in flow.y.T)
    assert np.log(early / late) == pytest.approx(2 * 3, rel=0.05)
    assert liu.structure_steps(rate, 1e-3) == pytest.approx(1e3 / rate)
    assert liu.structure_steps(0.0, 1e-3) == np.inf


def test_predicted_accuracy() -> None:
    pairs = np.array([[0, 3], [0, 0]])
    structured, broken = np.arange(4.0), np.array([0.0, 5.0, 1.0, 2.0])
    # A line completes 1 + 2 from 0 + 3; no other sum is known but 0 + 0.
    assert liu.predicted_accuracy(structured, pairs) == pytest.approx(3 / 10)
    assert liu.predicted_accuracy(broken, pairs) == pytest.approx(2 / 10)
    two = np.stack([structured, broken], 1)
    assert liu.predicted_accuracy(two, pairs) == pytest.approx(2 / 10)


def test_half_point() -> None:
    places, shares = np.array([0.1, 0.2, 0.4]), np.array([0.0, 0.25, 1.0])
    assert liu.half_point(places, shares) == pytest.approx(0.2 + 0.2 / 3)
    with pytest.raises(ValueError):
        liu.half_point(places, shares / 4)
