"""Structured splits of a table of pairs: kinds of pairs are left out of training.

Each gives every pair (a, b) of tokens a rank. The pairs of the lowest ranks are trained
on, those of the highest are held out, in whole units: differences, rows, residues, or
the side of a square.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from grokmap.spec import System
from grokmap.tasks.data import TOKENS, Task

# (a, b, p, place) -> rank of each pair; place: of each token in a random order.
Rank = Callable[[Any, Any, int, Any], Any]


class Split(NamedTuple):
    """One entry of the table of splits.

    unit: what is left out whole. rank: None: pairs one by one, at random. n_units: of
    a table of p^2 pairs, with which `place` has an entry each; 0: p, which is also how
    many ranks there are.
    """

    unit: str
    rank: Rank | None
    n_units: Callable[[int], int] = lambda p: 0


NONE, RANDOM = "none", "random"
SPLITS: dict[str, Split] = {
    RANDOM: Split("pair", None),
    # Pracher et al. (arXiv 2609.26679).
    "difference": Split("difference a - b", lambda a, b, p, place: place[(a - b) % p]),
    "rows": Split("row a", lambda a, b, p, place: place[a]),
    "residues": Split("token", lambda a, b, p, place: _largest(place[a], place[b])),
    "square": Split("side of a square", lambda a, b, p, place: _least(a, b)),
    # Data augmentation by commutativity: what is known of a, b is known of b, a.
    "unordered": Split(
        "pair with its mirror",
        lambda a, b, p, place: place[_least(a, b) * p + _largest(a, b)],
        lambda p: p * p,
    ),
}
HELD_OUT = {NONE: "nothing"} | {
    name: entry.unit
    for name, entry in SPLITS.items()
    if entry.rank and not entry.n_units(1)
}


def _largest(x: Any, y: Any) -> Any:
    return x + (y - x) * (y > x)


def _least(x: Any, y: Any) -> Any:
    return x + (y - x) * (y < x)


def is_square(task: Task, system: System) -> bool:
    """Whether a task's table is every pair of its tokens."""
    shape = task.shape(system)
    return task.inputs == TOKENS and shape.n_examples == shape.n_tokens**2


def sizes_of(split: str, p: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """[p + 1] how many pairs have a rank below k, k = 0..p."""
    rank = SPLITS[split].rank
    assert rank is not None
    a, b = (x.ravel() for x in np.indices((p, p)))
    counts = np.bincount(rank(a, b, p, np.arange(p)), minlength=p)
    return np.concatenate([[0], np.cumsum(counts)])


def n_held_out(system: System, p: int) -> int:
    """Pairs that a system holds out of training and of the test set."""
    if system.held_out == NONE:
        return 0
    sizes = sizes_of(system.held_out, p)
    return int(sizes[p] - sizes[p - system.held_out_size])


def held_out(system: System, inputs: Any, p: int, key: jax.Array) -> jax.Array:
    """[n] bool, which pairs are held out; key: of the run's split."""
    of_held_out = jax.random.fold_in(key, 1)
    return _ranks(system.held_out, inputs, p, of_held_out) >= p - system.held_out_size


def order(system: System, inputs: Any, p: int, key: jax.Array) -> jax.Array:
    """[n] the run's order of all pairs: first those it trains on, last those held out.

    Within a unit the order is random.
    """
    n = inputs.shape[0]
    shuffled = jax.random.permutation(key, n)
    rank = jnp.zeros(n, jnp.int32)
    if system.split != RANDOM:
        rank = _ranks(system.split, inputs, p, jax.random.fold_in(key, 2))
    if system.held_out != NONE:
        rank = jnp.where(held_out(system, inputs, p, key), n, rank)
    # Stable, so that what is of one rank stays shuffled.
    return shuffled[jnp.argsort(rank[shuffled], stable=True)]


def _ranks(split: str, inputs: Any, p: int, key: jax.Array) -> jax.Array:
    entry = SPLITS[split]
    rank = entry.rank
    assert rank is not None
    tokens = jnp.asarray(inputs)
    place = jax.random.permutation(key, entry.n_units(p) or p)
    ranks: jax.Array = rank(tokens[:, 0], tokens[:, 1], p, place)
    return ranks
