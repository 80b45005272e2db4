"""Embeddings that learn addition: order parameters of arXiv 2205.10343."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokmap.order_parameters import ORDER_PARAMETERS
from grokmap.spec import System
from grokmap.tasks import TASKS
from grokmap.theory import liu

PAIRS = liu.all_pairs(10)
SHARE, PREDICTED = (
    jax.jit(
        lambda e, train, f=ORDER_PARAMETERS[name].function: f(
            SimpleNamespace(params={"embedding": e}, train=train, inputs=PAIRS)
        )
    )
    for name in ("parallelogram_share", "predicted_accuracy")
)


def value(function: Any, embedding: Any, n_train: int = 45) -> float:
    e = jnp.asarray(embedding, jnp.float32).reshape(10, -1)
    return float(function(e, jnp.arange(55) < n_train))


def test_pairs_are_those_of_the_task() -> None:
    data = TASKS["plain_addition_classes"].data(
        System(task="plain_addition_classes", modulus=10), None
    )
    np.testing.assert_array_equal(data.inputs, PAIRS)


def test_a_lattice_closes_every_parallelogram() -> None:
    line = np.arange(10.0)
    assert value(SHARE, 3 - 0.2 * line) == 1
    assert value(SHARE, np.stack([line, 1 - 5 * line], 1)) == 1


def test_random_embeddings_close_few() -> None:
    rng = np.random.default_rng(0)
    found = [value(SHARE, rng.uniform(-0.5, 0.5, 10)) for _ in range(200)]
    # |gap| < 0.1 of a gap of variance about 4: 2 * 0.1 / sqrt(2 pi 4).
    assert np.mean(found) == pytest.approx(0.04, abs=0.02) and max(found) < 0.3


def test_one_wrong_number_breaks_its_own_parallelograms() -> None:
    moved = np.arange(10.0)
    moved[9] += 2.0
    own = np.any(liu.equations(PAIRS, 10)[:, 9:] != 0, axis=1)
    assert value(SHARE, moved) == pytest.approx(1 - own.mean())


def test_prediction_is_that_of_the_theory() -> None:
    rng = np.random.default_rng(1)
    for noise, n_train in ((0.0, 20), (0.1, 30), (0.3, 30), (9.0, 45)):
        e = np.arange(10.0) + noise * rng.normal(size=10)
        expected = liu.predicted_accuracy(e, PAIRS[:n_train])
        assert value(PREDICTED, e, n_train) == pytest.approx(expected)
    assert value(PREDICTED, np.arange(10.0), 10) == pytest.approx(
        np.mean(PAIRS.sum(axis=1) <= 9)
    )


def test_prediction_is_of_the_pairs_as_they_are_ordered() -> None:
    """A published split shuffles the table, its training examples first."""
    system = System(
        task="plain_addition",
        model="embedding_mlp",
        modulus=10,
        published_seed=58,
        order_parameters=("predicted_accuracy",),
    )
    pairs = np.asarray(TASKS["plain_addition"].data(system, None).inputs)
    assert (pairs != PAIRS).any()
    e, train = np.arange(10.0)[:, None], np.arange(55) < 20
    snapshot = SimpleNamespace(params={"embedding": e}, train=train, inputs=pairs)
    predicted = ORDER_PARAMETERS["predicted_accuracy"].function(snapshot)
    assert float(predicted) == pytest.approx(liu.predicted_accuracy(e, pairs[:20]))
    # On a line, what counts is which sums are known.
    known = np.isin(pairs.sum(axis=1), pairs[:20].sum(axis=1))
    assert float(predicted) == pytest.approx(known.mean())


def test_equal_embeddings_and_other_tasks_are_undefined() -> None:
    for function in (SHARE, PREDICTED):
        assert np.isnan(value(function, np.full(10, 0.25)))
        assert np.isnan(function(jnp.ones((10, 1)), jnp.ones(100, bool)))
