"""Transformers on tokens a, b, "=", read at "=" or elsewhere (`READ_AT`).

With one block and no normalisation that of Nanda et al. (arXiv 2301.05217).
"""

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

# Where activations are normalised (Ba et al., arXiv 1607.06450).
LAYER_NORMS: dict[str, str] = {
    "none": "nowhere",
    "pre": "before attention, before each mlp and before the readout, of transformer",
    "post": "after attention and each mlp, what they add included, of transformer",
}
NORM_EPSILON = 1e-5  # PyTorch's
EQUALS, LAST, MEAN = "equals", "last", "mean"
# Which tokens there are, and where outputs are read.
READ_AT: dict[str, str] = {
    EQUALS: 'at a third token, "=", which sees those before it as all do',
    LAST: "at the last token of the pair; both tokens see each other, of transformer",
    MEAN: "from the mean over the pair, whose tokens see each other, of transformer",
}


class Transformer(nn.Module):
    """Blocks of attention, then an mlp, each added to a residual stream.

    Residual stream of dimension d = `embedding`; `heads` heads of dimension `head_dim`
    (0: d / heads); an mlp of `width` neurons a block; outputs are read at the last
    token, "=", and attention is causal, or else as `READ_AT` says; hidden activations
    are those of the last token. Biases of attention and mlps, not of the readout, with
    `bias`. Weights N(0, alpha^2 / d), but the unembedding N(0, alpha^2 / p), as in the
    authors' code; raw rates.

    Parameters, H being heads * head_dim: embedding [p + 1, d], position [3, d] (without
    "=" one row less), query, key, value [d, H], mixed [H, d] (names hidden_..), first
    [d, N], hidden_out [N, d], readout [p, d]; those of block k > 1 end in _k, its mlp
    begins with hidden_first_k.
    """

    system: System
    shape: Shape

    def weights(
        self, name: str, rows: int, columns: int, fan: int, scale: Scale
    ) -> jax.Array:
        def scaled(key: jax.Array) -> jax.Array:
            return scale.first_std * (
                jax.random.normal(key, (rows, columns)) / fan**0.5
            )

        drawn: jax.Array = self.param(name, scaled)
        return drawn

    def linear(
        self, name: str, x: jax.Array, columns: int, fan: int, scale: Scale
    ) -> jax.Array:
        """[.., columns] of x [.., rows], with a bias that begins at 0 where `bias`."""
        out = x @ self.weights(name, x.shape[-1], columns, fan, scale)
        if not self.system.bias:
            return out
        bias = self.param(f"{name}_bias", nn.initializers.zeros, (columns,))
        return out + bias.reshape((1,) * (out.ndim - 1) + (-1,))

    def normalised(self, where: str, name: str, stream: jax.Array) -> jax.Array:
        """[.., d] of mean 0 and variance 1 over d, times a gain, plus a bias.

        where: of `LAYER_NORMS`; elsewhere the stream as it is.
        """
        if self.system.layer_norm != where:
            return stream
        d, shape = stream.shape[-1], (1,) * (stream.ndim - 1) + (-1,)
        gain = self.param(f"{name}_gain", nn.initializers.ones, (d,)).reshape(shape)
        bias = self.param(f"{name}_bias", nn.initializers.zeros, (d,)).reshape(shape)
        centred = stream - jnp.mean(stream, axis=-1, keepdims=True)
        variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
        return centred * jax.lax.rsqrt(variance + NORM_EPSILON) * gain + bias

    def attended(
        self, suffix: str, stream: jax.Array, is_last: bool, scale: Scale
    ) -> jax.Array:
        """[n, places, d] what attention adds; of the last block at the last place."""
        d, heads = self.system.embedding, self.system.heads
        places, size = stream.shape[1], self.system.head_dim or d // heads
        seen = self.normalised("pre", f"norm_attention{suffix}", stream)
        query, key, value = (
            self.linear(f"hidden_{name}{suffix}", seen, heads * size, d, scale).reshape(
                -1, places, heads, size
            )
            for name in ("query", "key", "value")
        )
        query = query[:, -1:] if is_last else query
        score = jnp.einsum("nqhd,nkhd->nhqk", query, key) / np.sqrt(size)
        if not is_last and self.system.read_at == EQUALS:  # the last place sees all
            causal = np.tril(np.ones((places, places), bool))
            score = jnp.where(causal, score, -jnp.inf)
        attention = jax.nn.softmax(score, axis=-1)
        mixed = jnp.einsum("nhqk,nkhd->nqhd", attention, value)
        mixed = mixed.reshape(-1, query.shape[1], heads * size)
        return self.linear(f"hidden_mixed{suffix}", mixed, d, d, scale)

    @nn.compact
    def __call__(
        self, inputs: jax.Array, scale: Scale, drop: Drop | None = None
    ) -> Activity:
        d, width, blocks = self.system.embedding, self.system.width, self.system.blocks
        n_tokens, n_outputs = self.shape.n_tokens, self.shape.n_outputs
        read_at, tokens = self.system.read_at, inputs
        sigma = sigma_of(self.system.activation, scale)
        if read_at == EQUALS:
            equals = jnp.full((inputs.shape[0], 1), n_tokens, inputs.dtype)
            tokens = jnp.concatenate([inputs, equals], axis=1)
        n_rows, places = n_tokens + (read_at == EQUALS), tokens.shape[1]
        stream = lookup(self.weights("embedding", n_rows, d, d, scale), tokens)
        stream = stream + self.weights("position", places, d, d, scale)[None]
        h = hidden = stream
        for block in range(1, blocks + 1):
            # Where one place is read, the last block is computed there alone.
            is_last = block == blocks and read_at != MEAN
            suffix = "" if block == 1 else f"_{block}"
            first = "first" if block == 1 else f"hidden_first{suffix}"
            added = self.attended(suffix, stream, is_last, scale)
            stream = (stream[:, -1:] if is_last else stream) + added
            stream = self.normalised("post", f"norm_attention{suffix}", stream)
            seen = self.normalised("pre", f"norm_mlp{suffix}", stream)
            h = self.linear(first, seen, width, d, scale)
            hidden = sigma(h)
            hidden = drop(hidden) if drop is not None and block == blocks else hidden
            out = self.linear(f"hidden_out{suffix}", hidden, d, d, scale)
            stream = stream + out
            stream = self.normalised("post", f"norm_mlp{suffix}", stream)
        read = stream if read_at == MEAN else stream[:, -1]
        read = self.normalised("pre", "norm_readout", read)
        read = read.mean(axis=1) if read_at == MEAN else read
        outputs = read @ self.weights("readout", n_outputs, d, n_outputs, scale).T
        return Activity(scale.prefactor * outputs, h[:, -1], hidden[:, -1])
