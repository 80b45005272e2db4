"""Every task, model and optimizer that is listed trains through the one road."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SIZES, mostly_slow, sizes_of, trajectories
from test_tasks import NO_IMAGES

from grokmap.losses import LOSSES
from grokmap.models import MODELS
from grokmap.optimizers import OPTIMIZERS
from grokmap.plan import read_sweep
from grokmap.spec import Sweep
from grokmap.spec.words import SYSTEM_SIZES
from grokmap.tasks import REALS, TASKS


def test_the_sizes_that_tests_use_are_all_there_are() -> None:
    assert set(SIZES) == set(SYSTEM_SIZES)


def sweep_of(**keys: Any) -> Sweep:
    """A sweep of one short run, read and checked as from a file."""
    task, model = TASKS[keys["task"]], MODELS[keys["model"]]
    values: dict[str, Any] = {**sizes_of(task, model)}
    convention = model.conventions[0]
    values |= {
        "name": "system",
        "alpha": 1.0 if convention == "standard" else 0.25,
        "alpha_convention": convention,
        "activation": "relu",
        "loss": task.losses[0],
        "optimizer": "adamw",
        "learning_rate": 0.01,
        "weight_decay": 1e-3,
        "train_fraction": 0.6,
        "n_steps": 300,
        "order_parameters": [],
        **keys,
    }
    lines = [f"{k} = {v!r}".replace("True", "true") for k, v in values.items()]
    return _read("\n".join(lines))


def _read(text: str) -> Sweep:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "system.toml")
        path.write_text(text)
        return read_sweep(path)


def fall(**keys: Any) -> float:
    """Training loss at the end of a run over that at its beginning."""
    loss = trajectories(sweep_of(**keys))["train_loss"]
    return float(loss.iloc[-1] / loss.iloc[0])


# One of each kind is trained by `make test`, all of them by `make test-slow`; the
# table of every task is tested in test_tasks.py.
KINDS = ("s3_composition", "cubic_teacher")


@pytest.mark.parametrize("task", mostly_slow(TASKS, KINDS))
def test_every_task_is_learned(task: str) -> None:
    if task == "digits" and NO_IMAGES:
        pytest.skip(NO_IMAGES)
    if task.startswith("s5"):
        pytest.skip("14,400 examples: the same code as S3, whose table is tested")
    assert fall(task=task, model="two_layer", width=64, n_steps=600) < 0.5


SHOWN = ("mlp", "committee")


@pytest.mark.parametrize("model", mostly_slow(MODELS, SHOWN))
def test_every_model_learns(model: str) -> None:
    on_reals = REALS in MODELS[model].inputs
    task = "linear_teacher" if on_reals else "plain_addition"
    keys = {"bias": True} if model == "mlp" else {}
    activation = "polynomial" if model == "committee" else "tanh"
    assert fall(task=task, model=model, activation=activation, **keys) < 0.5


@pytest.mark.parametrize("optimizer", mostly_slow(OPTIMIZERS, ("muon",)))
def test_every_optimizer_learns(optimizer: str) -> None:
    own = {
        "gd": {"learning_rate": 0.3, "momentum": 0.9},
        "langevin": {"learning_rate": 0.3, "temperature": 1e-8},
        "adam": {"weight_decay": 0.0},
        "muon": {"momentum": 0.95, "adam_learning_rate": 0.01},
    }
    keys = {"alpha_convention": "standard", "alpha": 1.0, **own.get(optimizer, {})}
    assert fall(task="modular_addition", model="mlp", optimizer=optimizer, **keys) < 0.7


@pytest.mark.slow
def test_muon_leaves_embeddings_their_own_rate() -> None:
    keys = {"task": "plain_addition", "model": "embedding_mlp", "n_steps": 1}
    keys |= {"optimizer": "muon", "momentum": 0.9, "weight_decay": 0.5}
    keys |= {"order_parameters": ["weight_motion"]}
    # With all other rates tiny, Adam's first step moves each embedding by its rate.
    rates = {"learning_rate": 1e-12, "adam_learning_rate": 1e-12}
    found = []
    for own in (1e-3, 1e-2):
        table = trajectories(sweep_of(**keys, **rates, embedding_learning_rate=own))
        found.append(float(table["weight_motion"].iloc[-1]))
    assert found[1] / found[0] == pytest.approx(10, rel=1e-2)


@pytest.mark.parametrize("loss", mostly_slow(LOSSES, ("logistic",)))
def test_every_loss_falls(loss: str) -> None:
    task = "xor" if loss == "logistic" else "modular_addition"
    assert fall(task=task, model="two_layer", loss=loss) < 0.5


NOISES = {
    "batch_size": 8,
    "dropout": 0.2,
    "gradient_noise": 1e-4,
    "perp_grad": True,
    "label_noise": 0.3,
    "gradient_avalanche": 0.5,
    "warmup_steps": 100,
    "sam_radius": 0.01,
    "filter_strength": 1.0,
    "norm_clamp": 0.8,
    "temperature_logits": 0.5,
    "sextic_decay": 0.03,
}


@pytest.mark.parametrize("name", mostly_slow(NOISES, ("dropout",)))
@pytest.mark.parametrize("model", mostly_slow(["two_layer", "mlp"], ("two_layer",)))
def test_every_noise_trains_otherwise_and_still_learns(model: str, name: str) -> None:
    noise = {name: NOISES[name]}
    keys = {"task": "modular_addition", "model": model}
    plain, noisy = (trajectories(sweep_of(**keys, **own)) for own in ({}, noise))
    loss = noisy["train_loss"]
    assert loss.iloc[-1] < 0.7 * loss.iloc[0]
    assert not np.allclose(loss, plain["train_loss"], rtol=1e-3)
    again = trajectories(sweep_of(**keys, **noise))
    np.testing.assert_array_equal(loss, again["train_loss"])
