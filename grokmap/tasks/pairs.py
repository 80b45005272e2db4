"""Binary operations on finite sets: every pair once, as two tokens."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from grokmap.spec import System
from grokmap.tasks.data import REAL_TARGETS, TOKENS, Data, Shape, Task

Ints = npt.NDArray[np.int32]
Label = Callable[[Ints, Ints, int], Ints]
TEMPLATE_SIZE = 30  # outputs of Liu's regressions (arXiv 2205.10343)


def modular(
    formula: str,
    label: Label,
    *,
    division: bool = False,
    cycle: Callable[[int], tuple[int, ...]] = lambda p: (),
) -> Task:
    """An operation on residues mod p: all p^2 pairs, ordered by a, then b.

    label: (a, b, p) -> class. division: p is prime, and b = 0 has no answer.
    """

    def data(system: System, key: Any) -> Data:
        p = system.modulus
        a, b = (x.ravel().astype(np.int32) for x in np.indices((p, p)))
        if division:
            a, b = a[b > 0], b[b > 0]
        inputs = np.stack([a, b], axis=1)
        return Data(inputs, label(a, b, p).astype(np.int32))

    def shape(system: System) -> Shape:
        p = system.modulus
        return Shape(p * (p - 1 if division else p), p, 2 * p, p)

    def problem(system: System) -> str:
        wrong = division and not _is_prime(system.modulus)
        text = f"modulus = {system.modulus}: task {system.task!r} needs a prime"
        return text if wrong else ""

    return Task(
        formula,
        TOKENS,
        ("modulus",),
        shape,
        data,
        problem=problem,
        cycle=lambda system: cycle(system.modulus),
    )


def permutations(formula: str, degree: int, label: Label) -> Task:
    """An operation on the permutations of `degree` symbols, in lexicographic order.

    label: (a, b, degree) -> class, on the tokens' numbers.
    """
    order = math.factorial(degree)

    def data(system: System, key: Any) -> Data:
        a, b = (x.ravel().astype(np.int32) for x in np.indices((order, order)))
        return Data(np.stack([a, b], axis=1), label(a, b, degree))

    shape = Shape(order**2, order, 2 * order, order)
    return Task(formula, TOKENS, (), lambda system: shape, data)


def plain_addition() -> Task:
    """a + b of whole numbers below p = modulus: unordered pairs, 2p - 1 classes."""

    def data(system: System, key: Any) -> Data:
        a, b = np.triu_indices(system.modulus)
        inputs = np.stack([a, b], axis=1).astype(np.int32)
        return Data(inputs, (a + b).astype(np.int32))

    def shape(system: System) -> Shape:
        p = system.modulus
        return Shape(p * (p + 1) // 2, 2 * p - 1, 2 * p, p)

    return Task("a + b, a <= b < p", TOKENS, ("modulus",), shape, data)


def with_templates(task: Task, *, published: bool = False) -> Task:
    """The same as a regression: each class has a target of 30 draws from N(0, 1).

    Liu et al. (arXiv 2205.10343): an example is right where the outputs are nearest to
    the template of its class.
    """

    def data(system: System, key: Any) -> Data:
        table = task.data(system, key)
        n_classes = task.shape(system).n_outputs
        if system.published_seed >= 0:
            return _published(table, n_classes, system.published_seed)
        templates = jax.random.normal(key, (n_classes, TEMPLATE_SIZE))
        return table._replace(target=templates[table.label], prototypes=templates)

    return task._replace(
        formula=f"{task.formula}, as templates",
        shape=lambda s: task.shape(s)._replace(n_outputs=TEMPLATE_SIZE),
        data=data,
        losses=REAL_TARGETS,
        drawn=True,
        published=published,
    )


def _published(table: Data, n_classes: int, seed: int) -> Data:
    """Templates and split as the code of Liu et al. draws them (toy/train_add.py).

    numpy's legacy generator; examples in the order of their split.
    """
    random = np.random.RandomState(seed)
    templates = random.normal(0, 1, (n_classes, TEMPLATE_SIZE)).astype(np.float32)
    order = random.permutation(len(table.label))
    label = table.label[order]
    return Data(table.inputs[order], label, templates[label], templates)


def powers_of_generator(modulus: int) -> tuple[int, ...]:
    """1, g, g^2, ..: all residues but 0 for prime p and a primitive root g; else none.

    In this order a product of residues is a sum of places.
    """
    for generator in range(1, modulus):
        powers = [1]
        while (following := powers[-1] * generator % modulus) != 1 and following:
            powers.append(following)
            if len(powers) == modulus:
                break
        if len(powers) == modulus - 1:
            return tuple(powers)
    return ()


def inverse(b: Ints, modulus: int) -> Ints:
    """b^-1 mod a prime; 0 for b = 0."""
    table = [pow(x, -1, modulus) if x else 0 for x in range(modulus)]
    return np.array(table, np.int32)[b]


@lru_cache(maxsize=8)
def composition_table(degree: int) -> Ints:
    """[n!, n!] number of a after b: (a b)(i) = a(b(i))."""
    every = np.array(list(itertools.permutations(range(degree))))
    # A permutation as a number in base `degree`, sorted as the tokens are.
    weight = degree ** np.arange(degree)[::-1]
    numbers = every @ weight
    composed = every[:, every] @ weight
    return np.searchsorted(numbers, composed).astype(np.int32)


def compose(a: Ints, b: Ints, degree: int) -> Ints:
    """The permutation a after b."""
    return composition_table(degree)[a, b]


def conjugate(a: Ints, b: Ints, degree: int) -> Ints:
    """The permutation a b a^-1."""
    table = composition_table(degree)
    inverses = np.argmin(table, axis=1)  # the identity is number 0
    return table[table[a, b], inverses[a]].astype(np.int32)


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % d for d in range(2, math.isqrt(number) + 1))
