"""Tasks whose examples each run draws for itself, and packaged images.

x has d independent entries of variance 1, so that x / sqrt(d) is what most papers call
x. What a model does with it stands with the model.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grokmap.spec import System
from grokmap.tasks.data import REAL_TARGETS, REALS, SIGNS, Data, Shape, Task

CUBIC_SHARE = -0.3  # of H3 in Rubin's teacher
TEACHER_WIDTH = 100


def of_direction(
    formula: str, target: Callable[[jax.Array, jax.Array], jax.Array]
) -> Task:
    """y depends on x along one direction beta ~ N(0, I).

    target: (s = beta.x / sqrt(d) [n], |beta|^2 / d) -> y [n].
    """

    def data(system: System, key: Any) -> Data:
        beta_key, x_key = jax.random.split(key)
        beta = jax.random.normal(beta_key, (system.n_inputs,))
        x = jax.random.normal(x_key, (system.n_examples, system.n_inputs))
        root = np.sqrt(system.n_inputs)
        y = target(x @ (beta / root), jnp.mean(jnp.square(beta)))
        return Data(x, target=y[:, None], teacher=beta)

    return Task(
        formula,
        REALS,
        ("n_inputs", "n_examples"),
        _one_output,
        data,
        REAL_TARGETS,
        drawn=True,
        shuffled=False,
    )


def hermite_mixture(s: jax.Array, size: jax.Array) -> jax.Array:
    """H1 + epsilon H3 of the unit direction, epsilon = -0.3 (Rubin et al.)."""
    s = s / jnp.sqrt(size)
    return s + CUBIC_SHARE * (s**3 - 3.0 * s)


def of_signs(
    formula: str,
    k: int | None,
    target: Callable[[jax.Array], jax.Array],
    *,
    odd: bool = False,
) -> Task:
    """x uniform on {-1, 1}^d, y = -1 or 1 a function of its first k entries.

    k: None where a sweep sets it as n_relevant. target: [n, k] -> [n]. odd: whether k
    has to be odd.
    """
    sizes = ("n_inputs", "n_examples", *(() if k else ("n_relevant",)))

    def data(system: System, key: Any) -> Data:
        x = jax.random.rademacher(
            key, (system.n_examples, system.n_inputs), jnp.float32
        )
        y = target(x[:, : k or system.n_relevant])
        label = (y > 0).astype(jnp.int32)
        relevant = jnp.arange(system.n_inputs) < (k or system.n_relevant)
        signs = jnp.array([[-1.0], [1.0]])
        return Data(x, label, y[:, None], signs, relevant.astype(jnp.float32))

    def problem(system: System) -> str:
        count = k or system.n_relevant
        if count > system.n_inputs:
            return f"n_inputs = {system.n_inputs}: below the {count} that y depends on"
        if odd and count % 2 == 0:
            return f"n_relevant = {count}: the sum of an even number may be 0; odd only"
        return ""

    return Task(
        formula,
        REALS,
        sizes,
        _one_output,
        data,
        SIGNS,
        drawn=True,
        shuffled=False,
        problem=problem,
    )


def xor_patterns() -> Task:
    """y = x_1 x_2 on the four x in {-1, 1}^2, listed twice: the first four train, the
    same four test (`train_fraction` 1/2). Nothing is left to generalise to.

    What Wang (arXiv 2604.04655) calls grokking is when a network has learned them.
    """
    x = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]] * 2, np.float32)
    y = np.prod(x, axis=1, keepdims=True)

    def data(system: System, key: Any) -> Data:
        label = (y[:, 0] > 0).astype(np.int32)
        return Data(x, label, y, np.array([[-1.0], [1.0]], np.float32))

    shape = Shape(n_examples=8, n_outputs=1, n_inputs=2)
    return Task(
        "y = x_1 x_2 of the four patterns, each in training and test set",
        REALS,
        (),
        lambda system: shape,
        data,
        SIGNS,
        shuffled=False,
    )


def tanh_teacher() -> Task:
    """y = a random d-100-100-d network of tanh, of PyTorch's standard weights.

    The teacher-student task of Omnigrok (Liu et al., arXiv 2210.01117).
    """

    def data(system: System, key: Any) -> Data:
        d = system.n_inputs
        of_x, *keys = jax.random.split(key, 7)
        x = jax.random.normal(of_x, (system.n_examples, d))
        h, sizes = x, (d, TEACHER_WIDTH, TEACHER_WIDTH, d)
        for i, (fan_in, fan_out) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
            bound = fan_in**-0.5
            weights = jax.random.uniform(
                keys[2 * i], (fan_in, fan_out), minval=-bound, maxval=bound
            )
            biases = jax.random.uniform(
                keys[2 * i + 1], (fan_out,), minval=-bound, maxval=bound
            )
            h = (h if i == 0 else jnp.tanh(h)) @ weights + biases[None, :]
        return Data(x, target=h)

    def shape(system: System) -> Shape:
        return Shape(system.n_examples, system.n_inputs, system.n_inputs)

    return Task(
        "y of a random tanh network",
        REALS,
        ("n_inputs", "n_examples"),
        shape,
        data,
        REAL_TARGETS,
        drawn=True,
        shuffled=False,
    )


def digits() -> Task:
    """The 1797 handwritten digits of 8 x 8 pixels that scikit-learn packages.

    Pixels divided by their root mean square over all images.
    """

    def data(system: System, key: Any) -> Data:
        return Data(*_digits())

    shape = Shape(n_examples=1797, n_outputs=10, n_inputs=64)
    return Task(
        "8 x 8 images of digits",
        REALS,
        (),
        lambda system: shape,
        data,
        problem=lambda system: _no_sklearn(),
    )


@cache
def _no_sklearn() -> str:
    try:
        import sklearn  # noqa: F401
    except ImportError:
        return "task = 'digits': needs scikit-learn: pip install 'grokmap[images]'"
    return ""


@cache
def _digits() -> tuple[Any, Any]:
    from sklearn.datasets import load_digits

    pixels, label = load_digits(return_X_y=True)
    pixels = pixels / np.sqrt(np.mean(pixels**2))
    return pixels.astype(np.float32), label.astype(np.int32)


def _one_output(system: System) -> Shape:
    return Shape(system.n_examples, 1, system.n_inputs)
