"""What an order parameter may look at: one network on the whole table at one step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp

# Below it float32 loses digits, then flushes to 0 (from 1e-38): nothing is measured.
TINY = 1e-30


@dataclass(frozen=True, eq=False)
class Network:
    """The static side of a snapshot: pure functions and structure of one system.

    loss: (logits [n, C], answer) -> [n]; see `losses`.
    gradient: (params, training) -> (training loss, its gradient); no decay term.
    ntk: (params, training) -> [m, m] neural tangent kernel on the probe set.
    recorded_ntk: (params, training) -> [k, k] the same on the examples between which
      it is recorded, where it is.
    similarity: training -> [m, m] y y' of the targets of the probe set.
    tolerance: squared error, the mean over outputs, below which an example with real
      targets is right; 0: such examples are neither right nor wrong.
    cycle: the residues of the task's cyclic group in the order of its generator;
      empty where the task has no such group.
    """

    loss: Callable[[jax.Array, jax.Array], jax.Array]
    gradient: Callable[[Any, Any], tuple[jax.Array, Any]]
    ntk: Callable[[Any, Any], jax.Array]
    recorded_ntk: Callable[[Any, Any], jax.Array] | None = None
    similarity: Callable[[Any], jax.Array] | None = None
    cycle: tuple[int, ...] = ()
    tolerance: float = 0.0


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Snapshot:
    """One network on the whole table of n examples at one step.

    params: dict of arrays; where there is a first layer it is `first` [2p, N] or
      [d, N], and the last one `readout` [C, N].
    preactivation, hidden: [n, N], before and after the activation; logits: [n, C].
    layers: [n, N] activations of every hidden layer, from the first to the last; empty
      where the network tells only those of its last.
    label: [n] classes, or None; answer: what losses compare with; prototypes: [K, C]
      targets of classes, or None.
    loss: [n] of each example; train, held_out: [n] bool; None: nothing is held out.
    training: pytree that `network.gradient` and `network.ntk` take beside params.
    initial_kernel: [m, m] `network.ntk` at step 0, where it was asked for.
    initial_params: params at step 0, where they were asked for.
    teacher: [d] direction, for tasks that have a known one.
    inputs: [n, 2] tokens or [n, d] reals of the examples, in their order here.

    What several order parameters need is computed once a snapshot.
    """

    params: Any
    preactivation: jax.Array
    hidden: jax.Array
    logits: jax.Array
    label: Any
    loss: jax.Array
    train: jax.Array
    training: Any
    network: Network = field(metadata={"static": True})
    answer: Any = None
    prototypes: jax.Array | None = None
    initial_kernel: jax.Array | None = None
    initial_params: Any = None
    teacher: jax.Array | None = None
    inputs: jax.Array | None = None
    layers: tuple[jax.Array, ...] = ()
    held_out: jax.Array | None = None

    @property
    def test(self) -> jax.Array:
        """[n] which examples are test examples: neither trained on nor held out."""
        return ~self.train if self.held_out is None else ~(self.train | self.held_out)

    @cached_property
    def loss_and_gradient(self) -> tuple[jax.Array, Any]:
        """The training loss and its gradient, a pytree like params."""
        return self.network.gradient(self.params, self.training)

    @cached_property
    def kernel(self) -> jax.Array:
        """[m, m] neural tangent kernel on the probe set, now."""
        return self.network.ntk(self.params, self.training)

    @cached_property
    def first_powers(self) -> jax.Array:
        """[min(2p, N)] `powers` of W = first."""
        return powers(self.params["first"])

    @cached_property
    def motion_powers(self) -> jax.Array:
        """[min(2p, N)] `powers` of W - W_0, W_0 = first at step 0."""
        return powers(self.params["first"] - self.initial_params["first"])


def powers(matrix: jax.Array) -> jax.Array:
    """[min(m, n)] squared singular values of a matrix [m, n], ascending.

    Of the matrix over its largest entry, so that they neither over- nor underflow.
    """
    matrix = unit(matrix)
    rows, columns = matrix.shape
    gram = matrix @ matrix.T if rows <= columns else matrix.T @ matrix
    return jnp.maximum(eigenvalues(gram), 0.0)


def mean_over(values: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean of values [n] over mask [n]; a non-finite value elsewhere does not count."""
    return jnp.sum(jnp.where(mask, values, 0.0)) / jnp.sum(mask)


def ratio(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """numerator / denominator, NaN where the denominator is 0."""
    return numerator / jnp.where(denominator == 0, jnp.nan, denominator)


def undefined() -> jax.Array:
    """NaN: the value where there is none; null in every table."""
    return jnp.float32(jnp.nan)


def unit(values: jax.Array) -> jax.Array:
    """`values` over their largest size, so that powers neither over- nor underflow.

    0 throughout where the largest is below `TINY`: what is left is rounding.
    """
    largest = jnp.max(jnp.abs(values))
    return values / jnp.where(largest < TINY, jnp.inf, largest)


def norm(tree: Any) -> jax.Array:
    """Frobenius norm of a pytree; squares neither over- nor underflow.

    Leaf by leaf, so that norms of parts and of the whole share their sums.
    """
    return _norm(jnp.stack([_norm(leaf) for leaf in jax.tree.leaves(tree)]))


def _norm(values: jax.Array) -> jax.Array:
    largest = jnp.max(jnp.abs(values))
    scale = jnp.where(largest == 0, 1.0, largest)
    scaled = jnp.ravel(values / scale)
    return scale * jnp.sqrt(jnp.vdot(scaled, scaled))


def eigenvalues(symmetric: jax.Array) -> jax.Array:
    """Eigenvalues [n] of a symmetric matrix [n, n], ascending.

    On a CPU one matrix after the other: LAPACK over a batch of lanes waits for the
    thread pool that runs the lanes, and several CPU devices then wait for ever
    (jaxlib 0.10.2).
    """

    def of_one(matrix: jax.Array) -> jax.Array:
        return jnp.linalg.eigvalsh(matrix)

    one_by_one = jax.custom_batching.sequential_vmap(of_one)
    return jax.lax.platform_dependent(symmetric, cpu=one_by_one, default=of_one)
