from __future__ import annotations

import itertools
from typing import Any

import jax
import numpy as np
import pytest
from conftest import sizes_of

from grokmap.spec import System
from grokmap.tasks import TASKS, TOKENS, Data

ENOUGH = {"modulus": 7, "n_inputs": 12, "n_examples": 4000}  # for statistics
NO_IMAGES = TASKS["digits"].problem(System(task="digits"))
IMAGES = pytest.param(
    "digits", marks=pytest.mark.skipif(bool(NO_IMAGES), reason=NO_IMAGES)
)
EVERY = [IMAGES if name == "digits" else name for name in TASKS]


def system(name: str, **sizes: int) -> System:
    return System(task=name, **sizes_of(TASKS[name], **{**ENOUGH, **sizes}))


def table(name: str, seed: int = 0, **sizes: int) -> Data:
    return TASKS[name].data(system(name, **sizes), jax.random.key(seed))


@pytest.mark.parametrize("name", EVERY)
def test_table_is_what_its_shape_says(name: str) -> None:
    task, data = TASKS[name], table(name)
    shape = task.shape(system(name))
    assert len(data.inputs) == shape.n_examples
    if task.inputs == TOKENS:
        assert {int(x) for x in np.ravel(data.inputs)} <= set(range(shape.n_tokens))
        assert shape.n_inputs == data.inputs.shape[1] * shape.n_tokens
    else:
        assert shape.n_tokens == 0 and data.inputs.shape[1] == shape.n_inputs
        assert float(np.mean(np.square(data.inputs))) == pytest.approx(1, abs=0.02)
    if data.target is None:
        assert {int(x) for x in data.label} == set(range(shape.n_outputs))
    else:
        assert data.target.shape == (shape.n_examples, shape.n_outputs)
    if data.prototypes is not None:
        np.testing.assert_array_equal(data.target, data.prototypes[data.label])
    again, other = table(name), table(name, seed=1)
    np.testing.assert_array_equal(data.answer, again.answer)
    assert np.array_equal(data.answer, other.answer) != task.drawn
    assert task.problem(system(name)) == ""


@pytest.mark.parametrize("name", [n for n in TASKS if n.startswith("modular")])
def test_table_holds_every_pair_once(name: str) -> None:
    pairs = set(map(tuple, table(name).inputs.tolist()))
    start = int(name == "modular_division")
    assert pairs == {(a, b) for a in range(7) for b in range(start, 7)}
    assert len(pairs) == len(table(name).inputs)


def test_labels_solve_their_equation() -> None:
    p = 11
    for name, holds in {
        "modular_addition": lambda a, b, c: a + b - c,
        "modular_subtraction": lambda a, b, c: c + b - a,
        "modular_multiplication": lambda a, b, c: a * b - c,
        "modular_division": lambda a, b, c: c * b - a,
        "modular_weighted_sum": lambda a, b, c: 2 * a + 3 * b - c,
        "modular_squares": lambda a, b, c: a**2 + b**2 - c,
        "modular_quadratic": lambda a, b, c: a**2 + a * b + b**2 - c,
        "modular_quadratic_skew": lambda a, b, c: a**2 + a * b + b**2 + a - c,
        "modular_cubic": lambda a, b, c: a**3 + a * b - c,
        "modular_cubic_skew": lambda a, b, c: a**3 + a * b**2 + b - c,
    }.items():
        data = table(name, modulus=p)
        a, b = data.inputs.astype(int).T
        assert not np.any(holds(a, b, data.label.astype(int)) % p), name


def test_largest_modulus_does_not_overflow() -> None:
    data = table("modular_cubic_skew", modulus=1021)
    a, b = (x.astype(object) for x in data.inputs[-3:].T)
    assert list((a**3 + a * b**2 + b) % 1021) == data.label[-3:].tolist()


