"""What a theory says of the runs of a result, to be drawn over what they did."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from grokmap.arrays import Bools, Floats
from grokmap.classify import Criteria
from grokmap.classify.learning import learned
from grokmap.classify.segments import Segments
from grokmap.errors import SpecError, short
from grokmap.plot import Plane
from grokmap.result import mean_field
from grokmap.result.result import Result
from grokmap.result.selection import run_of
from grokmap.spec import Run
from grokmap.spec.names import nearest
from grokmap.theory import lazy

DECAY = "weight_decay"
MOST_SEEDS = 3  # of a row, of which the median is taken
# Of the space for an end with decay, which needs fewer vectors than a way there.
EDGE_SIZE = 100
# Ridges over the largest eigenvalue, among which an edge is looked for, and how many
# between two of them once more: to 2%.
RIDGES = np.geomspace(1e-7, 1e2, 37)
FINER = 17


Say = Callable[[str], None]


def silent(line: str) -> None:
    """Nobody is told."""


class Edges(NamedTuple):
    """Weight decays between which a theory says that a network ends up having learned:
    memorises_to; generalises_from, generalises_to (NaN: at none)."""

    memorises_to: float
    generalises_from: float
    generalises_to: float


class Row(NamedTuple):
    """Runs of one row of a plane that differ in weight decay alone, by it.

    plan: their rows of the plan; tail: as of `plan.Planned`.
    """

    runs: list[Run]
    plan: pd.DataFrame
    tail: float


class Said(NamedTuple):
    """What a theory says in a plane.

    edges: one row a value of the axis other than weight decay: that axis and `Edges`.
    cells: both axes and `mean_field.LABELS`, a row a cell; None: it has no labels.
    """

    edges: pd.DataFrame
    cells: pd.DataFrame | None = None


class Theory(NamedTuple):
    """One entry of the table.

    title: in a legend. check: raises SpecError for runs that it says nothing of.
    seeds: of a row at most, medians of which are taken.
    row: (row, criteria) -> edges along weight decay, and labels of each of the runs,
      where it has some.
    records: (run, steps [T]) -> losses and accuracies [T] along the run, by name.
    """

    title: str
    check: Callable[[list[Run]], None]
    seeds: int
    row: Callable[[Row, Criteria], tuple[Edges, pd.DataFrame | None]]
    records: Callable[[Run, np.ndarray], pd.DataFrame]


def theory_of(name: str) -> Theory:
    """Raises SpecError: no theory of that name."""
    if name not in THEORIES:
        raise SpecError(f"--theory {short(name)!r}; {nearest(name, THEORIES)}")
    return THEORIES[name]


def in_plane(
    result: Result,
    runs: pd.DataFrame,
    plane: Plane,
    name: str,
    rules: Criteria,
    say: Say = silent,
) -> Said:
    """Edges along weight decay, and labels of cells where the theory has some.

    Edges are medians over at most `Theory.seeds` seeds of each row. say: told of each
    row as its turn comes.

    Raises:
      SpecError: weight decay is no axis of the plane, or the theory does not cover the
        runs.
    """
    theory, axes = theory_of(name), (plane.x, plane.y)
    if DECAY not in axes or "decay_rate" in axes:
        raise SpecError(
            f"--theory {name}: its edges lie along weight_decay; draw a plane of "
            "it and another axis: --x weight_decay"
        )
    other = axes[1 - axes.index(DECAY)]
    rows = _rows(result, runs, other, theory.seeds)
    theory.check([run for row in rows for run in row.runs])
    edges, cells = [], []
    for i, row in enumerate(rows, 1):
        place = float(row.plan[other].iloc[0])
        seed = f"seed {row.runs[0].seed}"
        say(f"{theory.title}: {other} = {place:g}, {seed}, {i} of {len(rows)}")
        found, labelled = theory.row(row, rules)
        edges.append({other: place, **found._asdict()})
        if labelled is not None:
            cells.append(row.plan[[*axes]].reset_index(drop=True).join(labelled))
    table = pd.DataFrame(edges).groupby(other).median().reset_index()
    return Said(table, pd.concat(cells) if cells else None)


def _rows(result: Result, runs: pd.DataFrame, other: str, most: int) -> list[Row]:
    """The runs of a plane row by row, of each row the first seeds."""
    plan = result.plan.set_index("run_id", drop=False).loc[runs["run_id"]]
    plan = plan.sort_values([other, "seed", DECAY])
    tail = np.inf if result.spec.tail is None else result.spec.tail
    rows = []
    for _, same in plan.groupby(other):
        for _, part in list(same.groupby("seed"))[:most]:
            chosen = [run_of(result.spec, result.plan, run) for run in part["run_id"]]
            rows.append(Row(chosen, part, tail))
    return rows


def records(
    result: Result,
    runs: pd.DataFrame,
    measured: pd.DataFrame,
    name: str,
    say: Say = silent,
) -> pd.DataFrame:
    """What the theory says at the steps of the records measured: run_id, step, losses
    and accuracies. say: told of each run as its turn comes.

    Raises:
      SpecError: the theory does not cover the runs.
    """
    theory, parts = theory_of(name), []
    chosen = [run_of(result.spec, result.plan, str(run)) for run in runs["run_id"]]
    theory.check(chosen)
    for i, run in enumerate(chosen, 1):
        say(f"{theory.title}: run {run.run_id}, {i} of {len(chosen)}")
        steps = np.sort(measured.loc[measured["run_id"] == run.run_id, "step"])
        part = theory.records(run, steps)
        part.insert(0, "step", steps)
        part.insert(0, "run_id", run.run_id)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _lazy_row(row: Row, rules: Criteria) -> tuple[Edges, None]:
    """From the end of ridge regression with the row's own initial kernel."""
    from grokmap.engine.linearised import linearised  # which loads jax

    run = row.runs[0]
    one = run._replace(control=run.control._replace(weight_decay=1.0))
    modes, descent = linearised(one, EDGE_SIZE)
    ridges = RIDGES * modes.values[-1]
    train, test = _learned_at_end(modes, ridges, rules)
    found = (
        _edge(modes, ridges, train, rules, up=True, both=False),
        _edge(modes, ridges, train & test, rules, up=False, both=True),
        _edge(modes, ridges, train & test, rules, up=True, both=True),
    )
    return Edges(*(ridge / descent.ridge for ridge in found)), None


