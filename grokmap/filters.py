"""Grokfast: the slow part of gradients amplified (Lee et al., arXiv 2405.20233)."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

Tree = Any  # a pytree of arrays


class Memory(NamedTuple):
    """Past gradients: their running average, or the last `filter_window` of them.

    past: pytree like the gradient; of a window, with a first axis of that length.
    """

    past: Tree


def start(params: Tree, window: int) -> Memory:
    """Of a run that has not begun; window: 0 for a running average."""
    shape = (window,) if window else ()
    return Memory(jax.tree.map(lambda x: jnp.zeros((*shape, *x.shape)), params))


def amplified(
    grads: Tree,
    memory: Memory,
    step: jax.Array,
    strength: Any,
    decay: Any,
    window: int,
) -> tuple[Tree, Memory]:
    """(g + strength * slow, memory), slow the average of past gradients.

    A running average, m <- decay m + (1 - decay) g, begins at the first gradient. A
    window is averaged once it is full; until then gradients stay as they are.

    Args:
      step: steps taken before this one. decay: of the running average, in [0, 1).
    """
    if not window:
        share = jnp.where(step == 0, 0.0, decay)
        slow = jax.tree.map(
            lambda m, g: share * m + (1.0 - share) * g, memory.past, grads
        )
        return _added(grads, slow, strength), Memory(slow)
    place = step % window
    past = jax.tree.map(
        lambda kept, g: lax.dynamic_update_index_in_dim(kept, g, place, 0),
        memory.past,
        grads,
    )
    slow = jax.tree.map(lambda kept: jnp.mean(kept, axis=0), past)
    is_full = step + 1 >= window
    return _added(grads, slow, jnp.where(is_full, strength, 0.0)), Memory(past)


def _added(grads: Tree, slow: Tree, strength: Any) -> Tree:
    return jax.tree.map(lambda g, m: g + strength * m, grads, slow)
