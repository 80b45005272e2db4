"""Networks as flax modules, and what `alpha` means to them.

The two-layer network on a pair of residues (a, b), N hidden neurons, C outputs:

    f_c(a, b) = prefactor * [ sum_j readout[c, j] sigma(h_j) + bias_c ]
    h_j       = hidden_scale * (u_j[a] + v_j[b] + bias_j)

DESIGN's conventions: all weights drawn N(0, 1) and O(1); f = N^(alpha-1) sum_j.
Kumar et al. (arXiv 2310.06110) write the same scale as K/N with K = N^alpha.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

Scalar = Any  # a float, or a traced array of shape ()


class Scale(NamedTuple):
    """All that alpha sets. Scalars: floats on the host, traced arrays in training.

    prefactor, hidden_scale: see the module's formula.
    first_std, readout_std: standard deviations of the initial weights.
    laziness: Kumar's K; relative weight motion goes as 1/K (K = 1 rich, large lazy).
    gd_step, adam_step: factors of the learning rate with which function space moves
      at O(learning_rate) whatever alpha and N (but for survey_code, whose rates are
      raw, and init_scale with tanh or erf, which are no forms). The readout bias moves
      2/N as fast as the rest.
    gd_decay: factor of lambda in the coupled gradient of (lambda/2N) |theta|^2.
    """

    prefactor: Scalar
    hidden_scale: Scalar
    first_std: Scalar
    readout_std: Scalar
    laziness: Scalar
    gd_step: Scalar
    adam_step: Scalar
    gd_decay: Scalar


class Convention(NamedTuple):
    """One meaning of alpha.

    scale: (alpha, N, degree, n_inputs) -> Scale; degree: of f in the weights.
    multiplies: whether alpha is a factor (above 0) or an exponent of N.
    """

    formula: str
    scale: Callable[[Scalar, int, int, int], Scale]
    multiplies: bool = False


class Activation(NamedTuple):
    """sigma, and the degree of a sigma(w x) as a form in (a, w).

    tanh and erf are no forms; degree 2 is theirs near 0.
    """

    function: Callable[[jax.Array], jax.Array]
    degree: int


ACTIVATIONS: dict[str, Activation] = {
    "quadratic": Activation(jnp.square, 3),
    "relu": Activation(jax.nn.relu, 2),
    "erf": Activation(jax.lax.erf, 2),
    "tanh": Activation(jnp.tanh, 2),
}


def _unit_weights(prefactor: Scalar, laziness: Scalar, width: int) -> Scale:
    """Weights N(0, 1), so that laziness K alone sets every rate."""
    return Scale(
        prefactor=prefactor,
        hidden_scale=1.0,
        first_std=1.0,
        readout_std=1.0,
        laziness=laziness,
        gd_step=width / laziness**2,
        adam_step=1.0 / laziness,
        gd_decay=1.0 / width,
    )


def _laziness(alpha: Scalar, width: int, degree: int, n_inputs: int) -> Scale:
    return _unit_weights(width ** (alpha - 1.0), width ** (alpha * 1.0), width)


def _literal(alpha: Scalar, width: int, degree: int, n_inputs: int) -> Scale:
    return _unit_weights(width ** (-alpha * 1.0), width ** (1.0 - alpha), width)


def _output_scale(alpha: Scalar, width: int, degree: int, n_inputs: int) -> Scale:
    return _unit_weights(alpha / width, alpha * 1.0, width)


def _init_scale(alpha: Scalar, width: int, degree: int, n_inputs: int) -> Scale:
    """f ~ alpha^L and NTK ~ alpha^(2L-2) for an L-homogeneous f (LITERATURE A, iv)."""
    speed = alpha ** (degree - 1.0)
    return Scale(
        prefactor=1.0 / width,
        hidden_scale=1.0,
        first_std=alpha * 1.0,
        readout_std=alpha * 1.0,
        laziness=alpha ** (1.0 * degree),
        gd_step=width / speed**2,
        adam_step=1.0 / speed,
        gd_decay=1.0 / width,
    )


def _survey_code(alpha: Scalar, width: int, degree: int, n_inputs: int) -> Scale:
    """The parameterisation of the survey's code: standard weights, raw rates.

    Its output scale is that of `literal` at (degree - 1) alpha + 1/2 (LITERATURE A, i).
    """
    return Scale(
        prefactor=1.0,
        hidden_scale=width ** (-alpha * 1.0),
        first_std=n_inputs**-0.5,
        readout_std=width**-0.5,
        laziness=width ** (0.5 - (degree - 1) * alpha),
        gd_step=1.0,
        adam_step=1.0,
        gd_decay=1.0,
    )


ALPHA_CONVENTIONS: dict[str, Convention] = {
    "laziness": Convention("f = N^(alpha-1) sum_j a_j sigma(w_j.x)", _laziness),
    "literal": Convention("f = N^(-alpha) sum_j a_j sigma(w_j.x)", _literal),
    "output_scale": Convention(
        "f = (alpha/N) sum_j a_j sigma(w_j.x)", _output_scale, multiplies=True
    ),
    "init_scale": Convention(
        "f = (1/N) sum_j a_j sigma(w_j.x), initial weights times alpha",
        _init_scale,
        multiplies=True,
    ),
    "survey_code": Convention(
        "f = sum_j a_j sigma(N^(-alpha) w_j.x), a ~ N(0, 1/N), w ~ N(0, 1/d)",
        _survey_code,
    ),
}


class Activity(NamedTuple):
    """Logits [n, C]; pre-activations and activations of the hidden layer [n, N]."""

    logits: jax.Array
    preactivation: jax.Array
    hidden: jax.Array


class Kernel(NamedTuple):
    """One way to compute the first layer u[a] + v[b], linear in `first` [2p, N].

    embed: (first, a, b) -> [n, N].
    add_gradient: (total, a, b, slope [n, N]) -> total [2p, N] plus the gradient in
      `first` of sum(embed * slope).
    whole_table: whether a, b have to be all examples in the table's own order.
    anew: whether to embed anew for the gradient is cheaper than to keep [n, N].
    """

    embed: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
    add_gradient: Callable[[jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]
    whole_table: bool = False
    anew: bool = False


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


# Which is fastest where is measured in benchmarks/: gather on a CPU; a GPU's
# scatter-add is slow and rounds in any order, so one_hot there.
KERNELS: dict[str, Kernel] = {
    "gather": Kernel(_gather, _scatter, anew=True),
    "one_hot": Kernel(
        lambda first, a, b: _one_hots(first, a, b) @ first,
        lambda total, a, b, slope: total + _one_hots(total, a, b).T @ slope,
    ),
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

    Parameters: first [2p, N] (rows 0..p-1 are u, p..2p-1 are v), readout [p, N], and
    with `bias` first_bias [N], readout_bias [p]. One row of the readout a class: its
    gradient and that of the hidden layer are then products of matrices as they lie in
    memory (30 % of a step at p = 97 on a CPU).
    """

    modulus: int
    width: int
    activation: str
    bias: bool = False

    @nn.compact
    def __call__(
        self,
        a: jax.Array,
        b: jax.Array,
        scale: Scale,
        embedded: jax.Array | None = None,
        again: jax.Array | None = None,
    ) -> Activity:
        """What the network does on the pairs a, b: [n].

        embedded: [n, N] u[a] + v[b] + bias, by one of `KERNELS` of the `first_table`
          (default: by gather).
        again: the same, computed anew, for the slope of sigma (default: embedded).
        """

        # Drawn neuron by neuron, so that a wider network keeps the first neurons. Flat,
        # then shaped: the same numbers, but drawn as a matrix they take XLA:CPU ten
        # times as long to compile (7 s against 0.7 s, jaxlib 0.10.2).
        def draw(key: jax.Array, std: Scalar, rows: int) -> jax.Array:
            numbers = jax.random.normal(key, (self.width * rows,))
            return std * numbers.reshape(self.width, rows).T

        first = self.param("first", draw, scale.first_std, 2 * self.modulus)
        readout = self.param("readout", draw, scale.readout_std, self.modulus)
        layer = {"first": first}
        if self.bias:
            zeros = nn.initializers.zeros
            layer["first_bias"] = self.param("first_bias", zeros, (self.width,))
        if embedded is None:
            embedded = _gather(first_table(layer), a, b)
        h = scale.hidden_scale * embedded
        sigma = ACTIVATIONS[self.activation].function
        hidden = sigma(h)
        if again is not None:
            hidden = _activated(sigma, h, scale.hidden_scale * again)
        logits = hidden @ readout.T
        if self.bias:
            zeros = nn.initializers.zeros
            readout_bias = self.param("readout_bias", zeros, (self.modulus,))
            logits = logits + readout_bias[None, :]
        return Activity(scale.prefactor * logits, h, hidden)


