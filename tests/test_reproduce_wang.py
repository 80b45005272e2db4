"""Avalanches against their paper: the comparisons on made-up gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from grokmap.avalanches import Gradients
from grokmap.reproduce import wang
from grokmap.reproduce.trained import Trained

N = (81, 201, 501)


def made_up(ordered: bool, gini: pd.DataFrame | None = None) -> Trained:
    """Gaussian gradients of 18 runs that learn at step 200; from then on in order of
    their sizes, if so."""
    rows = [
        {"run_id": f"{n}-{seed}", "seed": seed, "n": n, "n_steps": 400}
        for n in N
        for seed in range(6)
    ]
    runs = pd.DataFrame(rows).assign(t_grok=200, t_mem=100, weight_decay=0.0)

    def gradients(steps: Mapping[str, Sequence[int]]) -> list[Gradients]:
        found = []
        for row in runs.itertuples():
            own = np.array(steps[row.run_id])
            rng = np.random.default_rng([row.seed, row.n, 9])
            values = rng.standard_normal((len(own), row.n))
            if ordered:
                values = np.where(own[:, None] < 200, values, np.sort(np.abs(values)))
            layers = np.zeros(row.n, int)
            found.append(Gradients(row.run_id, row.seed, own, values, layers))
        return found

    return Trained(runs, pd.DataFrame() if gini is None else gini, gradients)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wang, "SNAPSHOTS", np.array([0, 100, 300, 400]))
    monkeypatch.setattr(wang, "NULL_GRAPHS", ("ring", "erdos_renyi"))


@pytest.mark.slow
def test_gradients_without_correlations_miss_every_claim(few: None) -> None:
    found = wang.wang_d_of_t({"wang-xor": made_up(ordered=False)})
    assert [f.holds for f in found[:3]] == [False] * 3
    assert float(found[1].measured) == pytest.approx(1, abs=0.08)
    assert sum(f.holds for f in found[3:]) <= 1  # one of six by chance


def test_an_order_shows_where_the_graph_has_one(few: None) -> None:
    found = wang.wang_d_of_t({"wang-xor": made_up(ordered=True)})
    # In order on a ring a front runs 20 sweeps, which is less the larger N; where
    # nodes have no order, nothing is seen.
    ring, random = (
        float(next(f for f in found if f.quantity.endswith(where)).measured)
        for where in ("after the transition, ring", "after the transition, erdos_renyi")
    )
    assert ring < -0.1 and abs(random) < 0.08


def test_aggregates_of_noise(few: None) -> None:
    found = wang.wang_aggregate({"wang-xor": made_up(ordered=False)})
    by_name = {f.quantity: f for f in found}
    peak = by_name["D of a run's largest s, topplings in one sweep"]
    assert peak.holds and float(peak.measured) == pytest.approx(1, abs=0.02)
    assert not by_name["gamma of a run's mean s, topplings in all sweeps"].holds


def test_the_gini_coefficient_is_compared_run_by_run() -> None:
    def along(peak: float, at: int) -> pd.DataFrame:
        values = {0: 0.4, at: peak, 400: 0.3}
        return pd.concat(
            pd.DataFrame(
                {"run_id": f"{n}-{s}", "step": list(values), "gini": values.values()}
            )
            for n in N
            for s in range(6)
        )

    for peak, at, holds in (
        (0.5, 195, [True, True]),
        (0.41, 195, [False, True]),
        (0.5, 150, [True, False]),
    ):
        trained = {"wang-xor": made_up(False, along(peak, at))}
        assert [f.holds for f in wang.wang_gini(trained)] == holds


def phases(before: float, after: float, excess: float) -> pd.DataFrame:
    rows = [
        {"field": field, "phase": phase, "d": d, "d_low": d - 0.02, "d_high": d + 0.02}
        for phase, d in (("before", before), ("after", after), ("change", 0.0))
        for field in ("real", "shuffled")
    ]
    ends = {"excess": excess, "excess_low": excess - 0.02, "excess_high": excess + 0.02}
    return pd.DataFrame(rows).assign(**ends)


@pytest.mark.parametrize(
    ("before", "after", "groks", "holds"),
    [
        (1.1, 0.9, True, True),
        (0.97, 0.7, True, False),
        (1.1, 1.01, True, False),
        (1.1, 1.2, False, True),
        (1.1, 0.99, False, False),
    ],
)
def test_d_passes_one_or_stays(
    before: float, after: float, groks: bool, holds: bool
) -> None:
    assert wang.passes_one(groks, phases(before, after, 0.0)).holds is holds


def test_only_an_interval_beside_zero_is_an_excess() -> None:
    for excess, above, changed in (
        (0.01, False, False),
        (0.03, True, True),
        (-0.03, False, True),
    ):
        row = wang.row_of(phases(1, 1, excess), "shuffled", phase="change")
        assert wang.excess_above_zero("", row).holds is above
        assert wang.own_change("", row).holds is changed
    assert wang.collapse("", 0.1).holds and not wang.collapse("", 0.5).holds


def test_modular_addition_is_compared_by_weight_decay() -> None:
    trained = {"wang-modular": made_up(ordered=False)}
    found = wang.wang_modular(trained)
    assert len(found) == 2 and "no grok" in found[0].quantity
    assert not found[0].holds  # D of noise is not above 1


@pytest.mark.slow
def test_independent_gradients_hold() -> None:
    assert all(f.holds for f in wang.wang_null({}))
