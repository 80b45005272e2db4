"""The edges of the grok wedge over several axes at once, and which runs to make next.

A model of P(grok) over all of these axes (`analysis.level_sets`) is fitted to every
run, so that each tells of its neighbours on all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri

from grokmap import plot
from grokmap.analysis import level_sets
from grokmap.analysis.boundaries import BEYOND, MAX, MEASURED, MIN, NO_GROK
from grokmap.analysis.gaussian_process import Process
from grokmap.analysis.statistics import LEVEL
from grokmap.analysis.uncertain_edges import REACH, Near, near
from grokmap.analysis.unit_cube import Cube, Side
from grokmap.arrays import Bools, Floats
from grokmap.classify import Criteria
from grokmap.errors import ResultError, SpecError, short
from grokmap.result import groups
from grokmap.result.caption import caption
from grokmap.result.drawing import Drawing
from grokmap.result.labels import rules_of
from grokmap.result.result import Result
from grokmap.spec.axis import Axis

# Places on the first other axis, on a second, and on each of several more.
ALONG, SECOND, FURTHER = 13, 5, 3
POINTWISE = float(ndtri((1 + LEVEL) / 2))
DRAWN = 41, 81  # places of a drawn plane, upright and along x


class Model(NamedTuple):
    """P(grok) over some axes, and the runs that it was fitted to.

    runs: classified by rules, one row each; points: [n, d] their places; grokked,
    open_: [n] whether each grokked, or was cut short before that; x: the axis of the
    edges.
    """

    runs: pd.DataFrame
    cube: Cube
    points: Floats
    grokked: Bools
    open_: Bools
    surface: level_sets.Surface
    x: str
    rules: Criteria

    @property
    def at(self) -> int:
        """Which of the axes is x."""
        return self.cube.names.index(self.x)

    @property
    def process(self) -> Process:
        return self.surface.process

    @property
    def others(self) -> Cube:
        return Cube(tuple(s for s in self.cube.sides if s.axis.name != self.x))


class Known(NamedTuple):
    """How well the edges are known, each by itself.

    median, ninth: half-width of the 95% interval of an edge, in decades on a log axis,
    else in units of it: of half of the edges at most, and of nine in ten; infinite
    where one of its ends is not known. n_edges: edges that the model places; n_banded:
    of them, those that are measured together with all others.
    """

    median: float
    ninth: float
    n_edges: int
    n_banded: int

    def words(self, log: bool) -> str:
        """In a line; log: whether the edges lie on a log axis."""
        median, ninth = (
            f"{half:.2g}{' decades' if log else ''}" if half < math.inf else "unknown"
            for half in (self.median, self.ninth)
        )
        return (
            f"half-width of the 95% intervals of {self.n_edges} edges: median {median},"
            f" 90th percentile {ninth}"
        )


class Edges(NamedTuple):
    """The edges of a wedge over several axes.

    table: one row an edge at a place: the other axes, edge ("min" or "max"), status and
      estimate; low and high, the band that holds the edges of all places at once with
      probability 95%; pointwise_low and pointwise_high, the 95% interval of this edge
      by itself; n_near and n_open (runs near it, and those of them that are censored);
      why it is not known to the precision wanted (empty if it is).
    bands: the standard deviations of the model that alone and together reach to.
    """

    table: pd.DataFrame
    known: Known
    bands: tuple[float, float]
    model: Model


def check_axes(result: Result, over: Sequence[str], x: str) -> None:
    """Raises SpecError: axes over which no surface can be fitted."""
    able = [axis.name for axis in result.axes if axis.name != groups.REPLICAS]
    words = f"swept here: {', '.join(able) or 'none'}"
    for name in over:
        if name not in able:
            raise SpecError(
                f"--over: {short(repr(name))} is no swept axis beside the seed; {words}"
            )
    if len(set(over)) < max(2, len(over)):
        raise SpecError(
            f"--over {','.join(over)}: name two or more different axes; {words}"
        )
    real = [axis.name for axis in result.axes if axis.is_real and axis.name in over]
    if x not in real:
        raise SpecError(
            f"--x {x}: edges lie on an axis of real numbers that --over names; "
            f"choose among: {', '.join(real) or 'none of them'}"
        )
    rest = [name for name in able if name not in over]
    if rest:
        raise SpecError(
            f"{', '.join(rest)}: swept too; name it in --over, or one value of it with "
            f"--at {rest[0]}=VALUE"
        )


def model_of(
    result: Result,
    over: Sequence[str],
    x: str = "weight_decay",
    criteria: str | Criteria = "default",
    at: groups.Place | None = None,
) -> Model:
    """The model of P(grok) over some axes of a result.

    Args:
      over: swept axes, x among them. at: values of all other swept axes.

    Raises:
      SpecError: as of `check_axes`. ResultError: no run is decided.
    """
    rules, here = rules_of(criteria), result.at(at)
    check_axes(here, over, x)
    runs = here.labelled(rules)
    for name in over:
        if not groups.is_read(runs, name).all():
            raise SpecError(
                f"--over: {name} is not read by some of the runs; leave it out, or "
                "choose runs that read it with --at"
            )
    model = model_from(runs, here.axes, over, x, rules)
    if model is None:
        raise ResultError(
            f"{result.path}: no run at a place of these axes is decided, so nothing "
            "is known of P(grok): give them larger budgets, `grokmap sweep RESULT "
            "--extend`"
        )
    return model


def model_from(
    runs: pd.DataFrame,
    axes: Sequence[Axis],
    over: Sequence[str],
    x: str,
    rules: Criteria,
) -> Model | None:
    """The same from runs labelled by rules, and the sweep's axes; None where no run
    that is decided has a place on them, as a weight decay of 0 has none in logs."""
    by_name = {axis.name: axis for axis in axes}
    cube = Cube(tuple(Side(_reaching(by_name[name], runs)) for name in over))
    points = cube.points(runs)
    kept = np.isfinite(points).all(axis=1)
    runs, points = runs[kept].reset_index(drop=True), points[kept]
    grokked = runs["phase"].isin(rules.generalised).to_numpy(bool)
    open_ = runs["censored"].to_numpy(bool) & ~grokked
    if open_.all():
        return None
    surface = level_sets.fit(points, grokked.astype(float), open_, cube.categorical)
    return Model(runs, cube, points, grokked, open_, surface, x, rules)


def _reaching(axis: Axis, runs: pd.DataFrame) -> Axis:
    """The axis from the first to the last of the runs, if they lie beyond its ends, as
    those of rows may by the rounding of their places."""
    if axis.kind == "choice":
        return axis
    found = float(runs[axis.name].min()), float(runs[axis.name].max())
    beyond = [v for v in found if not min(axis.values) <= v <= max(axis.values)]
    return axis._replace(values=(*axis.values, *beyond))


def places_of(others: Cube, along: int = ALONG) -> Floats:
    """[m, d-1] where edges are looked for: `along` places on the first axis of real
    numbers, fewer on the others, all values of integers and choices."""
    real = [i for i, side in enumerate(others.sides) if side.axis.is_real]
    rest = SECOND if len(real) < 3 else FURTHER
    counts = [rest] * len(others.sides)
    if real:
        counts[real[0]] = along
    return others.grid(counts)


def find(
    result: Result,
    over: Sequence[str],
    x: str = "weight_decay",
    criteria: str | Criteria = "default",
    at: groups.Place | None = None,
    precision: float = 0.1,
    along: int = ALONG,
) -> Edges:
    """Both edges of the wedge along x at places on the other axes, with bands.

    Args: as of `model_of`; precision: half-width from which an edge is said to be not
      known, in decades on a log axis, else in units of x; along: places on the first
      of the other axes.
    """
    return edges_of(model_of(result, over, x, criteria, at), precision, along)


def edges_of(model: Model, precision: float, along: int = ALONG) -> Edges:
    """The same of a model."""
    places = places_of(model.others, along)
    found = level_sets.level_set(model.surface, model.at, places)
    values = model.others.rows(places).to_dict("records")
    rows = [
        _row(model, place, band, i, name, precision) | {"at": i}
        for i, place in enumerate(places)
        for name, band in ((MIN, found.lower), (MAX, found.upper))
    ]
    table = pd.DataFrame([values[row.pop("at")] | row for row in rows])
    bands = POINTWISE, max(POINTWISE, found.multiple)
    return Edges(table, _known(found, _side(model).width), bands, model)


def _side(model: Model) -> Side:
    return model.cube.sides[model.at]


def _row(
    model: Model, place: Floats, band: level_sets.Band, i: int, name: str, wanted: float
) -> dict[str, Any]:
    """One edge of the table, without its place."""
    side = _side(model)
    numbers = {
        "estimate": float(band.estimate[i]),
        "low": float(band.low[i]),
        "high": float(band.high[i]),
        "pointwise_low": float(band.pointwise_low[i]),
        "pointwise_high": float(band.pointwise_high[i]),
    }
    half = (numbers["pointwise_high"] - numbers["pointwise_low"]) / 2 * side.width
    is_known = half <= wanted or band.status[i] in (BEYOND, NO_GROK)
    rest = _near(model, place, (numbers["low"], numbers["high"]))
    shown = {
        key: side.value(at) if math.isfinite(at) else math.nan
        for key, at in numbers.items()
    }
    counts = {"n_near": rest.n_runs, "n_open": rest.n_open}
    why = "" if is_known else rest.why
    return {"edge": name, "status": str(band.status[i]), **shown, **counts, "why": why}


def _near(model: Model, place: Floats, span: tuple[float, float]) -> Near:
    """What the runs near an edge say; an edge of unknown place may be anywhere."""
    low, high = (0.0 if math.isnan(span[0]) else span[0]), span[1]
    ends = low, 1.0 if math.isnan(high) else high
    rest = np.delete(model.points, model.at, axis=1)
    apart = np.abs(rest - place)
    categorical = list(model.others.categorical)
    apart[:, categorical] = apart[:, categorical] > 0
    wrong = (model.process.mean(model.points) > 0) != model.grokked
    return near(model.points[:, model.at], apart, wrong, model.open_, ends)


def _known(found: level_sets.Edges, width: float) -> Known:
    """width: of the axis of the edges."""
    halves: list[float] = []
    n_banded = 0
    for band in (found.lower, found.upper):
        is_placed = np.isfinite(band.estimate)
        alone = (band.pointwise_high - band.pointwise_low)[is_placed] / 2 * width
        halves += np.nan_to_num(alone, nan=np.inf).tolist()
        n_banded += int(np.sum(band.status == MEASURED))
    if not halves:
        return Known(math.inf, math.inf, 0, 0)
    median, ninth = np.quantile(halves, (0.5, 0.9), method="higher")
    return Known(float(median), float(ninth), len(halves), n_banded)


def draw(edges: Edges, result: Result, look: plot.Look = plot.PAPER) -> Drawing:
    """The edges in planes of x and the first other axis of real numbers (or the first
    at all), one for each place on the rest, with the runs near it."""
    model = edges.model
    others = model.others
    upright = upright_of(others)
    rest = Cube(tuple(s for s in others.sides if s is not upright))
    places = edges.table[rest.names].drop_duplicates().to_dict("records")
    slices = [_slice(model, place, upright, rest) for place in places or [{}]]
    x, y = _side(model).axis, upright.axis
    plane = plot.Plane(x.name, y.name, x.is_log, y.is_log)
    phases = plot.phases_of(model.rules.phases, model.rules.generalised)
    words = caption(result, model.runs, seeds=False)
    figure = plot.surface_slices(slices, plane, phases, edges.bands, look, words)
    return Drawing(figure, edges.table)


def _slice(
    model: Model, place: dict[str, Any], upright: Side, rest: Cube
) -> plot.Slice:
    """The plane of x and upright at a place on the other axes, and the runs near it."""
    plane = Cube((upright, _side(model)))
    grid = plane.grid(DRAWN)
    values = plane.rows(grid)
    x, y = (list(dict.fromkeys(values[name])) for name in (model.x, upright.axis.name))
    sure = sure_of(model, plane, grid, place).reshape(len(y), len(x))
    here = np.ones(len(model.runs), bool)
    for side in rest.sides:
        own = side.unit(model.runs[side.axis.name])
        apart = np.abs(own - side.unit([place[side.axis.name]]))
        here &= apart <= (REACH if side.axis.is_real else 0)
    words = plot.place_words(place)
    return plot.Slice(words, np.array(x), y, sure, model.runs[here])


def sure_of(
    model: Model, plane: Cube, grid: Floats, place: Mapping[str, Any]
) -> Floats:
    """[n] how many standard deviations the model's f is above 0, where P(grok) is half
    of its plateau, at places [n, 2] of a plane and one place on the other axes."""
    points = model.cube.points(plane.rows(grid).assign(**place))
    points[:, [model.cube.names.index(name) for name in plane.names]] = grid
    mean, variance = (f(points) for f in (model.process.mean, model.process.variance))
    return np.asarray(mean / np.sqrt(variance))


def upright_of(others: Cube) -> Side:
    """The axis of drawn planes beside x: the first of real numbers, or the first."""
    return next((s for s in others.sides if s.axis.is_real), others.sides[0])
