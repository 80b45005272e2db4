"""What the diagrams must show: on committed results, on small grids, and anew."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, labelled

from grokmap import store
from grokmap.classify import CRITERIA, classify
from grokmap.spec import Sweep, read_sweep
from grokmap.train import VOCABULARY

PUBLISHED_T_GROK = 14_600  # LITERATURE 1: alpha = 0, lambda = 1, one seed


def stored(name: str, criteria: str = "default") -> pd.DataFrame:
    path = ROOT / "results" / name
    trajectories, unreadable = store.read_trajectories(path)
    assert unreadable == []
    return classify(trajectories, store.read_plan(path), CRITERIA[criteria])


def shipped(name: str, **changes: object) -> Sweep:
    sweep = read_sweep(ROOT / "sweeps" / f"{name}.toml", vocabulary=VOCABULARY)
    return Sweep.model_validate({**sweep.model_dump(), **changes})


def check_quickstart(runs: pd.DataFrame) -> None:
    assert len(runs) == 140
    assert set(runs["phase"]) == {"no-learning", "memorize-only", "grok"}

    # At alpha = 0: memorize-only, then grok, then no-learning as lambda rises.
    order = {"memorize-only": 0, "grok": 1, "no-learning": 2}
    at_zero = runs[runs["alpha"] == 0].sort_values("weight_decay")
    cells = at_zero.groupby("weight_decay")["phase"].agg(lambda p: tuple(set(p)))
    pure = [order[phases[0]] for phases in cells if len(phases) == 1]
    assert pure == sorted(pure) and set(pure) == {0, 1, 2}
    assert len(pure) >= 9  # at most one cell of mixed seeds, at the boundary

    # t_grok is a few decay times, over the whole wedge.
    grok = runs[(runs["phase"] == "grok") & ~runs["censored"]]
    decay_times = grok["t_grok"].astype(float) * grok["decay_rate"]
    assert len(grok) > 25 and grok["weight_decay"].nunique() >= 7
    assert decay_times.max() / decay_times.min() < 4

    # What small lambda leaves undecided is called censored, never memorize-only.
    short = runs[(runs["phase"] == "memorize-only") & (runs["weight_decay"] < 0.01)]
    assert len(short) > 20 and short["censored"].all()


def test_committed_quickstart_shows_the_phase_diagram() -> None:
    check_quickstart(stored("quickstart-reference"))


def test_committed_quickstart_is_of_the_committed_sweep() -> None:
    reference = store.read_spec(ROOT / "results/quickstart-reference")
    assert reference == shipped("quickstart")
    assert store.read_spec(ROOT / "results/survey2026") == shipped("survey2026")


@pytest.mark.parametrize("criteria", ["default", "survey2026"])
def test_survey_run_is_reproduced(criteria: str) -> None:
    runs = stored("survey2026", criteria)
    assert (runs["phase"] == "grok").all() and len(runs) >= 4
    assert runs["t_mem"].between(100, 400).all()
    factor = runs["t_grok"].astype(float) / PUBLISHED_T_GROK
    assert factor.between(1 / 1.5, 1.5).all()


def test_times_are_resolved_to_two_percent() -> None:
    for name in ("quickstart-reference", "survey2026"):
        runs = stored(name)
        for time in ("t_mem", "t_grok"):
            known = runs[runs[time].notna()]
            resolution = known[f"{time}_resolution"].astype(float)
            assert (resolution <= np.maximum(1, 0.02 * known[time])).all()


def check_doubling(short: pd.DataFrame, long: pd.DataFrame) -> None:
    both = short.merge(long, on="run_id", suffixes=("_short", "_long"))
    assert len(both) == len(short) == len(long)
    decided = both[~both["censored_short"]]
    assert len(decided) > 0.4 * len(both)
    assert (decided["phase_short"] == decided["phase_long"]).all()
    # Some that were cut short do turn: that is what censored means.
    assert (both["phase_short"] != both["phase_long"]).any()


def test_doubling_max_steps_turns_no_uncensored_label() -> None:
    grid = {"alpha": (0.0, 0.3), "weight_decay": "log:1e-3:1:7", "seed": (0,)}
    short = labelled(shipped("quickstart", **grid, max_steps=1500))
    long = labelled(shipped("quickstart", **grid, max_steps=3000))
    assert set(short["phase"]) == {"no-learning", "memorize-only", "grok"}
    check_doubling(short, long)


def test_without_weight_decay_nothing_groks() -> None:
    changes = {"weight_decay": 0.0, "alpha": (0.0, 0.3, 0.6)}
    runs = labelled(shipped("quickstart", **changes))
    assert (runs["phase"] == "memorize-only").all()
    assert runs["censored"].all() and (runs["horizon_fraction"] == 0).all()


@pytest.mark.slow
def test_quickstart_anew() -> None:
    check_quickstart(labelled(shipped("quickstart")))


@pytest.mark.slow
def test_quickstart_doubled() -> None:
    short = labelled(shipped("quickstart"))
    check_doubling(short, labelled(shipped("quickstart", max_steps=12_000)))


@pytest.mark.slow
def test_without_weight_decay_nothing_groks_for_long() -> None:
    runs = labelled(shipped("quickstart", weight_decay=0.0, max_steps=60_000))
    assert (runs["phase"] == "memorize-only").all()
