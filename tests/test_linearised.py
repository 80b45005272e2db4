"""The lazy limit of runs: exact where a network is linear in its weights, and where
it is not the limit of wide ones."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from conftest import small_sweep, trajectories

from grokmap.engine.linearised import at_infinite_width, check, linearised
from grokmap.engine.network import module_of
from grokmap.engine.restored import started
from grokmap.errors import SpecError
from grokmap.plan import plan_runs, scale_at
from grokmap.spec import Run
from grokmap.theory import lazy

LINEAR = {
    "task": "linear_teacher",
    "modulus": None,
    "n_inputs": 6,
    "n_examples": 40,
    "train_fraction": 0.5,
    "n_steps": 200,
}
STUDENT = {
    "model": "linear",
    "width": None,
    "alpha_convention": "standard",
    "alpha": 1.0,
    "learning_rate": 0.2,
}
COMMITTEE = {
    "model": "committee",
    "activation": "polynomial",
    "nonlinearity": 0.0,
    "alpha_convention": "output_scale",
    "width": 12,
    "alpha": 2.0,
    "learning_rate": 0.2,
}
QUANTITIES = ["train_loss", "test_loss", "train_accuracy", "test_accuracy"]


def run_of(**changes: Any) -> Run:
    return plan_runs(small_sweep(**changes))[0].run


@pytest.mark.parametrize(
    "network, center",
    [
        pytest.param(STUDENT, False, id="linear"),
        pytest.param(STUDENT, True, id="linear, centred", marks=pytest.mark.slow),
        pytest.param(COMMITTEE, False, id="committee", marks=pytest.mark.slow),
        pytest.param(COMMITTEE, True, id="committee, centred", marks=pytest.mark.slow),
    ],
)
def test_a_network_linear_in_its_weights_is_followed_exactly(
    network: dict[str, Any], center: bool
) -> None:
    sweep = small_sweep(
        **LINEAR,
        **network,
        center=center,
        weight_decay=0.3,
        momentum=0.8,
        tolerance=0.1,
    )
    records = trajectories(sweep)
    modes, descent = linearised(plan_runs(sweep)[0].run)
    found = lazy.records(modes, descent, records["step"].to_numpy())
    # To float32: losses fall by far more than the tolerance.
    assert records["train_loss"].iloc[-1] < 0.7 * records["train_loss"].iloc[0]
    for name in QUANTITIES[:2]:
        np.testing.assert_allclose(found[name], records[name], rtol=2e-4)
    for name in QUANTITIES[2:]:  # an example may stand at the tolerance
        np.testing.assert_allclose(found[name], records[name], atol=0.051)


@pytest.mark.slow
def test_the_kernel_is_that_of_the_jacobian_and_the_pull_that_of_euler() -> None:
    run = run_of(modulus=4, width=6, alpha=0.3)
    modes, _ = linearised(run, 1000)
    lane = started(run)
    scale = scale_at(run.system, run.control)
    inputs = np.stack(np.divmod(np.arange(16), 4), 1)

    def logits(params: Any) -> jax.Array:
        return module_of(run.system).apply({"params": params}, inputs, scale).logits

    jacobian = jax.tree.leaves(jax.jacobian(logits)(lane.params))
    flat = np.concatenate([np.asarray(j).reshape(64, -1) for j in jacobian], 1)
    rows = np.repeat(np.asarray(lane.train), 4)
    kernel = flat @ flat.T
    drive = modes.network.train.target.ravel()
    for power in (1, 2, 3):
        found = modes.vectors @ (modes.values**power * (modes.vectors.T @ drive))
        expected = np.linalg.matrix_power(kernel[rows][:, rows], power) @ drive
        np.testing.assert_allclose(found, expected, atol=1e-5 * abs(expected).max())
    f = np.asarray(logits(lane.params))[np.asarray(lane.train)]
    np.testing.assert_allclose(modes.network.train.pull, 3 * f, rtol=1e-5)


@pytest.mark.slow
def test_wide_networks_have_the_kernel_of_infinite_width() -> None:
    gaps = {}
    for width in (64, 4096):
        run = run_of(modulus=5, width=width, alpha=0.5, center=True, weight_decay=0.0)
        steps = np.array([20, 100])
        one, all_ = (
            lazy.records(*(found := predict(run)), steps)["test_loss"]
            for predict in (linearised, at_infinite_width)
        )
        gaps[width] = np.abs(one - all_).max()
    assert gaps[4096] < 0.02 < gaps[64]


@pytest.mark.slow
def test_wide_lazy_runs_are_predicted() -> None:
    sweep = small_sweep(width=1024, alpha=0.5, center=True, weight_decay=0, n_steps=300)
    records = trajectories(sweep)
    modes, descent = linearised(plan_runs(sweep)[0].run)
    found = lazy.records(modes, descent, records["step"].to_numpy())
    for name in QUANTITIES[:2]:
        np.testing.assert_allclose(found[name], records[name], atol=0.01)
    assert records["train_loss"].iloc[-1] < 0.1


@pytest.mark.slow
def test_the_space_is_large_enough() -> None:
    run = run_of(modulus=23, width=128, alpha=0.5, center=True, weight_decay=0)
    steps = np.array([50, 500, 5000])
    some, twice = (lazy.records(*linearised(run, size), steps) for size in (200, 400))
    for name in QUANTITIES[:2]:
        np.testing.assert_allclose(some[name], twice[name], rtol=1e-4)


@pytest.mark.parametrize(
    "changes, word",
    [
        ({"optimizer": "adamw"}, "optimizer = 'adamw'; for 'gd'"),
        ({"loss": "cross_entropy"}, "loss = 'cross_entropy'"),
        ({"batch_size": 4}, "batch_size = 4; for full batches"),
        ({"dropout": 0.2}, "dropout; for training without noise"),
        (
            {"parameterization": "mup", "bias": True},
            "parameterization = 'mup' with bias",
        ),
    ],
)
def test_what_is_not_covered_is_said(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(SpecError, match="lazy limit does not cover") as error:
        check([run_of(**changes).system])
    assert word in str(error.value)


def test_infinite_width_says_which_kernels_it_knows() -> None:
    with pytest.raises(
        SpecError, match="quadratic, relu, erf; here: 'two_layer', 'tanh'"
    ):
        at_infinite_width(run_of(activation="tanh"))
