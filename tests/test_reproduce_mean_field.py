"""Comparisons with the mean-field limit: planted tables, and one small engine run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from conftest import SMALL

import grokmap
from grokmap import store
from grokmap.cli.reproduce import weights_of
from grokmap.engine.mean_field import neurons_of, start_of
from grokmap.plan import expand, read_sweep
from grokmap.reproduce import (
    condensation,
    edges,
    fixed_points,
    mean_field,
    quadratic_ends,
)
from grokmap.reproduce import mean_field_laziness as laziness
from grokmap.reproduce.trained import Sweeps, Trained
from grokmap.session.gradients import reached_at
from grokmap.theory import mean_field as theory

WIDTHS = (64, 256, 1024)


def planted(exponent: float) -> pd.DataFrame:
    """Six seeds whose errors fall as a power of N, each from a height of its own."""
    rows = [
        (seed, width, (1 + seed) * width**exponent)
        for seed in range(6)
        for width in WIDTHS
    ]
    return pd.DataFrame(rows, columns=["seed", "width", "error"])


@pytest.mark.parametrize(
    ("exponent", "holds"), [(-0.5, True), (-1, True), (-0.3, False)]
)
def test_exponents_of_errors(exponent: float, holds: bool) -> None:
    slopes = mean_field.slopes(planted(exponent))
    np.testing.assert_allclose(slopes, exponent)
    assert mean_field.exponent("outputs", slopes).holds == holds


@pytest.mark.parametrize(("exponent", "holds"), [(-0.6, True), (-0.2, False)])
def test_exponent_of_times_is_of_widths_that_all_grok(
    exponent: float, holds: bool
) -> None:
    table = planted(exponent).rename(columns={"error": "ratio"})
    table["ratio"] = 1 + table["ratio"] / 20
    table.loc[(table["width"] == 64) & (table["seed"] == 2), "ratio"] = np.nan
    found = mean_field.time_exponent(table)
    assert "from 256" in found.quantity and found.holds == holds
    assert float(found.measured) == pytest.approx(exponent)


def test_times_of_the_limit_are_by_the_engines_criteria() -> None:
    # Right on the training example from step 3, on the test example from step 7.
    y = np.array([[1.0, 0.0], [0.0, 1.0]])
    steps = np.arange(11)[:, None]
    right = np.concatenate([steps >= 3, steps >= 7], axis=1)[:, :, None]
    outputs = np.where(right, y, 1 - y)
    problem = theory.Problem(np.eye(2), y, 1, jnp.square)
    limit = mean_field.Limit(problem, outputs, np.zeros(1))
    found = mean_field.limit_times({4: limit}, np.array([0, 1, 2, 4, 6, 8, 10]))
    assert found.loc[4].tolist() == [4, 8]


def loss_table(exponent: float) -> pd.DataFrame:
    """Losses (lambda N^exponent)^2, and carriers N^(1 + 3 exponent)."""
    rows = [
        (
            width,
            decay,
            seed,
            (decay * width**exponent) ** 2,
            width ** (1 + 3 * exponent),
        )
        for width in (64, 128, 256, 512, 1024)
        for decay in (0.05, 0.1)
        for seed in range(6)
    ]
    columns = ["width", "weight_decay", "seed", "train_loss", "carriers"]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize(("exponent", "holds"), [(-1 / 3, True), (0.0, False)])
def test_condensation_is_told_from_its_absence(exponent: float, holds: bool) -> None:
    found = condensation.of_table(loss_table(exponent))
    assert len(found) == 2 + 2 and {f.holds for f in found} == {holds}


def planted_edges(of_laziness: float) -> Trained:
    """Quadratic runs that grok below lambda_max = 0.02 N^(1/3) K^of_laziness."""
    rows = [
        (
            seed,
            n,
            alpha,
            decay,
            decay < 0.02 * n ** (1 / 3 + of_laziness * alpha),
        )
        for seed in range(3)
        for n in (32, 128, 512)
        for alpha in (0.0, 0.1, 0.2, 0.3)
        for decay in np.geomspace(0.005, 10, 60)
    ]
    columns = ["seed", "width", "alpha", "weight_decay", "groks"]
    runs = pd.DataFrame(rows, columns=columns).assign(censored=False)
    phase = np.where(runs.pop("groks"), "grok", "no-learning")
    return Trained(runs.assign(activation="quadratic", phase=phase), pd.DataFrame())


@pytest.mark.parametrize(("of_laziness", "holds"), [(2 / 3, True), (1.2, False)])
def test_exponents_of_planted_edges(of_laziness: float, holds: bool) -> None:
    found = edges.compare({edges.SWEEP: planted_edges(of_laziness)})
    assert len(found) == 2 * (3 + 4)  # two edges, of three widths and four alphas
    in_k = [one for one in found if "in K" in one.quantity]
    assert {one.holds for one in in_k} == {holds}
    assert [float(f.measured) for f in in_k] == pytest.approx(
        [of_laziness] * 6, abs=0.1
    )
    first, last = (
        next(one for one in found if f"in N at alpha = {alpha}" in one.quantity)
        for alpha in ("0", "0.3")
    )
    assert first.holds and last.holds == holds


def test_carriers_are_the_neurons_of_equal_share() -> None:
    rng = np.random.default_rng(0)
    a, w = rng.standard_normal((2, 10, 3))
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    w /= np.linalg.norm(w, axis=1, keepdims=True)
    assert theory.carriers(theory.Neurons(a, w), 3) == pytest.approx(10)
    a[4:] = 0
    assert theory.carriers(theory.Neurons(a, w), 3) == pytest.approx(4)
    # c = |a| |w|^2 = 1 and 4, three of each but one.
    one = theory.Neurons(np.eye(2)[:, :1] + 1, np.ones((2, 1)))
    assert theory.carriers(one, 3) == pytest.approx(9 / 5)


def test_networks_of_any_laziness_are_rescaled_ones() -> None:
    # theta = (N/K)^(1/L) theta': the docstring of `condensation`, here for N -> K = 4.
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    neurons = rng.standard_normal((5, 2)), rng.standard_normal((5, 3))
    k = 4.0
    lazy = theory.Problem(x, y, 4, jnp.square, k, 0.05, weight_decay=0.3)
    other = lazy._replace(
        laziness=1.0,
        learning_rate=0.05 * k ** (2 / 3 - 2),
        weight_decay=0.3 * k ** (-2 / 3),
    )
    method = theory.Method(tolerance=1e-13)
    scaled = [k ** (1 / 3) * part for part in neurons]
    one = theory.solve(lazy, theory.at_rest(*neurons), 20, method)
    two = theory.solve(other, theory.at_rest(*scaled), 20, method)
    np.testing.assert_allclose(one.outputs, two.outputs, atol=1e-11)


# ---- laziness


def lazy_tables(of_k: float, of_n: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Errors and lateness K^of_k N^of_n of six seeds, the limit's t_grok 100 K."""
    ks, widths = 2.0 ** np.array([1.5, 2.0, 2.5]), (64, 128, 256, 512, 1024, 2048)
    rows = [
        (k, seed, n, step, (1 + seed) * k**of_k * n**of_n)
        for k in ks
        for seed in range(6)
        for n in widths
        for step in laziness.STEPS
    ]
    errors = pd.DataFrame(rows, columns=["k", "seed", "width", "step", "error"])
    times = errors[errors["step"] == laziness.STEPS[0]].assign(limit=100 * errors["k"])
    return errors.assign(gap=errors["error"]), times.assign(ratio=1 + times["error"])


