from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from grokmap.analysis import leads
from grokmap.analysis.series import values_at

STEPS = np.array([0, 1, 2, 4, 8, 16, 32, 64, 128, 256])


def run(run_id: str, values: object, phase: str = "grok") -> tuple[dict, pd.DataFrame]:
    own = pd.DataFrame({"run_id": run_id, "step": STEPS, "q": np.float32(values)})
    facts = {"run_id": run_id, "phase": phase, "t_mem": 2.0, "t_grok": 64.0}
    return facts | {"final_q": float(own["q"].dropna().iloc[-1])}, own


def tables(*runs: tuple[dict, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    return pd.concat([own for _, own in runs]), pd.DataFrame(
        [facts for facts, _ in runs]
    )


def test_half_way_is_interpolated_in_log_time() -> None:
    # From 1 at t_mem = 2 to 3: 1 at step 16, 3 at 32; half-way at sqrt(16 * 32).
    trajectories, runs = tables(run("a", [9, 9, 1, 1, 1, 1, 3, 3, 3, 3]))
    row = leads.transitions(trajectories, runs, {"q": False}).iloc[0]
    assert (row["before"], row["after"], row["jump"]) == (1, 3, 2)
    assert row["t_half"] == pytest.approx(np.sqrt(16 * 32))
    assert row["lead"] == pytest.approx(64 / np.sqrt(16 * 32))


def test_half_way_on_a_log_scale_is_the_geometric_mean() -> None:
    trajectories, runs = tables(run("a", [1, 1, 1, 1, 10, 100, 100, 100, 100, 100]))
    row = leads.transitions(trajectories, runs, {"q": True}).iloc[0]
    assert row["jump"] == pytest.approx(2)
    assert row["t_half"] == pytest.approx(8)
    linear = leads.transitions(trajectories, runs, {"q": False}).iloc[0]
    assert linear["t_half"] > 8


def test_between_records_a_log_quantity_is_interpolated_in_its_logarithm() -> None:
    # t_mem = 2 stands between the records at 1 and 4: sqrt(1e-6 * 1) there.
    values = [1e-6, 1e-6, np.nan, 1, 1, 1, 1, 1, 1, 1]
    trajectories, runs = tables(run("a", values))
    row = leads.transitions(trajectories, runs, {"q": True}).iloc[0]
    assert row["before"] == pytest.approx(1e-3) and row["jump"] == pytest.approx(3)


def test_infinite_values_are_ties() -> None:
    infinite = np.append(np.ones(9), np.inf)
    trajectories, runs = tables(
        run("a", infinite), run("b", infinite, phase="memorize-only")
    )
    assert leads.summary(trajectories, runs, {"q": True})["auc"].item() == 0.5


def test_falling_quantities_and_gaps() -> None:
    values = [5, np.nan, 4, np.nan, np.nan, 4, np.nan, 0, np.nan, 0]
    trajectories, runs = tables(run("a", values))
    row = leads.transitions(trajectories, runs, {"q": False}).iloc[0]
    assert row["jump"] == -4
    assert row["t_half"] == pytest.approx(32)  # between the records at 16 and 64


@pytest.mark.parametrize(
    "values",
    [
        np.ones(10),  # does not move
        [1, 1, 1, 9, 1, 1, 2, 2, 2, 2],  # strays further than it jumps
        [np.nan] * 9 + [3.0],  # unknown at t_mem
        [1, 1, -1, 1, 1, 1, 1, 1, 1, 1],  # has no logarithm
    ],
)
def test_without_a_clear_jump_there_is_no_half_way(values: object) -> None:
    trajectories, runs = tables(run("a", values))
    row = leads.transitions(trajectories, runs, {"q": True}).iloc[0]
    assert np.isnan(row["t_half"]) and np.isnan(row["lead"])


def test_only_runs_that_grok_have_transitions() -> None:
    trajectories, runs = tables(run("a", STEPS), run("b", STEPS, phase="memorize-only"))
    moves = leads.transitions(trajectories, runs, {"q": False, "absent": False})
    assert moves["run_id"].tolist() == ["a"]


def test_summary_counts_ranks_and_orders() -> None:
    early, late = np.where(STEPS >= 8, 2.0, 1), np.where(STEPS >= 128, 5.0, 1)
    trajectories, runs = tables(
        run("a", early), run("b", late), run("c", np.full(10, 1.5), "memorize-only"),
        run("d", np.full(10, 3.0), "memorize-only"),
    )  # fmt: skip
    trajectories["slow"] = np.where(trajectories["step"] >= 256, 1.0, 0.0)
    runs["final_slow"] = 1.0
    moves = leads.summary(trajectories, runs, {"slow": False, "q": False})
    assert moves["quantity"].tolist() == ["q", "slow"]
    row = moves.iloc[0]
    assert row["n_runs"] == 2
    assert row["final_grok"] == 3.5 and row["final_memorize-only"] == 2.25
    assert row["auc"] == pytest.approx(3 / 4)
    assert moves.iloc[1]["auc"] == 0.5


def test_values_at_and_aligned() -> None:
    trajectories, runs = tables(run("a", STEPS), run("b", 2 * STEPS, "no-learning"))
    at = values_at(trajectories, runs.assign(when=[16.0, np.nan]), "q", "when")
    assert at[0] == 16 and np.isnan(at[1])
    lines = leads.aligned(trajectories, runs, "q", np.array([1 / 64, 1, 4, 9]))
    np.testing.assert_allclose(lines, [[1, 64, 256, np.nan]])
    none = leads.aligned(trajectories, runs[1:], "q", np.array([1.0]))
    assert none.shape == (0, 1)
