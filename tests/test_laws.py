"""Planted laws are found again, censoring does not bias, real runs obey none."""

from __future__ import annotations

import json
import shutil
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from grokmap import plot, store
from grokmap.analysis import laws
from grokmap.analysis.laws import comparison, data
from grokmap.models import ACTIVATIONS, ALPHA_CONVENTIONS

RNG = np.random.default_rng
WIDTHS = (64, 256)


def planted(law: Any, sigma: float = 0.1, cut: float = 0.25) -> pd.DataFrame:
    """`laws.memorised`, where law gives t_grok of (r, lambda, t_mem, norm, width, K).

    The latest runs, a share `cut`, are censored at a common budget.
    """
    rng, rows = RNG(0), []
    for width in WIDTHS:
        for alpha in (0.0, 0.1, 0.2, 0.3):
            for decay in np.geomspace(1e-3, 0.1, 7):
                for seed in range(2):
                    rate = 0.1 * decay * width ** (-2 * alpha)
                    t_mem = float(rng.uniform(20, 100))
                    norm = float(rng.uniform(40, 60))
                    t = law(rate, decay, t_mem, norm, width, width**alpha)
                    t *= np.exp(sigma * rng.normal())
                    rows.append(
                        {
                            "run_id": f"{len(rows)}",
                            "alpha": alpha,
                            "weight_decay": decay,
                            "width": width,
                            "seed": seed,
                            "decay_rate": rate,
                            "t_mem": t_mem,
                            "time": t,
                            "norm_mem": norm,
                            "norm_grok": norm / 2,
                            "log_scale": alpha * np.log(width) / 3,
                            "system": f"width={width}",
                        }
                    )
    table = pd.DataFrame(rows)
    budget = table["time"].quantile(1 - cut)
    return table.assign(
        time=table["time"].clip(upper=budget), grokked=table["time"] <= budget
    )


def fitted(name: str, table: pd.DataFrame, clock: str) -> tuple[dict, dict, float]:
    """Constants, their errors and sigma of a law fitted to a table."""
    from grokmap.analysis.laws.comparison import constants_of

    data = laws.data_of(table, clock)
    found = laws.fit(laws.LAWS[name], data)
    values, errors = constants_of(laws.LAWS[name], found, data)
    return values, errors, float(np.exp(found.p[-1]))


