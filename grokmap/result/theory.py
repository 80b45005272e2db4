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
from grokmap.result.result import Result
from grokmap.result.selection import run_of
from grokmap.spec import Run, System
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


class Edges(NamedTuple):
    """Weight decays between which a theory says that a network ends up having learned:
    memorises_to; generalises_from, generalises_to (NaN: at none)."""

    memorises_to: float
    generalises_from: float
    generalises_to: float


class Theory(NamedTuple):
    """One entry of the table.

    title: in a legend. check: raises SpecError for systems that it says nothing of.
    edges: (run, criteria) -> edges along weight decay, at the run's other settings.
    records: (run, steps [T]) -> losses and accuracies [T] along the run, by name.
    """

    title: str
    check: Callable[[list[System]], None]
    edges: Callable[[Run, Criteria], Edges]
    records: Callable[[Run, np.ndarray], pd.DataFrame]


def theory_of(name: str) -> Theory:
    """Raises SpecError: no theory of that name."""
    if name not in THEORIES:
        raise SpecError(f"--theory {short(name)!r}; {nearest(name, THEORIES)}")
    return THEORIES[name]


def edges(
    result: Result, runs: pd.DataFrame, plane: Plane, name: str, rules: Criteria
) -> pd.DataFrame:
    """Edges along weight decay, one row a value of the other axis of a plane.

    Columns: that axis, and those of `Edges`, medians of at most `MOST_SEEDS` seeds.

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
    one = runs.sort_values(["seed", DECAY]).drop_duplicates([other, "seed"])
    one = one.groupby(other).head(MOST_SEEDS)
    chosen = [run_of(result.spec, result.plan, str(run)) for run in one["run_id"]]
    theory.check([run.system for run in chosen])
    found = pd.DataFrame([theory.edges(run, rules) for run in chosen])
    return (
        found.groupby(one[other].to_numpy()).median().rename_axis(other).reset_index()
    )


def records(
    result: Result, runs: pd.DataFrame, measured: pd.DataFrame, name: str
) -> pd.DataFrame:
    """What the theory says at the steps of the records measured: run_id, step, losses
    and accuracies.

    Raises:
      SpecError: the theory does not cover the runs.
    """
    theory, parts = theory_of(name), []
    chosen = [run_of(result.spec, result.plan, str(run)) for run in runs["run_id"]]
    theory.check([run.system for run in chosen])
    for run in chosen:
        steps = np.sort(measured.loc[measured["run_id"] == run.run_id, "step"])
        part = theory.records(run, steps)
        part.insert(0, "step", steps)
        part.insert(0, "run_id", run.run_id)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _lazy_edges(run: Run, rules: Criteria) -> Edges:
    """From the end of ridge regression with the run's own initial kernel."""
    from grokmap.engine.linearised import linearised  # which loads jax

    one = run._replace(control=run.control._replace(weight_decay=1.0))
    modes, descent = linearised(one, EDGE_SIZE)
    ridges = RIDGES * modes.values[-1]
    train, test = _learned_at_end(modes, ridges, rules)
    found = (
        _edge(modes, ridges, train, rules, up=True, both=False),
        _edge(modes, ridges, train & test, rules, up=False, both=True),
        _edge(modes, ridges, train & test, rules, up=True, both=True),
    )
    return Edges(*(ridge / descent.ridge for ridge in found))


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


def _lazy_check(systems: list[System]) -> None:
    from grokmap.engine.linearised import check

    check(systems)


THEORIES: dict[str, Theory] = {
    "lazy": Theory("lazy limit", _lazy_check, _lazy_edges, _lazy_records),
}