def test_the_four_patterns_train_and_test() -> None:
    data = table("xor_patterns")
    patterns = [[-1, -1], [-1, 1], [1, -1], [1, 1]]
    assert data.inputs[:4].tolist() == data.inputs[4:].tolist() == patterns
    assert data.target[:, 0].tolist() == [1, -1, -1, 1] * 2
    assert data.label.tolist() == [1, 0, 0, 1] * 2


@pytest.mark.parametrize(
    ("name", "degree"), [("s3_composition", 3), ("s5_composition", 5)]
)
def test_permutations_compose(name: str, degree: int) -> None:
    every = list(itertools.permutations(range(degree)))
    data = table(name)
    for row in np.random.default_rng(0).integers(0, len(data.inputs), 200):
        a, b = (every[t] for t in data.inputs[row])
        assert every[data.label[row]] == tuple(a[b[i]] for i in range(degree))


def test_conjugation_solves_its_equation() -> None:
    every = list(itertools.permutations(range(5)))
    data = table("s5_conjugation")
    for row in np.random.default_rng(0).integers(0, len(data.inputs), 200):
        a, b = (every[t] for t in data.inputs[row])
        c = every[data.label[row]]
        # c a = a b
        assert tuple(c[a[i]] for i in range(5)) == tuple(a[b[i]] for i in range(5))


def test_plain_addition_is_unordered_pairs() -> None:
    data = table("plain_addition", modulus=10)
    assert len(data.inputs) == 55 and set(data.label.tolist()) == set(range(19))
    a, b = data.inputs.T
    assert np.all(a <= b) and np.array_equal(a + b, data.label)
    assert data.prototypes.shape == (19, 30)
    assert float(np.var(data.prototypes)) == pytest.approx(1, abs=0.2)


def test_signs_follow_their_first_inputs() -> None:
    for name, target in {
        "sparse_parity": lambda x: np.prod(x[:, :3], axis=1),
        "sparse_sum": lambda x: np.sign(np.sum(x[:, :3], axis=1)),
        "xor": lambda x: x[:, 0] * x[:, 1],
    }.items():
        data = table(name)
        assert set(np.unique(data.inputs).tolist()) == {-1.0, 1.0}
        np.testing.assert_array_equal(
            data.target[:, 0], target(np.asarray(data.inputs))
        )
        np.testing.assert_array_equal(data.label, data.target[:, 0] > 0)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [({"n_relevant": 13}, "below the 13"), ({"n_relevant": 2}, "odd only")],
)
def test_impossible_sums_are_refused(sizes: Any, words: str) -> None:
    name = "sparse_sum"
    assert words in TASKS[name].problem(system(name, **sizes))


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("linear_teacher", lambda s, size: s),
        ("quadratic_teacher", lambda s, size: s**2 / 2),
        ("squared_teacher", lambda s, size: s**2),
        (
            "cubic_teacher",
            lambda s, size: s / size - 0.3 * ((s / size) ** 3 - 3 * s / size),
        ),
    ],
)
def test_teachers(name: str, target: Any) -> None:
    data = table(name)
    x, beta = np.float64(data.inputs), np.float64(data.teacher)
    s = x @ beta / np.sqrt(12)
    expected = target(s, np.linalg.norm(beta) / np.sqrt(12))
    np.testing.assert_allclose(data.target[:, 0], expected, rtol=2e-4, atol=2e-5)


def test_tanh_teacher_is_a_network_at_pytorchs_initial_size() -> None:
    # Second moments of U(-b, b), b = 1/sqrt(fan_in), give 1/3 of the layer before,
    # and biases b^2/3: a few percent of the unit scale of the inputs at the end.
    data = table("tanh_teacher", n_inputs=5)
    size = float(np.mean(np.square(data.target)))
    assert 0.003 < size < 0.05
    # Not linear in x, and bounded by its last layer.
    x = np.c_[np.ones(4000), data.inputs]
    y = np.asarray(data.target)
    rest = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    assert 1e-4 < np.mean(rest**2) / np.var(y) < 0.2
