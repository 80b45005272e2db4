"""`grokmap spectrum`, first spikes, and what `reproduce spikes` makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import grokmap
from grokmap.analysis.spikes import first_spikes
from grokmap.errors import SpecError
from grokmap.reproduce import spikes
from grokmap.reproduce.trained import Trained
from grokmap.result.spectrum import MOTION, WEIGHTS, spectrum_of, summary
from grokmap.session.gradients import reached_at
from grokmap.theory import spiked

PARITY: dict[str, Any] = {
    "name": "parity",
    "task": "sparse_parity",
    "n_inputs": 20,
    "n_relevant": 2,
    "n_examples": 200,
    "model": "mlp",
    "depth": 1,
    "width": 48,
    "activation": "relu",
    "alpha_convention": "standard",
    "alpha": 1,
    "loss": "logistic",
    "optimizer": "adamw",
    "learning_rate": 0.004,
    "weight_decay": 1,
    "train_fraction": 0.8,
    "n_steps": 200,
    "order_parameters": ["bulk_outliers", "motion_outliers"],
    "axes": {"seed": [0, 1]},
}


@pytest.fixture(scope="module")
def parity(tmp_path_factory: pytest.TempPathFactory) -> grokmap.Result:
    return grokmap.sweep(PARITY, out=tmp_path_factory.mktemp("parity") / "r")


@pytest.mark.slow
def test_the_spectrum_is_that_of_the_weights(parity: grokmap.Result) -> None:
    """Number by number, and as many outliers as were recorded along the run."""
    run_id = parity.nearest(seed=1)["run_id"]
    table = parity.spectrum(run_id, at=[0, 64, "end"])
    (end,) = reached_at(parity.path, {run_id: [200]})
    values = np.linalg.svd(end.leaves["first"].astype(float), compute_uv=False)
    last = table[table["step"] == 200]
    found = last[last["matrix"] == WEIGHTS]
    np.testing.assert_allclose(found["value"], values, rtol=1e-6)
    records = parity.records().query("run_id == @run_id").set_index("step")
    for step, part in table.groupby("step"):
        counts = part.groupby("matrix")["outlier"].sum()
        assert counts[WEIGHTS] == records["bulk_outliers"][step]
        if step:
            assert counts[MOTION] == records["motion_outliers"][step]
    assert (table[table["step"] == 0]["matrix"] == WEIGHTS).all()  # nothing has moved


@pytest.mark.slow
def test_the_command_draws_and_prints_it(
    parity: grokmap.Result, command_line: Any, tmp_path: Path
) -> None:
    out = ["--out", str(tmp_path / "found"), "--format", "png"]
    code, text, _ = command_line("spectrum", str(parity.path), *out, "--json")
    facts = json.loads(text)
    assert code == 0 and facts["shape"] == [20, 48]
    table = pd.read_parquet(tmp_path / "found-spectrum.parquet")
    pd.testing.assert_frame_equal(table, parity.spectrum(facts["run_id"]))
    assert (tmp_path / "found.png").stat().st_size > 10_000
    code, text, _ = command_line("spectrum", str(parity.path), *out, "--at", "0,64")
    assert code == 0 and "step 64" in text and "of the edge" in text
    with pytest.raises(SpecError, match="first"):
        parity.spectrum(matrix="frist")
    code, _, errors = command_line("spectrum", str(parity.path), "--at", "later")
    assert code == 2 and "t_grok" in errors


def test_a_planted_spike_and_its_strength() -> None:
    rng = np.random.default_rng(0)
    shape = (100, 240)
    noise = 0.3 * rng.normal(size=shape)
    left, right = (x / np.linalg.norm(x) for x in (rng.normal(size=n) for n in shape))
    beta = 3 * spiked.threshold(shape, 0.3)
    table = spectrum_of(noise + beta * np.outer(left, right))
    assert table["outlier"].tolist() == [True] + [False] * 99
    assert table["strength"].iloc[0] == pytest.approx(beta, rel=0.1)
    assert table["strength"].iloc[1:].isna().all()
    assert table["sigma"].iloc[0] == pytest.approx(0.3, rel=0.05)
    of_one = SimpleNamespace(
        shape=shape, table=table.assign(moment="end", step=9, matrix=WEIGHTS)
    )
    (row,) = summary(of_one).to_dict("records")  # type: ignore[arg-type]
    assert row["outliers"] == 1 and row["strength"] == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize(
    ("outliers", "first"),
    [
        ([0, 0, 0, 0, 0, 0], np.nan),
        ([0, 1, 0, 0, 0, 0], np.nan),  # it flickers
        ([0, 1, 0, 2, 3, 1], 8),
        ([0, 0, 0, 0, 0, 1], np.nan),  # the last record alone
        ([4, 1, 1, 1, 1, 1], 2),
    ],
)
def test_first_spikes_are_those_that_stay(outliers: list[int], first: float) -> None:
    steps = [2, 3, 6, 8, 12, 16]
    records = pd.DataFrame({"run_id": "a", "step": steps, "bulk_outliers": outliers})
    runs = pd.DataFrame({"run_id": ["a"]})
    assert first_spikes(records, runs).tolist() == pytest.approx([first], nan_ok=True)


def planted(exponent: float, share: float) -> pd.DataFrame:
    """Six seeds at three decays; t_spike = share t_grok where t_grok is 1000, and
    t_grok^exponent beside it."""
    rng = np.random.default_rng(0)
    rows = [
        (seed, decay, t_grok, share * 1000 * (t_grok / 1000) ** exponent)
        for seed in range(6)
        for decay in (0.5, 1.0, 2.0)
        for t_grok in [1000 / decay * np.exp(0.05 * rng.normal())]
    ]
    table = pd.DataFrame(rows, columns=["seed", "weight_decay", "t_grok", "t_spike"])
    return table.assign(phase="grok", t_mem=50.0, t_motion=1.0)


def test_spikes_at_t_grok_are_told_from_spikes_long_before() -> None:
    there, ratio, motion, exponent = spikes.of_network("planted", planted(1.0, 0.95))
    assert there.holds and ratio.holds and exponent.holds and not motion.holds
    assert float(exponent.measured) == pytest.approx(-1, abs=0.1)
    there, ratio, _, exponent = spikes.of_network("planted", planted(0.0, 0.03))
    assert there.holds and not ratio.holds and not exponent.holds
    assert abs(float(exponent.measured)) < 0.01
    late = spikes.of_network("planted", planted(1.0, 2.0))
    assert len(late) == 1 and late[0].measured == "0 of 18" and not late[0].holds


def test_random_labels_are_found_to_have_spikes() -> None:
    table = pd.DataFrame({"t_spike": [np.nan, 20.0, 30.0]})
    found = spikes.of_random_labels(table)
    assert not found.holds and found.measured == "2 of 3" and "20 to 30" in found.spread
    assert spikes.of_random_labels(table.assign(t_spike=np.nan)).holds


def test_weights_with_a_planted_signal() -> None:
    """A spike in independent noise stands where it should, and holds the signal."""
    rng = np.random.default_rng(1)
    run = SimpleNamespace(run_id="a", seed=0, system=SimpleNamespace(n_relevant=1))
    start = rng.normal(size=(60, 160))
    spike = np.outer(np.eye(60)[0], rng.normal(size=160))
    spike *= 3 * spiked.threshold(start.shape, 1.0) / np.linalg.norm(spike)
    leaves = {0: start, 32: 0.9 * start, 64: 0.9 * start + spike}
    reached = [
        SimpleNamespace(run=run, step=s, leaves={"first": w}) for s, w in leaves.items()
    ]
    runs = pd.DataFrame({"run_id": ["a"], "t_grok": [66]})
    of_one = Trained(runs, pd.DataFrame(), weights=lambda steps: reached)  # type: ignore[arg-type,return-value]
    table = spikes.weights_table(of_one)
    assert table["signal"].tolist() == [0, pytest.approx(0.9, abs=0.1)]
    both = pd.concat([table, table.assign(run_id="b", seed=1)])
    position, shuffled, signal = spikes.of_weights(both)
    assert position.holds and shuffled.holds and signal.holds
    assert float(signal.measured) == pytest.approx(64 / 66, abs=0.01)
