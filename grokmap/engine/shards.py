"""Cuts a plan into shards of about equal predicted cost, few systems in each. No jax.

Which shard a run is in follows from the plan and the number of shards alone: no clock,
no file, no chance but that of a fixed seed. All arithmetic is on whole numbers, so that
every machine cuts alike.
"""

from __future__ import annotations

import heapq
import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import compress, groupby, pairwise
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from grokmap.engine.records import n_records
from grokmap.engine.schedule import flops_of_step
from grokmap.order_parameters import ORDER_PARAMETERS
from grokmap.plan import Planned
from grokmap.spec import System
from grokmap.tasks import TASKS

Ints = npt.NDArray[np.int64]

# Systems that a shard may have by design, and runs of each for that to be worthwhile.
MOST_LINES, RUNS_OF_SYSTEM = 4, 8
# Beside the products with the readout, a step costs as much as this many more classes
# would: from the rates of benchmarks/README.md, p = 17 to 97.
MORE_CLASSES = 15
# A record of each cost class, in steps on all examples; from the same page.
RECORD_STEPS = {"dense": 1, "cheap": 4, "expensive": 15}


def shard_numbers(planned: Sequence[Planned], of: int) -> Ints:
    """[runs] in which of `of` shards each run is, from 0 on.

    Systems that follow each other in the plan are laid end to end, each as long as the
    cost of its runs, and cut into equal lengths: so a shard has few systems, and a
    system longer than a shard is split. There are a few such lines (`_lines`), of each
    of which every shard has a part: what is predicted wrongly for one system is so
    shared by many. No shard is left without a run if there are as many runs as shards.
    """
    numbers = np.zeros(len(planned), np.int64)
    costs = costs_of(planned)
    over = [0] * of  # what each shard has taken beyond its parts of the lines so far
    for systems in _lines(planned, of):
        total = sum(costs[i] for at in systems for i in at)
        ends = [total * (k + 1) // of for k in range(of)]
        begin = 0
        for at in systems:
            cost = sum(costs[i] for i in at)
            order = sorted(at, key=lambda i: (-costs[i], i))
            for i, k in _dealt(order, costs, _rooms(begin, cost, ends, over)):
                numbers[i] = k
                over[k] += costs[i]
            begin += cost
        over = [taken - ends[0] for taken in over]
    return _none_empty(numbers, costs, of)


def _lines(planned: Sequence[Planned], of: int) -> list[list[list[int]]]:
    """Lines of systems, each the places of its runs in the plan.

    As many lines as a shard may have systems: at most `MOST_LINES`, and so few that
    it has `RUNS_OF_SYSTEM` runs of each. Every other line is turned round, so that no
    shard has the smallest systems of all.
    """
    systems = _places_of_systems(planned)
    n = max(1, min(MOST_LINES, len(systems), len(planned) // (of * RUNS_OF_SYSTEM)))
    bounds = [len(systems) * k // n for k in range(n + 1)]
    lines = [systems[a:b] for a, b in pairwise(bounds)]
    return [line[::-1] if k % 2 else line for k, line in enumerate(lines)]


def part(planned: Sequence[Planned], number: int, of: int) -> list[Planned]:
    """The runs of shard `number` (1 to `of`), in the order of the plan."""
    inside = shard_numbers(planned, of) == number - 1
    return list(compress(planned, inside))


def costs_of(planned: Sequence[Planned]) -> list[int]:
    """What each run costs that takes its whole budget: whole numbers, of no unit."""
    found: list[int] = []
    for system, runs in groupby(planned, attrgetter("run.system")):
        of_records = _steps_of_records(system)
        known: dict[tuple[int, int], int] = {}
        for run in runs:
            key = run.n_steps, run.n_train
            if key not in known:
                known[key] = _cost(run, of_records(run.n_steps))
            found.append(known[key])
    return found


def _cost(run: Planned, record_steps: int) -> int:
    """record_steps: what its records cost, in steps on all examples."""
    system = run.run.system
    flops = flops_of_step(run, MORE_CLASSES)
    rows = min(run.n_train, system.batch_size or run.n_train)
    examples = TASKS[system.task].shape(system).n_examples
    return int(flops * (run.n_steps + record_steps * examples / max(rows, 1))) + 1


def _steps_of_records(system: System) -> Callable[[int], int]:
    """What the records of a run of so many steps cost, in steps on all examples."""
    of_table = {ORDER_PARAMETERS[name].cost for name in system.order_parameters}
    classes = (
        {"dense"} | of_table | ({"expensive"} if system.kernel_examples else set())
    )

    @cache
    def steps(n_steps: int) -> int:
        counts = n_records(n_steps, system)
        return sum(RECORD_STEPS[cost] * counts[cost] for cost in classes)

    return steps


def imbalance(costs: Sequence[float], numbers: Ints, of: int) -> float:
    """How much more the costliest shard takes than the mean one: 0 where all are equal.

    costs: [runs], predicted or measured; numbers: as of `shard_numbers`.
    """
    sums = np.bincount(numbers, np.asarray(costs, np.float64), minlength=of)
    return float(sums.max() / sums.mean() - 1.0)


def _places_of_systems(planned: Sequence[Planned]) -> list[list[int]]:
    """The places of each system's runs, in order of first appearance."""
    places: dict[System, list[int]] = {}
    begin = 0
    for system, runs in groupby(planned, attrgetter("run.system")):
        end = begin + len(list(runs))
        places.setdefault(system, []).extend(range(begin, end))
        begin = end
    return list(places.values())


def _rooms(
    begin: int, cost: int, ends: Sequence[int], over: Sequence[int]
) -> dict[int, int]:
    """What each shard should take of a system that lies at [begin, begin + cost).

    ends: where each shard ends; over: what each has taken so far of this line, and
    beyond its part of earlier ones: a run too much or too little is made up for here.
    """
    end = begin + cost
    first, last = bisect_right(ends, begin), bisect_left(ends, end)
    inner = {k: ends[0] - over[k] for k in range(first, last)}
    left = cost - sum(inner.values())
    rooms = inner | ({last: left} if last < len(ends) else {})
    rooms = {k: room for k, room in rooms.items() if room > 0}
    return rooms or {min(first, len(ends) - 1): cost}


def _dealt(
    order: Sequence[int], costs: Sequence[int], rooms: dict[int, int]
) -> Iterator[tuple[int, int]]:
    """(run, shard) for each run of `order`: where, with it, least of the room is taken.

    Of shards with as much room, one that has taken least, by chance. Their number is
    large, that of different rooms is small (the first, the last, and all between).
    """
    chance = random.Random(0)
    heaps: dict[int, list[tuple[int, float, int]]] = {}
    for k, room in rooms.items():
        heaps.setdefault(room, []).append((0, chance.random(), k))
    for heap in heaps.values():
        heapq.heapify(heap)
    for i in order:
        room = _least_filled(heaps, costs[i])
        taken, _, k = heaps[room][0]
        heapq.heapreplace(heaps[room], (taken + costs[i], chance.random(), k))
        yield i, k


def _least_filled(
    heaps: Mapping[int, Sequence[tuple[int, float, int]]], cost: int
) -> int:
    """The room of which the least is taken once a shard of it has taken `cost`."""
    best_room, best = 0, 0
    for room, heap in heaps.items():
        filled = heap[0][0] + cost
        if not best_room or filled * best_room < best * room:
            best_room, best = room, filled
    return best_room


def _none_empty(numbers: Ints, costs: Sequence[int], of: int) -> Ints:
    """`numbers`, with a run of the shard that has most for each shard that has none."""
    counts = np.bincount(numbers, minlength=of)
    for k in np.flatnonzero(counts == 0):
        richest = int(np.argmax(counts))
        if counts[richest] < 2:
            break
        inside = np.flatnonzero(numbers == richest).tolist()
        cheapest = min(inside, key=lambda i: (costs[i], i))
        numbers[cheapest] = k
        counts[richest], counts[k] = counts[richest] - 1, 1
    return numbers
