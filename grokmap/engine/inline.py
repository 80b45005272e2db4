"""All weights in one row, and a gradient that avalanches spread over it.

Arrays stand in the order of their names, as in first, first_bias, readout,
readout_bias; in matrices the weights into a neuron stand side by side, as in PyTorch.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grokmap.avalanches import Probe, graph_of
from grokmap.avalanches.relaxation import spread_out

GRAPH, GRAPH_SEED = "barabasi_albert", 0
FEWEST = 5  # weights that have such a graph


def by_neuron(name: str, values: Any) -> Any:
    """[..] an array of weights as it stands in the row; its own inverse."""
    into_neurons = name == "first" or name.startswith("hidden_")
    return values.swapaxes(-1, -2) if into_neurons and values.ndim > 1 else values


def redistributed(grads: Any, passed: Any) -> Any:
    """A gradient whose largest tenth is spread out by avalanches; a pytree like it.

    passed: alpha_diff, the share that goes to neighbours; the rest stays, so that the
    sum of the gradient's components does. The graph is the same for all runs of a size.
    """
    named, structure = jax.tree_util.tree_flatten_with_path(grads)
    names = [str(path[-1].key) for path, _ in named]
    rows = [by_neuron(k, leaf) for k, (_, leaf) in zip(names, named, strict=True)]
    row = jnp.concatenate([leaf.ravel() for leaf in rows])
    if len(row) < FEWEST:
        return grads
    graph = graph_of(GRAPH, len(row), GRAPH_SEED)
    row = spread_out(row, graph, Probe(passed=passed, keeps=True))
    ends = np.cumsum([leaf.size for leaf in rows])[:-1]
    parts = jnp.split(row, ends)
    leaves = [
        by_neuron(name, part.reshape(leaf.shape))
        for name, part, leaf in zip(names, parts, rows, strict=True)
    ]
    return jax.tree.unflatten(structure, leaves)
