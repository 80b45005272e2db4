"""The one-layer transformer of Nanda et al. (arXiv 2301.05217) on tokens a, b, "="."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from grokmap.models.lookup import lookup
from grokmap.models.scale import Scale, sigma_of
from grokmap.models.two_layer import Activity, Drop
from grokmap.spec import System
from grokmap.tasks import Shape

HEADS = 4


class Transformer(nn.Module):
    """One block without layer norm or biases: attention of 4 heads, then an mlp.

    Residual stream of dimension d = `embedding`, mlp of `width` neurons; outputs are
    read at the last token, "=". Weights N(0, alpha^2 / d), but the unembedding
    N(0, alpha^2 / p), as in the authors' code; raw rates.

    Parameters: embedding [p + 1, d], position [3, d], query, key, value, mixed [d, d]
    (names hidden_..), first [d, N], hidden_out [N, d], readout [p, d].
    """

    system: System
    shape: Shape

    @nn.compact
    def __call__(
        self, inputs: jax.Array, scale: Scale, drop: Drop | None = None
    ) -> Activity:
        d, width = self.system.embedding, self.system.width
        n_tokens, n_outputs = self.shape.n_tokens, self.shape.n_outputs
        places = inputs.shape[1] + 1

        def weights(name: str, rows: int, columns: int, fan: int) -> jax.Array:
            def normal(key: jax.Array) -> jax.Array:
                return jax.random.normal(key, (rows, columns)) / fan**0.5

            def scaled(key: jax.Array) -> jax.Array:
                return scale.first_std * normal(key)

            drawn: jax.Array = self.param(name, scaled)
            return drawn

        equals = jnp.full((inputs.shape[0], 1), n_tokens, inputs.dtype)
        tokens = jnp.concatenate([inputs, equals], axis=1)
        stream = lookup(weights("embedding", n_tokens + 1, d, d), tokens)
        stream = stream + weights("position", places, d, d)[None]
        query, key, value = (
            (stream @ weights(f"hidden_{name}", d, d, d)).reshape(
                -1, places, HEADS, d // HEADS
            )
            for name in ("query", "key", "value")
        )
        # Only the last place is read, so only its attention is computed.
        score = jnp.einsum("nhd,nkhd->nhk", query[:, -1], key)
        attention = jax.nn.softmax(score / np.sqrt(d // HEADS), axis=-1)
        seen = jnp.einsum("nhk,nkhd->nhd", attention, value).reshape(-1, d)
        last = stream[:, -1] + seen @ weights("hidden_mixed", d, d, d)
        h = last @ weights("first", d, width, d)
        hidden = sigma_of(self.system.activation, scale)(h)
        hidden = hidden if drop is None else drop(hidden)
        last = last + hidden @ weights("hidden_out", width, d, d)
        outputs = last @ weights("readout", n_outputs, d, n_outputs).T
        return Activity(scale.prefactor * outputs, h, hidden)
