"""No analysis that fits takes runs of another place on a swept axis for replicas.

Planted runs of two systems that differ in one key: in the second, t_grok is SLOWER
times that of the first, and an order parameter ends at another value. Whatever is said
of a system has to be what its own runs say alone, or the key is refused by name.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import mostly_slow, small_sweep

from grokmap.analysis import early_stopping as stops
from grokmap.analysis import forecast as forecasts
from grokmap.analysis import hysteresis as ramps
from grokmap.analysis.laws import LAWS, compare
from grokmap.cli.forecast import _print_forecasts
from grokmap.errors import ResultError, SpecError
from grokmap.order_parameters import OrderParameter, quantities
from grokmap.plot.names import system_words
from grokmap.result import (
    Result,
    early_stopping,
    forecast,
    hysteresis,
    laws,
    order_parameters,
    scaling,
    transition,
)
from grokmap.spec.axis import Axis, word
from grokmap.spec.sweep import SWEEPABLE
from grokmap.spec.words import CHOICES

SLOWER = 4.0
VARIABLES = ("alpha", "weight_decay", "seed")
RAMP = ("ramp_factor", "ramp_steps")
NAMES = {
    "model": ("two_layer", "mlp"),
    "activation": ("quadratic", "relu"),
    "alpha_convention": ("laziness", "literal"),
    "optimizer": ("gd", "adamw"),
}
SYSTEMS = [key for key in SWEEPABLE if key not in (*VARIABLES, *RAMP)]
# A number, a choice, a size and a noise in `make test`, all others in `make test-slow`.
KEPT = ("train_fraction", "optimizer", "depth", "label_noise", "ramp_steps")
FIXED = {"width": 100, "activation": "quadratic", "alpha_convention": "laziness"}
STEPS = np.unique(np.round(np.geomspace(1, 40_000, 90)))


def values_of(key: str) -> tuple[Any, Any]:
    """Two values of a key; which they are matters to names alone."""
    if key in ("center", "bias", "perp_grad"):
        return False, True
    if key in CHOICES:
        return NAMES.get(key, ("one", "other"))
    return (0.5, 0.25) if key == "train_fraction" else (2, 4)


def kind_of(key: str) -> str:
    return "choice" if key in CHOICES else "integer"


class Planted(Result):
    """A result without a folder."""

    def __init__(
        self, axes: dict[str, tuple[Any, ...]], runs: pd.DataFrame, records: Any
    ) -> None:
        self.path = Path("planted")
        self.spec, self.say = small_sweep(), print
        self._axes = tuple(Axis(k, v, kind_of(k)) for k, v in axes.items())
        self._runs, self._records = runs, records

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self._axes

    @property
    def plan(self) -> pd.DataFrame:
        return self._runs

    @property
    def quantities(self) -> dict[str, OrderParameter]:
        return quantities()

    def labelled(self, *args: Any, **options: Any) -> pd.DataFrame:
        return self._runs

    def records(self, *args: Any, **options: Any) -> pd.DataFrame:
        return self._records


def one_run(run_id: str, alpha: float, decay: float, t_grok: float) -> Any:
    """(facts, records) of a run that memorises at 20 and groks, or would beyond."""
    grokked = t_grok <= STEPS[-1]
    share = np.clip((STEPS - 20) / (t_grok - 20), 0, 1)
    accuracy = np.where(share >= 1, 1.0, 0.9 * share**4)
    facts = {
        "run_id": run_id,
        "alpha": alpha,
        "weight_decay": decay,
        "seed": 0,
        "decay_rate": 0.1 * decay,
        "phase": "grok" if grokked else "memorize-only",
        "t_mem": 20.0,
        "t_grok": t_grok if grokked else np.nan,
        "n_steps": STEPS[-1],
        "censored": not grokked,
        "final_test_accuracy": accuracy[-1],
        "peak_test_accuracy": accuracy[-1],
        "final_test_loss": 2 - 1.9 * share[-1],
        "final_weight_norm": 10 - 5 * share[-1],
        **dict.fromkeys(("diverged", "dead", "stalled"), False),
    }
    values = {"test_accuracy": accuracy, "test_loss": 2 - 1.9 * share}
    values |= {"weight_norm": 10 - 5 * share}
    return facts, pd.DataFrame({"run_id": run_id, "step": STEPS, **values})


def planted(key: str) -> Planted:
    """Two systems of 2 x 6 cells that differ in `key`; the slow ends do not grok."""
    facts, parts, pair = [], [], values_of(key)
    for i, value in enumerate(pair):
        for alpha in (0.0, 0.1):
            for decay in np.geomspace(1e-3, 0.1, 6):
                t_grok = 20 + 2.5 * SLOWER**i * (1 + alpha) / (0.1 * decay)
                run, records = one_run(f"{len(facts):04d}", alpha, decay, t_grok)
                snr = 100.0**i * (1 + STEPS / STEPS[-1])
                facts.append({**FIXED, **run, key: value, "final_snr": snr[-1]})
                parts.append(records.assign(snr=snr))
    runs = pd.DataFrame(facts)
    axes = {key: pair, "alpha": (0.0, 0.1)}
    axes["weight_decay"] = tuple(np.unique(runs["weight_decay"]))
    return Planted(axes, runs, pd.concat(parts, ignore_index=True))


def systems(key: str) -> dict[str, Any]:
    """The two systems in words, and the value of each."""
    return {f"{key}={word(value)}": value for value in values_of(key)}


def part(of: Planted, key: str, value: Any) -> Planted:
    """The runs of one system alone."""
    runs = of.plan[of.plan[key] == value].reset_index(drop=True)
    records = of.records()
    records = records[records["run_id"].isin(runs["run_id"])]
    return Planted({}, runs, records)


def test_every_key_is_tried() -> None:
    assert {*SYSTEMS, *VARIABLES, *RAMP} == set(SWEEPABLE) and len(SYSTEMS) > 20


@pytest.mark.parametrize("key", mostly_slow(SYSTEMS, KEPT))
def test_laws_have_constants_of_each_system(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = {"kinetic": LAWS["kinetic"]}  # all of them take long to fit
    monkeypatch.setattr(laws.laws, "compare", lambda runs: compare(runs, one))
    result = planted(key)
    found = laws.find(result)
    table = found.table[found.table["clock"] == "t_mem"].set_index("scope")
    constants = [json.loads(table["constants"][name])["C"] for name in systems(key)]
    assert constants[1] / constants[0] == pytest.approx(SLOWER, rel=0.02)
    assert set(found.runs["system"]) == set(systems(key)) and found.few == []
    # A system that hardly groks is named, not passed over.
    slow = result.plan[key] == values_of(key)[1]
    runs = result.plan.assign(
        phase=result.plan["phase"].where(~slow, "memorize-only"),
        t_grok=result.plan["t_grok"].where(~slow),
    )
    scarce = laws.find(Planted({}, runs, result.records()))
    assert scarce.few == [list(systems(key))[1]]


@pytest.mark.parametrize("key", mostly_slow(SYSTEMS, KEPT))
def test_forecasts_name_every_axis_and_are_scored_by_system(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = planted(key)
    found = forecast.find(result)
    score = found.score.set_index(["system", "cut"])
    for name, value in systems(key).items():
        alone = forecasts.score(found.hindcasts[found.hindcasts[key] == value])
        for row in alone.to_dict("records"):
            cut = row.pop("cut")
            assert score.loc[(name, cut)].to_dict() == pytest.approx(row)
    cells = found.table[[key, "alpha", "weight_decay"]]
    assert len(cells) > 2 and not cells.duplicated().any()
    _print_forecasts(found)
    lines = capsys.readouterr().out.splitlines()[1:]
    for line, value in zip(
        lines, found.table.sort_values("t_grok_median")[key], strict=True
    ):
        assert f"  {key} {word(value)}  " in line
    figure = forecast.draw(found).figure
    titles = " ".join(axes.get_title(loc="left") for axes in figure.axes)
    shown = " ".join(titles.split())
    assert all(" ".join(system_words(k).split()) in shown for k in systems(key))
    # What the baseline knows is the system's own median of t_grok r.
    decays = result.plan["t_grok"] * result.plan["decay_rate"]
    for value in values_of(key):
        own = found.hindcasts[found.hindcasts[key] == value]
        medians = own["baseline"] * own["decay_rate"]
        of_system = decays[result.plan[key] == value]
        assert medians.between(of_system.min(), of_system.max()).all()


@pytest.mark.parametrize("key", mostly_slow(SYSTEMS, KEPT))
def test_stops_are_judged_by_system(key: str) -> None:
    result = planted(key)
    found = early_stopping.find(result, [16.0, 64.0])
    for name, value in systems(key).items():
        alone = part(result, key, value)
        want = stops.losses(alone.records(), stops.memorised(alone.plan), [16.0, 64.0])
        got = found.losses[found.losses["system"] == name].drop(columns="system")
        pd.testing.assert_frame_equal(got.reset_index(drop=True), want)
    # Matched pairs are of one system: as many as the two have alone.
    rows = found.warnings.set_index(["patience", "quantity", "measure"])
    pairs = rows["n_pairs_censored"]
    apart = [
        early_stopping.find(part(result, key, value), [16.0, 64.0]).warnings
        for value in values_of(key)
    ]
    counts = sum(t.set_index(pairs.index.names)["n_pairs_censored"] for t in apart)
    pd.testing.assert_series_equal(pairs, counts)


@pytest.mark.parametrize("key", mostly_slow(SYSTEMS, KEPT))
def test_order_parameters_are_compared_within_a_system(key: str) -> None:
    result = planted(key)
    found = order_parameters.find(result)
    table = found.table.set_index(["system", "quantity"])
    for i, name in enumerate(systems(key)):
        assert table.loc[(name, "snr"), "final_grok"] == pytest.approx(2 * 100.0**i)
        assert table.loc[(name, "snr"), "after"] == pytest.approx(2 * 100.0**i)
    drawn = order_parameters.draw(found).data
    assert set(drawn["system"]) == set(systems(key))
    for i, name in enumerate(systems(key)):
        snr = drawn[(drawn["system"] == name) & (drawn["quantity"] == "snr")]
        assert snr["median"].between(100.0**i, 2 * 100.0**i).all() and len(snr) > 10


@pytest.mark.parametrize("key", mostly_slow(SYSTEMS, KEPT))
def test_loops_are_of_one_family(key: str) -> None:
    facts, parts = [], []
    for value in values_of(key):
        for steps in (100.0, 200.0):
            for seed in (0, 1):
                run_id = f"{len(facts):04d}"
                # Up to the top 0, then `height`: the area is height times ln 10.
                height = 0.25 if value == values_of(key)[0] else 0.75
                step = np.arange(2 * steps + 1)
                accuracy = np.where(step > steps, height, 0.0)
                values = {"step": step, "test_accuracy": accuracy}
                parts.append(pd.DataFrame({"run_id": run_id, **values}))
                run = {"run_id": run_id, "weight_decay": 0.1, "seed": seed}
                run |= {"ramp_factor": 10.0, "ramp_steps": steps, key: value}
                facts.append(run)
    result = Planted({}, pd.DataFrame(facts), pd.concat(parts, ignore_index=True))
    found = hysteresis.find(result)
    assert found.family == ["weight_decay", "ramp_factor", key]
    assert len(found.rates) == 4 and (found.rates["n_runs"] == 2).all()
    for row in found.rates.to_dict("records"):
        height = 0.25 if row[key] == values_of(key)[0] else 0.75
        assert row["area"] == pytest.approx(height * np.log(10), rel=0.02)
    places = {
        ramps.place_of(row, found.family) for row in found.rates.to_dict("records")
    }
    assert places == set(systems(key))
    assert len(hysteresis.draw(found).data) == len(facts) * ramps.POINTS


@pytest.mark.parametrize(
    "key", mostly_slow([k for k in SWEEPABLE if k not in VARIABLES[1:]], KEPT)
)
@pytest.mark.parametrize("module", [scaling, transition])
def test_one_value_of_every_other_axis_has_to_be_chosen(
    module: Any, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if key == "width":
        pytest.skip("the size of both")
    pair = values_of(key)
    rows = [
        {"width": width, "weight_decay": decay, "seed": seed, key: value}
        for width in (8, 16)
        for decay in (0.1, 0.2)
        for seed in range(2)
        for value in pair
    ]
    axes = {"width": (8, 16), "weight_decay": (0.1, 0.2), "seed": (0, 1), key: pair}
    result = Planted(axes, pd.DataFrame(rows), None)
    way_out = f"{key} is swept too; choose one value, --at {key}=VALUE"
    with pytest.raises(SpecError, match=way_out):
        module.find(result)
    seen: list[pd.DataFrame] = []

    def keep(runs: pd.DataFrame, *_: Any, **__: Any) -> Any:
        seen.append(runs)
        raise ResultError("as far as this test goes")

    if module is scaling:
        monkeypatch.setattr(scaling.scaling, "gather", keep)
    else:
        monkeypatch.setattr(transition, "_measured", lambda of, runs, _: keep(runs))
    with pytest.raises(ResultError, match="as far as"):
        module.find(result, at={key: pair[1]})
    assert set(seen[0][key]) == {pair[1]} and len(seen[0]) == 8


@pytest.mark.parametrize("find", [laws.find, forecast.find])
@pytest.mark.parametrize("key", RAMP)
def test_ramps_are_refused(find: Any, key: str) -> None:
    result = planted("width")
    runs = result.plan.assign(ramp_steps=100.0, ramp_factor=2.0)
    with pytest.raises(ResultError, match="weight decay was ramped"):
        find(Planted({key: (2, 4)}, runs, result.records()))
