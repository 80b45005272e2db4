from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import mostly_slow, small_sweep, trajectories

from grokmap import plan
from grokmap.engine.lane import SPLIT
from grokmap.engine.records import Slots
from grokmap.engine.train import build
from grokmap.models import ACTIVATIONS, ALPHA_CONVENTIONS, MODELS, Activation
from grokmap.spec import System
from grokmap.tasks.data import CLASSES

AXES = {"alpha": "0,0.3", "weight_decay": "0,0.1", "train_fraction": "0.4,0.6,0.8"}


@pytest.mark.slow
def test_one_trace_per_system(monkeypatch: pytest.MonkeyPatch) -> None:
    def count_traces(**changes: object) -> int:
        calls = []

        def counted(h: jax.Array) -> jax.Array:
            calls.append(1)
            return jnp.square(h)

        monkeypatch.setitem(ACTIVATIONS, "quadratic", Activation(counted, 3))
        trajectories(small_sweep(**changes), lanes=4)
        return len(calls)

    one_run = count_traces()
    assert one_run > 0
    # 48 runs in 4 lanes, four controls swept: not one trace more.
    assert count_traces(**AXES, seed="0,1,2,3") == one_run
    assert count_traces(**AXES, learning_rate="0.01,0.05") == one_run
    # Another system is another compile.
    assert count_traces(width=(8, 16)) == 2 * one_run


def one_record_after(steps: int) -> Slots:
    """Slots of a chunk that trains so many steps, then records."""
    never = jnp.zeros(1, bool)
    return Slots(jnp.array([steps]), never, never, jnp.int32(1))


