"""The literal table of networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax

from grokmap.models.mlp import EmbeddingMlp, Mlp
from grokmap.models.one_layer import Committee, Diagonal, Linear, Tensor
from grokmap.models.transformer import Transformer
from grokmap.models.two_layer import TwoLayer, two_layer_ntk
from grokmap.spec import System
from grokmap.tasks import REALS, TOKENS

UNIT = ("laziness", "literal", "output_scale", "init_scale")


def _of_depth(sigma: int, depth: int) -> int:
    """Degree of `depth` hidden layers and a readout, in the weights."""
    degree = 0
    for _ in range(depth):
        degree = (degree + 1) * (sigma - 1)
    return degree + 1


class Model(NamedTuple):
    """A flax module, what it reads, and what is known of it.

    module: (system, shape) -> flax module; see `two_layer.TwoLayer` for its call.
    inputs: kinds it takes; sizes: of a sweep, which it reads; controls: likewise.
    conventions: of alpha, which it knows.
    degree: (of a sigma(w x), depth) -> that of f, as a form in the weights.
    hidden_matrices: whether weights lie between hidden layers (names hidden_..).
    mup: whether its arrays are those that `PARAMETERIZATIONS`' mup has steps for.
    own_first: whether `KERNELS` compute its first layer on tokens.
    ntk: (module, params, inputs, scale) -> [n, n]; None: by Jacobian contraction.
    published: whether it can start from the weights of a published run.
    problem: what is wrong with a system's sizes; empty where nothing is.
    numbers: sizes with a default that it reads. normalised: whether `LAYER_NORMS` and
      `READ_AT` go with it. biased: whether it has biases, if asked for.
    """

    module: Callable[..., Any]
    inputs: tuple[str, ...]
    sizes: tuple[str, ...]
    conventions: tuple[str, ...]
    degree: Callable[[int, int], int] = lambda sigma, depth: sigma
    controls: tuple[str, ...] = ()
    hidden_matrices: bool = False
    mup: bool = False
    own_first: bool = False
    ntk: Callable[..., jax.Array] | None = None
    published: bool = False
    problem: Callable[[System], str] = lambda system: ""
    numbers: tuple[str, ...] = ()
    normalised: bool = False
    biased: bool = False


MODELS: dict[str, Model] = {
    "two_layer": Model(
        TwoLayer,
        (TOKENS, REALS),
        ("width",),
        (*UNIT, "survey_code", "initial_std"),
        mup=True,
        biased=True,
        own_first=True,
        ntk=two_layer_ntk,
    ),
    "committee": Model(
        Committee, (REALS,), ("width",), UNIT[:3], lambda sigma, depth: sigma - 1
    ),
    "tensor": Model(Tensor, (TOKENS,), ("width",), UNIT, lambda sigma, depth: 3),
    "linear": Model(Linear, (REALS,), (), ("standard",), lambda sigma, depth: 1),
    "diagonal": Model(Diagonal, (REALS,), (), ("standard",), lambda sigma, depth: 2),
    "mlp": Model(
        Mlp,
        (TOKENS, REALS),
        ("width", "depth"),
        (*UNIT, "standard", "normal"),
        _of_depth,
        hidden_matrices=True,
        mup=True,
        biased=True,
    ),
    "embedding_mlp": Model(
        EmbeddingMlp,
        (TOKENS,),
        ("width", "depth", "embedding"),
        ("standard",),
        _of_depth,
        ("embedding_learning_rate",),
        hidden_matrices=True,
        published=True,
        biased=True,
    ),
    "concatenated_mlp": Model(
        partial(EmbeddingMlp, concatenated=True),
        (TOKENS,),
        ("width", "depth", "embedding"),
        ("standard",),
        _of_depth,
        ("embedding_learning_rate",),
        hidden_matrices=True,
        biased=True,
    ),
    # As the last, but its embeddings train and decay as all other arrays do.
    "token_mlp": Model(
        partial(EmbeddingMlp, concatenated=True),
        (TOKENS,),
        ("width", "depth", "embedding"),
        ("normal", "standard"),
        _of_depth,
        hidden_matrices=True,
        biased=True,
    ),
    "transformer": Model(
        Transformer,
        (TOKENS,),
        ("width", "embedding"),
        ("standard",),
        hidden_matrices=True,
        problem=lambda s: (
            f"embedding = {s.embedding}: a multiple of the {s.heads} heads, or give "
            "head_dim"
            if s.embedding % s.heads and not s.head_dim
            else ""
        ),
        numbers=("blocks", "heads", "head_dim"),
        normalised=True,
        biased=True,
    ),
}
