"""Two-time correlation and response of the neurons of the mean-field limit.

Of pre-activations h(x, t) = w(t).x, given the residuals of a solution (`mean_field`):

    C(x, t; x', t') = E[h(x, t) h(x', t')]
    R(x, t; x', t') = d E[h(x, t)] / d xi,

xi a push on h(x') just before step t', by the least motion of the weights that makes
it: w <- w + xi x' / |x'|^2. So R = x.x'/|x'|^2 at t = t', 0 before (causality), and
(1 - r)^(t - t') x.x'/|x'|^2 where residuals vanish. The equations of two layers close
without either: both describe the single neuron, and enter no iteration.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from grokmap.arrays import Floats
from grokmap.theory.mean_field import (
    Problem,
    State,
    at_rest,
    blocks_of,
    evolved,
    joined,
    precision_of,
)

SEGMENT = 64  # steps compiled together


def correlation(
    problem: Problem,
    start: State,
    outputs: Floats,
    steps: Sequence[int],
    inputs: Floats,
    block: int = 4096,
) -> Floats:
    """C [R, k, R, k] at steps (rising, R) and inputs [k, d].

    outputs: those that `solve` found from this start, at all steps up to the last.
    """
    total: Any = 0.0
    with precision_of(start):
        for state in blocks_of(start, block):
            seen = [
                np.asarray(state.neurons.first @ inputs.T)
                for state in _visited(problem, state, outputs, steps)
            ]
            h = np.stack(seen)  # [R, neurons, k]
            total = total + np.einsum("rsk,tsl->rktl", h, h, optimize=True)
    return np.asarray(total / len(start.neurons.first))


def response(
    problem: Problem,
    start: State,
    outputs: Floats,
    steps: Sequence[int],
    inputs: Floats,
    pushed: Floats,
    block: int = 4096,
) -> Floats:
    """R [R, k, R] at steps and inputs, as of `correlation`, to pushes at the same steps
    on h at one input [d], `pushed`. By tangents of each neuron's own path."""
    total: Any = 0.0
    with precision_of(start):
        push = np.asarray(pushed / np.sum(pushed**2), inputs.dtype)
        for state in blocks_of(start, block):
            total = total + _response(problem, state, outputs, steps, inputs, push)
    return np.asarray(total / len(start.neurons.first))


def after(
    problem: Problem, state: State, outputs: Floats, step: int, until: int
) -> State:
    """Neurons as they stand before step `step`, taken to `until` by the residuals of
    these outputs."""
    with precision_of(state):
        return joined([_after(problem, state, outputs, step, until)])


def _after(
    problem: Problem, state: State, outputs: Floats, step: int, until: int
) -> State:
    """As `after`, of arrays that may be traced."""
    while step < until:
        length = min(SEGMENT, until - step)
        residual = _residual(problem, outputs, step)
        x = problem.x[: problem.n_train]
        state = evolved(problem, state, residual, length, x)[1]
        step += length
    return state


def _response(
    problem: Problem,
    state: State,
    outputs: Floats,
    steps: Sequence[int],
    inputs: Floats,
    push: Floats,
) -> Floats:
    """Summed over the neurons of a block."""
    rows, tangents, now = [], _still(state, len(steps)), 0
    for i, step in enumerate(steps):

        def move(state: State, now: int = now, step: int = step) -> State:
            return _after(problem, state, outputs, now, step)

        tangents, state, now = _carried(move, state, tangents), move(state), step
        first = np.array(tangents.neurons.first)
        first[i] += push
        tangents = State(tangents.neurons._replace(first=first), tangents.velocity)
        rows.append(np.einsum("isd,kd->ki", first, inputs))
    return np.stack(rows)


def _visited(
    problem: Problem, state: State, outputs: Floats, steps: Sequence[int]
) -> Iterator[State]:
    """The neurons at each of the steps."""
    for before, step in zip((0, *steps), steps, strict=False):
        state = _after(problem, state, outputs, before, step)
        yield state


def _residual(problem: Problem, outputs: Floats, step: int) -> Floats:
    """[SEGMENT, n, C] from a step on, filled up at the end of the path."""
    n = problem.n_train
    rows = np.minimum(np.arange(step, step + SEGMENT), len(outputs) - 1)
    return np.asarray(outputs[rows, :n] - problem.y[:n])


def _carried(move: Any, state: State, tangents: State) -> State:
    """Tangents [R, ..] of a state through `move`."""

    def along(tangent: State) -> State:
        carried: State = jax.jvp(move, (state,), (tangent,))[1]
        return carried

    carried: State = jax.vmap(along)(tangents)
    return carried


def _still(state: State, count: int) -> State:
    """No tangents yet: [count, ..] zeros."""
    readout, first = (
        np.zeros((count, *part.shape), part.dtype) for part in state.neurons
    )
    return at_rest(readout, first)
