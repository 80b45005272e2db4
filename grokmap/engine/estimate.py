"""What a sweep will cost, from what was measured of some of its systems. No jax.

A system that was not measured costs what the measured one most like it costs, in
proportion to its arithmetic: a step goes as training examples times weights, a record
as examples times weights, a compile as any other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# A step, and a record of each cost class.
COSTS = ("step", "dense", "cheap", "expensive")


class Work(NamedTuple):
    """The work that a sweep leaves to one system.

    steps: over all its runs, those on small training sets counted in parts of the
    most expensive run's; records: of each cost class. examples, train: of its task and
    of the most expensive run. weights: of its network.
    """

    steps: float
    records: Mapping[str, float]
    train: int
    examples: int
    weights: int

    def times(self, cost: str) -> float:
        """How often a step or a record is to be made."""
        return self.steps if cost == "step" else self.records.get(cost, 0.0)

    def arithmetic(self, cost: str) -> float:
        """Multiplications of a step or a record, up to a factor that all share."""
        return float(self.weights * (self.train if cost == "step" else self.examples))


class Measured(NamedTuple):
    """Seconds of a compile, and of a step and a record of each cost class as far as
    they were measured."""

    compile: float
    each: Mapping[str, float]


class Estimate(NamedTuple):
    """Seconds of the compiles, and of what stands in `COSTS`; `unknown`: of these what
    is to do but was measured of no system."""

    compile: float
    spent: dict[str, float]
    unknown: tuple[str, ...]

    @property
    def training(self) -> float:
        return sum(self.spent.values())

    @property
    def whole(self) -> float:
        return self.compile + self.training


def costliest_first(works: Sequence[Work]) -> list[int]:
    """Places of the systems, those with the most arithmetic in their steps first."""
    return sorted(
        range(len(works)),
        key=lambda place: -works[place].steps * works[place].arithmetic("step"),
    )


def estimate(works: Sequence[Work], measured: Mapping[int, Measured]) -> Estimate:
    """What all systems cost together, by those measured.

    measured: by the place of the system among `works`.
    """
    spent: dict[str, float] = {}
    unknown = []
    for cost in COSTS:
        known = {k: m.each[cost] for k, m in measured.items() if cost in m.each}
        if known:
            spent[cost] = seconds_of_all(works, known, cost)
        elif any(work.times(cost) for work in works):
            unknown.append(cost)
    compiles = [m.compile for m in measured.values()]
    each = sum(compiles) / len(compiles) if compiles else math.nan
    return Estimate(each * len(works) if works else 0.0, spent, tuple(unknown))


def seconds_of_all(
    works: Sequence[Work], known: Mapping[int, float], cost: str
) -> float:
    """Seconds of all steps, or of all records of a cost class, over all systems.

    known: seconds of one of them, by the place of the system that it was measured of.
    """

    def each(place: int) -> float:
        if place in known:
            return known[place]
        ops = works[place].arithmetic(cost)
        near = min(known, key=lambda k: abs(math.log(ops / works[k].arithmetic(cost))))
        return known[near] * ops / works[near].arithmetic(cost)

    return sum(each(k) * work.times(cost) for k, work in enumerate(works))