C_NORM = {64: 5.0, 256: 9.0}
PLANTED: dict[str, tuple[Any, str, dict[str, float]]] = {
    "kinetic": (
        lambda r, lam, t_mem, norm, width, scale: 2.5 / r,
        "start",
        {"C": 2.5},
    ),
    "weight-norm": (
        lambda r, lam, t_mem, norm, width, scale: (
            t_mem + np.log(norm / C_NORM[width]) / r
        ),
        "t_mem",
        {"theta_c width=64": 5.0, "theta_c width=256": 9.0},
    ),
    "log-scale-free": (
        lambda r, lam, t_mem, norm, width, scale: (2 + 0.8 * np.log(scale)) / r,
        "start",
        {"c": 2.0, "k": 2.4},
    ),
    "power-rate": (
        lambda r, lam, t_mem, norm, width, scale: (
            3 * (r - 1e-5) ** -1.3 if r > 1e-5 else 1e12
        ),
        "start",
        {"C": 3.0, "r_c": 1e-5, "nu": 1.3},
    ),
    "exponential-lambda": (
        lambda r, lam, t_mem, norm, width, scale: (lam / r) * 30 * np.exp(2e-3 / lam),
        "start",
        {"C": 30.0, "c": 2e-3},
    ),
    "plateau-lambda": (
        lambda r, lam, t_mem, norm, width, scale: (
            (lam / r) * 200 / np.sqrt(1 + lam / 5e-3)
        ),
        "start",
        {"C": 200.0, "lambda_0": 5e-3},
    ),
    "two-rates": (
        lambda r, lam, t_mem, norm, width, scale: (
            t_mem + 1 / (r / 2.5 + {64: 8e-3, 256: 1e-3}[width] * r / lam)
        ),
        "t_mem",
        {"C": 2.5, "kappa width=64": 8e-3, "kappa width=256": 1e-3},
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_constants_are_recovered_within_their_errors(name: str) -> None:
    time, clock, truth = PLANTED[name]
    table = planted(time)
    assert 1 - table["grokked"].mean() == pytest.approx(0.25)
    values, errors, sigma = fitted(name, table, clock)
    assert len(values) == len(truth)
    for key, want in truth.items():
        value, error = values[key], errors[key]
        assert error is not None and error < 0.4 * want
        assert abs(value - want) < 3.5 * error, key
    assert sigma == pytest.approx(0.1, abs=0.025)


RIVALS = ("kinetic", "log-scale-free", "plateau-lambda", "two-rates")


@pytest.mark.parametrize("name", ["kinetic", "two-rates"])
def test_the_planted_law_wins(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "FOLDS", 2)
    time, clock, _ = PLANTED[name]
    some = {k: laws.LAWS[k] for k in RIVALS}
    found = laws.compare(planted(time), some)
    everything = found[found["scope"] == laws.ALL]
    others = everything[(everything["law"] != name) & (everything["delta_aic"] < 10)]
    own = everything[(everything["law"] == name) & (everything["clock"] == clock)]
    # Laws that contain the planted one cost their constants, and no more is gained.
    nested = {"log-scale-free", "power-lambda", "power-rate", "two-rates", "kinetic"}
    assert own["delta_aic"].item() < 4
    assert set(others["law"]) <= (nested if name == "kinetic" else set())
    best = everything.sort_values("held_out").iloc[-1]
    assert own["held_out"].item() > best["held_out"] - 0.03
    # Each scope has its systems; `each` adds their likelihoods and constants up.
    assert set(found["scope"]) == {"all", "each", "width=64", "width=256"}
    keys = ["law", "clock"]
    alone = found[found["scope"].str.startswith("width")].groupby(keys)
    each = found[found["scope"] == "each"].set_index(keys)
    sums = alone[["n_parameters", "aic"]].sum()
    pd.testing.assert_frame_equal(each[["n_parameters", "aic"]].sort_index(), sums)


def test_ignoring_censoring_would_bias() -> None:
    time = PLANTED["kinetic"][0]
    cut = planted(time, sigma=0.8, cut=0.5)
    values, errors, sigma = fitted("kinetic", cut, "start")
    naive, _, naive_sigma = fitted("kinetic", cut[cut["grokked"]], "start")
    as_if, _, _ = fitted("kinetic", cut.assign(grokked=True), "start")
    assert abs(values["C"] - 2.5) < 2 * errors["C"]
    assert sigma == pytest.approx(0.8, abs=0.12)
    # Left out, or taken to grok at their last step: too early, and too sure of it.
    assert naive["C"] < values["C"] - errors["C"] and naive["C"] < 2.3
    assert as_if["C"] < 2.5 - 4 * errors["C"]


def test_likelihood_of_one_run_in_closed_form() -> None:
    from scipy.stats import norm

    table = planted(PLANTED["kinetic"][0]).iloc[:2].assign(grokked=[True, False])
    data = laws.data_of(table, "start")
    p = np.log([2.0, 0.3])
    found = laws.log_likelihoods(laws.LAWS["kinetic"], p, data)
    away = np.log(table["time"] * table["decay_rate"] / 2.0)
    assert found[0] == pytest.approx(norm(0, 0.3).logpdf(away[0]))
    assert found[1] == pytest.approx(norm(0, 0.3).logsf(away[1]))


def test_scope_and_counts() -> None:
    base = {
        "alpha": 0.5, "weight_decay": 0.1, "width": 16, "seed": 0, "decay_rate": 1e-2,
        "alpha_convention": "laziness", "activation": "quadratic",
        "phase": "memorize-only", "t_mem": 10, "t_grok": pd.NA, "n_steps": 100,
        "diverged": False, "dead": False, "stalled": False,
    }  # fmt: skip
    rows = [
        base,
        base | {"phase": "grok", "t_grok": 50},
        base | {"phase": "no-learning", "t_mem": pd.NA},
        base | {"diverged": True},
        base | {"dead": True, "phase": "no-learning", "t_mem": pd.NA},
        base | {"stalled": True},
        base | {"decay_rate": 0.0, "weight_decay": 0.0},
    ]
    runs = pd.DataFrame(rows).astype({k: "Int64" for k in ("t_mem", "t_grok")})
    runs["run_id"] = [f"r{i}" for i in range(len(runs))]
    steps = np.array([0, 10, 50, 100])
    trajectories = pd.concat(
        pd.DataFrame({"run_id": i, "step": steps, "weight_norm": [8.0, 4, 2, 1]})
        for i in runs["run_id"]
    )
    table = laws.memorised(trajectories, runs)
    assert table["run_id"].tolist() == ["r0", "r1"]
    assert table["grokked"].tolist() == [False, True]
    assert table["time"].tolist() == [100, 50]
    assert table["norm_mem"].tolist() == [4, 4] and table["norm_grok"][1] == 2
    # Laziness K = 16^0.5: f is cubic, so that the weights start K^(1/3) times as large.
    assert table["log_scale"][0] == pytest.approx(np.log(4) / 3)
    counts = laws.outside(runs)
    assert list(counts.values()) == [1, 1, 1, 1, 1]
    assert sum(counts.values()) + len(table) == len(runs)
    decay = laws.pure_decay(table)
    # The delay is 0.4 decay times, the norm halves: 0.4 / ln 2, not 1.
    assert decay["ratio"].tolist() == pytest.approx([0.4 / np.log(2)])


@pytest.mark.parametrize(
    "activation", [k for k, v in ACTIVATIONS.items() if not v.controls]
)
def test_initial_scale_is_that_of_the_networks(activation: str) -> None:
    """ln(K) / L by the networks' own K and L, and null where f is no form."""
    sigma, degree, _ = ACTIVATIONS[activation]
    x = np.array([0.3, 0.7])
    is_form = np.allclose(sigma(2 * x), 2.0 ** (degree - 1) * sigma(x), rtol=1e-5)
    alpha, width = 0.3, 64
    runs = pd.DataFrame({"alpha_convention": list(ALPHA_CONVENTIONS)})
    runs = runs.assign(alpha=alpha, width=width, activation=activation)
    want = [
        np.log(convention.scale(alpha, width, degree, 46).laziness) / degree
        for convention in ALPHA_CONVENTIONS.values()
    ]
    found = data.log_scale(runs)
    assert np.allclose(found, want) if is_form else np.isnan(found).all()


def test_laws_of_the_initial_scale_are_skipped_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(comparison, "FOLDS", 1)
    some = {k: laws.LAWS[k] for k in ("kinetic", "log-scale")}
    table = planted(PLANTED["kinetic"][0])
    whole = laws.compare(table, some)
    narrow = table["width"] == 64
    found = laws.compare(table.assign(log_scale=table["log_scale"].mask(narrow)), some)
    left = {scope: set(rows["law"]) for scope, rows in found.groupby("scope")}
    only = {"kinetic"}
    assert left == {"all": only, "width=64": only, "width=256": set(some), "each": only}
    kinetic = whole[whole["law"] == "kinetic"]["aic"]
    assert np.allclose(found[found["law"] == "kinetic"]["aic"], kinetic)


def test_too_few_grokked_runs(command_line: Any) -> None:
    code, _, err = command_line("laws", str(ROOT / "results/survey2026"))
    assert code == 2 and "laws are compared from" in err


@pytest.fixture(scope="module")
def quickstart() -> pd.DataFrame:
    path = ROOT / "results/quickstart-reference"
    trajectories, _ = store.read_trajectories(path, ["weight_norm"])
    return laws.memorised(trajectories, pd.read_parquet(path / store.RUNS))


def test_the_quickstart_groks_some_decay_times_after_it_memorised(
    quickstart: pd.DataFrame,
) -> None:
    values, errors, sigma = fitted("kinetic", quickstart, "t_mem")
    assert 2 < values["C"] < 3 and sigma < 0.25
    fits = {
        (name, clock): laws.fit(laws.LAWS[name], laws.data_of(quickstart, clock))
        for name in ("kinetic", "exponential-lambda", "plateau-lambda")
        for clock in ("start", "t_mem")
    }
    best = fits["kinetic", "t_mem"].log_likelihood
    assert all(f.log_likelihood < best for key, f in fits.items() if key[1] == "start")
    assert fits["plateau-lambda", "t_mem"].log_likelihood < best - 30
    # Not pure decay: in most runs the norm grows from t_mem to t_grok.
    decay = laws.pure_decay(quickstart)
    assert (decay["log_ratio"] < 0).mean() > 0.5
    assert (decay["ratio"].dropna() > 5).all()


def test_a_simplex_that_collapsed_sets_out_again() -> None:
    """At N = 256 the coarse simplexes rank their starts wrongly (by 2.8 of AIC)."""
    path = ROOT / "results/widths"
    trajectories, _ = store.read_trajectories(path, ["weight_norm"])
    table = laws.memorised(trajectories, pd.read_parquet(path / store.RUNS))
    wide = laws.data_of(table[table["width"] == 256], "t_mem")
    power = laws.LAWS["power-lambda"]
    known = laws.log_likelihoods(power, np.array([1.26, -8.49, -0.07, -1.95]), wide)
    assert laws.fit(power, wide).log_likelihood > known.sum()
    # The slope of Lyu's law is 1 within its error where networks interpolate.
    values, errors, _ = fitted("log-scale-free", table[table["width"] == 256], "t_mem")
    assert abs(values["k"] - 1) < errors["k"] < 0.3


def test_cells_left_out_as_committed(quickstart: pd.DataFrame, tmp_path: Any) -> None:
    some = {k: laws.LAWS[k] for k in ("kinetic", "log-scale", "power-rate")}
    found = laws.compare(quickstart, some)
    committed = pd.read_parquet(ROOT / "results/quickstart-reference/laws.parquet")
    both = found.merge(committed, on=["scope", "law", "clock"])
    assert len(both) == 6
    assert np.allclose(both["held_out_x"], both["held_out_y"], atol=0.01)
    # Drawn here, where panels are few: rendering takes longer than the fits.
    figure = plot.law_residuals(laws.residuals(quickstart, found))
    figure.savefig(tmp_path / "laws.png")
    assert len([axes for axes in figure.axes if axes.get_visible()]) == 3


@pytest.mark.slow
def test_the_command_writes_and_draws(
    command_line: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One fold of all cells: nothing is left to fit again, most of the command's time.
    monkeypatch.setattr(comparison, "FOLDS", 1)
    path = tmp_path / "result"
    shutil.copytree(ROOT / "results/quickstart-reference", path)
    code, out, _ = command_line("laws", str(path), "--json", "--format", "csv")
    assert code == 0
    facts = json.loads(out)
    written = pd.read_parquet(path / "laws.parquet")
    assert len(facts["laws"]) == len(written) == 2 * len(laws.LAWS)
    committed = pd.read_parquet(ROOT / "results/quickstart-reference/laws.parquet")
    keys = ["scope", "law", "clock"]
    both = written.merge(committed, on=keys)
    assert len(both) == len(committed)
    assert np.allclose(both["aic_x"], both["aic_y"], atol=0.1)
    drawn = pd.read_csv(path / "figures/laws-collapse.csv")
    panels = drawn.groupby("panel", sort=False)["value"]
    spread = panels.max() / panels.min()
    assert spread.iloc[1] < 2 < spread.iloc[0]
    assert set(pd.read_csv(path / "figures/laws.csv")["law"]) == set(laws.LAWS)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", laws.LAWS)
@pytest.mark.parametrize("far", [-1e4, 1e4])
def test_constants_that_run_off_are_no_warning(name: str, far: float) -> None:
    law = laws.LAWS[name]
    data = laws.data_of(planted(lambda rate, *_: 2 / rate), laws.T_MEM)
    n = sum(data["groups"] if key.endswith("_N") else 1 for key in law.names)
    assert not np.isnan(law.time(np.full(n, far), data)).any()


@pytest.mark.parametrize("name", ["widths", "quickstart-reference"])
def test_runs_that_grok_are_within_the_range_of_kims_law(name: str) -> None:
    """eta lambda < (1 - sqrt(beta))^2 (Kim, arXiv 2607.23967), as docs/laws.md says."""
    runs = pd.read_parquet(ROOT / "results" / name / "runs.parquet")
    runs = runs[runs["phase"] == "grok"]
    coupled = runs["decay_rate"] * (1 - runs["momentum"])
    assert (coupled < (1 - np.sqrt(runs["momentum"])) ** 2).all()
