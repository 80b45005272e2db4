"""The phases of Rubin, Seroussi and Ringel (arXiv 2310.03789) by their closed theory.

GFL: the density of w.w* has one peak, at 0; GMFL-I: peaks at 0 and beyond; GMFL-II: 0
is none. Nothing is sampled here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import brentq

from grokmap import plot
from grokmap.reproduce.finding import OWN, WORDS, Finding
from grokmap.reproduce.trained import Trained
from grokmap.theory import posterior
from grokmap.theory.posterior import Closed, Posterior

NAMES = ("GFL", "GMFL-I", "GMFL-II")
LEAST, MOST, STEPS = 0.003, 0.6, 60  # of sigma^2
DIMENSIONS = (150, 300, 600, 1200)
SHARES_WITHIN = 0.15  # of share * d, over d; set before it was computed
MAP = 24  # cells of a side


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Order and levels at the paper's sizes; how many neurons specialise."""
    noises = np.geomspace(MOST, LEAST, STEPS)
    kinds = [phase(posterior.close(posterior.paper(noise))) for noise in noises]
    seen = list(dict.fromkeys(kinds))
    mixed, split = level(1), level(2)
    limit = posterior.transition(posterior.paper(1.0), 0.1, 0.3)
    at_split = apart(posterior.close(posterior.paper(0.99 * split)))
    return [
        Finding(
            f"phases as sigma^2 falls from {MOST:g} to {LEAST:g}, {_sizes()}",
            ", ".join(NAMES),
            WORDS,
            "in this order, each once",
            f"{', '.join(NAMES[kind] for kind in seen)}: GMFL-I from {mixed:.3f}, "
            f"GMFL-II from {split:.4f}",
            f"wells as deep, as d grows, at {limit:.3f}",
            seen == [0, 1, 2],
        ),
        Finding(
            "neurons at the outer wells where 0 is no peak any more, share",
            "all: the saddle at 0 no longer contributes",
            WORDS,
            ">= 0.9",
            f"{at_split:.3f}",
            "",
            at_split >= 0.9,
        ),
        _share_law(),
    ]


def _share_law() -> Finding:
    """Of specialised neurons at sigma^2 = 0.1, sizes scaled as in the paper."""
    products = []
    for d in DIMENSIONS:
        closed = posterior.close(posterior.scaled(posterior.paper(0.1), 20 * d, d, 700))
        products.append(apart(closed) * d)
    spread = max(products) / min(products) - 1
    return Finding(
        f"share of specialised neurons times d, d = {', '.join(map(str, DIMENSIONS))}",
        "constant: a well is order 1, and all of f is",
        OWN,
        f"within {SHARES_WITHIN:g} of each other",
        ", ".join(f"{one:.2f}" for one in products),
        "",
        spread <= SHARES_WITHIN,
    )


def phase(closed: Closed) -> int:
    """A place in `NAMES`."""
    at_zero, beyond = posterior.peaks(closed)
    if not at_zero:
        return 2
    return 1 if beyond else 0


def level(kind: int, setting: Posterior | None = None) -> float:
    """sigma^2 at which a phase of at least this kind begins, from above."""
    base = posterior.paper(1.0) if setting is None else setting

    def below(log_noise: float) -> float:
        closed = posterior.close(base._replace(noise=float(np.exp(log_noise))))
        return 0.5 if phase(closed) >= kind else -0.5

    ends = np.log(LEAST), np.log(MOST)
    return float(np.exp(brentq(below, *ends, xtol=1e-3)))


def apart(closed: Closed) -> float:
    """Share of neurons beyond the dip below the outermost peak; 0 where none is."""
    _, beyond = posterior.peaks(closed)
    if not beyond:
        return 0.0
    inside = closed.overlap < beyond
    # From the peak down: the first place from which the density rises again.
    falls = np.diff(closed.density[inside]) < 0
    dip = int(np.flatnonzero(falls)[-1]) + 1 if falls.any() else 0
    return float(closed.density[dip:].sum())


def _sizes() -> str:
    paper = posterior.paper(1.0)
    return f"d = {paper.d}, n = {paper.n}, N = {paper.neurons}"


def figure(trained: Mapping[str, Trained]) -> Figure:
    """Phases over sigma^2 and n at the paper's d and N; equal wells as d grows."""
    noises = np.geomspace(LEAST, 4 * MOST, MAP)
    sizes = np.geomspace(300, 30_000, MAP)
    paper = posterior.paper(1.0)
    kinds, shares = np.zeros((MAP, MAP), int), np.zeros((MAP, MAP))
    line = []
    for i, n in enumerate(sizes):
        at = paper._replace(n=round(n))
        for j, noise in enumerate(noises):
            closed = posterior.close(at._replace(noise=noise))
            kinds[i, j], shares[i, j] = phase(closed), apart(closed)
        line.append(_equal_wells(at))
    return plot.equilibrium_map(
        plot.Equilibrium(noises, sizes, kinds, shares, np.array(line)), NAMES
    )


def _equal_wells(setting: Posterior) -> float:
    """NaN where they are not within a factor 30 about n / 17,000."""
    middle = 0.18 * setting.n / 3000
    try:
        return posterior.transition(setting, middle / 30, 30 * middle)
    except ValueError:
        return float("nan")
