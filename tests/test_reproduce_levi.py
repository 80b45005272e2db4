"""Comparisons of Levi et al. and of Omnigrok: planted runs, some of them wrong."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from scipy.special import erf

from grokmap.plan import read_sweep
from grokmap.reproduce import levi as ours
from grokmap.reproduce import omnigrok
from grokmap.reproduce.crossing import step_at
from grokmap.reproduce.trained import Trained
from grokmap.spec import Sweep
from grokmap.theory import levi


def shipped(name: str) -> Sweep:
    path = ROOT / "grokmap/reproduce/sweeps" / f"{name}.toml"
    return read_sweep(path)


def test_crossings_between_records() -> None:
    steps = [0, 10, 30]
    assert step_at(steps, np.exp([0.0, -1.0, -5.0]), np.exp(-3.0)) == pytest.approx(20)
    assert step_at(steps, [1.0, 0.5, 0.6], 0.5) == 10
    assert step_at(steps, [1.0, 0.5, 0.6], 2.0) == 0
    assert np.isnan(step_at(steps, [1.0, 0.5, 0.6], 0.4))


# ---- Levi et al.


@pytest.mark.parametrize("name", ours.SWEEPS)
def test_levis_step_and_ratio_are_theirs(name: str) -> None:
    sweep = shipped(name)
    (d,), (n,), (rate,) = sweep.n_inputs, sweep.n_examples, sweep.learning_rate
    assert rate == ours.RATE * d and sweep.tolerance == ours.THRESHOLD
    n_train = round(sweep.train_fraction[0] * n)
    assert d / n_train == pytest.approx(float(name.removeprefix("levi-")), rel=1e-3)
    assert n - n_train == 2000 and sweep.center


def planted_losses(stretch: float = 1.0, left: float = 0.0) -> Mapping[str, Trained]:
    """The exact descent; test losses `stretch` times as slow, `left` never learned."""
    trained = {}
    for name in ours.SWEEPS:
        ratio = float(name.removeprefix("levi-"))
        steps = np.arange(0, 1301, 10)
        train, test = (
            np.array([loss(ratio, ours.RATE, t, discrete=True) for t in times])
            for loss, times in (
                (levi.train_loss, steps),
                (levi.test_loss, steps / stretch),
            )
        )
        test = test + (left if ratio == ours.BEYOND else 0.0)
        accuracy = erf(np.sqrt(ours.THRESHOLD / 2 / test))
        values = {"step": steps, "train_loss": train, "test_loss": test}
        records = pd.DataFrame({**values, "test_accuracy": accuracy, "run_id": "a"})
        trained[name] = Trained(pd.DataFrame(), records)
    return trained


@pytest.mark.parametrize(
    ("changes", "missed"),
    [({}, []), ({"stretch": 1.025}, [0, 4]), ({"left": 0.04}, [12])],
)
def test_levis_comparison_finds_what_is_wrong(
    changes: dict[str, float], missed: list[int]
) -> None:
    found = ours.compare(planted_losses(**changes))
    assert [i for i, own in enumerate(found) if not own.holds] == missed


# ---- Omnigrok


@pytest.mark.parametrize("name", [*omnigrok.TEACHERS.values(), omnigrok.NORM])
def test_omnigroks_setting_is_theirs(name: str) -> None:
    sweep = shipped(name)
    assert sweep.tolerance == {v: k for k, v in omnigrok.TEACHERS.items()}.get(
        name, 0.001
    )
    assert (sweep.width, sweep.depth, sweep.n_inputs) == ((100,), (2,), (5,))
    assert sweep.n_examples == (200,) and sweep.train_fraction == (0.5,)
    assert sweep.alpha == (2.0,) and sweep.learning_rate == (3e-4,) and sweep.bias


def planted_times(
    exponent: float = -1.0, slower: float = 1.0, never: bool = False
) -> Mapping[str, Trained]:
    decay = np.tile(np.geomspace(0.1, 1, 6), 3)
    runs = pd.DataFrame({"weight_decay": decay, "seed": np.repeat(range(3), 6)})
    t_mem = np.where(decay > 0.9, 500 / slower, 500).round()
    t_grok = (2000 * decay**exponent).round()
    if never:
        t_grok[0] = np.nan
    runs = runs.assign(
        t_mem=pd.array(t_mem, "Int64"),
        t_grok=pd.Series(t_grok).astype("Int64"),
    )
    own = Trained(runs, pd.DataFrame())
    return dict.fromkeys(omnigrok.TEACHERS.values(), own)


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({}, []),
        ({"exponent": -0.8}, [0]),
        ({"exponent": -1.2}, [0]),
        ({"slower": 1.5}, [1]),
        ({"never": True}, [0]),
    ],
)
def test_omnigroks_comparison_finds_what_is_wrong(
    changes: dict[str, float], missed: list[int]
) -> None:
    found = omnigrok.compare_times(planted_times(**changes))  # type: ignore[arg-type]
    both = [i + 2 * j for j in range(2) for i in missed]
    assert [i for i, own in enumerate(found) if not own.holds] == both


@pytest.mark.parametrize(("share", "holds"), [(1.0, True), (0.88, False)])
def test_omnigroks_norm(share: float, holds: bool) -> None:
    # Faster before step 1000, which does not count.
    steps = np.unique(np.geomspace(1, 19456, 200).astype(int))
    slope = share * omnigrok.SHRINKAGE
    norms = np.exp(-slope * np.maximum(steps, 1000) - 1e-3 * np.minimum(steps, 1000))
    records = pd.DataFrame({"run_id": "a", "step": steps, "weight_norm": norms})
    trained = {omnigrok.NORM: Trained(pd.DataFrame(), records)}
    (found,) = omnigrok.compare_norm(trained)
    assert found.holds == holds
