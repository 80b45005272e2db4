"""Avalanches of the gradients of a result's runs, and how they grow with N."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from grokmap import plot
from grokmap.analysis import avalanches as analysis
from grokmap.analysis.systems import places, varying
from grokmap.avalanches import GRAPHS, NULLS, Gradients, Probe, snapshots
from grokmap.errors import ResultError, SpecError, short
from grokmap.result.caption import caption
from grokmap.result.drawing import Drawing
from grokmap.result.result import Result
from grokmap.spec.names import nearest

SIZES = ("total", "peak", "largest")
PERCENTILES = (80.0, 85.0, 90.0, 95.0)
PASSED = (0.1, 0.5, 0.9)
FAMILY, AS_ASKED = "family", "as asked"


class Question(NamedTuple):
    """What is asked of the gradients.

    snapshots: how many of a run, evenly spaced up to the longest run's last step; log:
      evenly in the logarithm of the step instead. graph: of GRAPHS. size: of SIZES.
      fixed: one threshold a run, of its first snapshot.
    """

    snapshots: int = 51
    log: bool = False
    graph: str = "barabasi_albert"
    probe: Probe = Probe()
    size: str = "total"
    fixed: bool = False


class Family(NamedTuple):
    """Runs that differ in width and seed alone.

    title: the others' place in words; cube, and the tables made of it: over_time,
    aligned, phases, exponents, distribution (`analysis.avalanches`); collapse: how far
    the scaled distributions stay apart; gini: run_id, step, n, gini, where recorded.
    """

    title: str
    cube: analysis.Cube
    over_time: pd.DataFrame
    aligned: pd.DataFrame
    phases: pd.DataFrame
    exponents: pd.DataFrame
    distribution: pd.DataFrame
    collapse: float
    gini: pd.DataFrame


def check(question: Question) -> None:
    """Raises SpecError: a name that is not known, or a number out of its range."""
    for key, given, known in (
        ("--graph", question.graph, GRAPHS),
        ("--size", question.size, SIZES),
    ):
        if given not in known:
            raise SpecError(f"{key} {short(given)!r}: {nearest(given, known)}")
    probe = question.probe
    for key, value, low, high in (
        ("--percentile", probe.percentile, 0, 100),
        ("--passed", probe.passed, 0, 1),
        ("--snapshots", question.snapshots, 2, 10_000),
    ):
        if not low <= value <= high:
            raise SpecError(f"{key} {value:g}: give a number from {low} to {high}")


def steps_wanted(result: Result, question: Question) -> dict[str, list[int]]:
    """The steps at which each finished run is looked at: the same for all that have
    them."""
    check(question)
    runs = result.labelled()
    last = int(runs["n_steps"].max())
    grid = np.linspace(0, last, question.snapshots)
    if question.log:
        grid = np.append(0, np.geomspace(1, last, question.snapshots - 1))
    grid = np.unique(grid.round().astype(int))
    pairs = zip(runs["run_id"], runs["n_steps"], strict=True)
    return {str(k): [int(s) for s in grid if s <= n] for k, n in pairs}


def find(
    result: Result, gradients: Sequence[Gradients], question: Question
) -> list[Family]:
    """D over time, before and after each run's own transition, with all nulls.

    gradients: at `steps_wanted`, as of `session.gradients.gradients_at`.

    Raises:
      ResultError: fewer than three widths.
    """
    table, gini = _table(gradients, question), _gini(result)
    return [_family(*one, gini) for one in _cubes(result, table, question.size)]


def _table(
    gradients: Sequence[Gradients],
    question: Question,
    nulls: Sequence[str] = tuple(NULLS),
) -> pd.DataFrame:
    return snapshots(gradients, question.probe, question.graph, nulls, question.fixed)


def _cubes(
    result: Result, table: pd.DataFrame, size: str
) -> list[tuple[str, analysis.Cube]]:
    """(title, cube) of each family of runs that differ in width and seed alone."""
    runs = result.labelled()
    keys = varying(runs, beside=("seed", "width"))
    titles = dict(zip(runs["run_id"], places(runs, keys), strict=True))
    table = table.assign(**{FAMILY: table["run_id"].map(titles)})
    groups = analysis.families(table, [FAMILY])
    if not groups:
        raise ResultError(
            f"{result.path}: avalanches are compared over networks of at least "
            f"{analysis.FEWEST_WIDTHS} sizes; sweep width"
        )
    at = analysis.transitions(runs)
    return [
        (str(group[FAMILY].iloc[0]), analysis.cube_of(group, at, size))
        for group in groups
    ]


def _gini(result: Result) -> pd.DataFrame:
    records = result.records(["gini"])
    if "gini" not in records:
        return pd.DataFrame({"run_id": [], "step": [], "gini": []})
    return records[["run_id", "step", "gini"]].dropna()


def _family(title: str, cube: analysis.Cube, gini: pd.DataFrame) -> Family:
    exponents = analysis.aggregate(cube)
    distribution = analysis.distribution(cube, float(exponents["d"].iloc[0]))
    widths = np.repeat(cube.n, cube.run_ids.shape[1])
    n_of = dict(zip(cube.run_ids.ravel(), widths, strict=True))
    n = gini["run_id"].map(n_of)
    return Family(
        title,
        cube,
        analysis.over_time(cube),
        analysis.aligned(cube),
        analysis.by_phase(cube),
        exponents,
        distribution,
        analysis.spread_of_collapse(distribution),
        gini.assign(n=n)[n.notna()].astype({"n": int}),
    )


def settings(question: Question) -> Iterator[tuple[str, Question]]:
    """What is varied in a scan, one thing at a time, and the question as it is."""
    probe = question.probe
    yield AS_ASKED, question
    for percentile in PERCENTILES:
        changed = probe._replace(percentile=percentile)
        yield f"percentile {percentile:g}", question._replace(probe=changed)
    for passed in PASSED:
        changed = probe._replace(passed=passed)
        yield f"passed {passed:g}", question._replace(probe=changed)
    for graph in GRAPHS:
        yield f"graph {graph}", question._replace(graph=graph)
    kept = probe._replace(keeps=not probe.keeps)
    yield "keeps what it does not pass", question._replace(probe=kept)
    yield "threshold fixed in time", question._replace(fixed=not question.fixed)


def scan(
    result: Result, gradients: Sequence[Gradients], question: Question
) -> pd.DataFrame:
    """D before and after the transition, by what is varied in the probe.

    Columns: family, setting, and those of `analysis.avalanches.by_phase`, of the
    gradients and the shuffled ones.
    """
    parts = []
    for name, changed in settings(question):
        table = _table(gradients, changed, ("shuffled",))
        sizes = SIZES if name == AS_ASKED else (question.size,)
        for size in sizes:
            setting = name if size == question.size else f"size {size}"
            for title, cube in _cubes(result, table, size):
                phases = analysis.by_phase(cube)
                phases.insert(0, "setting", setting)
                parts.append((title, phases))
    return _joined(parts)


def over_time(families: Sequence[Family]) -> pd.DataFrame:
    """D at each step, of all families: family, step, field, d, excess, intervals."""
    return _joined([(f.title, f.over_time) for f in families])


def phases(families: Sequence[Family]) -> pd.DataFrame:
    """D before and after the transition, of all families; and the exponents."""
    parts = [(f.title, f.phases) for f in families]
    parts += [(f.title, f.exponents) for f in families]
    return _joined(parts)


def _joined(parts: Sequence[tuple[str, pd.DataFrame]]) -> pd.DataFrame:
    tables = []
    for title, table in parts:
        table = table.copy()
        table.insert(0, FAMILY, title)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def draw(result: Result, family: Family, look: plot.Look = plot.PAPER) -> Drawing:
    """D over time and by phase with all nulls, distributions and their collapse."""
    runs = result.labelled()
    words = caption(result, runs[runs["run_id"].isin(family.cube.run_ids.ravel())])
    figure = plot.avalanche_panels(
        plot.Avalanches(
            family.title,
            family.over_time,
            family.aligned,
            family.phases,
            family.distribution,
            float(family.exponents["d"].iloc[0]),
            family.gini,
            family.cube.transition[np.isfinite(family.cube.transition)],
        ),
        look,
        words,
    )
    return Drawing(figure, family.over_time)
