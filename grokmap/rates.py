"""What a step and a record cost on this machine, timed on fresh lanes; for dry runs."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from grokmap.devices import SLOTS, Compiled, Settings, build_program, on_lanes
from grokmap.execute import refill, take_seats
from grokmap.plan import Planned, Slots
from grokmap.schedule import Seat
from grokmap.spec import System

RECORDS = 8  # a chunk that is timed has at least
ENOUGH = 0.05  # seconds of a chunk that is timed, about


class Rate(NamedTuple):
    """Seconds of a step, and of a record of each cost class, over lanes in parallel.

    So that n runs of s steps take n s `step`.
    """

    step: float
    record: dict[str, float]


def measure_rate(
    compiled: Compiled, settings: Settings, runs: Sequence[Planned]
) -> Rate:
    """Times chunks with short and long intervals, and what is measured less often."""
    lanes = sample(compiled, settings, runs)

    def seconds_of_chunk(interval: int, records: int) -> float:
        nonlocal lanes
        started = time.perf_counter()
        lanes, rows = compiled.chunk(lanes, _slots(settings, interval, records))
        rows.block_until_ready()
        return time.perf_counter() - started

    def seconds_a_record(interval: int) -> float:
        few = seconds_of_chunk(interval, RECORDS)
        # Enough of them to be told from the price of a call.
        records = min(SLOTS, max(RECORDS, int(RECORDS * ENOUGH / few)))
        times = [seconds_of_chunk(interval, records) for _ in range(3)]
        return min(times) / records / settings.lanes

    short, interval = seconds_a_record(1), 2
    while (long := seconds_a_record(interval)) < 4 * short:
        interval *= 2
    step = (long - short) / (interval - 1)
    record = {"dense": max(0.0, short - step)}
    for cost, measured in _measurements(runs[0].run.system, settings).items():
        record[cost] = seconds_of(partial(measured, lanes)) / settings.lanes
    return Rate(step, record)


def _measurements(system: System, settings: Settings) -> dict[str, Any]:
    """For each cost class but the dense: its measurement of all lanes, on its own."""
    return {
        cost: jax.jit(on_lanes(function, settings.together))
        for cost, function in build_program(system, settings).measure.items()
        if cost != "dense"
    }


def measure_costs(
    system: System, compiled: Compiled, settings: Settings, runs: Sequence[Planned]
) -> dict[str, float]:
    """Seconds of a record of each order parameter of the system, alone.

    Together they cost less: what several need is then computed once.
    """
    lanes = sample(compiled, settings, runs)
    seconds = {}
    for name in system.order_parameters:
        alone = dataclasses.replace(system, order_parameters=(name,))
        (measured,) = _measurements(alone, settings).values()
        seconds[name] = seconds_of(partial(measured, lanes)) / settings.lanes
    return seconds


def sample(compiled: Compiled, settings: Settings, runs: Sequence[Planned]) -> Any:
    """Fresh lanes of some of the runs, the dearest first."""
    dearest = sorted(runs, key=lambda run: -run.n_train)
    queue = deque(dearest[i % len(runs)] for i in range(settings.lanes))
    seats: list[Seat | None] = [None] * settings.lanes
    fresh = take_seats(compiled, seats, queue)
    return refill(compiled, compiled.empty(), seats, fresh)


def _slots(settings: Settings, interval: int, records: int) -> Slots:
    lanes = () if settings.together else (settings.lanes,)
    never = np.zeros((*lanes, SLOTS), bool)
    return Slots(
        interval=np.full((*lanes, SLOTS), interval, np.int32),
        cheap=never,
        dear=never,
        n=np.full(lanes, records, np.int32),
    )


def seconds_of(call: Callable[[], Any], repeats: int = 3) -> float:
    """The shortest of a few calls, after one that warms up."""
    jax.block_until_ready(call())
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - started)
    return min(times)
