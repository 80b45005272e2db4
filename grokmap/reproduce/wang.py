"""Avalanches of gradients, arXiv 2604.04655, against what needs no correlations.

The paper's public text fixes neither graphs, dissipation, sizes nor the rate of
learning: those here are our choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from grokmap.analysis import avalanches as analysis
from grokmap.analysis.statistics import percentile_interval
from grokmap.arrays import Floats, Ints
from grokmap.avalanches import REAL, Gradients, Probe, graph_of, sizes_of, snapshots
from grokmap.reproduce.finding import NUMBER, OWN, WORDS, Finding, near
from grokmap.reproduce.reproduction import Reproduction
from grokmap.reproduce.trained import Trained

NULL_GRAPHS = ("barabasi_albert", "ring", "lattice", "erdos_renyi", "watts_strogatz")
SNAPSHOTS = np.arange(0, 501, 10)  # 51, of 500 epochs
GROUPS = {True: "modular addition that groks", False: "without weight decay: no grok"}


def null_logs(
    graph: str, n: Ints, probe: Probe, n_seeds: int, n_snapshots: int
) -> Floats:
    """[S, seeds] mean ln s of independent Gaussian gradients on a graph of GRAPHS,
    drawn for each seed and size.

    Means of logarithms, so that their slope is that of the snapshots. (Those of s give
    a D lower by about 0.01: small networks fluctuate more, and large avalanches more
    than small ones.)
    """
    out = np.empty((len(n), n_seeds))
    for place, nodes in enumerate(n.tolist()):
        for seed in range(n_seeds):
            rng = np.random.default_rng([seed, nodes])
            fields = rng.standard_normal((n_snapshots, nodes))
            sizes = sizes_of(fields, graph_of(graph, nodes, seed), probe)
            out[place, seed] = np.log(sizes.total).mean()
    return out


def wang_null(trained: Mapping[str, Trained]) -> list[Finding]:
    """D of independent Gaussian gradients, arXiv 2604.04655: 8 sizes, 5 graphs."""
    n = 4 * np.geomspace(20, 500, 8).round().astype(np.int64) + 1
    return [f for passed in (0.5, 0.9) for f in null_dimensions(n, passed)]


def null_dimensions(n: Ints, passed: float) -> list[Finding]:
    """D on each graph, 6 draws of 51 snapshots, and how much it varies over graphs."""
    findings, dimensions = [], []
    for graph in NULL_GRAPHS:
        logs = null_logs(graph, n, Probe(passed=passed), 6, 51)
        drawn = analysis.drawn_dimensions(logs, n)
        d = float(drawn[0])
        low, high = percentile_interval(drawn[1:], 6)
        dimensions.append(d)
        quantity = f"D of Gaussian gradients, {graph}, alpha_diff {passed} (ours)"
        finding = near(quantity, 1.0, 0.03, d, " (0.99 to 1)", NUMBER)
        findings.append(finding._replace(spread=f"{low:.4f} to {high:.4f} (95%)"))
    variation = float(np.std(dimensions, ddof=1) / np.mean(dimensions))
    return [
        *findings,
        Finding(
            f"D over five graphs, standard deviation over mean, alpha_diff {passed}",
            "< 0.3%",
            NUMBER,
            "< 1%",
            f"{variation:.2%}",
            "",
            variation < 0.01,
        ),
    ]


def gradients_at_grid(trained: Trained, grid: Ints) -> Sequence[Gradients]:
    """The gradients of all runs at the steps of a grid that they have."""
    runs = trained.runs
    pairs = zip(runs["run_id"].astype(str), runs["n_steps"], strict=True)
    return trained.gradients({k: grid[grid <= n].tolist() for k, n in pairs})


def cube(
    runs: pd.DataFrame,
    gradients: Sequence[Gradients],
    probe: Probe = Probe(),
    graph: str = "barabasi_albert",
    size: str = "total",
) -> analysis.Cube:
    """Avalanches of gradients beside those of Gaussian and of shuffled ones."""
    table = snapshots(gradients, probe, graph, ("gaussian", "shuffled"))
    return analysis.cube_of(table, analysis.transitions(runs), size)


def row_of(table: pd.DataFrame, field: str, **place: str) -> pd.Series:
    """The one row of a field; place: value by column."""
    for key, value in place.items():
        table = table[table[key] == value]
    return table[table["field"] == field].iloc[0]


def judged(
    quantity: str, published: float, tolerance: float, row: pd.Series
) -> Finding:
    """A published D against a row of `analysis.with_intervals`."""
    found = near(quantity, published, tolerance, float(row["d"]), "", NUMBER)
    return found._replace(spread=f"{row['d_low']:.3f} to {row['d_high']:.3f} (95%)")


def wang_d_of_t(trained: Mapping[str, Trained]) -> list[Finding]:
    """D before and after each run's own transition, and its excess over shuffled
    gradients, arXiv 2604.04655: XOR."""
    xor = trained["wang-xor"]
    gradients = gradients_at_grid(xor, SNAPSHOTS)
    phases = analysis.by_phase(cube(xor.runs, gradients))
    findings = [
        judged(f"D {words}", published, tolerance, row_of(phases, REAL, phase=phase))
        for words, published, tolerance, phase in (
            ("before each run's transition", 0.90, 0.05, analysis.BEFORE),
            ("after it", 1.20, 0.05, analysis.AFTER),
            ("after less before", 0.30, 0.10, "change"),
        )
    ]
    for graph in NULL_GRAPHS:
        phases = analysis.by_phase(cube(xor.runs, gradients, graph=graph))
        for phase in (analysis.BEFORE, analysis.AFTER):
            row = row_of(phases, "shuffled", phase=phase)
            findings.append(excess_above_zero(f"{phase} the transition, {graph}", row))
        change = row_of(phases, "shuffled", phase="change")
        findings.append(excess_above_zero(f"after less before, {graph}", change))
    return findings


def excess_above_zero(where: str, row: pd.Series) -> Finding:
    """Whether D is above that of the same gradients in random order."""
    return Finding(
        f"D less that of the shuffled gradients, {where}",
        "above 0, on every graph",
        WORDS,
        "95% interval above 0",
        f"{row['excess']:.3f}",
        f"{row['excess_low']:.3f} to {row['excess_high']:.3f} (95%)",
        bool(row["excess_low"] > 0),
    )


def wang_aggregate(trained: Mapping[str, Trained]) -> list[Finding]:
    """Exponents of all snapshots together, arXiv 2604.04655: XOR, beside those of
    Gaussian gradients on the same graphs."""
    xor = trained["wang-xor"]
    gradients = gradients_at_grid(xor, SNAPSHOTS)
    findings = []
    for size, words in (("peak", "in one sweep"), ("total", "in all sweeps")):
        found = cube(xor.runs, gradients, size=size)
        table = analysis.aggregate(found)
        d = row_of(table, REAL, exponent="s_max")
        findings.append(
            judged(f"D of a run's largest s, topplings {words}", 1.0, 0.02, d)
        )
        gaussian = float(row_of(table, "gaussian", exponent="s_max")["d"])
        quantity = f"the same of Gaussian gradients {words}, against the real ones"
        findings.append(near(quantity, float(d["d"]), 0.02, gaussian, "", OWN))
        gamma = row_of(table, REAL, exponent="gamma")
        quantity = f"gamma of a run's mean s, topplings {words}"
        findings.append(judged(quantity, 1.15, 0.06, gamma))
        apart = analysis.spread_of_collapse(analysis.distribution(found, float(d["d"])))
        findings.append(collapse(words, apart))
    return findings


def collapse(words: str, apart: float) -> Finding:
    """Whether distributions of all N are one, once scaled."""
    return Finding(
        f"distance of the distributions of s / N^D, topplings {words}, mean of pairs",
        "one curve but for its tail",
        WORDS,
        "<= 0.2 (0: one curve; 1: apart)",
        f"{apart:.2f}",
        "",
        apart <= 0.2,
    )


def wang_gini(trained: Mapping[str, Trained]) -> list[Finding]:
    """The Gini coefficient of the weights along the runs, arXiv 2604.04655: XOR."""
    xor = trained["wang-xor"]
    gini = xor.trajectories[["run_id", "step", "gini"]].dropna()
    peaks = analysis.gini_peaks(gini, analysis.transitions(xor.runs))
    rise = (peaks["peak"] / peaks["first"] - 1).to_numpy()
    late = (peaks["peak_step"] - peaks["transition"]).to_numpy()
    share = float(np.mean(np.abs(late) <= 10))
    risen = near(
        "rise of the Gini coefficient to its peak", 0.25, 0.1, rise, "", NUMBER
    )
    return [
        risen,
        Finding(
            "share of runs whose peak is within 10 epochs of their transition",
            "all, of 1000 seeds",
            NUMBER,
            ">= 90%",
            f"{share:.0%} of {len(peaks)}",
            f"peak {late.min():+.0f} to {late.max():+.0f} epochs from it",
            share >= 0.9,
        ),
    ]


def wang_modular(trained: Mapping[str, Trained]) -> list[Finding]:
    """D in networks that grok and in those that do not, after arXiv 2604.16431."""
    modular = trained["wang-modular"]
    last = int(modular.runs["n_steps"].max())
    grid = np.unique(np.append(0, np.geomspace(1, last, 32)).round().astype(np.int64))
    gradients = gradients_at_grid(modular, grid)
    findings = []
    for decay, runs in modular.runs.groupby("weight_decay"):
        ids = set(runs["run_id"])
        found = cube(runs, [g for g in gradients if g.run_id in ids])
        phases = analysis.by_phase(found)
        findings.append(passes_one(bool(decay > 0), phases))
        change = row_of(phases, "shuffled", phase="change")
        findings.append(own_change(GROUPS[bool(decay > 0)], change))
    return findings


def passes_one(groks: bool, phases: pd.DataFrame) -> Finding:
    """Whether D falls through 1 where runs grok, and stays above it elsewhere."""
    before, after = (
        row_of(phases, REAL, phase=p) for p in (analysis.BEFORE, analysis.AFTER)
    )
    falls = bool(before["d_low"] > 1 > after["d_high"])
    stays = bool(min(before["d_low"], after["d_low"]) > 1)
    return Finding(
        f"D before and after the transition, {GROUPS[groks]}",
        "falls through 1 (a transformer)" if groks else "stays above 1",
        WORDS,
        "95% intervals on those sides of 1",
        f"{before['d']:.3f}, {after['d']:.3f}",
        ", ".join(f"{r['d_low']:.3f} to {r['d_high']:.3f}" for r in (before, after)),
        falls if groks else stays,
    )


def own_change(group: str, change: pd.Series) -> Finding:
    """Whether D changes otherwise than that of the gradients in random order."""
    return Finding(
        f"change of D less that of the shuffled gradients, {group}",
        "not 0: it is the gradients' correlations that change",
        WORDS,
        "95% interval without 0",
        f"{change['excess']:.3f}",
        f"{change['excess_low']:.3f} to {change['excess_high']:.3f} (95%)",
        bool(change["excess_low"] > 0 or change["excess_high"] < 0),
    )


SHADOW = (
    "the probe only looks here (alpha_train = 0, where the companion paper says that "
    "the crossing stays). Graph, alpha_diff, activation and rate are not known. At a "
    "rate of 0.1 and with what is not passed kept D goes from 0.93 to 1.15, more than "
    "half of it as that of shuffled gradients (docs/systems/wang.md)."
)

REPRODUCTIONS: dict[str, Reproduction] = {
    "wang-null": Reproduction(
        reference="Wang (arXiv 2604.04655)",
        claim="Avalanches of independent Gaussian gradients scale with D near 1 on "
        "every graph.",
        setting="8 sizes N = 81 to 2001, 5 graphs, 6 draws, alpha_diff 0.5, 0.9 (ours)",
        compare=wang_null,
        cpu_s=20,
    ),
    "wang-d-of-t": Reproduction(
        reference="Wang (arXiv 2604.04655), Figs. 1, 3",
        claim="On XOR the dimension of gradient avalanches rises from 0.90 to 1.20 as "
        "each run learns, by correlations of the gradients.",
        setting="8 widths h = 20 to 500, 6 seeds, 51 snapshots; alpha_diff 0.5 (ours)",
        compare=wang_d_of_t,
        sweeps=("wang-xor",),
        cpu_s=200,
        explained=SHADOW,
    ),
    "wang-aggregate": Reproduction(
        reference="Wang (arXiv 2604.04655), Fig. 2",
        claim="The largest avalanche grows as N^1.00, the mean one as N^1.15, and "
        "distributions collapse.",
        setting="8 widths h = 20 to 500, 6 seeds, 51 snapshots; alpha_diff 0.5 (ours)",
        compare=wang_aggregate,
        sweeps=("wang-xor",),
        cpu_s=150,
        explained="in one sweep a tenth of the parameters topples, whatever the "
        "gradients are: there D = 1 of Gaussian ones, too. In all sweeps the smallest "
        "networks fluctuate most, so that the largest of 51 grows more slowly than "
        "the mean. Nothing in the setting given makes an exponent of 1.15.",
    ),
    "wang-gini": Reproduction(
        reference="Wang (arXiv 2604.04655), Fig. 1c",
        claim="The Gini coefficient of the weights peaks by 25% at the transition.",
        setting="8 widths h = 20 to 500, 6 seeds, 500 epochs; relu, rate 0.01 (ours)",
        compare=wang_gini,
        sweeps=("wang-xor",),
        cpu_s=60,
        explained="from PyTorch's initial weights the coefficient falls as soon as "
        "training goes on; only some of the narrowest rise at first, by 5% at most.",
    ),
    "wang-modular": Reproduction(
        reference="after Wang (arXiv 2604.16431)",
        claim="On modular addition D falls through 1 where runs grok, and stays above "
        "1 where they do not.",
        setting="two layers, p = 17, 6 widths, 6 seeds, weight decay 0.02 and 0",
        compare=wang_modular,
        sweeps=("wang-modular",),
        cpu_s=400,
        explained="theirs is one transformer on p = 59, of which only this is public; "
        "whether its D is taken over widths is not known.",
    ),
}
