"""The transformer against one that is written out place by place, in numpy."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from conftest import SMALL, trajectories

from grokmap.engine.network import module_of
from grokmap.errors import SpecError
from grokmap.models import ALPHA_CONVENTIONS
from grokmap.plan import read_sweep
from grokmap.spec import System

KEYS: dict[str, Any] = {
    "task": "modular_addition",
    "modulus": 5,
    "width": 6,
    "model": "transformer",
    "embedding": 4,
    "alpha_convention": "standard",
    "activation": "relu",
    "optimizer": "adamw",
}
PAIRS = np.array([[a, b] for a in range(5) for b in range(5)], np.int32)


def network(**keys: Any) -> tuple[Any, dict[str, Any], Any]:
    system = System(**KEYS, **keys)
    module = module_of(system)
    scale = ALPHA_CONVENTIONS["standard"].scale(1.0, 6, 2, 10)
    params = module.init(jax.random.key(0), PAIRS, scale)["params"]
    # Gains and biases of their own, so that each one matters.
    keys_ = jax.random.split(jax.random.key(1), len(params))
    params = {
        k: v + 0.3 * jax.random.normal(key, v.shape) if v.ndim == 1 else v
        for key, (k, v) in zip(keys_, params.items(), strict=True)
    }
    return module, params, scale


def softmax(x: Any) -> Any:
    weights = np.exp(x - x.max())
    return weights / weights.sum()


def by_hand(
    w: dict[str, Any], pair: Any, blocks: int, heads: int, norm: str, read_at: str
) -> Any:
    """[p] outputs on one pair, every place of every block computed in loops."""

    def normed(where: str, name: str, x: Any) -> Any:
        if norm != where:
            return x
        scaled = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
        return scaled * w[f"{name}_gain"] + w[f"{name}_bias"]

    def linear(name: str, x: Any) -> Any:
        return x @ w[name] + w.get(f"{name}_bias", 0.0)

    tokens = (*pair, 5) if read_at == "equals" else tuple(pair)
    stream = [w["embedding"][t] + w["position"][i] for i, t in enumerate(tokens)]
    for block in range(1, blocks + 1):
        tail = "" if block == 1 else f"_{block}"
        seen = [normed("pre", f"norm_attention{tail}", x) for x in stream]
        names = ("query", "key", "value")
        query, key, value = (
            [np.split(linear(f"hidden_{name}{tail}", x), heads) for x in seen]
            for name in names
        )
        added = []
        for place in range(len(tokens)):
            of_heads = []
            for head in range(heads):
                n_seen = place + 1 if read_at == "equals" else len(tokens)
                q, before = query[place][head], range(n_seen)
                scores = np.array([q @ key[j][head] for j in before]) / np.sqrt(len(q))
                share = softmax(scores)
                of_heads.append(sum(share[j] * value[j][head] for j in before))
            added.append(linear(f"hidden_mixed{tail}", np.concatenate(of_heads)))
        stream = [x + y for x, y in zip(stream, added, strict=True)]
        stream = [normed("post", f"norm_attention{tail}", x) for x in stream]
        first = "first" if block == 1 else f"hidden_first{tail}"
        for place, x in enumerate(stream):
            hidden = np.maximum(linear(first, normed("pre", f"norm_mlp{tail}", x)), 0)
            out = x + linear(f"hidden_out{tail}", hidden)
            stream[place] = normed("post", f"norm_mlp{tail}", out)
    stream = [normed("pre", "norm_readout", x) for x in stream]
    return w["readout"] @ (np.mean(stream, axis=0) if read_at == "mean" else stream[-1])


@pytest.mark.parametrize(
    ("keys", "heads"),
    [
        ({"heads": 2}, 2),
        ({"heads": 3, "head_dim": 2, "layer_norm": "pre"}, 3),
        ({"blocks": 2, "heads": 1}, 1),
        ({"blocks": 2, "heads": 2, "layer_norm": "post", "bias": True}, 2),
        ({"blocks": 2, "heads": 2, "layer_norm": "pre", "read_at": "mean"}, 2),
        ({"heads": 2, "layer_norm": "post", "read_at": "last"}, 2),
        pytest.param(
            *({"blocks": 3, "heads": 2, "head_dim": 3, "layer_norm": "pre"}, 2),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_outputs_are_those_of_loops_over_places(
    keys: dict[str, Any], heads: int
) -> None:
    module, params, scale = network(**keys)
    found = module.apply({"params": params}, PAIRS, scale).logits
    exact = {k: np.asarray(v, np.float64) for k, v in params.items()}
    blocks, norm = keys.get("blocks", 1), keys.get("layer_norm", "none")
    read_at = keys.get("read_at", "equals")
    expected = [by_hand(exact, pair, blocks, heads, norm, read_at) for pair in PAIRS]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.std(expected) > 0.1


@pytest.mark.slow
def test_two_blocks_with_normalisation_learn() -> None:
    keys = {**KEYS, "blocks": 2, "layer_norm": "pre", "loss": "cross_entropy"}
    small = {k: v for k, v in SMALL.items() if k not in keys}
    sweep = read_sweep({**small, **keys, "alpha": 1.0, "learning_rate": 0.01})
    loss = trajectories(sweep)["train_loss"]
    assert loss.iloc[-1] < 0.5 * loss.iloc[0]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"model": "two_layer", "layer_norm": "pre"}, "have: transformer"),
        ({"model": "two_layer", "heads": 2}, "heads: ignored by task"),
        ({"heads": 3}, "a multiple of the 3 heads, or give head_dim"),
        ({"layer_norm": "after"}, "unknown layer norm 'after'"),
        ({"model": "two_layer", "read_at": "last"}, "no places to read at"),
    ],
)
def test_what_does_not_fit_is_an_error(keys: dict[str, Any], words: str) -> None:
    values = {**SMALL, **KEYS, "alpha": 1.0, **keys}
    if values["model"] == "two_layer":
        values |= {"alpha_convention": "laziness"}
        del values["embedding"]
    with pytest.raises(SpecError, match=words):
        read_sweep(values)
