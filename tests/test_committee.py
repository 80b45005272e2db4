"""The committee of arXiv 2310.06110: fewer neurons that stand for all of them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_train import one_record_after

from grokmap.engine import train
from grokmap.models import one_layer
from grokmap.order_parameters.learning import weight_norm
from grokmap.spec import Control, System
from grokmap.tasks import TASKS

D, N, EXAMPLES, TRAIN = 6, 40, 60, 30


def committee(**changes: Any) -> System:
    values = {
        "task": "quadratic_teacher",
        "model": "committee",
        "activation": "polynomial",
        "alpha_convention": "output_scale",
        "width": N,
        "n_inputs": D,
        "n_examples": EXAMPLES,
        "order_parameters": (),
    }
    return System(**{**values, **changes})


def after(steps: int, control: Control, **changes: Any) -> Any:
    """Snapshot of a run after some steps."""
    program = train.build(committee(**changes), tile=TRAIN, max_tiles=1)
    lane = program.init(control, jnp.int32(TRAIN), jnp.uint32(3))
    lane, _ = jax.jit(program.chunk)(lane, one_record_after(steps))
    return program.snapshot(lane)


def control_of(**changes: float) -> Control:
    values = {"alpha": 0.7, "weight_decay": 0.0, "train_fraction": 0.5}
    values |= {"learning_rate": 0.5, "nonlinearity": 0.4, "momentum": 0.0}
    return Control(**{**values, **changes})


@pytest.mark.parametrize("center", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, marks=pytest.mark.slow),
        {"weight_decay": 0.3},
        pytest.param({"momentum": 0.5}, marks=pytest.mark.slow),
    ],
    ids=str,
)
@pytest.mark.slow
def test_fewer_neurons_are_the_whole_network(
    changes: dict[str, float], center: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    control, steps = control_of(**changes), (0, 1, 7, 60)
    few = [after(k, control, center=center) for k in steps]
    monkeypatch.setattr(one_layer, "is_compressed", lambda system, shape: False)
    whole = [after(k, control, center=center) for k in steps]
    for own, other in zip(few, whole, strict=True):
        assert own.params["first"].shape == (D, D + 1)
        assert other.params["first"].shape == (D, N)
        np.testing.assert_allclose(own.logits, other.logits, atol=5e-6)
        norms = [float(weight_norm(one)) for one in (own, other)]
        assert norms[0] == pytest.approx(norms[1], rel=2e-6)
    # They moved, and by more than rounding: the comparison could have failed.
    moved = np.max(np.abs(whole[-1].logits - whole[0].logits))
    assert moved > 0.1
    assert float(jnp.mean(few[-1].loss)) != pytest.approx(float(jnp.mean(few[0].loss)))


def test_fewer_neurons_only_where_that_is_exact() -> None:
    shape = TASKS["quadratic_teacher"].shape(committee())
    assert one_layer.is_compressed(committee(), shape)
    for changes in (
        {"optimizer": "adamw"},
        {"noisy": ("gradient_noise",)},
        {"perp_grad": True},
        {"activation": "quadratic"},
        {"width": D + 1},
    ):
        assert not one_layer.is_compressed(committee(**changes), shape), changes