def _edge(
    modes: lazy.Modes,
    ridges: Floats,
    holds: Bools,
    rules: Criteria,
    up: bool,
    both: bool,
) -> float:
    """The largest ridge (up, else the least) at which training examples (both: and the
    others) are learned at rest; NaN: at none. holds: at which of the ridges."""
    if not holds.any():
        return np.nan
    places = np.flatnonzero(holds)
    inside, step = (places[-1], 1) if up else (places[0], -1)
    outside = np.clip(inside + step, 0, len(ridges) - 1)
    finer = np.geomspace(ridges[inside], ridges[outside], FINER)
    train, test = _learned_at_end(modes, finer, rules)
    still = train & test if both else train
    return float(finer[np.flatnonzero(still)[-1]])


def _learned_at_end(
    modes: lazy.Modes, ridges: Floats, rules: Criteria
) -> tuple[Bools, Bools]:
    """Whether train and test examples are learned at rest, by the criteria, with each
    of the ridges; losses may be relative to those of the start."""
    network = modes.network
    start = lazy.scores(network, network.train.start, network.test.start)
    rows = []
    for i, ridge in enumerate(ridges):
        end = lazy.scores(network, *lazy.end(modes, ridge))
        rows += [
            {"run_id": i, "step": step, **at} for step, at in enumerate((start, end))
        ]
    table = pd.DataFrame(rows)
    runs = Segments(table)
    train, test = (
        learned(table, runs, name, rules)[1::2] for name in ("train", "test")
    )
    return train, test


def _lazy_records(run: Run, steps: np.ndarray) -> pd.DataFrame:
    from grokmap.engine.linearised import linearised

    modes, descent = linearised(run)
    return pd.DataFrame(lazy.records(modes, descent, steps))


def _lazy_check(runs: list[Run]) -> None:
    from grokmap.engine.linearised import check

    check([run.system for run in runs])


def _mean_field_row(row: Row, rules: Criteria) -> tuple[Edges, pd.DataFrame]:
    """From the label of each cell: edges are as fine as the plane."""
    cells = pd.concat(
        [
            mean_field.labels(run, row.plan.loc[[run.run_id]], row.tail, rules)
            for run in row.runs
        ],
        ignore_index=True,
    )
    decays = row.plan[DECAY].to_numpy(float)
    return of_cells(decays, cells), cells


def of_cells(decays: Floats, cells: pd.DataFrame) -> Edges:
    """Edges half-way between two weight decays, rising, whose labels differ; at the
    last one where they go on."""
    learned, right = (cells[name].notna().to_numpy() for name in ("t_mem", "t_grok"))
    both = learned & right
    return Edges(
        _between(decays, learned, last=True),
        _between(decays, both, last=False),
        _between(decays, both, last=True),
    )


def _between(decays: Floats, holds: Bools, last: bool) -> float:
    """Beside the last (else the first) weight decay that holds; NaN: none does."""
    if not holds.any():
        return np.nan
    place = np.flatnonzero(holds)[-1 if last else 0]
    beside = np.clip(place + (1 if last else -1), 0, len(decays) - 1)
    return float(np.sqrt(decays[place] * decays[beside]))


def _mean_field_check(runs: list[Run]) -> None:
    from grokmap.engine.mean_field import check

    check(runs)


THEORIES: dict[str, Theory] = {
    "lazy": Theory("lazy limit", _lazy_check, MOST_SEEDS, _lazy_row, _lazy_records),
    # A plane of which is followed cell by cell: of one seed.
    "mean-field": Theory(
        "mean-field limit", _mean_field_check, 1, _mean_field_row, mean_field.records
    ),
}
