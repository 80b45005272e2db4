"""Trains runs: chunk by chunk, lanes refilled as runs end. No files.

Lanes are independent. When a run is over, its lane takes the next from the queue.
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np
import numpy.typing as npt

from grokmap import plan
from grokmap.devices import (
    SLOTS,
    Compiled,
    Settings,
    choose_settings,
    compile_system,
    whole_devices,
)
from grokmap.errors import SpecError
from grokmap.plan import Planned, Slots
from grokmap.schedule import Seat, Trajectory, slots_of, steps_alike
from grokmap.spec import Control, System

# A chunk's arithmetic on one core: some 0.2 s, and 5 ms.
CPU_CHUNK_FLOPS, CPU_LEAST_FLOPS = 1e10, 2.5e8
# Steps of a chunk on a GPU: long against a dispatch, and so that lanes that were just
# filled, which are recorded often, do not slow the others down much.
GPU_CHUNK_STEPS = 2048
# Runs that are over wait for company, since one file a run would be many small files.
RUNS_TOGETHER, SECONDS_TOGETHER = 256, 30.0


class Done(NamedTuple):
    """Runs that are over, all of one system, and their trajectories.

    steps: for each run [rows]; values: for each run [rows, columns], see `Trajectory`;
    seconds: wall time spent on them, without compiling.
    """

    runs: tuple[Planned, ...]
    steps: tuple[npt.NDArray[np.int64], ...]
    values: tuple[npt.NDArray[np.float32], ...]
    columns: tuple[str, ...]
    settings: Settings
    seconds: float


class Failed(NamedTuple):
    """Runs that were in training when something raised; `trace` is the traceback."""

    runs: tuple[Planned, ...]
    trace: str


class Progress(NamedTuple):
    """After each chunk: steps done since the last report.

    run_steps: that runs needed; lane_steps: of all lanes, busy or not; spared: of the
    budgets of runs that were over before their end.
    """

    run_steps: int
    lane_steps: int
    spared: int = 0


class Hooks(NamedTuple):
    """What `execute` tells and asks between two chunks."""

    on_progress: Callable[[Progress], None] = lambda progress: None
    should_stop: Callable[[], bool] = lambda: False


def execute(
    planned: Sequence[Planned],
    *,
    done: frozenset[str] | set[str] = frozenset(),
    lanes: int | None = None,
    hooks: Hooks = Hooks(),
) -> Iterator[Done | Failed]:
    """Trains all runs but those whose id is in `done`, longest first within a system.

    Stops between two chunks once `hooks.should_stop()`; runs in training are dropped.
    An exception yields `Failed` for the runs in training and leaves the others alone.
    """
    for system, runs in plan.by_system(planned).items():
        missing = (run for run in runs if run.run.run_id not in done)
        queue = deque(sorted(missing, key=plan.longest))
        if not queue:
            continue
        hall = _Hall(queue)
        if not (yield from _execute_system(system, runs, hall, lanes, hooks)):
            return


@dataclass
class _Hall:
    """Where the runs of a system are: waiting, in training, or over."""

    waiting: deque[Planned]
    training: list[Planned] = field(default_factory=list)
    over: list[tuple[Seat, Trajectory]] = field(default_factory=list)

    def leave(self, settings: Settings) -> Iterator[Done]:
        """Gives out the runs that are over, if any are."""
        if self.over:
            over, self.over = self.over, []
            yield _done(over, settings)


def _execute_system(
    system: System,
    runs: Sequence[Planned],
    hall: _Hall,
    lanes: int | None,
    hooks: Hooks,
) -> Generator[Done | Failed, None, bool]:
    """The runs of one system that wait; returns whether to go on.

    Out of memory: half the lanes, and the runs in training start again.
    """
    settings: Settings | None = None
    while hall.waiting:
        hall.training.clear()
        try:
            settings = settings or choose_settings(system, runs, lanes)
            compiled = compile_system(system, settings)
            return (yield from _train(compiled, settings, hall, hooks))
        except SpecError:
            raise
        except Exception as error:  # whatever it is, it is these runs' outcome
            trace = traceback.format_exc()
            if settings:
                yield from hall.leave(settings)
                if _out_of_memory(error) and settings.lanes > jax.local_device_count():
                    half = whole_devices(settings.lanes // 2)
                    settings = settings._replace(lanes=half)
                    hall.waiting.extendleft(reversed(hall.training))
                    continue
            # If none was in training, compiling failed: it would for all.
            yield Failed(tuple(hall.training or hall.waiting), trace)
            if not hall.training:
                hall.waiting.clear()
    return True


def _out_of_memory(error: Exception) -> bool:
    return "RESOURCE_EXHAUSTED" in str(error)


def _train(
    compiled: Compiled, settings: Settings, hall: _Hall, hooks: Hooks
) -> Generator[Done, None, bool]:
    """Trains, chunk by chunk, until no run waits; returns whether all are over."""
    lanes = compiled.empty()
    seats: list[Seat | None] = [None] * settings.lanes
    last_out = time.monotonic()
    while True:
        fresh = take_seats(compiled, seats, hall.waiting)
        # Before anything can fail: a run is waiting, in training or over at all times.
        hall.training[:] = [seat.planned for seat in seats if seat]
        lanes = refill(compiled, lanes, seats, fresh)
        if not hall.training or hooks.should_stop():
            break
        lanes, over, progress = _run_chunk(compiled, settings, lanes, seats)
        hall.over += over
        hall.training[:] = [seat.planned for seat in seats if seat]
        hooks.on_progress(progress)
        waited = time.monotonic() - last_out > SECONDS_TOGETHER
        if waited or len(hall.over) >= RUNS_TOGETHER:
            yield from hall.leave(settings)
            last_out = time.monotonic()
    yield from hall.leave(settings)
    return not hall.training


def take_seats(
    compiled: Compiled, seats: list[Seat | None], queue: deque[Planned]
) -> list[int]:
    """Gives the empty seats to the next runs of the queue; returns their places."""
    fresh = [i for i, seat in enumerate(seats) if seat is None][: len(queue)]
    for i in fresh:
        seats[i] = Seat(queue.popleft(), compiled.names)
    return fresh


def refill(
    compiled: Compiled, lanes: Any, seats: Sequence[Seat | None], fresh: list[int]
) -> Any:
    """Initialises the lanes of fresh seats."""
    return compiled.refill(lanes, *_inputs(seats, fresh)) if fresh else lanes


def _inputs(seats: Sequence[Seat | None], fresh: list[int]) -> tuple[Any, ...]:
    """Arguments of `refill`; a lane without a seat is given a run that never steps."""
    some = next(seat for seat in seats if seat).planned
    runs = [seat.planned if seat else some for seat in seats]
    is_fresh = np.zeros(len(seats), bool)
    is_fresh[fresh] = True
    controls: Any = np.array([run.run.control for run in runs], np.float32)
    return (
        is_fresh,
        Control(*controls.T),
        np.array([run.n_train for run in runs], np.int32),
        np.array([run.run.seed for run in runs], np.uint32),
    )


def _run_chunk(
    compiled: Compiled, settings: Settings, lanes: Any, seats: list[Seat | None]
) -> tuple[Any, list[tuple[Seat, Trajectory]], Progress]:
    """One chunk of all lanes; seats whose run is over are emptied."""
    started = time.perf_counter()
    slots = _slots(settings, seats)
    stacked = slots[0] if settings.together else jax.tree.map(_stack, *slots)
    lanes, records = compiled.chunk(lanes, stacked)
    rows, diverged = np.asarray(records), np.asarray(lanes.diverged_step)
    seconds = time.perf_counter() - started
    over: list[tuple[Seat, Trajectory]] = []
    run_steps = spared = 0
    busy = [seat for seat in seats if seat]
    for i, seat in enumerate(seats):
        if seat is None:
            continue
        own = slots[0 if settings.together else i]
        seat.seconds += seconds / len(busy)
        offsets = np.cumsum(own.interval[: own.n], dtype=np.int64)
        run_steps += seat.take(offsets, rows[i, : own.n])
        trajectory = seat.outcome(int(diverged[i]))
        if trajectory:
            over.append((seat, trajectory))
            spared += max(0, seat.planned.n_steps - seat.step)
            seats[i] = None
    longest = max(int(own.interval.sum()) for own in slots)
    return lanes, over, Progress(run_steps, longest * len(seats), spared)


def _stack(*parts: Any) -> Any:
    return np.stack(parts)


def _slots(settings: Settings, seats: Sequence[Seat | None]) -> list[Slots]:
    """One for all lanes if they step together, else one a lane."""
    if settings.together:
        return [slots_of([s for s in seats if s], GPU_CHUNK_STEPS, SLOTS)]
    budgets = steps_alike(seats, CPU_CHUNK_FLOPS, CPU_LEAST_FLOPS)
    return [
        slots_of([seat] if seat else [], budget, SLOTS)
        for seat, budget in zip(seats, budgets, strict=True)
    ]


def _done(over: list[tuple[Seat, Trajectory]], settings: Settings) -> Done:
    seats, trajectories = zip(*over, strict=True)
    return Done(
        tuple(seat.planned for seat in seats),
        tuple(trajectory.step for trajectory in trajectories),
        tuple(trajectory.values for trajectory in trajectories),
        seats[0].columns,
        settings,
        sum(seat.seconds for seat in seats),
    )
