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
from grokmap.execute import fill
from grokmap.plan import Planned, Slots
from grokmap.schedule import Seat
from grokmap.spec import System

RECORDS = 8  # a chunk that is timed has


class Rate(NamedTuple):
    """Seconds of a step, and of a record of each cost class, over lanes in parallel.

    So that n runs of s steps take n s `step`.
    """

    step: float
    record: dict[str, float]


def measure_rate(
    compiled: Compiled, settings: Settings, runs: Sequence[Planned]
) -> Rate:
    """Times chunks with short and long intervals, and with each cost class due."""
    lanes = sample(compiled, settings, runs)

    def seconds_a_record(interval: int, due: str = "") -> float:
        nonlocal lanes
        slots = _slots(settings, interval, due)
        times = []
        for _ in range(3 if interval == 1 else 1):
            started = time.perf_counter()
            lanes, records = compiled.chunk(lanes, slots)
            records.block_until_ready()
            times.append(time.perf_counter() - started)
        return min(times) / RECORDS / settings.lanes

    short, interval = seconds_a_record(1), 2
    while (long := seconds_a_record(interval)) * settings.lanes * RECORDS < 0.5:
        interval *= 2
    step = (long - short) / (interval - 1)
    record = {"dense": max(0.0, short - step)}
    for cost in compiled.names.keys() - {"dense"}:
        record[cost] = max(0.0, seconds_a_record(1, cost) - short)
    return Rate(step, record)


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
        program = build_program(alone, settings)
        (function,) = (f for k, f in program.measure.items() if k != "dense")
        measured = jax.jit(on_lanes(function, settings.together))
        seconds[name] = seconds_of(partial(measured, lanes)) / settings.lanes
    return seconds


def sample(compiled: Compiled, settings: Settings, runs: Sequence[Planned]) -> Any:
    """Fresh lanes of some of the runs, the dearest first."""
    dearest = sorted(runs, key=lambda run: -run.n_train)
    queue = deque(dearest[i % len(runs)] for i in range(settings.lanes))
    seats: list[Seat | None] = [None] * settings.lanes
    return fill(compiled, compiled.empty(), seats, queue)


def _slots(settings: Settings, interval: int, due: str) -> Slots:
    lanes = () if settings.together else (settings.lanes,)
    shape = (*lanes, SLOTS)
    return Slots(
        interval=np.full(shape, interval, np.int32),
        cheap=np.full(shape, due == "cheap"),
        dear=np.full(shape, due == "dear"),
        n=np.full(lanes, RECORDS, np.int32),
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
