"""Rows of a table by token, with a gradient that sums in one order on a GPU."""

from __future__ import annotations

from typing import Any

import jax
from jax import lax

EMBEDDINGS = ("embedding", "position")  # names of the arrays of rows by token, by place


@jax.custom_jvp
def lookup(table: jax.Array, tokens: jax.Array) -> jax.Array:
    """table[tokens]: [tokens, [d]] of a table [p, d].

    The gradient of a plain one is a scatter-add. A CPU does it in order; a GPU with
    atomic additions, in any order, and with jaxlib 0.10 hundreds of times too slowly
    (openxla/xla#46225). There it is a product with one-hot tokens.
    """
    return table[tokens]


@lookup.defjvp
def _lookup_jvp(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    (table, tokens), (moved, _) = primals, tangents
    return lookup(table, tokens), _linear(moved, tokens)


def _linear(table: jax.Array, tokens: jax.Array) -> jax.Array:
    """The same rows, by what transposes well on each platform."""
    return lax.platform_dependent(
        table,
        tokens,
        cpu=lambda table, tokens: table[tokens],
        default=lambda table, tokens: (
            jax.nn.one_hot(tokens, table.shape[0], dtype=table.dtype) @ table
        ),
    )
