"""What a step and a record cost on this machine, timed on fresh lanes; for dry runs."""

from __future__ import annotations

import dataclasses
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from grokmap.engine.compiled import GROUPS, SLOTS, Compiled, build_program, on_lanes
from grokmap.engine.filling import fill_lanes, refill
from grokmap.engine.records import Groups, Slots
from grokmap.engine.schedule import RunState
from grokmap.engine.settings import Settings
from grokmap.engine.train import build, names_by_cost
from grokmap.plan import Planned
from grokmap.spec import Control, System

RECORDS = 8  # a chunk that is timed has at least
ENOUGH = 0.05  # seconds of a chunk that is timed, about
SLOW = 0.5  # seconds from which a call is not repeated


class Rate(NamedTuple):
    """Seconds of a step, and of a record of each cost class, over lanes in parallel.

    So that n runs of s steps take n s `step`.
    """

    step: float
    record: dict[str, float]


def measure_rate(
    compiled: Compiled, settings: Settings, runs: Sequence[Planned]
) -> Rate:
    """The `Rate` of all that `measured` yields."""
    seconds = dict(measured(compiled, settings, runs))
    return Rate(seconds.pop("step"), seconds)


def measured(
    compiled: Compiled, settings: Settings, runs: Sequence[Planned]
) -> Iterator[tuple[str, float]]:
    """Yields ("step", seconds), then (cost class, seconds of a record), once known.

    Times chunks with short and long intervals, and what is measured less often.
    """
    lanes = sample(compiled, settings, runs)

    def seconds_of_chunk(interval: int, records: int) -> float:
        nonlocal lanes
        started = time.perf_counter()
        lanes, rows = compiled.chunk(lanes, _slots(settings, interval, records))
        rows.block_until_ready()
        return time.perf_counter() - started

    def seconds_a_record(interval: int) -> float:
        few = seconds_of_chunk(interval, RECORDS)
        # Enough records that the overhead of a call does not show.
        records = min(most_records(settings), max(RECORDS, int(RECORDS * ENOUGH / few)))
        repeats = 3 if few < SLOW else 1
        times = [seconds_of_chunk(interval, records) for _ in range(repeats)]
        return min(times) / records / settings.lanes

    short, interval = seconds_a_record(1), 2
    while (long := seconds_a_record(interval)) < 4 * short:
        interval *= 2
    step = (long - short) / (interval - 1)
    yield "step", step
    yield "dense", max(0.0, short - step)
    for cost, function in _measurements(runs[0].run.system, settings).items():
        yield cost, seconds_of(partial(function, lanes)) / settings.lanes


def _measurements(system: System, settings: Settings) -> dict[str, Any]:
    """By cost class but the dense: the compiled function that measures all lanes."""
    return {
        cost: jax.jit(on_lanes(function, settings, at_once=settings.group))
        for cost, function in build_program(system, settings).measure.items()
        if cost != "dense"
    }


def measured_alone(
    system: System, compiled: Compiled, settings: Settings, runs: Sequence[Planned]
) -> Iterator[tuple[str, float]]:
    """Seconds of a record of each order parameter of the system, alone, as each is
    known.

    Together they cost less: what several need is then computed once.
    """
    lanes = sample(compiled, settings, runs)
    for name in system.order_parameters:
        alone = dataclasses.replace(system, order_parameters=(name,), kernel_examples=0)
        (function,) = _measurements(alone, settings).values()
        yield name, seconds_of(partial(function, lanes)) / settings.lanes


def costs_of(system: System) -> tuple[str, ...]:
    """The cost classes that the system records."""
    return tuple(names_by_cost(system))


def n_weights(system: System) -> int:
    """How many weights a network of the system has; nothing is computed for it."""
    bare = dataclasses.replace(system, order_parameters=(), kernel_examples=0)
    control = Control(*map(jnp.float32, [0.0] * len(Control._fields)))
    init = build(bare, tile=1, max_tiles=1).init
    lane = jax.eval_shape(init, control, jnp.int32(1), jnp.uint32(0))
    return sum(math.prod(x.shape) for x in jax.tree.leaves(lane.params))


def sample(compiled: Compiled, settings: Settings, runs: Sequence[Planned]) -> Any:
    """Fresh lanes of some of the runs, the most expensive first."""
    largest = sorted(runs, key=lambda run: -run.n_train)
    queue = deque(largest[i % len(runs)] for i in range(settings.lanes))
    states: list[RunState | None] = [None] * settings.lanes
    fresh = fill_lanes(compiled, states, queue)
    return refill(compiled, settings, compiled.empty(), states, fresh)


def _slots(settings: Settings, interval: int, records: int) -> Slots | Groups:
    """So many records of every lane, evenly spaced."""
    if settings.together:
        return _groups(settings, interval, records)
    never = np.zeros((settings.lanes, SLOTS), bool)
    steps = np.full((settings.lanes, SLOTS), interval, np.int32)
    return Slots(steps, never, never, np.full(settings.lanes, records, np.int32))


def most_records(settings: Settings) -> int:
    """Of every lane, in one chunk."""
    return GROUPS // _groups_of_all(settings) if settings.together else SLOTS


def _groups_of_all(settings: Settings) -> int:
    """Groups that the lanes of a device make."""
    return -(-settings.of_device // settings.group)


def _groups(settings: Settings, interval: int, records: int) -> Groups:
    size, n_devices = settings.group, settings.target.n_devices
    each = _groups_of_all(settings)
    steps = np.zeros(GROUPS, np.int32)
    steps[::each] = interval
    places = np.minimum(np.arange(each * size), settings.of_device - 1)
    lanes = np.resize(places.reshape(each, size), (GROUPS, size)).astype(np.int32)
    n = np.int32(each * records)
    never = np.zeros(GROUPS, bool)
    groups = Groups(steps, lanes, never, never, n)
    return Groups(*(np.stack([part] * n_devices) for part in groups))


def seconds_of(call: Callable[[], Any], repeats: int = 3) -> float:
    """Seconds of the fastest of a few calls after a warm-up; of one if it is slow."""
    jax.block_until_ready(call())
    times: list[float] = []
    while len(times) < repeats and sum(times) < SLOW:
        started = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - started)
    return min(times)
