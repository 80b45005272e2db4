"""Gradients of runs that are trained again, and the avalanches that a result has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest

import grokmap
from grokmap.avalanches import NULLS, Probe, graph_of
from grokmap.avalanches.relaxation import spread_out
from grokmap.engine.restored import network_of
from grokmap.errors import ResultError, SpecError
from grokmap.result.selection import run_of
from grokmap.session.gradients import gradients_at

XOR: dict[str, Any] = {
    "name": "xor",
    "task": "xor_patterns",
    "model": "mlp",
    "depth": 1,
    "activation": "tanh",
    "alpha_convention": "standard",
    "alpha": 1.0,
    "bias": True,
    "loss": "logistic",
    "optimizer": "gd",
    "learning_rate": 0.1,
    "weight_decay": 0.0,
    "train_fraction": 0.5,
    "n_steps": 60,
    "order_parameters": ["gradient_norm"],
    "axes": {"width": [5, 8, 13], "seed": "range:0:6:1"},
}


@pytest.fixture(scope="module")
def xor(tmp_path_factory: pytest.TempPathFactory) -> grokmap.Result:
    return grokmap.sweep(XOR, out=tmp_path_factory.mktemp("xor") / "r")


@pytest.mark.slow
def test_gradients_are_those_of_bce_in_a_two_layer_network(xor: grokmap.Result) -> None:
    run_id = xor.nearest(width=5, seed=1)["run_id"]
    (found,) = gradients_at(xor.path, {run_id: [0, 40]})
    assert found.steps.tolist() == [0, 40] and found.values.shape == (2, 21)
    grokmap.save_weights(xor, run_id, at=[40])
    leaves = xor.weights(run_id, at=40)
    w, b = leaves["first"].T, leaves["first_bias"]
    a, c = leaves["readout"][0], leaves["readout_bias"][0]
    x = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], float)
    y = x[:, 0] * x[:, 1]
    hidden = np.tanh(x @ w.T + b)
    slope = -y / (1 + np.exp(y * (hidden @ a + c))) / 4
    back = slope[:, None] * a * (1 - hidden**2)
    # Weights into a neuron side by side, arrays as PyTorch has them.
    parts = [(back.T @ x).ravel(), back.sum(axis=0), hidden.T @ slope, [slope.sum()]]
    expected = np.concatenate(parts)
    np.testing.assert_allclose(found.values[1], expected, rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(found.layers, np.repeat([0, 1, 2, 3], [10, 5, 5, 1]))


def test_their_norm_is_that_which_was_recorded(xor: grokmap.Result) -> None:
    ids = xor.runs["run_id"].tolist()
    records = xor.records(["gradient_norm"]).dropna()
    steps = records["step"].unique().tolist()
    found = {g.run_id: g for g in gradients_at(xor.path, dict.fromkeys(ids, steps))}
    assert set(found) == set(ids)
    for run_id, part in records.groupby("run_id"):
        norms = np.linalg.norm(found[run_id].values, axis=1)
        np.testing.assert_allclose(norms, part["gradient_norm"], rtol=1e-5)


@pytest.mark.slow
def test_a_token_network_has_gradients_by_neuron(tmp_path: Path) -> None:
    spec = {
        "name": "tokens",
        "task": "modular_addition",
        "modulus": 5,
        "width": 7,
        "alpha": 0.3,
        "weight_decay": 0.01,
        "train_fraction": 0.6,
        "learning_rate": 0.01,
        "n_steps": 20,
        "order_parameters": [],
    }
    result = grokmap.sweep(spec, out=tmp_path / "r")
    run_id = result.runs["run_id"].item()
    (found,) = gradients_at(result.path, {run_id: [20]})
    grokmap.save_weights(result, run_id, at=["end"])
    run = run_of(result.spec, result.plan, run_id)
    network = network_of(run, result.weights(run_id, at="end"))
    train = network.train
    target = np.eye(5)[network.labels[train]]

    def loss(params: Any) -> Any:
        logits = network.module.apply(
            {"params": params}, network.inputs, network.scale
        ).logits
        return ((logits[train] - target) ** 2).sum() / train.sum()

    grads = jax.grad(loss)(network.params)
    parts = [grads["first"].T.ravel(), grads["readout"].ravel()]
    expected = np.concatenate(parts)
    np.testing.assert_allclose(found.values[0], expected, rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_the_in_line_probe_feeds_the_spread_gradient_to_the_step(
    tmp_path: Path, xor: grokmap.Result
) -> None:
    spec = XOR | {"n_steps": 1, "gradient_avalanche": 0.5, "order_parameters": []}
    spec["axes"] = {"width": [5, 8, 13], "seed": [1, 2]}
    result = grokmap.sweep(spec, out=tmp_path / "r")
    # Another run than without, of the same first weights.
    assert not set(result.runs["run_id"]) & set(xor.runs["run_id"])
    run_id = result.nearest(width=8, seed=1)["run_id"]
    (found,) = gradients_at(result.path, {run_id: [0]})
    grokmap.save_weights(result, run_id, at=[0, 1])
    before, after = (result.weights(run_id, at=step) for step in (0, 1))
    moved = [(before[k] - after[k]) for k in ("first", "first_bias", "readout")]
    moved = np.concatenate([moved[0].T.ravel(), moved[1], moved[2].ravel()]) / 0.1
    graph = graph_of("barabasi_albert", 33, 0)
    spread = np.asarray(
        spread_out(found.values[0], graph, Probe(passed=0.5, keeps=True))
    )
    np.testing.assert_allclose(moved, spread[:32], atol=2e-6)
    assert np.abs(spread - found.values[0]).max() > 0.01
    assert spread.sum() == pytest.approx(found.values[0].sum(), abs=1e-5)


@pytest.mark.slow
def test_the_command_says_what_the_library_finds(
    xor: grokmap.Result, command_line: Any, tmp_path: Path
) -> None:
    options = ["--snapshots", "4", "--out", str(tmp_path / "found"), "--format", "png"]
    code, out, _ = command_line("avalanche", str(xor.path), *options, "--json")
    facts = json.loads(out)
    assert code == 0
    table = pd.read_parquet(tmp_path / "found-avalanches.parquet")
    pd.testing.assert_frame_equal(table, xor.avalanches(snapshots=4))
    assert table["step"].unique().tolist() == [0, 20, 40, 60]
    assert table["field"].unique().tolist() == ["real", *NULLS]
    # Of N = 21, 33, 53: a tenth of each topples at least, so that D is near 1.
    assert table["d"].between(0.3, 1.7).all()
    phases = facts["avalanches-phases"]
    assert {row.get("phase") for row in phases} >= {"before", "after", "change"}
    assert (tmp_path / "found.png").stat().st_size > 10_000


def test_what_cannot_be_asked_is_refused(xor: grokmap.Result) -> None:
    for question, words in (
        ({"graph": "rnig"}, "ring"),
        ({"size": "mean"}, "total"),
        ({"snapshots": 1}, "from 2"),
        ({"probe": Probe(percentile=120)}, "from 0 to 100"),
    ):
        with pytest.raises(SpecError, match=words):
            xor.avalanches(**question)


@pytest.mark.slow
def test_networks_of_fewer_than_three_sizes_are_refused(tmp_path: Path) -> None:
    spec = XOR | {"n_steps": 2, "order_parameters": [], "axes": {"width": [5, 8]}}
    result = grokmap.sweep(spec, out=tmp_path / "r")
    with pytest.raises(ResultError, match="sweep width"):
        result.avalanches(snapshots=2)
