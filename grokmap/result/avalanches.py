"""Avalanches of the gradients of a result's runs, and how they grow with the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from grokmap import plot
from grokmap.analysis import avalanches as analysis
from grokmap.analysis.systems import places, varying
from grokmap.avalanches import GRAPHS, Gradients, Probe, snapshots
from grokmap.errors import ResultError, SpecError, short
from grokmap.result.drawing import Drawing
from grokmap.result.result import Result
from grokmap.spec.names import nearest

SIZES = ("total", "peak", "largest")
PERCENTILES = (80.0, 85.0, 90.0, 95.0)
PASSED = (0.1, 0.5, 0.9)
FAMILY = "family"


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
    the distributions stay apart; gini: run_id, step, n, gini, if it was recorded.
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


def transitions(runs: pd.DataFrame) -> dict[str, float]:
    """The step at which each run has learned: t_grok; of runs that never grok, t_mem."""
    at = runs["t_grok"].astype(float).fillna(runs["t_mem"].astype(float))
    return dict(zip(runs["run_id"].astype(str), at, strict=True))


def find(
    result: Result, gradients: Sequence[Gradients], question: Question
) -> list[Family]:
    """D over time, before and after each run's own transition, with all nulls.

    gradients: at `steps_wanted`, as of `session.gradients.gradients_at`.

    Raises:
      ResultError: fewer than three widths.
    """
    table = _table(result, gradients, question)
    runs = result.labelled()
    keys = [k for k in varying(runs, beside=("seed", "width")) if k != "width"]
    titles = dict(zip(runs["run_id"], places(runs, keys), strict=True))
    table = table.assign(**{FAMILY: table["run_id"].map(titles)})
    groups = analysis.families(table, [FAMILY])
    if not groups:
        raise ResultError(
            f"{result.path}: avalanches are compared over networks of at least "
            f"{analysis.FEWEST_WIDTHS} sizes; sweep width"
        )
    at, gini = transitions(runs), _gini(result)
    return [_family(group, at, question.size, gini) for group in groups]


def _table(
    result: Result, gradients: Sequence[Gradients], question: Question
) -> pd.DataFrame:
    return snapshots(
        gradients, question.probe, question.graph, fixed=question.fixed
    ).astype({"n": int})


def _gini(result: Result) -> pd.DataFrame:
    records = result.records(["gini"])
    if "gini" not in records:
        return pd.DataFrame({"run_id": [], "step": [], "gini": []})
    return records[["run_id", "step", "gini"]].dropna()


def _family(
    rows: pd.DataFrame, at: dict[str, float], size: str, gini: pd.DataFrame
) -> Family:
    cube = analysis.cube_of(rows, at, size)
    exponents = analysis.aggregate(cube)
    d = float(exponents["d"].iloc[0])
    distribution = analysis.distribution(cube, d)
    n_of = rows.drop_duplicates("run_id").set_index("run_id")["n"]
    own = gini[gini["run_id"].isin(n_of.index)]
    return Family(
        str(rows[FAMILY].iloc[0]),
        cube,
        analysis.over_time(cube),
        analysis.aligned(cube),
        analysis.by_phase(cube),
        exponents,
        distribution,
        analysis.spread_of_collapse(distribution),
        own.assign(n=own["run_id"].map(n_of)),
    )


def settings(question: Question) -> Iterator[tuple[str, Question]]:
    """What is varied in a scan, one thing at a time, and the question as it is."""
    probe = question.probe
    yield "as asked", question
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
    for size in SIZES:
        yield f"size {size}", question._replace(size=size)
    yield "threshold fixed in time", question._replace(fixed=not question.fixed)


def scan(
    result: Result, gradients: Sequence[Gradients], question: Question
) -> pd.DataFrame:
    """D before and after the transition, by what is varied in the probe.

    Columns: family, setting, and those of `analysis.avalanches.by_phase`.
    """
    parts = [
        family.phases.assign(**{FAMILY: family.title, "setting": name})
        for name, changed in settings(question)
        for family in find(result, gradients, changed)
    ]
    return pd.concat(parts, ignore_index=True)


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


def draw(family: Family) -> Drawing:
    """D over time and by phase with all nulls, distributions and their collapse."""
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
        )
    )
    return Drawing(figure, family.over_time)
