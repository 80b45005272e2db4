"""The literal table of tasks."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from grokmap.spec import System
from grokmap.spec.kernels import evenly
from grokmap.tasks.data import Data, Task
from grokmap.tasks.drawn import (
    digits,
    hermite_mixture,
    of_direction,
    of_signs,
    tanh_teacher,
    xor_patterns,
)
from grokmap.tasks.pairs import (
    compose,
    conjugate,
    inverse,
    modular,
    permutations,
    plain_addition,
    powers_of_generator,
    with_templates,
)

PROBE_CLASSES, PROBE_EXAMPLES = 16, 8

TASKS: dict[str, Task] = {
    "modular_addition": modular(
        "a + b mod p", lambda a, b, p: (a + b) % p, cycle=lambda p: tuple(range(p))
    ),
    "modular_subtraction": modular(
        "a - b mod p", lambda a, b, p: (a - b) % p, cycle=lambda p: tuple(range(p))
    ),
    "modular_multiplication": modular(
        "a b mod p", lambda a, b, p: (a * b) % p, cycle=powers_of_generator
    ),
    "modular_division": modular(
        "a / b mod p, b > 0, p prime",
        lambda a, b, p: (a * inverse(b, p)) % p,
        division=True,
        cycle=powers_of_generator,
    ),
    # Polynomials of Power et al. (arXiv 2201.02177); p < 1024 keeps them in 32 bits.
    "modular_squares": modular("a^2 + b^2 mod p", lambda a, b, p: (a * a + b * b) % p),
    "modular_quadratic": modular(
        "a^2 + a b + b^2 mod p", lambda a, b, p: (a * a + a * b + b * b) % p
    ),
    "modular_quadratic_skew": modular(
        "a^2 + a b + b^2 + a mod p",
        lambda a, b, p: (a * a + a * b + b * b + a) % p,
    ),
    "modular_cubic": modular(
        "a^3 + a b mod p", lambda a, b, p: (a * a % p * a + a * b) % p
    ),
    "modular_cubic_skew": modular(
        "a^3 + a b^2 + b mod p",
        lambda a, b, p: (a * a % p * a + b * b % p * a + b) % p,
    ),
    "modular_weighted_sum": modular(
        "2 a + 3 b mod p", lambda a, b, p: (2 * a + 3 * b) % p
    ),
    "s3_composition": permutations("a b in S3", 3, compose),
    "s5_composition": permutations("a b in S5", 5, compose),
    "s5_conjugation": permutations("a b a^-1 in S5", 5, conjugate),
    "plain_addition": with_templates(plain_addition(), published=True),
    "plain_addition_classes": plain_addition(),
    "s3_templates": with_templates(permutations("a b in S3", 3, compose)),
    "sparse_parity": of_signs("y = x_1 .. x_k", None, lambda x: jnp.prod(x, axis=1)),
    "sparse_sum": of_signs(
        "y = sign of the sum of x_1 .. x_k",
        None,
        lambda x: jnp.sign(jnp.sum(x, axis=1)),
        odd=True,
    ),
    "xor": of_signs("y = x_1 x_2", 2, lambda x: x[:, 0] * x[:, 1]),
    "xor_patterns": xor_patterns(),
    "linear_teacher": of_direction("y = s, s = beta.x / sqrt(d)", lambda s, size: s),
    "quadratic_teacher": of_direction("y = s^2 / 2", lambda s, size: s * s / 2.0),
    "squared_teacher": of_direction("y = s^2", lambda s, size: s * s),
    "cubic_teacher": of_direction(
        "y = H1(s) - 0.3 H3(s), s = beta.x / |beta|", hermite_mixture
    ),
    "tanh_teacher": tanh_teacher(),
    "digits": digits(),
}


def probe(system: System) -> npt.NDArray[np.int32]:
    """Rows of the table on which kernels are taken: the same for every run.

    At most 16 classes with 8 examples each, so that the labels have block structure
    at any modulus: among examples drawn at random few would share a class. Where each
    run draws its examples, 128 of them.
    """
    task = TASKS[system.task]
    if task.drawn:
        n = min(PROBE_CLASSES * PROBE_EXAMPLES, task.shape(system).n_examples)
        return np.arange(n, dtype=np.int32)
    label = task.data(system, None).label
    rng = np.random.default_rng(system.modulus)
    classes = rng.permutation(np.unique(label))[:PROBE_CLASSES]
    rows = [
        rng.permutation(np.flatnonzero(label == c))[:PROBE_EXAMPLES] for c in classes
    ]
    return np.sort(np.concatenate(rows)).astype(np.int32)


def kernel_rows(system: System) -> npt.NDArray[np.int64]:
    """[kernel_examples] rows of the table between which kernels are recorded."""
    rows = probe(system)
    return rows[evenly(system.kernel_examples, len(rows))].astype(np.int64)


def similarity(data: Data, rows: npt.NDArray[np.int32]) -> npt.ArrayLike:
    """[m, m] y y' of the targets of some rows: of one class or not, without targets."""
    if data.target is None:
        label = data.label[rows]
        return label[:, None] == label[None, :]
    target = data.target[rows]
    return target @ target.T
