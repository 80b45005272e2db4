"""The largest learning rate at which a few steps from the start are stable, by trial.

Optimizers that rescale the gradient (Adam, Lion, Muon) move by about the learning rate
whatever the curvature is. So no eigenvalue bounds their step; too large a one shows in
the loss, which jumps up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from grokmap.engine.records import NEVER
from grokmap.engine.train import build
from grokmap.optimizers import OPTIMIZERS
from grokmap.plan import scale_at
from grokmap.spec import Control, System
from grokmap.tasks import TASKS

STEPS = 128
# Steps of a fixed size keep the weights moving by about that size for ever, so less of
# the largest is taken than of descent: with 0.4 of it, AdamW drew the diagram of a
# quarter of that, but Lion lost three of five cells that grok (docs/engine.md).
SHARE = 0.1
# The training loss may rise above its lowest value so far by this share of its first.
RISE = 0.1
# Rungs of the ladder: 2^(k / 2), from 1e-6 to 1e3.
LOWEST, HIGHEST = -40, 20
RULE = (
    f"the ladder 2^(k/2) at which {STEPS} steps without decay raise the training loss "
    f"by at most {RISE:.0%} of its first value"
)


def largest_stable(system: System) -> Callable[[Control, int, int], float]:
    """(control, n_train, seed) -> the largest stable rung of the ladder, found by
    bisection; or where the weights would shrink to nothing in a step, if that is less.

    Steps are those of training: with its batches, dropout and noise, but without weight
    decay, which at the largest lambda of a grid kills a network at any learning rate.

    Raises:
      ValueError: not even the lowest rung is stable.
    """
    rises = _rises_of(system)

    def limit(control: Control, n_train: int, seed: int) -> float:
        def is_stable(rung: int) -> bool:
            tried = control._replace(learning_rate=_rate(rung), weight_decay=0.0)
            rise = rises(
                Control(*map(jnp.float32, tried)), jnp.int32(n_train), jnp.uint32(seed)
            )
            return float(rise) <= RISE

        if not is_stable(LOWEST):
            raise ValueError(
                f"{STEPS} steps of {system.optimizer} raise the training loss even at "
                f"learning rate {_rate(LOWEST):.2g}"
            )
        shrinking = OPTIMIZERS[system.optimizer].decay_rate(
            control, scale_at(system, control)
        )
        most = 1 / shrinking if shrinking > 0 else math.inf
        return min(_rate(_highest(is_stable)), most)

    return limit


def _rate(rung: int) -> float:
    return 2.0 ** (rung / 2)


def _highest(is_stable: Callable[[int], bool]) -> int:
    """A rung that is stable while the next is not; the highest if all are tried in
    vain. LOWEST is known to be stable."""
    low, high = LOWEST, HIGHEST + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_stable(middle) else (low, middle)
    return low


def _rises_of(system: System) -> Any:
    """(control, n_train, seed) -> the largest rise of the training loss above its
    lowest value so far, over its first value; infinite where it is not finite."""
    n_examples = TASKS[system.task].shape(system).n_examples
    program = build(system, tile=n_examples, max_tiles=1)

    @jax.jit
    def rises(control: Control, n_train: jax.Array, seed: jax.Array) -> jax.Array:
        lane = program.init(control, n_train, seed)

        def loss(lane: Any) -> jax.Array:
            snapshot = program.snapshot(lane)
            losses = jnp.where(snapshot.train, snapshot.loss, 0.0)
            return jnp.sum(losses) / lane.n_train

        def step(_: Any, state: Any) -> Any:
            lane, lowest, rise = state
            lane = program.step(lane)
            now = loss(lane)
            # A loss that is not finite is the largest rise: NaN compares as false.
            above = jnp.where(jnp.isfinite(now), now - lowest, jnp.inf)
            return lane, jnp.minimum(lowest, now), jnp.maximum(rise, above)

        first = loss(lane)
        state = (lane, first, jnp.float32(0.0))
        lane, _, rise = lax.fori_loop(0, STEPS, step, state)
        rise = jnp.where(lane.diverged_step == NEVER, rise / first, jnp.inf)
        return jnp.where(jnp.isfinite(first), rise, jnp.inf)

    return rises
