"""The two-layer network, on pairs of tokens and on real inputs.

On a pair of residues (a, b), N hidden neurons, C outputs:

    f_c(a, b) = prefactor * [ sum_j readout[c, j] sigma(h_j) + bias_c ]
    h_j       = hidden_scale * (u_j[a] + v_j[b] + bias_j)

On real inputs x [d], h_j = hidden_scale * (w_j.x / sqrt(d) + bias_j).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from grokmap.models.scale import Scalar, Scale, sigma_of
from grokmap.spec import System
from grokmap.tasks import Shape

Drop = Callable[[jax.Array], jax.Array]  # silences part of a layer [n, N]


class Activity(NamedTuple):
    """Outputs [n, C]; pre-activations and activations of the last hidden layer [n, N].

    A network without one gives its outputs for all three. layers: activations of every
    hidden layer, the last one's included, where a network of several tells them.
    """

    logits: jax.Array
    preactivation: jax.Array
    hidden: jax.Array
    layers: tuple[jax.Array, ...] = ()


class Kernel(NamedTuple):
    """One way to compute the first layer u[a] + v[b], linear in `first` [2p, N].

    embed: (first, a, b) -> [n, N].
    add_gradient: (total, a, b, slope [n, N]) -> total [2p, N] plus the gradient in
      `first` of sum(embed * slope).
    whole_table: whether a, b have to be all examples in the table's own order.
    twice: whether embedding again for the gradient is cheaper than keeping [n, N].
    distinct: whether no two of the examples may have the same a and b.
    """

    embed: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
    add_gradient: Callable[[jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]
    whole_table: bool = False
    twice: bool = False
    distinct: bool = False


def _places(first: jax.Array, a: jax.Array, b: jax.Array) -> tuple[Any, Any]:
    """Rows of u[a] and of v[b] in `first`; as residues they are always inside."""
    rows = (a, first.shape[0] // 2 + b)
    u, v = (first.at[row] for row in rows)
    return u, v


def _gather(first: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    u, v = _places(first, a, b)
    return u.get(mode="promise_in_bounds") + v.get(mode="promise_in_bounds")


def _scatter(
    total: jax.Array, a: jax.Array, b: jax.Array, slope: jax.Array
) -> jax.Array:
    """Into the running total itself: a fresh array a tile costs 6 % of a step."""
    u, _ = _places(total, a, b)
    _, v = _places(u.add(slope, mode="promise_in_bounds"), a, b)
    return v.add(slope, mode="promise_in_bounds")


def _one_hots(first: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    modulus = first.shape[0] // 2
    one_hots = [jax.nn.one_hot(x, modulus, dtype=first.dtype) for x in (a, b)]
    return jnp.concatenate(one_hots, axis=-1)


def _on_grid(first: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    modulus = first.shape[0] // 2
    u, v = first[:modulus], first[modulus + b[: b.shape[0] // modulus]]
    return (u[:, None, :] + v[None, :, :]).reshape(b.shape[0], -1)


def _sum_grid(
    total: jax.Array, a: jax.Array, b: jax.Array, slope: jax.Array
) -> jax.Array:
    modulus = total.shape[0] // 2
    grid = slope.reshape(modulus, -1, slope.shape[-1])
    total = total.at[:modulus].add(jnp.sum(grid, axis=1))
    return total.at[modulus + b[: grid.shape[1]]].add(jnp.sum(grid, axis=0))


def _sum_by_place(
    total: jax.Array, a: jax.Array, b: jax.Array, slope: jax.Array
) -> jax.Array:
    """Sums over the rows and columns of a table of all pairs, 0 where there is none.

    Deterministic without products: which example stands where is written by integers
    that differ.
    """
    modulus, n = total.shape[0] // 2, a.shape[0]
    table = jnp.full((modulus, modulus), n).at[a, b].set(jnp.arange(n))
    rows = slope.at[table].get(mode="fill", fill_value=0.0)
    return total + jnp.concatenate([jnp.sum(rows, axis=1), jnp.sum(rows, axis=0)])


# Which is fastest on a CPU is measured in benchmarks/: gather. A GPU's scatter-add
# rounds in any order, so there gather_product: of the deterministic ones it takes the
# least traffic by the programs compiled for a card (benchmarks/gpu_kernels.py).
KERNELS: dict[str, Kernel] = {
    "gather": Kernel(_gather, _scatter, twice=True),
    "one_hot": Kernel(
        lambda first, a, b: _one_hots(first, a, b) @ first,
        lambda total, a, b, slope: total + _one_hots(total, a, b).T @ slope,
    ),
    "gather_product": Kernel(
        _gather,
        lambda total, a, b, slope: total + _one_hots(total, a, b).T @ slope,
        twice=True,
    ),
    "gather_sum": Kernel(_gather, _sum_by_place, twice=True, distinct=True),
    "grid": Kernel(_on_grid, _sum_grid, whole_table=True),
}


def first_table(params: Any) -> jax.Array:
    """[2p, N] `first`, the bias of the hidden layer (if any) in the rows of u.

    So it is added, and its gradient summed, over p residues and not n examples.
    """
    first = params["first"]
    bias = params.get("first_bias")
    return first if bias is None else first.at[: first.shape[0] // 2].add(bias)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _activated(
    sigma: Callable[[jax.Array], jax.Array], h: jax.Array, again: jax.Array
) -> jax.Array:
    """sigma(h), its slope taken at `again`, which equals h."""
    return sigma(h)


@_activated.defjvp
def _activated_jvp(sigma: Any, primals: Any, tangents: Any) -> tuple[Any, Any]:
    h, again = primals
    _, tangent = jax.jvp(sigma, (again,), tangents[:1])
    return sigma(h), tangent


class TwoLayer(nn.Module):
    """The two-layer network of the module docstring.

    Parameters: first [2p, N] (rows 0..p-1 are u, p..2p-1 are v) or [d, N], readout
    [C, N], and with `bias` first_bias [N], readout_bias [C]. One row of the readout a
    class: its gradient and that of the hidden layer are then products of matrices as
    they lie in memory (30 % of a step at p = 97 on a CPU).
    """

    system: System
    shape: Shape

    @nn.compact
    def __call__(
        self,
        inputs: jax.Array,
        scale: Scale,
        drop: Drop | None = None,
        embedded: jax.Array | None = None,
        again: jax.Array | None = None,
    ) -> Activity:
        """What the network does on inputs: [n, 2] pairs of tokens, or [n, d] reals.

        drop: silences hidden neurons.
        embedded: [n, N] u[a] + v[b] + bias, by one of `KERNELS` of the `first_table`
          (default: by gather).
        again: the same, computed once more, for the slope of sigma (default: embedded).
        """
        width = self.system.width

        # Drawn neuron by neuron, so that a wider network keeps the first neurons. Flat,
        # then shaped: the same numbers, but drawn as a matrix they take XLA:CPU ten
        # times as long to compile (7 s against 0.7 s, jaxlib 0.10.2).
        def draw(key: jax.Array, std: Scalar, rows: int) -> jax.Array:
            numbers = jax.random.normal(key, (width * rows,))
            return std * numbers.reshape(width, rows).T

        first = self.param("first", draw, scale.first_std, self.shape.n_inputs)
        readout = self.param("readout", draw, scale.readout_std, self.shape.n_outputs)
        layer = {"first": first}
        zeros = nn.initializers.zeros
        if self.system.bias:
            layer["first_bias"] = self.param("first_bias", zeros, (width,))
        if embedded is None:
            embedded = _embedded(layer, inputs, self.shape)
        h = scale.hidden_scale * embedded
        sigma = sigma_of(self.system.activation, scale)
        hidden = sigma(h)
        if again is not None:
            hidden = _activated(sigma, h, scale.hidden_scale * again)
        hidden = hidden if drop is None else drop(hidden)
        logits = hidden @ readout.T
        if self.system.bias:
            readout_bias = self.param("readout_bias", zeros, (self.shape.n_outputs,))
            logits = logits + readout_bias[None, :]
        return Activity(scale.prefactor * logits, h, hidden)


def _embedded(layer: Any, inputs: jax.Array, shape: Shape) -> jax.Array:
    """[n, N] what the hidden neurons see, but for `Scale.hidden_scale`."""
    if shape.n_tokens:
        return _gather(first_table(layer), inputs[:, 0], inputs[:, 1])
    seen = inputs @ (layer["first"] / shape.n_inputs**0.5)
    return seen + layer["first_bias"][None, :] if "first_bias" in layer else seen


def two_layer_ntk(
    network: TwoLayer, params: Any, inputs: jax.Array, scale: Scale
) -> jax.Array:
    """[n, n] neural tangent kernel of the two-layer network, traced over outputs.

    prefactor^2 sum_j [ C sigma_j(x) sigma_j(y)
                        + hidden_scale^2 |a_j|^2 sigma'_j(x) sigma'_j(y) x.y ],
    with C added for a readout bias and 1 to x.y for a bias of the hidden layer; x.y
    counts the tokens that two examples share, or is divided by d.
    """
    activity = network.apply({"params": params}, inputs, scale)
    h = activity.preactivation
    sigma = sigma_of(network.system.activation, scale)
    _, slope = jax.jvp(sigma, (h,), (jnp.ones_like(h),))
    readout = params["readout"]
    if network.shape.n_tokens:
        a, b = inputs[:, 0], inputs[:, 1]
        shared = (a[:, None] == a[None, :]).astype(h.dtype)
        shared += (b[:, None] == b[None, :]).astype(h.dtype)
    else:
        shared = inputs @ inputs.T / network.shape.n_inputs
    bias = 1.0 if network.system.bias else 0.0
    slope = slope * jnp.linalg.norm(readout, axis=0)[None, :] * scale.hidden_scale
    of_readout = activity.hidden @ activity.hidden.T + bias
    of_first = (slope @ slope.T) * (shared + bias)
    return scale.prefactor**2 * (readout.shape[0] * of_readout + of_first)
