"""The comparisons of the lazy limit, on made-up tables and on a run of its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from grokmap.reproduce import lazy_findings, lazy_runs
from grokmap.reproduce.finding import OWN
from grokmap.reproduce.trained import Trained


def test_exponents_are_those_of_each_seed() -> None:
    width = np.array([64, 128, 256])
    table = pd.concat(
        pd.DataFrame({"seed": i, "width": width, "gap": (2 + i) * width**power})
        for i, power in enumerate((-1.0, -0.9, -1.1))
    )
    found = lazy_findings.slopes(table, "width", "gap")
    np.testing.assert_allclose(found, (-1.0, -0.9, -1.1))
    assert lazy_findings.exponent("x", -1, 0.05, found, OWN).holds
    assert not lazy_findings.exponent("x", -0.9, 0.05, found, OWN).holds
    # Student's interval: the mean ± 4.30 * 0.1 / sqrt(3).
    assert "-1 (-1.248 to -0.7516, 95%)" in lazy_findings._interval(found)


def test_ratios_are_near_1_or_not() -> None:
    values = np.array([0.98, 1.0, 1.05])
    assert lazy_findings.ratio("x", values, 0.02).holds
    assert not lazy_findings.ratio("x", values, 0.005).holds


def planted(
    train: float = 1.0, test: float = 0.0, left: float = 0.6
) -> dict[str, Trained]:
    """What a network that memorises anything and generalises nothing would show."""
    nothing = pd.DataFrame()
    seeds = np.arange(6)
    labels = pd.DataFrame({"final_train_accuracy": np.where(seeds, 1.0, train)})
    wide = pd.DataFrame({"width": 2048, "modulus": 11, "seed": seeds})
    widths = pd.concat([wide, wide.assign(width=64)], ignore_index=True)
    accuracy = np.where(widths["width"] == 64, 0.9, test)
    records = pd.concat(
        pd.DataFrame({"run_id": i, "step": [9, 0], "test_loss": [left * 2, 2.0]})
        for i in seeds
    )
    return {
        "lazy-labels": Trained(labels, nothing),
        "lazy-width": Trained(widths.assign(final_test_accuracy=accuracy), nothing),
        "lazy-teacher": Trained(nothing, records),
    }


@pytest.mark.parametrize(
    "changes, wrong",
    [({}, None), ({"train": 0.98}, 0), ({"test": 0.2}, 1), ({"left": 0.01}, 2)],
)
def test_the_comparison_of_memorising_finds_what_is_wrong(
    changes: dict[str, float], wrong: int | None
) -> None:
    found = lazy_findings.compare_memorising(planted(**changes))
    assert [i for i, own in enumerate(found) if not own.holds] == (
        [] if wrong is None else [wrong]
    )


@pytest.mark.slow
def test_a_run_is_followed_by_its_own_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = lazy_runs.planned("lazy-width")
    few = {k: one for k, one in runs.items() if one.run.system.width == 256}
    first = dict(list(few.items())[:1])
    monkeypatch.setattr(lazy_runs, "planned", lambda sweep: first)
    lazy_runs.outputs_of.cache_clear()
    table = lazy_runs.gaps("lazy-width", "width", lazy_runs.own)
    lazy_runs.outputs_of.cache_clear()
    assert table["width"].tolist() == [256]
    assert 0.001 < table["gap"].iloc[0] < 0.05
