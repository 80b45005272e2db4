"""Comparisons of the field's settings on made-up runs of either verdict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from grokmap.reproduce import pracher, truong, truong_clamp, truong_transformer
from grokmap.reproduce.trained import Trained


def times(factor: float, rate: float, decays: tuple[float, ...]) -> Trained:
    rows = [
        {
            "learning_rate": rate,
            "weight_decay": decay,
            "seed": seed,
            "t_mem_first": truong.PUBLISHED[rate, decay][0],
            "t_grok_first": factor
            * truong.PUBLISHED[rate, decay][1]
            * (0.8 + 0.1 * seed),
        }
        for decay in decays
        for seed in range(5)
    ]
    return Trained(pd.DataFrame(rows), pd.DataFrame())


@pytest.mark.parametrize(("factor", "holds"), [(1.1, True), (1.2, False), (0.8, False)])
def test_times_are_within_their_share_of_each_median(
    factor: float, holds: bool
) -> None:
    trained = {"truong-fast": times(factor, 3e-3, (0.3, 3.0))}
    found = truong.compare(trained)
    assert [f.holds for f in found] == [True, holds] * 2
    assert found[1].published == "2887" and "weight decay 0.3" in found[1].quantity
    assert f"{factor * 2887:.0f}" == found[1].measured


def test_a_run_that_never_groks_is_late() -> None:
    one = times(1.0, 3e-4, (3.0,)).runs
    one.loc[one["seed"] > 1, "t_grok_first"] = np.nan
    _, found = truong.compare({"truong-slow": Trained(one, pd.DataFrame())})
    assert not found.holds and found.measured == "inf"


def runs_of(fates: list[str], **columns: Any) -> pd.DataFrame:
    """Runs of which these become what `pracher.FATES` say."""
    table = pd.DataFrame({"fate": fates, **columns})
    mem = table["fate"] != "no fit"
    reached = table["fate"].isin(["grok", "forget"])
    return table.assign(
        t_mem_first=np.where(mem, 10.0, np.nan),
        t_grok_first=np.where(reached, 100.0, np.nan),
        collapsed=table["fate"] == "forget",
    )


def test_what_becomes_of_a_run() -> None:
    names = list(pracher.FATES)
    assert pracher.fates(runs_of(names)).tolist() == names


def plane(exponent: float) -> pd.DataFrame:
    """Grokking from decay = rate^(1/exponent) on, forgetting from 30 times that on."""
    rates = np.geomspace(0.1, 2, 12)
    decays = np.geomspace(1e-4, 1, 60)
    rate, decay = (x.ravel() for x in np.meshgrid(rates, decays))
    edge = 1e-3 * rate ** (1 / exponent)
    kinds = np.select(
        [decay < edge, decay < 10 * edge, decay < 30 * edge],
        ["memorise", "grok", "forget"],
        "no fit",
    )
    return runs_of(kinds.tolist(), learning_rate=rate, weight_decay=decay)


@pytest.mark.parametrize(("exponent", "holds"), [(-1.07, True), (-2.0, False)])
def test_the_left_edge_is_fitted(exponent: float, holds: bool) -> None:
    edge = np.log(pracher.left_edge(plane(exponent)))
    slope = np.polyfit(edge["weight_decay"], edge["learning_rate"], 1)[0]
    assert slope == pytest.approx(exponent, abs=0.05)
    points = runs_of(
        list(np.repeat(list(pracher.PUBLISHED.values()), 2)),
        weight_decay=np.repeat(list(pracher.PUBLISHED), 2) * pracher.WIDTH,
    )
    trained = {
        pracher.PLANE: Trained(plane(exponent), pd.DataFrame()),
        pracher.POINTS: Trained(points, pd.DataFrame()),
    }
    assert [f.holds for f in pracher.compare(trained)] == [*[True] * 4, holds, True]
    moved = points.assign(weight_decay=points["weight_decay"].to_numpy()[::-1])
    trained[pracher.POINTS] = Trained(moved, pd.DataFrame())
    assert not any(f.holds for f in pracher.compare(trained)[:4])


def held(law: Any, rhos: tuple[float, ...], seeds: int = 4) -> Trained:
    """Runs that grok at law(rho) a seed, its median."""
    rows = [
        {
            "norm_clamp": rho * truong_clamp.CRITICAL / truong_clamp.INITIAL,
            "seed": seed,
            "t_grok_first": law(rho) * (1 + 0.02 * (seed - (seeds - 1) / 2)),
        }
        for rho in rhos
        for seed in range(seeds)
    ]
    return Trained(pd.DataFrame(rows), pd.DataFrame())


FOUR = (0.85, 0.95, 1.0, 1.05)


def of_held(law: Any, rhos: tuple[float, ...] = FOUR) -> list[Any]:
    return truong_clamp.compare({truong_clamp.FAST: held(law, rhos)})


def test_an_exponential_in_the_norm_is_found() -> None:
    found = of_held(truong_clamp.PUBLISHED.__getitem__)
    assert [f.holds for f in found] == [True] * 7
    # Of their own medians at these four norms; the fit of all nine is 7.64, 0.994.
    assert found[4].published == found[4].measured == "7.20"
    whole = of_held(truong_clamp.PUBLISHED.__getitem__, tuple(truong_clamp.PUBLISHED))
    assert [f.measured for f in whole[-3:]] == ["7.64", "0.994", "0.005"]
    assert [f.published for f in whole[-3:]] == ["7.64", "0.994", "0.005"]


def test_other_laws_of_the_norm_are_told() -> None:
    flat = of_held(lambda rho: 3000.0)
    assert [f.holds for f in flat][:5] == [False, False, False, False, False]
    power = of_held(lambda rho: 4000.0 * rho**7.9, tuple(truong_clamp.PUBLISHED))
    assert not power[-1].holds  # a straight line in ln rho
    line = truong_clamp.line(np.array([1.0, 2.0, 3.0]), np.exp([1.0, 3.0, 5.0]))
    assert line == pytest.approx((2.0, 1.0))


def test_a_norm_at_which_none_groks_is_no_law() -> None:
    never = held(truong_clamp.PUBLISHED.__getitem__, FOUR)
    never.runs.loc[never.runs["norm_clamp"] > 2.9, "t_grok_first"] = np.nan
    found = truong_clamp.compare({truong_clamp.FAST: never})
    assert [f.holds for f in found] == [True] * 3 + [False] * 4
    assert found[3].measured == "inf" and found[3].spread == "4 of 4 never"


def one_block(t_mem: float, t_grok: float, norms: tuple[float, float]) -> Trained:
    times = {"t_mem_first": t_mem, "t_grok_first": t_grok}
    runs = pd.DataFrame({"run_id": ["a", "b"], **times})
    records = pd.DataFrame(
        {
            "run_id": np.repeat(["a", "b"], 2),
            "step": [t_mem, t_grok] * 2,
            "weight_norm": [*norms] * 2,
        }
    )
    return Trained(runs, records)


def test_times_of_a_transformer_are_read_as_theirs() -> None:
    def verdicts(*times: Any) -> list[Any]:
        return truong_transformer.compare({truong_transformer.SWEEP: one_block(*times)})

    found = verdicts(672, 1856, (68.0, 34.0))
    assert [f.measured for f in found] == ["800", "2000", "1200", "2000", "4"]
    assert [f.holds for f in found] == [True] * 5
    early = verdicts(336, 400, (34.0, 68.0))
    assert [f.holds for f in early] == [False] * 5
    assert [f.measured for f in early][:4] == ["400", "400", "0", "500"]
