"""Kumar et al. on polynomial regression, and weight motion: what is found wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_reproduce import shipped

from grokmap import plan, plot
from grokmap.models import ALPHA_CONVENTIONS
from grokmap.reproduce import conventions, kumar_engine
from grokmap.reproduce import kumar_regression as kumar
from grokmap.reproduce.crossing import first_below, relative_to_start
from grokmap.reproduce.finding import Finding
from grokmap.reproduce.trained import Trained


def records(run: str, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"run_id": run, **columns})


def missed(found: list[Finding]) -> list[int]:
    return [i for i, own in enumerate(found) if not own.holds]


# ---- crossings


def test_first_record_below_a_bar_or_never() -> None:
    early = records("a", step=[0, 4, 8, 12], train_loss=[2.0, 0.3, 0.1, 0.5])
    late = records("b", step=[0, 4, 8, 12], train_loss=[0.2, 0.2, 0.2, 0.1])
    both = pd.concat([early, late]).sample(frac=1, random_state=0)
    assert first_below(both, "train_loss", 0.15).to_dict() == {"a": 8, "b": 12}
    assert first_below(both, "train_loss", 0.1).isna().all()  # below, not at
    own = relative_to_start(both, "train_loss")
    assert own["train_loss"].tolist() == pytest.approx(
        [1, 0.15, 0.05, 0.25, 1, 1, 1, 0.5]
    )
    assert first_below(own, "train_loss", 0.5)["a"] == 4
    assert np.isnan(first_below(own, "train_loss", 0.5)["b"])


# ---- the sweep files are the paper's settings


@pytest.mark.parametrize(
    ("name", "kappa_alpha", "n_train"),
    [("kumar-fig1", 2, 550), ("kumar-fig3a", 1, 450), ("kumar-fig3e", 40, 550)],
)
def test_steps_and_sizes_are_theirs(
    name: str, kappa_alpha: float, n_train: int
) -> None:
    sweep = shipped(name)
    (width,), (rate,) = sweep.width, sweep.learning_rate
    for alpha in sweep.alpha:
        scale = ALPHA_CONVENTIONS["output_scale"].scale(alpha, width, 1, 100)
        # kappa = 2 eta alpha / N, eta the step on the mean of r^2.
        kappa = 2 * rate * scale.gd_step * alpha / width
        assert kappa == pytest.approx(kappa_alpha / alpha)
        assert scale.prefactor == pytest.approx(alpha / width)
    assert {run.n_train for run in plan.plan_runs(sweep)} == {n_train}
    assert sweep.center and sweep.weight_decay == (0,)


# ---- Fig. 3a


ALPHAS = (1 / 32, 0.25, 0.5, 1, 2, 4, 8, 16, 32)


def falling(steps: Any, at: Mapping[float, float]) -> Any:
    """A loss from 1 that reaches each level at its step, geometric between."""
    places = [0.0, *(np.log(s) for s in at.values())]
    levels = [0.0, *(np.log(level) for level in at)]
    return np.exp(np.interp(np.log(np.maximum(steps, 1)), places, levels))


def fig_3a(change: Callable[[float], dict[str, float]]) -> Mapping[str, Trained]:
    """Runs that agree with the paper, but for what `change` says of an alpha."""
    steps = np.append(0, np.round(np.geomspace(1, 60_000, 400)).astype(int))
    rows, parts = [], []
    for seed in (0, 1, 2):
        for alpha in ALPHAS:
            known = kumar.KNOWN_TIMES.get(alpha, kumar.KNOWN_TIMES[16])
            own = {"tenth": np.median(known.train_tenth)}
            own |= {"hundredth": np.median(known.train_hundredth)}
            own |= {"half": min(known.test_half), "last": np.median(known.last)}
            own |= {"last": 0.8} if alpha == 32 else {}
            own |= change(alpha)
            times = {0.1: own["tenth"], 0.01: own["hundredth"], 1e-3: 60_000}
            train = falling(steps, times)
            levels = {0.5: own["half"], own["last"]: 60_000}
            if own["half"] >= 60_000 or own["last"] > 0.5:
                levels = {own["last"]: 60_000}
            run = f"{seed}-{alpha}"
            rows.append({"run_id": run, "alpha": alpha, "seed": seed})
            test = 3 * falling(steps, levels)
            parts.append(records(run, step=steps, train_loss=2 * train, test_loss=test))
    return {"kumar-fig3a": Trained(pd.DataFrame(rows), pd.concat(parts))}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda a: {}, []),
        (lambda a: {"last": 0.9} if a == 4 else {}, [0, 8, 9]),
        (lambda a: {"half": 80} if a == 1 / 32 else {}, [2, 8]),
        (
            lambda a: {"half": 9_000, "last": 0.05} if a == 16 else {},
            [0, 1, 3, 4, 8, 9],
        ),
        (
            lambda a: {"tenth": 50, "hundredth": 300} if a == 1 / 32 else {},
            [2, 5, 6, 7],
        ),
        (lambda a: {"hundredth": 7_000} if a == 1 else {}, [7]),
    ],
)
def test_the_comparison_of_fig_3a_finds_what_is_wrong(
    change: Callable[[float], dict[str, float]], expected: list[int]
) -> None:
    found = kumar.compare_3a(fig_3a(change))
    wrong = missed(found)
    # A gap that closes at alpha = 1/32 is found whichever of its ends moved.
    assert set(wrong) - {2} == set(expected) - {2}, [found[i] for i in wrong]


def test_values_outside_known_ones_by_a_factor() -> None:
    assert kumar.factor(3, (2, 4)) == 1
    assert kumar.factor(1, (2, 4)) == 2
    assert kumar.factor(12, (2, 4)) == 3
    assert kumar.factor(np.inf, (5, np.inf)) == 1
    assert kumar.factor(np.inf, (2, 4)) == np.inf
    assert np.isnan(kumar.rank(pd.Series([1, 2]), pd.Series([3, 3])))


# ---- Fig. 1


def fig_1(**changes: Any) -> Mapping[str, Trained]:
    own = {"train": 6600, "test": 37_500, "last": 0.034, "peak": 1.07, "norm": 56**0.5}
    own |= changes
    steps = np.sort(np.array([0, 10, own["train"], own["test"], 100_000]))
    train = np.where(steps >= own["train"], 0.05, 0.9)
    test = np.where(steps >= own["test"], 0.09, 0.89)
    test[1], test[-1] = own["peak"], own["last"]
    norm = np.linspace(1, own["norm"], 5)
    part = records(
        "a", step=steps, train_loss=train, test_loss=test, weight_norm=7 * norm
    )
    runs = pd.DataFrame({"run_id": ["a"], "seed": [0]})
    return {"kumar-fig1": Trained(runs, part)}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"train": 3000}, [0]),
        ({"test": 80_000}, [1]),
        ({"last": 0.07}, [2]),
        ({"peak": 2.2}, [3, 4]),
        ({"norm": 5.0}, [5]),
    ],
)
def test_the_comparison_of_fig_1_finds_what_is_wrong(
    changes: dict[str, Any], expected: list[int]
) -> None:
    assert missed(kumar.compare_1(fig_1(**changes))) == expected


# ---- Fig. 3e


def fig_3e(delay: Callable[[float, float], float]) -> Mapping[str, Trained]:
    """A map of 14 x 14 delays; NaN is never."""
    rows, parts = [], []
    for alpha in 0.4 * np.arange(1, 15):
        for epsilon in 0.02 * np.arange(1, 15):
            run, own = f"{alpha:.2f} {epsilon:.2f}", delay(alpha, epsilon)
            rows.append({"run_id": run, "alpha": alpha, "nonlinearity": epsilon})
            end = 110_000.0 if np.isnan(own) else 100 + own
            test = [0.9, 0.9, 0.9 if np.isnan(own) else 0.01]
            train, step = [0.9, 0.09, 0.01], [0.0, 100.0, end]
            parts.append(records(run, step=step, train_loss=train, test_loss=test))
    return {"kumar-fig3e": Trained(pd.DataFrame(rows), pd.concat(parts))}


def test_the_comparison_of_fig_3e_leaves_censored_cells_out() -> None:
    def grows(alpha: float, epsilon: float) -> float:
        return 500 * alpha / epsilon

    def censored(alpha: float, epsilon: float) -> float:
        return np.nan if grows(alpha, epsilon) > 40_000 else grows(alpha, epsilon)

    cells = kumar.delays_3e(*fig_3e(censored)["kumar-fig3e"][:2])
    known = cells["delay"].notna()
    assert 0 < known.sum() < len(cells)
    exact = 500 * cells["alpha"] / cells["nonlinearity"]
    np.testing.assert_allclose(cells["delay"][known], exact[known])
    for delay in (grows, censored):
        found = kumar.compare_3e(fig_3e(delay))
        assert missed(found) == []
        assert found[0].measured.startswith("1.000 over")
        assert found[1].measured.startswith("-1.000 over")


def test_the_comparison_of_fig_3e_finds_what_is_wrong() -> None:
    noise = np.random.default_rng(0)

    def reversed_(alpha: float, epsilon: float) -> float:
        return 500 * epsilon / alpha

    def noisy(alpha: float, epsilon: float) -> float:
        return float(noise.uniform(0, 1e4))

    assert missed(kumar.compare_3e(fig_3e(reversed_))) == [0, 1]
    assert missed(kumar.compare_3e(fig_3e(noisy))) == [0, 1]
    assert missed(kumar.compare_3e(fig_3e(lambda a, e: np.nan))) == [0, 1, 2]
    early = fig_3e(lambda a, e: 0.0)  # constant: no rank, so not held
    assert missed(kumar.compare_3e(early)) == [0, 1]


# ---- the engine and the recursion


@pytest.mark.slow
def test_the_engine_follows_the_recursion_in_a_small_network() -> None:
    setting = kumar_engine.Setting(8, 40, 200_000, 50)
    found = kumar_engine.compare_recursion(setting, (0, 200, 1000))
    assert len(found) == 9 and missed(found) == []


# ---- weight motion


def motions(power: float) -> Mapping[str, Trained]:
    """Planted runs whose motion goes as the stated exponent plus `power`."""
    trained = {}
    for sweep, (_, exponent) in conventions.EXPONENTS.items():
        rows, parts = [], []
        for alpha in (0.0, 0.5):
            for seed in (0, 1):
                for width in (64, 256, 1024):
                    run = f"{alpha}-{seed}-{width}"
                    row = {"run_id": run, "alpha": alpha, "seed": seed, "width": width}
                    rows.append(row)
                    end = width ** (exponent(alpha) + power)
                    loss, motion = [1.0, 0.75, 0.25, 0.1], [0, 0.5 * end, end, 9 * end]
                    step = [0, 1, 2, 3]
                    part = records(
                        run, step=step, train_loss=loss, weight_motion=motion
                    )
                    parts.append(part)
        trained[sweep] = Trained(pd.DataFrame(rows), pd.concat(parts))
    return trained


def test_motion_is_taken_at_half_the_loss() -> None:
    trained = motions(0.0)["weight-motion-laziness"]
    found = conventions.motion_at(trained.trajectories, 0.5)
    assert found["0.5-0-256"] == pytest.approx(0.75 * 256**-0.5)
    assert conventions.motion_at(trained.trajectories, 0.05).isna().all()


@pytest.mark.parametrize(("power", "wrong"), [(0.0, 0), (0.09, 0), (0.12, 4), (-1, 4)])
def test_exponents_of_motion_are_compared(power: float, wrong: int) -> None:
    assert len(missed(conventions.compare(motions(power)))) == wrong


# ---- figures


def test_loss_curves_draw_every_run_and_start_before_step_1() -> None:
    trained = fig_3a(lambda a: {})["kumar-fig3a"]
    runs = trained.runs[trained.runs["seed"] == 0]
    figure = plot.loss_curves(trained.trajectories, runs, "alpha")
    for axes, name in zip(figure.axes, ("train_loss", "test_loss"), strict=True):
        assert len(axes.lines) == len(ALPHAS)
        own = trained.trajectories[trained.trajectories["run_id"] == "0-4"]
        line = axes.lines[ALPHAS.index(4)]
        np.testing.assert_allclose(line.get_ydata(), own[name])
        assert line.get_xdata()[0] == 0.5