def numpy_training(n_steps: int, run: plan.Planned) -> list[float]:
    """Training loss of the same network in float64, gradients written out by hand."""
    control, system = run.run.control, run.run.system
    p, width = system.modulus, system.width
    key = jax.random.key(run.run.seed)
    order = jax.random.permutation(jax.random.fold_in(key, SPLIT), p * p)
    rows = np.asarray(order)[: round(control.train_fraction * p * p)]
    program = build(system, tile=len(rows), max_tiles=1)
    lane = program.init(control, jnp.int32(len(rows)), jnp.uint32(run.run.seed))
    w, readout = np.float64(lane.params["first"]), np.float64(lane.params["readout"].T)
    x = np.zeros((len(rows), 2 * p))
    x[np.arange(len(rows)), rows // p] = 1
    x[np.arange(len(rows)), p + rows % p] = 1
    y = np.eye(p)[(rows // p + rows % p) % p]
    prefactor = width ** (control.alpha - 1)
    step = control.learning_rate * width ** (1 - 2 * control.alpha)
    decay = control.weight_decay / width
    velocity = [np.zeros_like(w), np.zeros_like(readout)]
    losses = []
    for _ in range(n_steps + 1):
        h = x @ w
        error = prefactor * h**2 @ readout - y
        losses.append(float(np.sum(error**2) / len(rows)))
        outer = 2 * prefactor * error / len(rows)
        grads = [x.T @ (2 * h * (outer @ readout.T)), (h**2).T @ outer]
        for i, theta in enumerate((w, readout)):
            velocity[i] = control.momentum * velocity[i] + grads[i] + decay * theta
            theta -= step * velocity[i]
    return losses


@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_training_is_gradient_descent_in_float64(alpha: float) -> None:
    sweep = small_sweep(alpha=alpha, momentum=0.5, weight_decay=0.05, n_steps=40)
    table = trajectories(sweep)
    expected = numpy_training(40, plan.plan_runs(sweep)[0])
    assert table["step"].tolist() == list(range(41))
    np.testing.assert_allclose(table["train_loss"], expected, rtol=2e-5)


def test_zero_gradient_shrinks_the_norm_by_the_decay_rate() -> None:
    # A prefactor of 1e-6 leaves a gradient of about 1e-6 next to the decay.
    sweep = small_sweep(
        alpha_convention="output_scale",
        alpha=1e-6,
        learning_rate=1e-12,
        weight_decay=1e-3,
        n_steps=500,
    )
    rate = plan.plan_runs(sweep)[0].decay_rate
    assert rate == pytest.approx(1e-3, rel=1e-6)
    table = trajectories(sweep)
    norm = table["weight_norm"] / table["weight_norm"].iloc[0]
    np.testing.assert_allclose(norm, (1 - rate) ** table["step"], rtol=1e-3)


@pytest.mark.parametrize(
    "convention", mostly_slow(["laziness", "literal", "output_scale"], ())
)
def test_function_moves_at_the_learning_rate_whatever_alpha_and_width(
    convention: str,
) -> None:
    # One step changes f by O(eta): docs/alpha.md, "in function space". Centred, so
    # that only motion counts.
    alphas = {"output_scale": (1.0, 16.0)}.get(convention, (0.0, 0.5))
    sweep = small_sweep(
        alpha=alphas,
        alpha_convention=convention,
        width=(256, 4096),
        center=True,
        weight_decay=0.0,
        n_steps=1,
        learning_rate=0.01,
    )
    moved = trajectories(sweep).query("step == 1")["max_logit"]
    assert len(moved) == 4
    assert moved.max() / moved.min() < 1.3


@pytest.mark.slow
def test_relative_weight_motion_measures_laziness() -> None:
    # |theta_t - theta_0| / |theta_0| ~ N^-alpha (Chizat, Oyallon and Bach, arXiv
    # 1812.07956), here through the readout: from f_0 = 0 to a fitted training set.
    def motion(width: int, alpha: float) -> float:
        sweep = small_sweep(
            alpha=alpha, width=width, center=True, weight_decay=0.0, n_steps=300
        )
        run = plan.plan_runs(sweep)[0]
        n_train = jnp.int32(round(0.6 * 49))
        program = build(run.run.system, tile=29, max_tiles=1)
        start = program.init(run.run.control, n_train, jnp.uint32(0))
        end, _ = jax.jit(program.chunk)(start, one_record_after(300))
        change = jax.tree.map(
            lambda x, y: jnp.sum((x - y) ** 2), end.params, start.params
        )
        size = jax.tree.map(lambda x: jnp.sum(x**2), start.params)
        total = [sum(jax.tree.leaves(part)) for part in (change, size)]
        return float(jnp.sqrt(total[0] / total[1]))

    widths = (128, 2048)
    for alpha in (0.25, 0.5):
        small, large = (motion(width, alpha) for width in widths)
        exponent = np.log(large / small) / np.log(widths[1] / widths[0])
        assert exponent == pytest.approx(-alpha, abs=0.1)


def test_a_centred_network_starts_at_zero() -> None:
    table = trajectories(small_sweep(center=True, alpha=0.5))
    assert table["train_loss"].iloc[0] == pytest.approx(1.0, abs=1e-6)
    # f and f_0 come from two programs, which may round apart.
    assert table["max_logit"].iloc[0] < 1e-5


def test_tiles_do_not_change_the_gradient() -> None:
    run = plan.plan_runs(small_sweep())[0]
    ends = []
    for tile, tiles in ((29, 1), (10, 3), (8, 4)):
        program = build(run.run.system, tile=tile, max_tiles=tiles)
        lane = program.init(run.run.control, jnp.int32(29), jnp.uint32(0))
        lane, _ = jax.jit(program.chunk)(lane, one_record_after(5))
        ends.append(lane.params["first"])
    np.testing.assert_allclose(ends[1], ends[0], atol=1e-6)
    np.testing.assert_allclose(ends[2], ends[0], atol=1e-6)


def test_splits_nest_over_fractions_and_depend_on_the_seed_alone() -> None:
    def rows(seed: int, fraction: float, **changes: object) -> set[int]:
        sweep = small_sweep(**changes)
        run = plan.plan_runs(sweep)[0]
        n_train = round(fraction * 49)
        program = build(run.run.system, tile=n_train, max_tiles=1)
        lane = program.init(run.run.control, jnp.int32(n_train), jnp.uint32(seed))
        order = np.asarray(lane.rows)
        assert sorted(order) == list(range(49))
        return set(order[:n_train].tolist())

    assert rows(0, 0.4) < rows(0, 0.6)
    assert rows(0, 0.4) == rows(0, 0.4, width=32, alpha=0.5)
    assert rows(0, 0.4) != rows(1, 0.4)


CHOICES: dict[str, dict[str, Any]] = {
    **{c: {"alpha_convention": c} for c in MODELS["two_layer"].conventions},
    **{loss: {"loss": loss} for loss in CLASSES},
    "adamw": {"optimizer": "adamw"},
    "adam": {"optimizer": "adam", "weight_decay": 0.0},
    "langevin": {"optimizer": "langevin", "temperature": 1e-7},
    "cross_entropy-adamw": {"loss": "cross_entropy", "optimizer": "adamw"},
}
SHOWN = ("adamw",)


@pytest.mark.parametrize("name", mostly_slow(CHOICES, SHOWN))
def test_every_choice_learns_its_training_set(name: str) -> None:
    choice = CHOICES[name]
    convention = choice.get("alpha_convention", "laziness")
    cross = choice.get("loss") in ("cross_entropy", "stablemax")
    rate = 0.5 if cross and "optimizer" not in choice else 0.05
    # Conventions with raw rates want a step of their own.
    rate = {"survey_code": 0.2, "initial_std": 0.05}.get(convention, rate)
    alpha = 1.0 if ALPHA_CONVENTIONS[convention].multiplies else 0.0
    alpha = {"literal": 0.7, "initial_std": 0.2}.get(convention, alpha)
    settings: dict[str, Any] = {
        "alpha": alpha,
        "learning_rate": rate,
        "activation": "relu",
        "width": 64,
        "weight_decay": 1e-4,
        "n_steps": 2000,
        "order_parameters": (),
    }
    table = trajectories(small_sweep(**{**settings, **choice}))
    assert table["train_accuracy"].iloc[-1] == 1.0
    assert table["train_loss"].iloc[-1] < 0.2 * table["train_loss"].iloc[1]


def test_golden_steps() -> None:
    # If this fails, training has changed: every stored result is of another program.
    # Bump spec.SCHEMA_VERSION, say why in the changelog, then put the new numbers here.
    table = trajectories(small_sweep(n_steps=10, order_parameters=("snr",)))
    found = table["train_loss"].iloc[[0, 1, 5, 10]].to_numpy()
    np.testing.assert_allclose(found, GOLDEN_LOSSES, rtol=1e-5)


GOLDEN_LOSSES = [4.010624, 2.059407, 1.130312, 0.864143]


def test_precision_is_true_float32() -> None:
    system = System(task="modular_addition", modulus=7, width=16)
    program = build(system, tile=29, max_tiles=1)
    run = plan.plan_runs(small_sweep(order_parameters=()))[0]
    arguments = (run.run.control, jnp.int32(29), jnp.uint32(0))
    lane = program.init(*arguments)
    text = str(jax.make_jaxpr(program.chunk)(lane, one_record_after(1)))
    products = [line for line in text.splitlines() if "dot_general" in line]
    assert products and text.count("precision=None") == 0