def lazy_limits(apart: float) -> dict[laziness.Key, mean_field.Limit]:
    """Outputs 1 at the smallest K, and 1 - apart at the others."""
    errors, _ = lazy_tables(1, -0.5)
    low = errors["k"].min()
    problem = theory.Problem(np.eye(2), np.eye(2), 1, jnp.square)
    shape = laziness.STEPS[-1] + 1, 2, 2
    return {
        (k, seed): mean_field.Limit(
            problem, np.full(shape, 1 - apart * (k > low)), np.zeros(1)
        )
        for k in errors["k"].unique()
        for seed in range(6)
    }


@pytest.mark.parametrize(
    ("of_k", "of_n", "held"),
    [
        (1.0, -0.5, [True, True, True, True]),
        (1.0, -0.2, [False, False, True, False]),
        (0.3, -0.5, [True, True, False, False]),
    ],
)
def test_errors_between_rich_and_lazy(
    of_k: float, of_n: float, held: list[bool]
) -> None:
    errors, times = lazy_tables(of_k, of_n)
    k = errors["k"].min()
    fixed = laziness._at_fixed(k, errors[errors["k"] == k], times[times["k"] == k])
    in_k = laziness._in_laziness(errors)
    along = laziness._along_alpha(errors, times, lazy_limits(0.5))[0]
    assert {one.holds for one in fixed[:3]} == {held[0]}
    assert fixed[3].holds == held[1]
    assert [one.holds for one in in_k] == [held[2]] * 2
    # At alpha = 1/4 K grows as N^(1/4), and the error with it.
    assert float(along.measured) == pytest.approx(of_n + of_k / 4, abs=1e-3)
    assert along.holds == held[3]


