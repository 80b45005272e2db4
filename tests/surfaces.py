"""Planted surfaces: wedges over 2 to 4 axes, runs of them, and whether bands hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr
from scipy.stats import qmc

from grokmap.analysis.boundaries import BEYOND, MAX, MEASURED, MIN, NO_GROK, Edge
from grokmap.analysis.level_sets import Band, Edges, Surface, fit, level_set
from grokmap.analysis.refine import Aim, choose, state_of

Array = npt.NDArray[np.float64]
SMOOTH, KINKED, CORNER = "smooth", "kinked", "corner"
SHAPES = (SMOOTH, KINKED, CORNER)
PLACES = 16


class Planted(NamedTuple):
    """A wedge along axis 0 of a unit box of so many axes.

    P = height Phi((x - lower) / width) Phi((upper - x) / width); number: which of the
    random shapes. cut: runs below about this x do not finish (None: all do).
    """

    axes: int
    shape: str
    number: int = 0
    width: float = 0.04
    height: float = 1.0
    cut: float | None = None

    def edges(self, others: Array) -> tuple[Array, Array]:
        """Where the two factors are 1/2, at others [m, axes - 1]."""
        rng = np.random.default_rng([self.number, self.axes])
        weights = rng.dirichlet(np.full(self.axes - 1, 3.0))
        t = others @ weights
        a, b, tip = rng.uniform([0.2, 0.3, 0.6], [0.8, 0.7, 0.85])
        if self.shape == SMOOTH:
            lower, upper = np.sin(4 * (t + a)), np.sin(3 * (t + b))
            return 0.25 + 0.1 * lower, 0.72 + 0.12 * upper
        if self.shape == KINKED:
            return 0.15 + 0.4 * np.abs(t - a), 0.85 - 0.35 * np.abs(t - b)
        return 0.45 - 0.5 * (tip - t), 0.45 + 0.6 * (tip - t)

    def probability(self, points: Array) -> Array:
        lower, upper = self.edges(points[:, 1:])
        rises = ndtr((points[:, 0] - lower) / self.width)
        return self.height * rises * ndtr((upper - points[:, 0]) / self.width)

    def runs(self, points: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """[n] 1 where a run grokked, and whether it was cut short."""
        grokked = rng.random(len(points)) < self.probability(points)
        noise = 0.05 * rng.standard_normal(len(points))
        cut = points[:, 0] < (-1 if self.cut is None else self.cut) + noise
        return (grokked & ~cut).astype(float), cut

    def truth(self, others: Array) -> tuple[Array, Array]:
        """[m] where P is half its height, NaN where the wedge is closed."""
        x = np.linspace(0, 1, 2001)
        every = np.tile(x, len(others))
        points = np.insert(np.repeat(others, len(x), axis=0), 0, every, axis=1)
        open_ = _inside(self, points).reshape(-1, len(x))
        first = x[np.argmax(open_, axis=1)]
        last = x[::-1][np.argmax(open_[:, ::-1], axis=1)]
        some = open_.any(axis=1)
        return np.where(some, first, np.nan), np.where(some, last, np.nan)


def places(axes: int, seed: int, n: int = PLACES) -> Array:
    return qmc.Halton(axes - 1, rng=np.random.default_rng(seed)).random(n)


def design(planted: Planted, n: int, seeds: int) -> Array:
    """n points, of which each place has as many as there are seeds."""
    sampler = qmc.Halton(planted.axes, rng=np.random.default_rng(planted.number))
    return np.repeat(sampler.random(n // seeds), seeds, axis=0)


def fitted(planted: Planted, n: int, seeds: int = 1) -> Surface:
    points = design(planted, n, seeds)
    rng = np.random.default_rng([planted.number, n])
    return fit(points, *planted.runs(points, rng))


def holds(band: Band, truth: Array) -> npt.NDArray[np.bool_]:
    """[m] whether the true edge (NaN: no wedge) is where the band says.

    Where there is none, the band must not say that some of the place surely groks.
    """
    above = np.isnan(band.low) | (band.low <= truth)
    below = np.isnan(band.high) | (truth <= band.high)
    inside = (band.status != NO_GROK) & above & below
    claimed = (band.status == MEASURED) | (band.status == BEYOND)
    return np.where(np.isnan(truth), ~claimed, inside)


def covered(planted: Planted, surface: Surface, seed: int = 0) -> tuple[bool, Edges]:
    """Whether both bands hold at all places, and the bands."""
    others = places(planted.axes, seed)
    edges = level_set(surface, 0, others, seed=seed)
    pairs = zip((edges.lower, edges.upper), planted.truth(others), strict=True)
    return all(holds(band, truth).all() for band, truth in pairs), edges


def misplaced(planted: Planted, surface: Surface) -> float:
    """Share of the box that is put on the wrong side of the edge."""
    points = qmc.Sobol(planted.axes, rng=np.random.default_rng(0)).random(1024)
    return float(
        np.mean((surface.process.mean(points) > 0) != _inside(planted, points))
    )


def _inside(planted: Planted, points: Array) -> npt.NDArray[np.bool_]:
    return planted.probability(points) > planted.height / 2


def rows_of(
    planted: Planted, start: int, batch: int, most: int
) -> Iterator[tuple[Array, float]]:
    """Points [n, 2] and what is misplaced, as rows are refined one by one."""
    rng = np.random.default_rng(planted.number)
    grid = np.meshgrid(np.linspace(0.02, 0.98, start // 4), np.linspace(0, 1, 4))
    new = np.stack(grid, axis=-1).reshape(-1, 2)
    runs = pd.DataFrame()
    # The command's own: 0.2 e-folds of four decades, 0.05 in alpha of 0.6.
    aim = Aim(log=False, precision=0.022, y_precision=0.08, batch=batch)
    while True:
        grokked, _ = planted.runs(new[:, :2], rng)
        phase = np.where(grokked > 0, "grok", "memorize-only")
        table = pd.DataFrame(new[:, :2], columns=[aim.x, aim.y]).assign(phase=phase)
        seed = new[:, 2].astype(int) if new.shape[1] > 2 else 0
        runs = pd.concat([runs, table.assign(seed=seed, censored=False)])
        yield runs[[aim.x, aim.y]].to_numpy(float), rows_misplaced(planted, runs, aim)
        new = np.array(choose(runs, (0, 1), aim)[:batch], float)
        if len(runs) >= most or not len(new):
            return


def rows_misplaced(planted: Planted, runs: pd.DataFrame, aim: Aim) -> float:
    """As `misplaced`: between rows each edge is a straight line; the wedge ends halfway
    between the last rows that have one and those that have none."""
    state = state_of(runs, aim)
    points = qmc.Sobol(2, rng=np.random.default_rng(0)).random(1024)
    every = np.array(sorted(state.edges))
    known = [y for y in every if state.edges[y][MIN].status in (MEASURED, BEYOND)]
    below, above = every[every < known[0]], every[every > known[-1]]
    first = (known[0] + below[-1]) / 2 if len(below) else 0.0
    last = (known[-1] + above[0]) / 2 if len(above) else 1.0
    ends = np.array(
        [[_place(state.edges[y], name) for name in (MIN, MAX)] for y in known]
    )
    lower, upper = (np.interp(points[:, 1], known, end) for end in ends.T)
    found = (points[:, 0] > lower) & (points[:, 0] < upper)
    found &= (points[:, 1] > first) & (points[:, 1] < last)
    return float(np.mean(found != _inside(planted, points)))


def _place(wedge: dict[str, Edge], name: str) -> float:
    """An edge beyond the axis is taken to be at its end."""
    ends = {MIN: 0.0, MAX: 1.0}
    return wedge[name].estimate if wedge[name].status == MEASURED else ends[name]
