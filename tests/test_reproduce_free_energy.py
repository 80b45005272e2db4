"""F of two states: a network of one neuron in closed form, and planted tables."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest

from grokmap.reproduce import free_energy, states
from grokmap.theory import free_energy as theory
from grokmap.theory.mean_field import Neurons

DECAYS = (0.01, 0.04, 0.16)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.3, 0.9, 1.1])
def test_one_neuron_relaxes_to_the_states_of_a_product(share: float) -> None:
    """a w^2 = u at |w|^2 = 2 a^2 costs 3 (u/2)^(2/3): a product of three weights at a
    decay of 2^(-2/3) of it."""
    s = 1.5
    inner = share * theory.end_of_learning(s, 3)
    u = theory.learned(s, inner, 3)
    expected = theory.objective(u, s, inner, 3)
    # From near the learned state, at a^3 = u / 2, and from near the dead one.
    a = 1.02 * np.cbrt(u / 2) if u else 1.0
    w = np.array([[[a]], [[1e-3]]])
    with jax.enable_x64(True):
        both = np.ones((2, 1, 1))
        examples = states.Examples(both, s * both, np.ones((2, 1)))
        found = states.minima(Neurons(w, 1.4 * w), examples, 2 ** (2 / 3) * inner, 500)
        value, gradient = (np.asarray(part) for part in found[1:])
    np.testing.assert_allclose(value, [expected, s**2], rtol=1e-8)
    assert max(gradient) <= states.STATIONARY


def planted(memorised: list[float], excess: list[float]) -> pd.DataFrame:
    """Six seeds at three decays: F = 0.5, and that times 1 + excess, give or take."""
    rows = []
    for i, decay in enumerate(DECAYS):
        for seed in range(6):
            noise = 1e-4 * (seed - 2.5)
            for state, f, test in (
                ("generalised", 0.5, 1.0),
                ("memorised", 0.5 * (1 + excess[i] + noise), memorised[i]),
            ):
                rows.append((decay, seed, state, f, 1e-6, 1.0, test))
    columns = ["weight_decay", "seed", "state", "objective", "gradient"]
    return pd.DataFrame(rows, columns=[*columns, "train_accuracy", "test_accuracy"])


@pytest.mark.parametrize(
    ("memorised", "coexist"),
    [([0.1, 1.0, 1.0], True), ([1.0, 1.0, 1.0], False), ([0.5, 0.3, 0.3], False)],
)
def test_states_coexist_where_both_are_stationary(
    memorised: list[float], coexist: bool
) -> None:
    wide = planted(memorised, [0, 0, 0]).pivot(
        index=["weight_decay", "seed"], columns="state"
    )
    found = free_energy._coexisting(wide, "")
    assert found.holds == coexist
    assert found.measured.startswith("100%") == coexist


@pytest.mark.parametrize(
    ("excess", "changes"),
    [([0.1, 0.01, -0.1], True), ([0.1, 0.01, 0.1], False), ([0.1, 0, 1e-6], False)],
)
def test_the_order_changes_where_both_signs_are_clear(
    excess: list[float], changes: bool
) -> None:
    wide = planted([0, 0, 0], excess).pivot(
        index=["weight_decay", "seed"], columns="state"
    )
    assert free_energy._differences(wide, "").holds == changes


@pytest.mark.parametrize(("f", "holds"), [(1.0, True), (0.6, False)])
def test_f_at_the_edge_of_the_runs(f: float, holds: bool) -> None:
    phases = [["grok"] * 6, ["grok"] * 3 + ["memorize-only"] * 3, ["no-learning"] * 6]
    runs = pd.DataFrame(
        [(d, p) for d, own in zip(DECAYS, phases, strict=True) for p in own],
        columns=["weight_decay", "phase"],
    )
    table = planted([0, 0, 0], [0, 0, 0])
    table.loc[table["weight_decay"] == 0.04, "objective"] = f
    found = free_energy._edge(table, runs, "")
    assert found.holds == holds and "grokking" in found.quantity
    assert "lambda = 0.04" in found.spread
    never = runs.assign(phase=runs["phase"].replace("grok", "memorize-only"))
    assert "learning" in free_energy._edge(table, never, "").quantity


def test_the_last_passage_of_one_half() -> None:
    def last(*shares: float) -> float:
        return free_energy.last_passed(pd.Series(shares, [1.0, 4.0, 16.0]))

    assert last(1.0, 0.0, 0.0) == pytest.approx(2)
    assert last(0.0, 1.0, 0.0) == pytest.approx(8)
    assert np.isnan(last(0.0, 0.0, 0.0)) and np.isnan(last(1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("test", "f", "holds"),
    [(1.0, 1.0, [False, True]), (0.1, 1.0, [True, True]), (0.1, 1.1, [True, False])],
)
def test_descent_from_a_memorised_state(test: float, f: float, holds: list) -> None:
    rows = [
        (seed, state, value, accuracy)
        for seed in range(3)
        for state, value, accuracy in (("generalised", 1, 1), ("memorised", f, test))
    ]
    columns = ["seed", "state", "objective", "test_accuracy"]
    found = free_energy._descents(pd.DataFrame(rows, columns=columns))
    assert [one.holds for one in found] == holds
