"""Tasks: finite tables of examples, split per seed into train and test (numpy only)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]

PROBE_CLASSES, PROBE_EXAMPLES = 16, 8


class Examples(NamedTuple):
    """The whole table of a task: n examples, inputs onehot(a) ++ onehot(b).

    a, b: [n] residues in 0..p-1; label: [n] class in 0..p-1.
    """

    a: Ints
    b: Ints
    label: Ints


class Task(NamedTuple):
    """One binary operation on residues mod p.

    label: (a, b, p) -> class, on integer arrays.
    prime_modulus: whether the operation exists for prime p only.
    nonzero_b: whether pairs with b = 0 are left out of the table.
    cycle: p -> the residues on which the operation is that of a cyclic group, in the
      order of a generator; empty where there is none.
    """

    formula: str
    label: Callable[[Ints, Ints, int], Ints]
    prime_modulus: bool = False
    nonzero_b: bool = False
    cycle: Callable[[int], tuple[int, ...]] = lambda p: tuple(range(p))

    def n_examples(self, modulus: int) -> int:
        """p^2 pairs, or p (p - 1) where b = 0 has no answer."""
        return modulus * (modulus - 1 if self.nonzero_b else modulus)


def examples(task: Task, modulus: int) -> Examples:
    """The table of all pairs (a, b) of residues mod p, ordered by a, then b."""
    a, b = (x.ravel().astype(np.int32) for x in np.indices((modulus, modulus)))
    if task.nonzero_b:
        a, b = a[b > 0], b[b > 0]
    return Examples(a, b, task.label(a, b, modulus).astype(np.int32))


def probe(task: Task, modulus: int) -> Ints:
    """Rows of the table on which kernels are taken: the same for every run.

    At most 16 classes with 8 examples each, so that the labels have block structure
    at any modulus: among examples drawn at random few would share a class.
    """
    label = examples(task, modulus).label
    rng = np.random.default_rng(modulus)
    classes = rng.permutation(np.unique(label))[:PROBE_CLASSES]
    rows = [
        rng.permutation(np.flatnonzero(label == c))[:PROBE_EXAMPLES] for c in classes
    ]
    return np.sort(np.concatenate(rows)).astype(np.int32)


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


def _inverse(b: Ints, modulus: int) -> Ints:
    table = [pow(x, -1, modulus) if x else 0 for x in range(modulus)]
    return np.array(table, np.int32)[b]


TASKS: dict[str, Task] = {
    "modular_addition": Task("a + b mod p", lambda a, b, p: (a + b) % p),
    "modular_subtraction": Task("a - b mod p", lambda a, b, p: (a - b) % p),
    "modular_multiplication": Task(
        "a b mod p", lambda a, b, p: (a * b) % p, cycle=powers_of_generator
    ),
    "modular_division": Task(
        "a / b mod p, b > 0, p prime",
        lambda a, b, p: (a * _inverse(b, p)) % p,
        prime_modulus=True,
        nonzero_b=True,
        cycle=powers_of_generator,
    ),
}
