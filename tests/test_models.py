from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokmap.engine.train import build
from grokmap.models import (
    ACTIVATIONS,
    ALPHA_CONVENTIONS,
    KERNELS,
    MODELS,
    TwoLayer,
)
from grokmap.spec import System
from grokmap.tasks import TASKS

P = 7
TASK = TASKS["modular_addition"]
PAIRS = jnp.asarray(TASK.data(System(task="modular_addition", modulus=P), None).inputs)


def outputs(
    width: int, alpha: float, convention: str = "laziness", **settings: Any
) -> tuple[Any, jax.Array, jax.Array]:
    activation = settings.pop("activation", "quadratic")
    degree = ACTIVATIONS[activation].degree
    scale = ALPHA_CONVENTIONS[convention].scale(alpha, width, degree, 2 * P)
    system = System(
        task="modular_addition",
        modulus=P,
        width=width,
        activation=activation,
        **settings,
    )
    model = TwoLayer(system, TASK.shape(system))
    params = model.init(jax.random.key(0), PAIRS, scale)
    activity = model.apply(params, PAIRS, scale)
    return params["params"], activity.logits, activity.hidden


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [False, True])
def test_forward_is_the_printed_formula(activation: str, bias: bool) -> None:
    from scipy.special import erf

    alpha, width = 0.3, 16
    params, logits, _ = outputs(width, alpha, activation=activation, bias=bias)
    sigma = {
        "quadratic": np.square,
        "relu": lambda h: np.maximum(h, 0),
        "erf": erf,
        "tanh": np.tanh,
        "gelu": lambda h: h * 0.5 * (1 + erf(h / np.sqrt(2))),
        "swish": lambda h: h / (1 + np.exp(-h)),
        "polynomial": lambda h: h,  # epsilon = 0
    }[activation]
    w, readout = np.float64(params["first"]), np.float64(params["readout"]).T
    expected = np.zeros((P * P, P))
    for row, (a, b) in enumerate(np.asarray(PAIRS)):
        for j in range(width):
            expected[row] += readout[j] * sigma(w[a, j] + w[P + b, j])
    np.testing.assert_allclose(logits, width ** (alpha - 1) * expected, atol=2e-5)


@pytest.mark.parametrize(
    "task", ["modular_addition", "modular_division", "plain_addition"]
)
@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_are_the_first_layer_and_its_gradient(kernel: str, task: str) -> None:
    key = jax.random.key(0)
    inputs = TASKS[task].data(System(task=task, modulus=P), key).inputs
    rng = np.random.default_rng(0)
    if not KERNELS[kernel].whole_table:  # a training set: some examples, in any order
        inputs = rng.permutation(inputs)[: len(inputs) // 2]
    elif task == "plain_addition":
        pytest.skip("its table is not all pairs")
    a, b = inputs.T
    first, total = rng.normal(size=(2, 2 * P, 5)).astype(np.float32)
    slope = rng.normal(size=(len(a), 5)).astype(np.float32)
    one_hots = np.concatenate([np.eye(P)[a], np.eye(P)[b]], axis=1)
    chosen = KERNELS[kernel]
    rows = (jnp.asarray(a), jnp.asarray(b))
    with jax.default_matmul_precision("float32"):
        embedded = chosen.embed(jnp.asarray(first), *rows)
        summed = chosen.add_gradient(jnp.asarray(total), *rows, jnp.asarray(slope))
    np.testing.assert_allclose(embedded, one_hots @ first, atol=1e-5)
    np.testing.assert_allclose(summed, total + one_hots.T @ slope, atol=1e-5)


@pytest.mark.parametrize(
    ("convention", "alpha", "exponent"),
    [
        ("laziness", 0.0, -0.5),
        ("laziness", 0.5, 0.0),
        ("literal", 0.0, 0.5),
        ("literal", 0.5, 0.0),
        ("output_scale", 1.0, -0.5),
        ("init_scale", 1.0, -0.5),
        ("survey_code", 0.0, 0.0),
        ("survey_code", 0.5, -1.0),
    ],
)
def test_initial_output_scales_with_width_as_stated(
    convention: str, alpha: float, exponent: float
) -> None:
    # docs/alpha.md: f at the start ~ N^(1/2 - s). Quadratic sigma squares N^-alpha.
    widths = [256, 4096]
    sizes = [
        float(jnp.sqrt(jnp.mean(outputs(n, alpha, convention)[1] ** 2))) for n in widths
    ]
    fitted = np.log(sizes[1] / sizes[0]) / np.log(widths[1] / widths[0])
    assert fitted == pytest.approx(exponent, abs=0.1)


def test_conventions_meet_where_the_literature_says() -> None:
    width = 64
    table = {
        name: lambda alpha, scale=c.scale: scale(alpha, width, 3, 2 * P)
        for name, c in ALPHA_CONVENTIONS.items()
    }
    # Kumar's factor is N^alpha; the literal exponent is 1 - alpha.
    assert table["laziness"](0.3) == pytest.approx(table["output_scale"](width**0.3))
    assert table["laziness"](0.3) == pytest.approx(table["literal"](0.7))
    assert table["laziness"](0.0) == pytest.approx(table["init_scale"](1.0))
    assert table["init_scale"](2.0).laziness == pytest.approx(2.0**3)


def test_a_wider_network_keeps_its_first_neurons() -> None:
    narrow, wide = outputs(8, 0.0)[0], outputs(16, 0.0)[0]
    np.testing.assert_array_equal(narrow["first"], wide["first"][:, :8])
    np.testing.assert_array_equal(narrow["readout"], wide["readout"][:, :8])


def test_tensor_is_the_sum_of_products() -> None:
    system = System(task="modular_addition", modulus=P, width=5, model="tensor")
    scale = ALPHA_CONVENTIONS["output_scale"].scale(2.0, 5, 3, 2 * P)
    model = MODELS["tensor"].module(system, TASK.shape(system))
    params = model.init(jax.random.key(0), PAIRS, scale)["params"]
    u, v = np.float64(params["first"]).reshape(2, P, 5)
    table = np.einsum("cj,aj,bj->abc", np.float64(params["readout"]), u, v)
    found = model.apply({"params": params}, PAIRS, scale).logits
    np.testing.assert_allclose(
        found, 0.4 * table.reshape(P * P, P), rtol=1e-4, atol=1e-5
    )


def test_a_kernel_for_distinct_examples_is_not_for_batches() -> None:
    system = System(task="modular_addition", modulus=P, width=5, batch_size=4)
    with pytest.raises(ValueError, match="use 'gather_product'"):
        build(system, tile=4, max_tiles=1, kernel="gather_sum")
