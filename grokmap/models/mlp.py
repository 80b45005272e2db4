"""Networks of any depth: on inputs as they are, and on learned embeddings of tokens.

Three parameterisations, by the alpha convention (`Convention.layers`):
uniform    h = W h + b, W and b uniform within alpha / sqrt(fan_in), as PyTorch draws
normal     h = W h + b, W ~ N(0, alpha^2 / fan_in), b = 0
unit       h = W h / sqrt(fan_in) + b, W ~ N(0, 1), b = 0; for the last layer
           `Scale.prefactor` stands in the place of 1 / sqrt(fan_in)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from grokmap.models.lookup import lookup
from grokmap.models.published import embedding_mlp_weights
from grokmap.models.scale import ALPHA_CONVENTIONS, Scalar, Scale, sigma_of
from grokmap.models.two_layer import Activity, Drop
from grokmap.spec import System
from grokmap.tasks import Shape


def dense(
    module: nn.Module,
    name: str,
    h: jax.Array,
    fan_out: int,
    std: Scalar,
    *,
    kind: str,
    bias: bool,
    drawn: Mapping[str, Any] | None = None,
) -> jax.Array:
    """One layer of `module`: [n, fan_in] -> [n, fan_out]; see the module docstring.

    kind: of the parameterisation.

    Parameters: `name` [fan_in, fan_out] and `name`_bias [fan_out]; "readout" is stored
    as [fan_out, fan_in] and, where of unit weights, not divided by sqrt(fan_in).
    drawn: arrays of a published run, in the place of random ones.
    """
    fan_in, is_readout = h.shape[-1], name == "readout"
    bound = std / fan_in**0.5

    def uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        return bound * jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)

    def normal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        return (std if kind == "unit" else bound) * jax.random.normal(key, shape)

    def start(name: str, otherwise: Any) -> Any:
        if drawn is None:
            return otherwise
        return lambda key, shape: std * jnp.asarray(drawn[name])

    draw = uniform if kind == "uniform" else normal
    shape = (fan_out, fan_in) if is_readout else (fan_in, fan_out)
    weights = module.param(name, start(name, draw), shape)
    weights = weights / fan_in**0.5 if kind == "unit" and not is_readout else weights
    h = h @ (weights.T if is_readout else weights)
    if not bias:
        return h
    zeros = nn.initializers.zeros
    first_biases = start(f"{name}_bias", uniform if kind == "uniform" else zeros)
    return h + module.param(f"{name}_bias", first_biases, (fan_out,))[None, :]


def layers(
    module: Any,
    h: jax.Array,
    scale: Scale,
    drop: Drop | None,
    drawn: Mapping[str, Any] | None = None,
) -> Activity:
    """Hidden layers first, hidden_2, .., of `depth` in all, then readout."""
    system: System = module.system
    sigma = sigma_of(system.activation, scale)
    hidden, every = h, []
    for layer in range(1, system.depth + 1):
        name = "first" if layer == 1 else f"hidden_{layer}"
        how: dict[str, Any] = {
            "kind": ALPHA_CONVENTIONS[system.alpha_convention].layers,
            "bias": system.bias,
            "drawn": drawn,
        }
        h = dense(module, name, hidden, system.width, scale.first_std, **how)
        h = scale.hidden_scale * h
        hidden = sigma(h)
        every.append(hidden)
    hidden = hidden if drop is None else drop(hidden)
    outputs = dense(
        module, "readout", hidden, module.shape.n_outputs, scale.readout_std, **how
    )
    return Activity(scale.prefactor * outputs, h, hidden, tuple(every))


class Mlp(nn.Module):
    """`depth` hidden layers of `width` neurons on reals, or on one-hot tokens."""

    system: System
    shape: Shape

    @nn.compact
    def __call__(
        self, inputs: jax.Array, scale: Scale, drop: Drop | None = None
    ) -> Activity:
        if self.shape.n_tokens:
            hot = jax.nn.one_hot(inputs, self.shape.n_tokens, dtype=jnp.float32)
            inputs = hot.reshape(inputs.shape[0], -1)
        return layers(self, inputs, scale, drop)


class EmbeddingMlp(nn.Module):
    """An mlp on the sum of its tokens' embeddings (or on all of them, side by side).

    Parameters: embedding [p, embedding], uniform on alpha (-1/2, 1/2) as in Liu et al.
    (arXiv 2205.10343), or N(0, alpha^2 / embedding) where layers are normal; and those
    of the mlp.
    """

    system: System
    shape: Shape
    concatenated: bool = False

    @nn.compact
    def __call__(
        self, inputs: jax.Array, scale: Scale, drop: Drop | None = None
    ) -> Activity:
        drawn = None
        if self.system.published_seed >= 0:
            drawn = embedding_mlp_weights(self.system, self.shape)

        def uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
            if drawn is not None:
                return scale.first_std * jnp.asarray(drawn["embedding"])
            return scale.first_std * (jax.random.uniform(key, shape) - 0.5)

        def normal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
            return scale.first_std / shape[1] ** 0.5 * jax.random.normal(key, shape)

        kind = ALPHA_CONVENTIONS[self.system.alpha_convention].layers
        draw = normal if kind == "normal" else uniform
        shape = (self.shape.n_tokens, self.system.embedding)
        embedded = lookup(self.param("embedding", draw, shape), inputs)
        joined = (
            embedded.reshape(inputs.shape[0], -1)
            if self.concatenated
            else jnp.sum(embedded, axis=1)
        )
        return layers(self, joined, scale, drop, drawn)
