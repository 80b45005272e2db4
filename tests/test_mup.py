"""Maximal update: layers of any width move alike, and what stays as it was does."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import small_sweep, trajectories

from grokmap.engine import step_size
from grokmap.engine.lane import Lane
from grokmap.engine.rates import rates_of
from grokmap.engine.train import Program, build
from grokmap.errors import SpecError
from grokmap.models import MODELS
from grokmap.optimizers import OPTIMIZERS, Rates
from grokmap.plan import decay_rate, plan_runs, read_sweep, scale_at
from grokmap.spec import Control, System

REALS = {"task": "quadratic_teacher", "n_inputs": 6, "n_examples": 40}
MLP = {"model": "mlp", "activation": "tanh", "loss": "mse"}
CONTROL = Control(0.0, 0.0, 0.6, 0.1, epsilon=1e-12)
WIDTHS = [32, 256, 1024]
BAR = 0.1  # an exponent of N below it in size is none
QUICK, SLOW = (2, "adamw"), pytest.mark.slow


def network(width: int, **keys: Any) -> tuple[Program, System]:
    system = System(width=width, **{"parameterization": "mup", **REALS, **MLP, **keys})
    return build(system, tile=REALS["n_examples"], max_tiles=1), system


def start(made: Program, control: Control = CONTROL, seed: int = 0) -> Lane:
    return jax.jit(made.init)(control, jnp.int32(24), jnp.uint32(seed))


# ---- the coordinate check


def preactivations(params: Any, inputs: Any, depth: int, standard: bool) -> list[Any]:
    """[n, N] of each hidden layer, and the outputs over their prefactor, in float64."""
    h, found = np.float64(inputs), []
    for layer in range(1, depth + 1):
        name = "first" if layer == 1 else f"hidden_{layer}"
        size = 1.0 if standard else np.sqrt(h.shape[1])
        found.append(h @ np.float64(params[name]) / size)
        h = np.tanh(found[-1])
    size = 1.0 if standard else h.shape[1]
    return [*found, h @ np.float64(params["readout"]).T / size]


def exponents(
    depth: int,
    optimizer: str,
    widths: list[int],
    seeds: int,
    **keys: Any,
) -> Any:
    """[layer] slope of log change against log N after four steps; the last of f."""
    standard = keys.get("alpha_convention") == "standard"
    eta = {"gd": 0.2, "adamw": 0.03}[optimizer]
    eta = {"gd": 0.05, "adamw": 0.003}[optimizer] if standard else eta
    control = CONTROL._replace(learning_rate=eta, alpha=float(standard))
    changes = []
    for width in widths:
        made, _ = network(width, depth=depth, optimizer=optimizer, **keys)
        step = jax.jit(made.step)
        inputs_of = jax.jit(lambda lane, made=made: made.snapshot(lane).inputs)
        sizes = []
        for seed in range(seeds):
            lane = start(made, control, seed)
            inputs = inputs_of(lane)
            before = preactivations(lane.params, inputs, depth, standard)
            for _ in range(4):
                lane = step(lane)
            after = preactivations(lane.params, inputs, depth, standard)
            sizes.append(
                [np.mean((x - y) ** 2) for x, y in zip(after, before, strict=True)]
            )
        changes.append(0.5 * np.log(np.mean(sizes, axis=0)))
    return np.polyfit(np.log(widths), np.array(changes), 1)[0]


CASES = [
    pytest.param(depth, optimizer, marks=() if (depth, optimizer) == QUICK else SLOW)
    for depth in (1, 2, 3, 4)
    for optimizer in ("gd", "adamw")
]


@pytest.mark.parametrize(("depth", "optimizer"), CASES)
def test_every_layer_moves_alike_at_any_width(depth: int, optimizer: str) -> None:
    # Yang et al. (arXiv 2203.03466), Appendix D: O(1) changes of pre-activations.
    widths, seeds = ([32, 256], 2) if (depth, optimizer) == QUICK else (WIDTHS, 4)
    found = exponents(depth, optimizer, widths, seeds)
    assert np.all(np.abs(found) < BAR), found


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["gd", "adamw"])
def test_one_rate_for_pytorchs_weights_moves_them_unlike(optimizer: str) -> None:
    keys = {"alpha_convention": "standard", "parameterization": "convention"}
    found = exponents(2, optimizer, WIDTHS, 2, **keys)
    # The wider, the faster outputs, the slower by gd the first layer, and the faster
    # by adamw the second.
    assert found[-1] > BAR, found
    assert found[0] < -BAR if optimizer == "gd" else found[1] > BAR, found


def own_motion(parameterization: str, width: int, seeds: int) -> float:
    """Root mean square of what four small steps of Adam on the matrix between two
    hidden layers alone do to the second one, its inputs as they were."""
    made, _ = network(
        width, depth=2, optimizer="adamw", parameterization=parameterization
    )
    step, inputs_of = (
        jax.jit(made.step),
        jax.jit(lambda lane: made.snapshot(lane).inputs),
    )
    squares = []
    for seed in range(seeds):
        lane = start(made, CONTROL._replace(learning_rate=0.003), seed)
        h = np.tanh(preactivations(lane.params, inputs_of(lane), 2, False)[0])
        before = np.float64(lane.params["hidden_2"])
        for _ in range(4):
            lane = step(lane)
        moved = np.float64(lane.params["hidden_2"]) - before
        squares.append(np.mean((h @ moved / width**0.5) ** 2))
    return float(np.sqrt(np.mean(squares)))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "exponent"), [("convention", 0.5), ("mup", 0.0)])
def test_a_matrix_that_adam_moves_at_one_rate_moves_as_the_root_of_width(
    name: str, exponent: float
) -> None:
    sizes = [own_motion(name, width, 2) for width in WIDTHS]
    found = np.polyfit(np.log(WIDTHS), np.log(sizes), 1)[0]
    assert found == pytest.approx(exponent, abs=0.1)


# ---- against the published table


def published_steps(optimizer: str, width: int) -> dict[str, float]:
    """Steps over eta of Table 3 of arXiv 2203.03466, weights N(0, 1/fan_in) and the
    readout N(0, 1/fan_in^2); constants in N (the number of inputs) are ours."""
    first, hidden, readout = {
        "gd": (width, 1.0, 1 / width),
        "adam": (1.0, 1 / width, 1 / width),
    }[optimizer]
    return {"first": first, "hidden_2": hidden, "hidden_3": hidden, "readout": readout}


def published_training(
    params: Any, inputs: Any, targets: Any, optimizer: str, eta: float, n_steps: int
) -> Any:
    """[step, n, C] outputs of three hidden layers, trained as the table says."""
    width = params["readout"].shape[1]
    root = dict.fromkeys(("hidden_2", "hidden_3"), width**-0.5) | {"readout": 1 / width}
    w = {k: v * root.get(k, 1.0) for k, v in params.items()}
    steps = published_steps(optimizer, width)

    def outputs(w: Any) -> Any:
        h = jnp.tanh(inputs @ w["first"] / inputs.shape[1] ** 0.5)
        h = jnp.tanh(jnp.tanh(h @ w["hidden_2"]) @ w["hidden_3"])
        return h @ w["readout"].T

    def loss(w: Any) -> Any:
        return jnp.sum((outputs(w) - targets) ** 2) / len(inputs)

    transform = optax.scale_by_adam(eps=1e-30) if optimizer == "adam" else None
    state = transform.init(w) if transform else None
    found = []
    gradient, forward = jax.jit(jax.grad(loss)), jax.jit(outputs)
    for _ in range(n_steps):
        grads = gradient(w)
        if transform:
            grads, state = transform.update(grads, state)
        w = {k: w[k] - eta * steps[k] * grads[k] for k in w}
        found.append(forward(w))
    return np.array(found)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["gd", "adam"])
def test_training_is_that_of_the_published_table(optimizer: str) -> None:
    made, _ = network(16, depth=3, optimizer=optimizer)
    eta = {"gd": 0.3, "adam": 0.05}[optimizer]
    lane = start(made, CONTROL._replace(learning_rate=eta, epsilon=1e-30))
    snap, step = jax.jit(made.snapshot), jax.jit(made.step)
    first, rows = snap(lane), np.asarray(lane.train)
    data = (first.inputs[rows], first.answer[rows])
    expected = published_training(lane.params, *data, optimizer, eta, 12)
    for outputs in expected:
        lane = step(lane)
        np.testing.assert_allclose(snap(lane).logits[rows], outputs, atol=2e-4)
    assert np.abs(expected[-1] - expected[0]).max() > 0.05


# ---- where it is the convention


@pytest.mark.parametrize(
    ("model", "optimizer", "alpha"),
    [
        ("mlp", "adamw", 0.0),
        pytest.param("mlp", "gd", 0.0, marks=SLOW),
        pytest.param("two_layer", "gd", 0.5, marks=SLOW),
        pytest.param("two_layer", "adamw", 0.0, marks=SLOW),
    ],
)
def test_two_layers_are_the_convention_at_any_alpha(
    model: str, optimizer: str, alpha: float
) -> None:
    depth = {"depth": 1} if model == "mlp" else {}
    keys = {"model": model, "optimizer": optimizer, "n_steps": 60, "alpha": alpha}
    keys |= {"weight_decay": 0.01, **depth}
    plain, mup = (
        trajectories(small_sweep(parameterization=name, **keys)).drop(columns="run_id")
        for name in ("convention", "mup")
    )
    assert plain.equals(mup)  # bitwise


def test_run_ids_of_the_convention_are_those_of_before() -> None:
    ids = [
        plan_runs(small_sweep(parameterization=name))[0].run.run_id
        for name in ("convention", "mup")
    ]
    assert ids[0] == plan_runs(small_sweep())[0].run.run_id != ids[1]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["gd", "adamw"])
def test_an_mlp_of_one_hidden_layer_is_the_two_layer_network(optimizer: str) -> None:
    keys = {"optimizer": optimizer, "bias": True}
    mlp, _ = network(16, depth=1, **keys)
    two, _ = network(16, **{**keys, "model": "two_layer"})
    control = CONTROL._replace(alpha=0.2, weight_decay=0.1, momentum=0.5)
    ours, theirs = start(mlp, control), start(two, control)
    theirs = theirs._replace(params=ours.params)  # of other random numbers
    steps = jax.jit(mlp.step), jax.jit(two.step)
    for _ in range(20):
        ours, theirs = steps[0](ours), steps[1](theirs)
    for name, values in ours.params.items():
        np.testing.assert_allclose(values, theirs.params[name], rtol=1e-4, atol=1e-5)
    moved = ours.params["readout_bias"]
    assert np.abs(moved).min() > 0.01


# ---- biases and decay


def rates(optimizer: str, width: int, **keys: Any) -> tuple[Rates, System, Control]:
    made, system = network(width, depth=3, optimizer=optimizer, bias=True)
    control = CONTROL._replace(weight_decay=0.3, **keys)
    lane = jax.eval_shape(made.init, control, jnp.int32(24), jnp.uint32(0))
    scale = scale_at(system, control)
    return rates_of(system, control, scale, lane), system, control


@pytest.mark.parametrize("optimizer", ["gd", "adamw", "lion"])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_every_array_shrinks_by_the_documented_rate(
    optimizer: str, alpha: float
) -> None:
    found, system, control = rates(optimizer, 64, alpha=alpha)
    expected = decay_rate(system, control)
    for name in found.step:
        shrinkage = found.decay  # of a step; of gd, coupled, in its gradient
        if optimizer == "gd":
            shrinkage = found.step[name] * found.decay[name]
        assert shrinkage == pytest.approx(expected, rel=1e-12), name
    eta_lambda = control.learning_rate * control.weight_decay
    by_hand = eta_lambda * 64 ** (-2 * alpha) if optimizer == "gd" else eta_lambda
    assert expected == pytest.approx(by_hand, rel=1e-9)


@pytest.mark.parametrize("optimizer", ["gd", "adamw"])
def test_the_readouts_bias_moves_outputs_alike_at_any_width(optimizer: str) -> None:
    for width, alpha in itertools.product([4, 64, 1024], [0.0, 0.5]):
        steps = rates(optimizer, width, alpha=alpha)[0].step
        prefactor = width ** (alpha - 1)
        # f = prefactor b: its slope is the prefactor, which adam divides out.
        slope = prefactor if optimizer == "gd" else 1.0
        moved = prefactor * steps["readout_bias"] * slope
        assert moved == pytest.approx(CONTROL.learning_rate, rel=1e-9)


def test_a_step_of_a_hidden_matrix_is_by_hand() -> None:
    found, _, _ = rates("adamw", 64, alpha=0.5)
    eta = 0.1 / 8  # over N^alpha
    expected = {"first": 1, "first_bias": 1, "readout": 1, "readout_bias": 64}
    expected |= {"hidden_2": 1 / 8, "hidden_3": 1 / 8}
    expected |= {"hidden_2_bias": 1, "hidden_3_bias": 1}
    assert found.step == pytest.approx({k: eta * v for k, v in expected.items()})
    found, _, _ = rates("gd", 64, alpha=0.5)
    expected = dict.fromkeys(expected, 0.1) | {"readout_bias": 6.4}
    assert found.step == pytest.approx(expected)


@pytest.mark.slow
def test_auto_knows_the_steps_of_each_array() -> None:
    made, system = network(6, depth=1, optimizer="gd", bias=True)
    control = CONTROL._replace(learning_rate=1.0)
    lane = start(made, control)

    def loss(params: Any) -> Any:
        snap = made.snapshot(lane._replace(params=params))
        return jnp.sum(jnp.where(snap.train, snap.loss, 0.0)) / 24

    flat, unravel = jax.flatten_util.ravel_pytree(lane.params)
    hessian = jax.jit(jax.hessian(lambda theta: loss(unravel(theta))))(flat)
    outputs = jax.jacobian(
        lambda theta: made.snapshot(lane._replace(params=unravel(theta))).logits
    )
    logits = jax.jit(outputs)(flat)
    rows = np.float64(logits[np.asarray(lane.train)]).reshape(-1, len(flat))
    gauss_newton = 2 / 24 * rows.T @ rows
    scale = scale_at(system, control)
    steps = rates_of(system, control, scale, lane).step
    each = jax.tree.map(lambda s, x: jnp.full_like(x, s), steps, lane.params)
    root = np.sqrt(np.float64(jax.flatten_util.ravel_pytree(each)[0]))
    tops = [
        np.linalg.eigvalsh(root[:, None] * np.float64(h) * root).max()
        for h in (hessian, gauss_newton)
    ]
    found = step_size._by_curvature(system)(control, 24, 0)
    assert found == pytest.approx(2 / max(tops), rel=1e-3)


# ---- what is refused


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "tensor"}, "not with model = 'tensor'; choose two_layer or mlp"),
        (
            {"optimizer": "muon", "model": "mlp", "depth": 2},
            "not with optimizer = 'muon'; choose gd or adamw or adam or lion",
        ),
        ({"optimizer": "langevin"}, "not with optimizer = 'langevin'"),
        (
            {"alpha_convention": "literal"},
            "not with alpha_convention = 'literal'; choose laziness",
        ),
    ],
)
def test_what_has_no_maximal_update_is_refused(
    changes: dict[str, Any], said: str, sweep_file: Any
) -> None:
    keys = {"task": "modular_addition", "modulus": 7, "width": 8, "alpha": 0.0}
    keys |= {"weight_decay": 0.1, "train_fraction": 0.5, "learning_rate": 0.1}
    keys |= {"name": "refused", "n_steps": 10, "parameterization": "mup", **changes}
    with pytest.raises(SpecError) as refused:
        read_sweep(keys)
    (problem,) = refused.value.problems
    assert said in problem and "parameterization = 'convention'" in problem


def test_what_is_not_refused_has_steps() -> None:
    able = [name for name, model in MODELS.items() if model.mup]
    assert able == ["two_layer", "mlp"]
    assert [name for name, entry in OPTIMIZERS.items() if not entry.mup_rates] == [
        "adam_l2",
        "muon",
        "langevin",
    ]
