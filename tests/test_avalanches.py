"""Avalanches on graphs, arXiv 2604.04655: cases worked by hand, and a plain loop."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest

from grokmap import avalanches
from grokmap.analysis import avalanches as analysis
from grokmap.analysis.statistics import percentile_interval
from grokmap.avalanches import GRAPHS, NULLS, Graph, Probe, graph_of, sizes_of
from grokmap.avalanches.graphs import EXCHANGEABLE, from_edges, shares
from grokmap.avalanches.relaxation import spread_out
from grokmap.reproduce import wang

N = np.array([81, 201, 505, 1265])


def chain(n: int) -> Graph:
    return from_edges(np.stack([np.arange(n - 1), np.arange(1, n)], 1), n)


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_are_simple_and_of_one_degree(name: str) -> None:
    graph = graph_of(name, 300, 0)
    assert np.all(graph.of != graph.to)
    assert graph.of.min() >= 0 and graph.of.max() < 300
    pairs = np.stack([graph.of, graph.to], 1)
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    assert set(map(tuple, pairs)) == set(map(tuple, pairs[:, ::-1]))
    assert graph.degree.mean() == pytest.approx(4, rel=0.02)
    again = graph_of.__wrapped__(name, 300, 0)
    np.testing.assert_array_equal(again.of, graph.of)


def test_degrees_tell_the_graphs_apart() -> None:
    degree = {name: graph_of(name, 2000, 1).degree for name in GRAPHS}
    assert set(degree["ring"]) == set(degree["lattice"]) == {4}
    # Poisson: variance 4, and exp(-4) without neighbours; preferential: hubs.
    assert degree["erdos_renyi"].var() == pytest.approx(4, rel=0.15)
    assert (degree["erdos_renyi"] == 0).mean() == pytest.approx(0.018, abs=0.01)
    assert 0 < degree["watts_strogatz"].var() < 1
    hubs = degree["barabasi_albert"]
    assert hubs.max() > 50 and hubs[:20].mean() > 5 * hubs[-1000:].mean()
    mixed = degree["barabasi_albert_mixed"]
    np.testing.assert_array_equal(np.sort(mixed), np.sort(hubs))
    assert mixed[:20].mean() < hubs[:20].mean() / 3


def test_the_lattice_is_square() -> None:
    graph = graph_of("lattice", 100, 0)
    assert set(graph.of[graph.to == 50]) == {40, 49, 51, 60}


def test_an_avalanche_by_hand() -> None:
    # A chain of 11 nodes: the 90th percentile is the second largest load, 1.
    load = np.array([[0.0, 0.0, 3.0, -1.0, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    # Half passed: 3 passes 0.75 to each side: 1 + 0.75 topples, passes 0.4375 to
    # either side: 0.9 + 0.4375 topples, passes 0.334, and it ends.
    found = sizes_of(load, chain(11), Probe(passed=0.5))
    assert found == avalanches.Sizes(*([x] for x in (3, 1, 3, 3, 3)))
    assert sizes_of(load, chain(11), Probe(passed=0.0)).total == [1]
    # What is not passed stays: 4 falls to 2, and to 1; its neighbours get 1 and 1/2.
    kept = sizes_of([[0.0, 4.0, 0.0]], chain(3), Probe(keeps=True), [1.5])
    assert kept == avalanches.Sizes(*([x] for x in (2, 1, 2, 1, 2)))


def test_two_avalanches_of_one_snapshot() -> None:
    load = np.zeros((1, 40))
    load[0, [3, 4, 5, 30]] = [2, 2.5, 2, 2]
    found = sizes_of(load, chain(40), Probe(percentile=90, passed=0.1))
    assert (found.total, found.peak, found.largest) == ([4], [4], [3])


def test_one_constant_topples_nothing() -> None:
    found = sizes_of(np.full((3, 100), -0.7), graph_of("ring", 100, 0))
    assert not np.any(np.stack(found))


def test_an_ordered_field_lets_a_front_run() -> None:
    # |g| = i on a chain, half passed. The tenth above 0.9 (n - 1) topples. A node below
    # the front has i and a quarter of a load of at most 4/3 i: above the threshold down
    # to i = 0.675 (n - 1). So the front goes down one node a sweep, to the last sweep.
    n = 401
    found = sizes_of(np.arange(n)[None], chain(n), Probe(passed=0.5))
    assert found.total == [40 + 19] and found.largest == [59]
    assert found.peak == [40] and found.sweeps == [20]
    # In any other order nothing has such a neighbour for long.
    mixed = np.random.default_rng(0).permuted(np.tile(np.arange(n), (50, 1)), axis=1)
    assert sizes_of(mixed, chain(n), Probe(passed=0.5)).largest.mean() < 15


def test_isolated_nodes_topple_alone() -> None:
    gradients = np.random.default_rng(2).standard_normal((20, 201))
    alone = from_edges(np.empty((0, 2), np.int64), 201)
    found = sizes_of(gradients, alone, Probe(passed=0.9))
    np.testing.assert_array_equal(found.total, 20)
    np.testing.assert_array_equal(found.largest, 1)
    # A ring that passes nothing is no other.
    found = sizes_of(gradients, graph_of("ring", 201, 0), Probe(passed=0.0))
    np.testing.assert_array_equal(found.total, 20)


@pytest.mark.parametrize("keeps", [False, True])
def test_a_load_is_kept_or_falls_by_what_topples(keeps: bool) -> None:
    rng = np.random.default_rng(3)
    gradient = np.abs(rng.standard_normal(201)).astype(np.float32)
    one = Probe(passed=0.6, keeps=keeps, sweeps=1)
    graph = graph_of("ring", 201, 0)
    after = np.asarray(spread_out(gradient, graph, one))
    toppled = gradient[gradient > np.percentile(gradient, 90)].sum()
    lost = 0.0 if keeps else 0.4 * toppled
    assert after.sum() == pytest.approx(gradient.sum() - lost, rel=1e-5)
    # With signs, to which the sum over neighbours is linear.
    signed = np.asarray(spread_out(-gradient, graph, one))
    np.testing.assert_allclose(signed, -after, rtol=1e-6)


def plain(load: np.ndarray, graph: Graph, probe: Probe) -> tuple[int, ...]:
    """One snapshot, node by node and edge by edge, in float32."""
    load = np.abs(load).astype(np.float32)
    threshold = np.percentile(load, probe.percentile)
    share = shares(graph, np.float32(probe.passed))
    kept = np.float32(1 - probe.passed if probe.keeps else 0)
    count, peak, done = np.zeros(graph.n, int), 0, 0
    for _ in range(probe.sweeps):
        above = [i for i in range(graph.n) if load[i] > threshold]
        if not above:
            break
        going = {i: load[i] for i in above}
        received = np.zeros(graph.n, np.float32)
        for of, to, part in zip(graph.of, graph.to, share, strict=True):
            if of in going:
                received[to] += part * going[of]
        for i in above:
            load[i] *= kept
            count[i] += 1
        load += received
        peak, done = max(peak, len(above)), done + 1
    return int(count.sum()), peak, _largest(count, graph), int((count > 0).sum()), done


def _largest(count: np.ndarray, graph: Graph) -> int:
    left, most = set(np.flatnonzero(count).tolist()), 0
    while left:
        waiting, size = [left.pop()], 0
        while waiting:
            node = waiting.pop()
            size += count[node]
            near = set(graph.of[graph.to == node].tolist()) & left
            left -= near
            waiting += near
        most = max(most, int(size))
    return most


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("name", GRAPHS)
def test_a_batch_is_a_plain_loop(name: str, keeps: bool) -> None:
    graph = graph_of(name, 121, 5)
    rng = np.random.default_rng(4)
    fields = rng.standard_normal((6, 121)) ** 3
    probe = Probe(percentile=85, passed=0.8, keeps=keeps)
    found = np.stack(sizes_of(fields, graph, probe), axis=1)
    expected = [plain(field, graph, probe) for field in fields]
    np.testing.assert_array_equal(found, expected)
    assert found[:, 4].max() > 3


def test_the_spread_gradient_is_that_of_the_probe() -> None:
    graph = graph_of("barabasi_albert", 121, 5)
    gradient = np.random.default_rng(5).standard_normal(121).astype(np.float32)
    probe = Probe(passed=0.8)
    load, threshold = gradient.astype(np.float64), np.percentile(abs(gradient), 90)
    for _ in range(20):
        above = abs(load) > threshold
        going = np.where(above, load, 0.0)
        load = np.where(above, 0.0, load)
        np.add.at(load, graph.to, shares(graph, 0.8) * going[graph.of])
    spread = jax.jit(lambda g: spread_out(g, graph, probe))(gradient)
    np.testing.assert_allclose(spread, load, atol=1e-5)
    assert np.abs(load - gradient).max() > 0.1


def test_shuffling_keeps_what_it_says() -> None:
    rng = np.random.default_rng(6)
    gradients = rng.standard_normal((4, 90)) * np.repeat([1, 10, 100], 30)
    layers = np.repeat([0, 1, 2], 30)
    everywhere, within = (
        NULLS[name](gradients, layers, rng) for name in ("shuffled", "shuffled_layers")
    )
    np.testing.assert_array_equal(np.sort(everywhere), np.sort(gradients))
    for layer in range(3):
        of = layers == layer
        ordered = np.sort(gradients[:, of])
        np.testing.assert_array_equal(np.sort(within[:, of]), ordered)
        assert not np.array_equal(np.sort(everywhere[:, of]), ordered)
    assert not np.array_equal(within, gradients)
    # Each snapshot has an order of its own.
    order = np.argsort(NULLS["shuffled"](np.tile(np.arange(90.0), (2, 1)), layers, rng))
    assert not np.array_equal(order[0], order[1])


@pytest.mark.parametrize("stretch", [0.4, 1.0, 3.0])
def test_the_heavy_tailed_null_has_the_marginal(stretch: float) -> None:
    rng = np.random.default_rng(7)
    gradients = rng.exponential(size=(3, 20_000)) ** stretch
    gradients[:, ::4] = 0
    found = NULLS["weibull"](gradients, np.zeros(20_000, int), rng)
    assert (found == 0).mean() == pytest.approx(0.25, abs=0.01)
    for share in (0.4, 0.7, 0.9, 0.99):
        value = np.quantile(gradients, share)
        assert np.quantile(found, share) == pytest.approx(value, rel=0.15)


def test_where_nodes_have_no_order_shuffling_changes_nothing() -> None:
    # A field ordered as can be: on a ring its avalanche is another than the shuffled
    # field's; on graphs that are drawn with their nodes in any order it is not.
    field = np.sort(np.random.default_rng(8).standard_normal(400) ** 2)[None]
    probe = Probe(passed=0.9)

    def mean(name: str, shuffled: bool) -> float:
        rng = np.random.default_rng(9)
        fields = [rng.permuted(field, axis=1) if shuffled else field for _ in range(60)]
        sizes = [
            sizes_of(f, graph_of(name, 400, s), probe).total
            for s, f in enumerate(fields)
        ]
        return float(np.mean(sizes))

    for name in EXCHANGEABLE:
        assert mean(name, True) == pytest.approx(mean(name, False), rel=0.05)
    assert mean("ring", False) > 2 * mean("ring", True)


def planted(n: int, rng: np.random.Generator) -> np.ndarray:
    """[n] a field on a chain whose avalanche is about n^1.2 / 20.

    The tenth that topples stands evenly; behind each stand nodes that topple when the
    one before them does, as many as it takes. All others stay below.
    """
    field = rng.uniform(0.0, 0.05, n)
    starts = np.arange(5, n, 10)[: n - 1 - int(0.9 * (n - 1))]
    rest = max(0, round(n**1.2 / 20) - len(starts))
    length = np.full(len(starts), rest // len(starts))
    length[: rest % len(starts)] += 1
    for start, k in zip(starts, length, strict=True):
        field[start + 1 : start + 1 + k] = 0.9
    field[starts] = 1 + rng.uniform(0.0, 0.1, len(starts))
    return field


@pytest.mark.slow
def test_a_planted_dimension_is_recovered() -> None:
    n = 4 * np.geomspace(20, 500, 8).round().astype(int) + 1
    rng = np.random.default_rng(10)
    logs = {"planted": np.empty((8, 6)), "shuffled": np.empty((8, 6))}
    for place, nodes in enumerate(n.tolist()):
        for seed in range(6):
            field = planted(nodes, rng)[None]
            # A threshold at the least that topples, the same for the shuffled field.
            for name, one in (
                ("planted", field),
                ("shuffled", rng.permuted(field, axis=1)),
            ):
                found = sizes_of(one, chain(nodes), Probe(passed=0.5), [0.99])
                logs[name][place, seed] = np.log(found.total[0])
    d = analysis.drawn_dimensions(logs["planted"], n)[0]
    assert d == pytest.approx(1.2, abs=0.05)
    assert analysis.drawn_dimensions(logs["shuffled"], n)[0] < d - 0.05


def test_dimension_of_a_power_law() -> None:
    sizes = np.stack([0.1 * N**1.2, 0.3 * N**0.9])
    np.testing.assert_allclose(analysis.dimension(N, sizes), [1.2, 0.9])
    logs = np.repeat(np.log(sizes)[..., None], 6, axis=2)
    drawn = analysis.drawn_dimensions(logs, N, 10)
    np.testing.assert_allclose(drawn, np.tile([1.2, 0.9], (11, 1)))
    logs[0, 1, :] = np.nan  # a width that has no run any more
    assert np.isnan(analysis.drawn_dimensions(logs, N, 10)[:, 0]).all()


def test_the_bootstrap_covers_the_dimension() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(60):
        logs = 1.1 * np.log(N)[:, None] + 0.1 * rng.standard_normal((4, 6))
        drawn = analysis.drawn_dimensions(logs, N, 400)
        low, high = percentile_interval(drawn[1:], 6)
        assert low < drawn[0] < high
        covered += low < 1.1 < high
    assert covered >= 52


@pytest.mark.parametrize("graph", wang.NULL_GRAPHS)
def test_independent_gradients_give_dimension_one(graph: str) -> None:
    logs = wang.null_logs(graph, N, Probe(), 2, 51)
    assert np.all(np.exp(logs) > 0.1 * N[:, None] * 0.95)
    assert analysis.drawn_dimensions(logs, N)[0] == pytest.approx(1, abs=0.03)


def snapshots_of(
    slopes: dict[str, float], steps: list[int], seeds: int = 6
) -> pd.DataFrame:
    """Made-up sizes n^slope of each field, times what each seed has for itself."""
    rng = np.random.default_rng(11)
    rows = [
        {
            "run_id": f"{n}-{seed}",
            "seed": seed,
            "n": n,
            "step": step,
            "field": field,
            "total": n**slope * noise,
        }
        for n in N.tolist()
        for seed in range(seeds)
        for step in steps
        for noise in [np.exp(0.05 * rng.standard_normal())]
        for field, slope in slopes.items()
    ]
    return pd.DataFrame(rows)


def test_d_over_time_and_its_excess() -> None:
    table = snapshots_of({"real": 1.2, "shuffled": 1.0}, [0, 10])
    cube = analysis.cube_of(table, {})
    found = analysis.over_time(cube, 500)
    real = found[found["field"] == "real"]
    assert real["step"].tolist() == [0, 10] and real["excess"].isna().all()
    np.testing.assert_allclose(real["d"], 1.2, atol=0.05)
    assert (real["d_low"] < 1.2).all() and (1.2 < real["d_high"]).all()
    other = found[found["field"] == "shuffled"]
    # What a seed has for itself is in both, so that it is not in the excess.
    np.testing.assert_allclose(other["excess"], 0.2, atol=1e-9)
    np.testing.assert_allclose(other["excess_low"], 0.2, atol=1e-9)


def test_phases_are_split_at_each_runs_own_transition() -> None:
    at = {f"{n}-{seed}": float(20 + n % 7 * 10) for n in N for seed in range(6)}
    table = snapshots_of({"real": 0.9}, list(range(0, 201, 10)))
    late = table["step"] >= table["run_id"].map(at)
    table.loc[late, "total"] *= table["n"] ** 0.3
    found = analysis.by_phase(analysis.cube_of(table, at), 500).set_index("phase")
    expected = {"before": 0.9, "after": 1.2, "change": 0.3}
    for phase, d in expected.items():
        assert found.loc[phase, "d"] == pytest.approx(d, abs=0.03)
        assert found.loc[phase, "d_low"] < d < found.loc[phase, "d_high"]
        assert found.loc[phase, "loo_low"] <= d + 0.03
        assert found.loc[phase, "loo_high"] >= d - 0.03
    # In each run's own time the step is at 1.
    curve = analysis.aligned(analysis.cube_of(table, at), 100).set_index("ratio")["d"]
    assert curve.iloc[3] == pytest.approx(0.9, abs=0.05)
    assert curve.iloc[-3] == pytest.approx(1.2, abs=0.05)


def test_avalanches_of_no_size_have_no_dimension() -> None:
    table = snapshots_of({"real": 1.0}, [0, 10])
    table.loc[(table["step"] == 10) & (table["n"] == 201), "total"] = 0
    found = analysis.over_time(analysis.cube_of(table, {}), 100)
    assert np.isfinite(found["d"]).tolist() == [True, False]
    assert np.isfinite(found["d_low"]).tolist() == [True, False]


def test_exponents_of_all_snapshots() -> None:
    # The largest of a run goes as n^1.1, the mean of 1 and that as it or slower.
    table = snapshots_of({"real": 1.1}, [0])
    small = table.assign(step=10, total=table["total"] / 1e6)
    cube = analysis.cube_of(pd.concat([table, small]), {})
    found = analysis.aggregate(cube, 100).set_index("exponent")["d"]
    assert found["s_max"] == pytest.approx(1.1, abs=0.02)
    assert found["gamma"] == pytest.approx(1.1, abs=0.02)


def test_a_collapse_is_one_at_the_right_exponent() -> None:
    rng = np.random.default_rng(12)
    logs = rng.standard_normal((1, 4, 20, 10)) + 1.1 * np.log(N)[:, None, None]
    steps, ids = np.arange(10.0), np.full((4, 20), "", object)
    cube = analysis.Cube(("real",), N, steps, logs, np.full((4, 20), np.nan), ids)
    apart = {
        d: analysis.spread_of_collapse(analysis.distribution(cube, d))
        for d in (0.5, 1.1, 1.7)
    }
    assert apart[1.1] < 0.15 < 0.3 < min(apart[0.5], apart[1.7])
    curve = analysis.distribution(cube, 1.1)
    first = curve[curve["n"] == 81]
    assert first["ccdf"].iloc[0] == 1 and first["ccdf"].is_monotonic_decreasing
    np.testing.assert_allclose(first["scaled"], first["s"] / 81**1.1)


def test_peaks_of_the_gini_coefficient() -> None:
    gini = pd.DataFrame(
        {
            "run_id": ["a"] * 3 + ["b"] * 3,
            "step": [0, 5, 10] * 2,
            "gini": [0.4, 0.5, 0.3, 0.4, 0.3, 0.2],
        }
    )
    found = analysis.gini_peaks(gini, {"a": 7.0}).set_index("run_id")
    assert found.loc["a", "peak_step"] == 5 and found.loc["a", "peak"] == 0.5
    assert found.loc["a", "transition"] == 7 and found.loc["b", "peak_step"] == 0
    assert found["last"].tolist() == [0.3, 0.2]


def test_snapshots_have_a_row_for_each_run_step_and_field() -> None:
    rng = np.random.default_rng(13)
    values = rng.standard_normal((3, 81)).astype(np.float32)
    values[2, 5] = np.nan
    one = avalanches.Gradients("r", 4, np.array([0, 5, 9]), values, np.zeros(81, int))
    table = avalanches.snapshots([one], Probe(passed=0.8), "ring")
    assert table["field"].unique().tolist() == ["real", *NULLS]
    real = table[table["field"] == "real"]
    own = sizes_of(values[:2], graph_of("ring", 81, 4), Probe(passed=0.8))
    assert real["total"].tolist() == [*own.total, 0]  # not finite: no avalanche
    # The threshold of the first snapshot for all of them.
    halved = one._replace(values=np.stack([values[0], values[0] / 100, values[0]]))
    fixed = avalanches.snapshots([halved], Probe(passed=0.8), "ring", (), fixed=True)
    assert fixed["total"].tolist() == [own.total[0], 0, own.total[0]]
