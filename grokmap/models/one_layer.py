"""Networks small enough for exact theory: committee, linear, diagonal. Real inputs."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from grokmap.models.scale import Scalar, Scale, sigma_of
from grokmap.models.two_layer import Activity, Drop
from grokmap.spec import System
from grokmap.tasks import Shape


class Committee(nn.Module):
    """f(x) = prefactor * sum_j sigma(w_j.x / sqrt(d)): every readout is 1.

    The network of Kumar et al. (arXiv 2310.06110). With the polynomial activation, f
    and its gradient descent depend on the weights by their mean and second moments
    alone; so in the place of N > d + 1 neurons d + 1 with the same moments are trained,
    which is exact and N / (d + 1) times faster. They are stored times
    sqrt(N / (d + 1)), so that step, decay and weight norm are those of N neurons.

    Parameters: first [d, N or d + 1].
    """

    system: System
    shape: Shape

    @nn.compact
    def __call__(
        self, inputs: jax.Array, scale: Scale, drop: Drop | None = None
    ) -> Activity:
        n_inputs, width = self.shape.n_inputs, self.system.width
        compressed = is_compressed(self.system, self.shape)
        size = (width / (n_inputs + 1)) ** 0.5 if compressed else 1.0

        def draw(key: jax.Array, std: Scalar) -> jax.Array:
            numbers = jax.random.normal(key, (width * n_inputs,))
            weights = std * numbers.reshape(width, n_inputs).T
            return size * with_same_moments(weights) if compressed else weights

        first = self.param("first", draw, scale.first_std)
        # A row a neuron: then no product, of the gradient neither, has its long side
        # transposed. The barrier keeps XLA from turning it back.
        rows = lax.optimization_barrier((first / (size * n_inputs**0.5)).T)
        h = scale.hidden_scale * (rows @ inputs.T)
        hidden = sigma_of(self.system.activation, scale)(h)
        hidden = hidden if drop is None else drop(hidden)
        # As a mean, so that the fewer neurons of a compressed one stand for N.
        mean = jnp.mean(hidden, axis=0)[:, None]
        return Activity(scale.prefactor * width * mean, h.T, hidden.T)


def is_compressed(system: System, shape: Shape) -> bool:
    """Whether a committee is trained as fewer neurons: by plain descent only."""
    plain = system.optimizer == "gd" and not system.noisy and not system.perp_grad
    few = shape.n_inputs + 1 < system.width
    return system.activation == "polynomial" and plain and few


def with_same_moments(weights: jax.Array) -> jax.Array:
    """[d, d + 1] neurons with the mean and the second moments of weights [d, N].

    The moments are A = Z Z^T / N, Z = (1, w) [d + 1, N]. Any Y [d + 1, d + 1] with
    Y Y^T / (d + 1) = A and a first row of ones will do: a Cholesky factor of A, turned
    so that its first row points along (1, .., 1).
    """
    d, width = weights.shape
    rows = jnp.concatenate([jnp.ones((1, width)), weights])
    factor = jnp.linalg.cholesky(rows @ rows.T / width)
    mirror = jnp.zeros(d + 1).at[0].set(1.0) - (d + 1) ** -0.5
    turn = jnp.eye(d + 1) - 2.0 * jnp.outer(mirror, mirror) / jnp.sum(mirror**2)
    return ((d + 1) ** 0.5 * factor @ turn)[1:]


class Tensor(nn.Module):
    """f_c(a, b) = prefactor * sum_j readout[c, j] u_j[a] v_j[b]: a sum of N products.

    The operation's table as a tensor of rank N (canonical polyadic decomposition,
    Hitchcock 1927). Parameters: first [2p, N] (u, then v), readout [C, N].
    """

    system: System
    shape: Shape

    @nn.compact
    def __call__(
        self, inputs: jax.Array, scale: Scale, drop: Drop | None = None
    ) -> Activity:
        def draw(key: jax.Array, std: Scalar, rows: int) -> jax.Array:
            return std * jax.random.normal(key, (rows, self.system.width))

        first = self.param("first", draw, scale.first_std, self.shape.n_inputs)
        readout = self.param("readout", draw, scale.readout_std, self.shape.n_outputs)
        u, v = first[inputs[:, 0]], first[self.shape.n_tokens + inputs[:, 1]]
        h = scale.hidden_scale * u * v
        hidden = h if drop is None else drop(h)
        return Activity(scale.prefactor * (hidden @ readout.T), h, hidden)


class Linear(nn.Module):
    """f(x) = prefactor * W x / sqrt(d): Levi et al. (arXiv 2310.16441).

    Parameters: first [d, C].
    """

    system: System
    shape: Shape

    @nn.compact
    def __call__(
        self, inputs: jax.Array, scale: Scale, drop: Drop | None = None
    ) -> Activity:
        def draw(key: jax.Array, std: Scalar) -> jax.Array:
            shape = (self.shape.n_inputs, self.shape.n_outputs)
            return std * jax.random.normal(key, shape)

        first = self.param("first", draw, scale.first_std)
        outputs = scale.prefactor * (inputs @ (first / self.shape.n_inputs**0.5))
        return Activity(outputs, outputs, outputs)


class Diagonal(nn.Module):
    """f(x) = prefactor * sum_i (u_i^2 - v_i^2) x_i, u = v = alpha at the start.

    The diagonal linear network of Lyu et al. (arXiv 2311.18817). Parameters: plus u,
    minus v [d, C].
    """

    system: System
    shape: Shape

    @nn.compact
    def __call__(
        self, inputs: jax.Array, scale: Scale, drop: Drop | None = None
    ) -> Activity:
        def level(key: jax.Array) -> jax.Array:
            return jnp.full(
                (self.shape.n_inputs, self.shape.n_outputs), scale.first_std
            )

        plus, minus = self.param("plus", level), self.param("minus", level)
        outputs = scale.prefactor * (inputs @ (jnp.square(plus) - jnp.square(minus)))
        return Activity(outputs, outputs, outputs)
