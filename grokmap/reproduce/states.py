"""States of quadratic networks: prepared on the whole table, relaxed on a part of it.

Minima of F = L + (lambda / 2N) |theta|^2 by L-BFGS (optax), many networks at once. All
in float64: to be called under `jax.enable_x64`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from grokmap.engine.mean_field import Start
from grokmap.theory.mean_field import Neurons

PREPARED_AT, PREPARED = 1e-3, 300  # lambda, iterations
STATIONARY = 1e-5  # |gradient of F|
STATES = ("generalised", "memorised")


class Examples(NamedTuple):
    """Of [k] networks: inputs x [k, m, d] and answers y [k, m, C] of the whole table,
    and the share [k, m] that each example has in the loss."""

    x: Any
    y: Any
    share: Any


def prepared(starts: Sequence[Start]) -> tuple[Neurons, Examples]:
    """The states of k networks, all generalised ones before all memorised ones, [2 k];
    and the training examples of each with their right answers."""
    problems = [start.problem for start in starts] * 2
    x, y = (np.stack([getattr(p, name) for p in problems]) for name in ("x", "y"))
    answers, m, k = y.copy(), y.shape[1], len(starts)
    share = np.zeros(y.shape[:2])
    for i, problem in enumerate(problems):
        n = problem.n_train
        share[i, :n] = 1 / n
        if i >= k:
            answers[i, n:] = np.roll(y[i, n:], 1, axis=1)
    both = [start.neurons.neurons for start in starts] * 2
    neurons: Neurons = jax.tree.map(lambda *parts: jnp.stack(parts), *both)
    table = Examples(x, answers, np.full_like(share, 1 / m))
    neurons, _, _ = minima(neurons, table, PREPARED_AT, PREPARED)
    return neurons, Examples(x, y, share)


def objective(neurons: Neurons, examples: Examples, decay: Any) -> jax.Array:
    """F of quadratic neurons a [N, C], w [N, d] at K = 1; examples: of one network."""
    residual = outputs(neurons, examples.x) - examples.y
    square = sum(jnp.sum(part**2) for part in neurons) / len(neurons.readout)
    loss = jnp.sum(examples.share * jnp.sum(residual**2, axis=1))
    return loss + decay / 2 * square


def outputs(neurons: Neurons, x: Any) -> jax.Array:
    """[m, C] at inputs [m, d]."""
    hidden = jnp.square(x @ neurons.first.T)
    f: jax.Array = hidden @ neurons.readout / len(neurons.readout)
    return f


@partial(jax.jit, static_argnames="most")
def minima(
    starts: Neurons, examples: Examples, decay: Any, most: int
) -> tuple[Neurons, Any, Any]:
    """Stationary points of F next to k starts: neurons, F [k], |gradient| [k].

    By L-BFGS (optax), until the gradient is below STATIONARY, or for `most` iterations.
    """

    def one(start: Neurons, examples: Examples) -> tuple[Neurons, Any, Any]:
        return _minimum(partial(objective, examples=examples, decay=decay), start, most)

    found: tuple[Neurons, Any, Any] = jax.vmap(one)(starts, examples)
    return found


def _minimum(f: Any, start: Neurons, most: int) -> tuple[Neurons, Any, Any]:
    method = optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(f)

    def step(carry: Any) -> Any:
        neurons, state, count, _ = carry
        value, grad = value_and_grad(neurons, state=state)
        change, state = method.update(
            grad, state, neurons, value=value, grad=grad, value_fn=f
        )
        size = optax.tree.norm(grad)
        return optax.apply_updates(neurons, change), state, count + 1, size

    def unfinished(carry: Any) -> Any:
        return (carry[2] < most) & (carry[3] > STATIONARY)

    begin = (start, method.init(start), 0, jnp.inf)
    neurons = jax.lax.while_loop(unfinished, step, begin)[0]
    value, grad = jax.value_and_grad(f)(neurons)
    return neurons, value, optax.tree.norm(grad)


def accuracies(neurons: Neurons, examples: Examples) -> tuple[Any, Any]:
    """[k] on training and on other examples."""
    f = np.asarray(jax.vmap(outputs)(neurons, examples.x))
    right = f.argmax(axis=2) == examples.y.argmax(axis=2)
    train = examples.share > 0
    return tuple(
        (right & rows).sum(axis=1) / rows.sum(axis=1) for rows in (train, ~train)
    )