def two_layer_ntk(
    network: TwoLayer, params: Any, a: jax.Array, b: jax.Array, scale: Scale
) -> jax.Array:
    """[n, n] neural tangent kernel of the two-layer network, traced over outputs.

    prefactor^2 sum_j [ C sigma_j(x) sigma_j(y)
                        + hidden_scale^2 |a_j|^2 sigma'_j(x) sigma'_j(y) x.y ],
    with C added for a readout bias and 1 to x.y for a bias of the hidden layer; x.y
    counts the residues that two examples share.
    """
    activity = network.apply({"params": params}, a, b, scale)
    h = activity.preactivation
    sigma = ACTIVATIONS[network.activation].function
    _, slope = jax.jvp(sigma, (h,), (jnp.ones_like(h),))
    readout = params["readout"]
    shared = (a[:, None] == a[None, :]).astype(h.dtype)
    shared += (b[:, None] == b[None, :]).astype(h.dtype)
    bias = 1.0 if network.bias else 0.0
    slope = slope * jnp.linalg.norm(readout, axis=0)[None, :] * scale.hidden_scale
    of_readout = activity.hidden @ activity.hidden.T + bias
    of_first = (slope @ slope.T) * (shared + bias)
    return scale.prefactor**2 * (readout.shape[0] * of_readout + of_first)


class Model(NamedTuple):
    """A flax module, and its neural tangent kernel where a closed form is known.

    ntk: (module, params, a, b, scale) -> [n, n]; None: by Jacobian contraction.
    """

    module: type[nn.Module]
    ntk: Callable[..., jax.Array] | None = None


MODELS: dict[str, Model] = {"two_layer": Model(TwoLayer, two_layer_ntk)}