@pytest.mark.parametrize(("apart", "holds"), [(0.9, True), (0.01, False)])
def test_limits_that_move_are_told_from_one_that_stays(
    apart: float, holds: bool
) -> None:
    errors, times = lazy_tables(1.0, -0.5)
    errors["error"] /= 10
    found = laziness._along_alpha(errors, times, lazy_limits(apart))
    moved = [one for one in found if one.quantity.startswith("distance")]
    assert {one.holds for one in moved} == {holds}
    assert "that limit is 2 times as late" in found[-1].quantity  # 100 K, K doubled


def test_the_sweep_has_networks_at_one_alpha_on_its_way() -> None:
    sweep = read_sweep(
        Path(mean_field.__file__).parent / f"sweeps/{laziness.SWEEP}.toml"
    )
    runs = pd.DataFrame(
        [(run.control.alpha, run.system.width) for run in expand(sweep)],
        columns=["k", "width"],
    )
    assert sorted(set(laziness.on_alpha(runs)["width"])) == [64, 256, 1024]


# ---- the engine


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"center": True, "alpha": 0.3, "momentum": 0.5, "weight_decay": 0.1},
        {
            "task": "cubic_teacher",
            "activation": "erf",
            "alpha": 0.2,
            **{"n_inputs": 6, "n_examples": 40, "modulus": None},
        },
    ],
)
def test_the_iteration_from_the_engines_neurons_is_the_engine(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    given = SMALL | {"activation": "relu"} | changes
    given = {key: value for key, value in given.items() if value is not None}
    result = grokmap.sweep(given, out=tmp_path / "r")
    run_id = result.runs["run_id"].iloc[0]
    (one,) = reached_at(result.path, {run_id: [100]})
    problem, neurons = start_of(one.run, np.float64)
    assert problem.laziness == pytest.approx(16 ** given["alpha"])
    path = theory.solve(problem, neurons, 100, theory.Method(tolerance=1e-11)).outputs
    losses = theory.losses(problem, path)
    records = store.read_trajectories(result.path)[0].sort_values("step")
    steps = records["step"].to_numpy()
    for name in ("train_loss", "test_loss"):
        expected = records[name].to_numpy()
        assert expected[-1] < 0.95 * expected[0] or name == "test_loss"
        np.testing.assert_allclose(getattr(losses, name)[steps], expected, rtol=2e-4)
    if problem.y.shape[1] > 1:
        for name in ("train_accuracy", "test_accuracy"):
            # Not at step 0, where all outputs less their initial ones are equal.
            ours = getattr(losses, name)[steps[1:]]
            np.testing.assert_allclose(ours, records[name].iloc[1:], atol=1e-6)
    start = theory.seen(problem, neurons) if problem.center else 0.0
    f = theory.seen(problem, neurons_of(one.leaves, np.float64))
    np.testing.assert_allclose(f - start, path[-1], atol=1e-4)


@pytest.mark.slow
def test_the_comparison_of_widths_on_a_small_sweep(tmp_path: Path) -> None:
    given = SMALL | {"activation": "relu", "n_steps": max(mean_field.STEPS)}
    given.pop("width")
    axes = {"width": [32, 128, 512], "seed": [0, 1, 2, 3, 4, 5]}
    result = grokmap.sweep(given | {"axes": axes}, out=tmp_path / "r")
    said: list[str] = []
    trained = Trained(
        result.runs,
        store.read_trajectories(result.path)[0],
        weights=weights_of(result.path, result.runs),
        say=said.append,
    )
    found = mean_field.compare({mean_field.SWEEP: trained}, neurons=1024)
    assert said[-1] == "the mean-field limit of seed 5, draw 2: 12 of 12"
    by_name = {f.quantity: f for f in found}
    errors = [f for name, f in by_name.items() if name.startswith("error of outputs")]
    assert len(errors) == 4 and all(f.holds for f in errors)
    assert not by_name["error of t_grok against N"].holds  # none groks
    assert found[-1].holds and "own 32 neurons" in found[-1].quantity


def test_the_sweeps_are_at_one_laziness() -> None:
    for name in (mean_field.SWEEP, condensation.SWEEP):
        sweep = read_sweep(Path(mean_field.__file__).parent / f"sweeps/{name}.toml")
        runs = list(expand(sweep))
        assert {run.control.alpha for run in runs} == {0.0}
        same = {replace(run.system, width=1) for run in runs}
        assert len(same) == 1


# ---- fixed points


def test_balance_is_one_at_a_stationary_point_and_zero_at_zero_loss() -> None:
    # a and w of one linear neuron, one input, target 1: 2 (s^2 - 1) s + lambda s = 0.
    problem = theory.Problem(np.eye(1), np.eye(1), 1, jnp.asarray, weight_decay=0.4)

    def balance(s: float) -> float:
        state = theory.at_rest(np.full((1, 1), s), np.full((1, 1), s))
        return fixed_points.balance(problem, np.full((1, 1), s * s), state)

    assert balance(np.sqrt(1 - 0.4 / 2)) == pytest.approx(1)
    assert balance(1.0) == pytest.approx(0, abs=1e-12)
    state = theory.at_rest(np.full((1, 1), 2.0), np.full((1, 1), 3.0))
    assert fixed_points.objective(problem, np.full((1, 1), 6.0), state) == (
        pytest.approx(25 + 0.2 * 13)
    )


def ends(objectives: list[float], tests: list[float]) -> dict[str, Any]:
    names = ("random", "lazy", "memorised", "generalised")
    return {
        name: fixed_points.End(f, f, 1.0, theory.Losses(0.1, 0.2, 1.0, accuracy))
        for name, f, accuracy in zip(names, objectives, tests, strict=True)
    }


@pytest.mark.parametrize(
    ("objectives", "tests", "held"),
    [
        ([0.5, 0.501, 0.502, 0.5], [0.0, 0.1, 0.0, 0.0], [True, True, False]),
        ([0.5, 0.5, 0.6, 0.5], [1.0, 1.0, 0.1, 1.0], [False, True, True]),
    ],
)
def test_one_state_is_told_from_two(
    objectives: list[float], tests: list[float], held: list[bool]
) -> None:
    found = fixed_points.of_ends(ends(objectives, tests), "here")
    assert [f.holds for f in found] == held


@pytest.mark.slow
def test_starts_are_what_they_are_called() -> None:
    problem = fixed_points.problem_at(0.85)
    assert (problem.n_train, problem.x.shape) == (103, (121, 22))
    random = theory.draw(64, 22, 11, 0, np.float32)
    state = fixed_points.prepared(problem, random, problem.y, n_steps=150)
    losses = theory.losses(problem, theory.seen(problem, state))
    assert losses.test_accuracy > 0.9 and (state.velocity.first == 0).all()
    lazy = fixed_points.scaled(random, 2.0)
    f = theory.seen(problem, lazy) - 4 * theory.seen(problem, random)
    assert np.abs(f).max() < 1e-4


@pytest.mark.slow
def test_a_comparison_without_a_sweep_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = {"NEURONS": 16, "PREPARED": 4, "DECAY_TIMES": 2.0}
    for name, value in {**small, "SETTINGS": {0.85: (0.5, 0.4)}}.items():
        monkeypatch.setattr(fixed_points, name, value)
    said: list[str] = []
    found = fixed_points.compare(Sweeps({}, said.append))
    assert len(found) == 1 + 2 * 3
    assert [line.split(": ")[0] for line in said] == [
        "85% of the pairs",
        "85% of the pairs, lambda = 0.5",
        "85% of the pairs, lambda = 0.4",
    ]
    assert said[-1].endswith("2 of 2")


@pytest.mark.parametrize(
    ("values", "moved", "held"),
    [
        ((0.4, 0.41, 0.5), (0.0, 0.0, 1.0), [True, True]),
        ((0.4, 0.4, 0.5), (0.0, 0.0, 1.0), [False, True]),  # the third still moves
        ((0.4, 0.5, 0.9), (0.0, 1.0, 1.0), [False, True]),  # one alone rests
        ((0.9, 0.95, 0.9), (0.0, 0.0, 0.0), [True, False]),
    ],
)
def test_several_values_at_rest_are_told_from_one(
    values: tuple[float, ...], moved: tuple[float, ...], held: list[bool]
) -> None:
    both = zip(values, moved, strict=True)
    ends = [quadratic_ends.End(f, m, 1.0, 1.0, 0.8) for f, m in both]
    dead = quadratic_ends.End(1.0, 0.0, np.nan, 0.1, 0.0)
    found = quadratic_ends.of_ends(ends, dead, "here")
    assert [one.holds for one in found] == held


@pytest.mark.slow
def test_small_weights_of_degree_3_die(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quadratic_ends, "DECAY_TIMES", 12)
    live, dead = (quadratic_ends.end_of(0.05, 0, scale) for scale in (1.0, 0.1))
    assert dead.objective == pytest.approx(1, abs=1e-4)  # |y|^2 = 1, outputs 0
    assert live.objective < 0.5 and live.balance == pytest.approx(1, abs=0.03)
