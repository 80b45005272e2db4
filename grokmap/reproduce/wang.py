"""Avalanches of gradients, arXiv 2604.04655, against what needs no correlations.

The paper's public text fixes neither graphs, dissipation, sizes nor the rate of
learning: those here are our choice.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from grokmap.analysis import avalanches as analysis
from grokmap.analysis.statistics import percentile_interval
from grokmap.arrays import Floats, Ints
from grokmap.avalanches import Probe, graph_of, sizes_of
from grokmap.reproduce.finding import NUMBER, Finding, near
from grokmap.reproduce.reproduction import Reproduction
from grokmap.reproduce.trained import Trained

NULL_GRAPHS = ("barabasi_albert", "ring", "lattice", "erdos_renyi", "watts_strogatz")


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


REPRODUCTIONS: dict[str, Reproduction] = {
    "wang-null": Reproduction(
        reference="Wang (arXiv 2604.04655)",
        claim="Avalanches of independent Gaussian gradients scale with D near 1 on "
        "every graph.",
        setting="8 sizes N = 81 to 2001, 5 graphs, 6 draws, alpha_diff 0.5, 0.9 (ours)",
        compare=wang_null,
        cpu_s=20,
    ),
}
