from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from conftest import labelled, mostly_slow, small_sweep, trajectories

from grokmap import plan
from grokmap.engine import step_size, trial
from grokmap.engine.train import build
from grokmap.models import ALPHA_CONVENTIONS
from grokmap.optimizers import OPTIMIZERS
from grokmap.spec import Control, Sweep

FEW = {"modulus": 5, "width": 6, "n_steps": 200, "weight_decay": 0.1, "center": True}


def curvature(sweep: Sweep) -> float:
    """Largest eigenvalue of the Hessian and of its Gauss-Newton part, in float64."""
    p, width = sweep.modulus[0], sweep.width[0]
    scale = ALPHA_CONVENTIONS["laziness"].scale(sweep.alpha[0], width, 3, 2 * p)
    run = plan.plan_runs(sweep.with_learning_rate(1.0))[0]
    program = build(run.run.system, tile=p * p, max_tiles=1)
    control = Control(*map(jnp.float32, run.run.control))
    lane = program.init(control, jnp.int32(run.n_train), jnp.uint32(0))
    rows = np.asarray(lane.rows)[: run.n_train]
    x = np.eye(p)[rows // p], np.eye(p)[rows % p]
    x = np.concatenate(x, axis=1)
    w, readout = (np.float64(lane.params[k]) for k in ("first", "readout"))
    h = x @ w
    # Jacobian of every logit in w and in the readout, example by example.
    by_readout = np.einsum("ni,cd->ncdi", h**2, np.eye(p))
    by_first = np.einsum("nk,ni,ci->ncki", x, 2 * h, readout)
    flat = [j.reshape(len(x) * p, -1) for j in (by_first, by_readout)]
    jacobian = float(scale.prefactor) * np.concatenate(flat, axis=1)
    gauss_newton = 2 / len(x) * jacobian.T @ jacobian
    error = -np.eye(p)[(rows // p + rows % p) % p]  # centred: the output is 0
    second = np.zeros_like(gauss_newton)
    pull = 2 / len(x) * float(scale.prefactor) * error
    n_first = w.size
    # d2f_c / dw_ki dw_li = 2 a_ci x_k x_l; d2f_c / dw_ki da_ci = 2 h_i x_k.
    bend = np.einsum("nc,ci,nk,nl->kli", pull, 2 * readout, x, x)
    cross = np.einsum("nc,ni,nk->kci", pull, 2 * h, x)
    for i in range(width):
        own = np.arange(2 * p) * width + i
        out = n_first + np.arange(p) * width + i
        second[np.ix_(own, own)] += bend[:, :, i]
        second[np.ix_(own, out)] += cross[:, :, i]
        second[np.ix_(out, own)] += cross[:, :, i].T
    tops = [np.linalg.eigvalsh(m)[-1] for m in (gauss_newton, gauss_newton + second)]
    return float(max(tops))


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_the_limit_is_that_of_the_exact_curvature(
    alpha: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = small_sweep(**FEW, alpha=alpha, momentum=0.5)
    # Few parameters, so that Lanczos is exact.
    monkeypatch.setattr(step_size, "LANCZOS_STEPS", 60)
    (limit,) = step_size._limits(sweep)
    width = sweep.width[0]
    step, decay = width ** (1 - 2 * alpha), 0.1 / width
    exact = 2 * 1.5 / (step * (curvature(sweep) + decay))
    assert limit == pytest.approx(exact, rel=1e-3)
    chosen = step_size.choose_learning_rate(sweep)
    assert 0.9 * step_size.SHARE * limit <= chosen <= step_size.SHARE * limit
    assert float(f"{chosen:.2g}") == chosen


@pytest.mark.slow
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_stable_below_the_limit_and_not_above(momentum: float) -> None:
    base = {"modulus": 11, "width": 64, "n_steps": 400, "momentum": momentum}
    (limit,) = step_size._limits(small_sweep(**base))
    calm = labelled(small_sweep(**base, learning_rate=step_size.SHARE * limit))
    assert not calm["diverged"].any()
    loss = trajectories(small_sweep(**base, learning_rate=step_size.SHARE * limit))
    assert loss["train_loss"].iloc[-1] < 0.1 * loss["train_loss"].iloc[0]
    wild = trajectories(small_sweep(**base, learning_rate=4 * limit))
    assert not wild["train_loss"].iloc[-1] < 0.1 * loss["train_loss"].iloc[0]


@pytest.mark.slow
def test_one_number_serves_every_alpha_and_seed() -> None:
    sweep = small_sweep(alpha="0,0.3,0.5", seed="0,1,2")
    one = step_size.choose_learning_rate(sweep)
    # The largest that is stable in every corner: no more corners, no larger step.
    alone = [
        step_size.choose_learning_rate(small_sweep(alpha=alpha)) for alpha in (0.0, 0.5)
    ]
    assert one == min(alone)


def for_as_many_decay_times(n: int, learning_rate: float, **grid: Any) -> pd.DataFrame:
    """Runs of the step over n and of n times the budget, labelled."""
    values = {"modulus": 23, "width": 128, "momentum": 0.9, "n_steps": None}
    budget = {"horizon": 12.0, "min_steps": 500 * n, "max_steps": 6000 * n, "tail": 1.0}
    step = {"learning_rate": learning_rate / n}
    return labelled(small_sweep(**values, **budget, **step, **grid))


KEYS = ["alpha", "weight_decay", "seed"]


@pytest.mark.slow
def test_the_diagram_in_decay_times_does_not_move() -> None:
    # The step of "auto" against a quarter of it, both for as many decay times.
    grid = {"alpha": "0:0.4:3", "weight_decay": "log:2e-3:0.5:11"}
    size = {"modulus": 23, "width": 128, "momentum": 0.9}
    chosen = step_size.choose_learning_rate(small_sweep(**size, **grid))
    large, small = (for_as_many_decay_times(n, chosen, **grid) for n in (1, 4))
    both = large.merge(small, on=KEYS, suffixes=("", "_small"))
    decided = both[~both["censored"] & ~both["censored_small"]]
    assert len(decided) >= 20
    # The upper edge moves by up to `EDGE_MOVES`, and next to it seeds and the last bits
    # of a processor decide: one cell of a row may change there, and no other.
    other = decided[decided["phase"] != decided["phase_small"]]
    assert len(other) == other["alpha"].nunique()
    assert set(other["phase"]) | set(other["phase_small"]) <= {"grok", "no-learning"}
    grok = decided[(decided["phase"] == "grok") & (decided["phase_small"] == "grok")]
    assert len(grok) >= 10
    times = [
        grok[f"t_grok{end}"].astype(float) * grok[f"decay_rate{end}"]
        for end in ("", "_small")
    ]
    ratio = times[0] / times[1]
    assert 0.6 < ratio.median() < 1.3 and ratio.between(1 / 3, 3).all()


EDGE_MOVES = 1.3  # at most, for each of 6 seeds; the axis of the test above has 1.7


@pytest.mark.slow
@pytest.mark.parametrize(
    ("alpha", "low"), [(0.0, 0.024), (0.2, 0.046), (0.4, 0.09)], ids=str
)
def test_the_upper_edge_in_decay_times_hardly_moves(alpha: float, low: float) -> None:
    decays = [float(f"{low * EDGE_MOVES**k:.3g}") for k in range(5)]
    grid = {"alpha": alpha, "weight_decay": decays, "seed": tuple(range(6))}
    edges = []
    for n in (1, 4):
        runs = for_as_many_decay_times(n, 0.14, **grid)  # as "auto" chooses above
        grok = runs[runs["phase"] == "grok"]
        edges.append(grok.groupby("seed")["weight_decay"].max())
        assert len(edges[-1]) == 6 and edges[-1].max() < max(decays)
    # To the resolution of the axis: the next cell, or the same.
    assert np.all(np.abs(np.log(edges[0] / edges[1])) < 1.01 * np.log(EDGE_MOVES))


def test_a_curvature_beyond_float32_is_refused() -> None:
    wide = small_sweep(alpha=1e6, alpha_convention="output_scale", width=16)
    far = wide.model_copy(update={"alpha": (1e30,)})
    with jax.debug_nans(False), pytest.raises(ValueError, match="not finite"):
        step_size.choose_learning_rate(far)


RELU = {"model": "mlp", "depth": 2, "activation": "relu", "alpha": 1.0}
RELU |= {"alpha_convention": "standard", "modulus": 7, "width": 16}


def with_optimizer(name: str, **changes: Any) -> Sweep:
    decay = 0.1 if OPTIMIZERS[name].decays else 0.0
    values = {**RELU, "optimizer": name, "weight_decay": decay, "n_steps": 400}
    return small_sweep(**{**values, **changes})


@pytest.mark.parametrize("name", mostly_slow(list(OPTIMIZERS), []))
def test_every_optimizer_has_a_learning_rate_that_trains(name: str) -> None:
    sweep = with_optimizer(name)
    chosen = step_size.choose_learning_rate(sweep)
    assert float(f"{chosen:.2g}") == chosen
    loss = trajectories(with_optimizer(name, learning_rate=chosen))["train_loss"]
    first, last = loss.iloc[0], loss.iloc[-1]
    # It learns, and nowhere does the loss jump up.
    assert last < 0.9 * first
    assert (loss - loss.cummin()).max() < trial.RISE * first
    wild = trajectories(with_optimizer(name, learning_rate=64 * chosen))["train_loss"]
    # Far above it the loss jumps, or decay alone has its way (of Muon, which moves
    # hidden matrices by their direction only).
    calm = (wild - wild.cummin()).max() < trial.RISE * first
    assert not (calm and wild.iloc[-1] < last)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adamw", "lion"])
def test_the_phases_of_a_trial_are_those_of_a_quarter_of_it(name: str) -> None:
    size = {"modulus": 23, "width": 64, "train_fraction": 0.7, "optimizer": name}
    grid = {**size, "alpha": "0,0.3", "weight_decay": "log:0.1:3:4"}
    chosen = step_size.choose_learning_rate(small_sweep(**grid))
    phases = []
    for n in (1, 4):
        budget = {"n_steps": None, "horizon": 12.0, "tail": 1.0}
        budget |= {"min_steps": 400 * n, "max_steps": 6000 * n}
        runs = labelled(small_sweep(**grid, **budget, learning_rate=chosen / n))
        assert not runs["diverged"].any()
        phases.append(list(runs["phase"]))
    assert set(phases[0]) == {"grok", "no-learning"}
    # Next to the edge the last bits of a processor decide.
    assert sum(a != b for a, b in zip(*phases, strict=True)) <= 1


def test_the_trial_finds_the_rung_where_the_loss_begins_to_jump() -> None:
    sweep = with_optimizer("adamw", weight_decay=0.0)
    run = plan.plan_runs(sweep.with_learning_rate(1.0))[0]
    limit = trial.largest_stable(run.run.system)
    rate = limit(run.run.control, run.n_train, 0)
    assert rate == limit(run.run.control, run.n_train, 0)
    rises = trial._rises_of(run.run.system)

    def rise(rate: float) -> float:
        control = run.run.control._replace(learning_rate=rate)
        given = Control(*map(jnp.float32, control))
        return float(rises(given, jnp.int32(run.n_train), jnp.uint32(0)))

    assert rise(rate) <= trial.RISE < rise(rate * 2**0.5)
    # A decay that shrinks the weights to nothing in a step bounds it as well.
    strong = run.run.control._replace(weight_decay=1e4)
    assert limit(strong, run.n_train, 0) == pytest.approx(1e-4)


@pytest.mark.parametrize("edge", [trial.LOWEST, -7, trial.HIGHEST])
def test_bisection_ends_at_the_highest_stable_rung(edge: int) -> None:
    asked: list[int] = []

    def is_stable(rung: int) -> bool:
        asked.append(rung)
        return rung <= edge

    assert trial._highest(is_stable) == edge
    assert len(asked) <= 6
