"""Trains runs: chunk by chunk, lanes refilled as runs end. No files.

Lanes are independent. When a run is over, its lane takes the next from the queue.
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
import numpy.typing as npt

from grokmap import plan
from grokmap.engine.devices import (
    SLOTS,
    Compiled,
    Settings,
    choose_settings,
    compile_system,
    made_by_of,
    whole_devices,
)
from grokmap.engine.records import Slots
from grokmap.engine.schedule import Kept, Seat, Trajectory, slots_of, steps_alike
from grokmap.errors import GrokmapError
from grokmap.plan import Planned
from grokmap.spec import Control, System

# A chunk's arithmetic on one core: some 0.2 s, and 5 ms.
CPU_CHUNK_FLOPS, CPU_LEAST_FLOPS = 1e10, 2.5e8
# Steps of a chunk on a GPU: long against a dispatch, and so that lanes that were just
# filled, which are recorded often, do not slow the others down much.
GPU_CHUNK_STEPS = 2048
# Runs that are over wait for company, since one file a run would be many small files.
RUNS_TOGETHER, SECONDS_TOGETHER = 256, 30.0
# Between two checkpoints of the runs in training.
KEEP_SECONDS = 120.0


class Done(NamedTuple):
    """Runs that are over, all of one system, and their trajectories.

    steps: for each run [rows]; values: for each run [rows, columns], see `Trajectory`;
    seconds: wall time spent on them, without compiling; ends: how those stood that
    their budgets ended, so that larger ones can go on from there.
    """

    runs: tuple[Planned, ...]
    steps: tuple[npt.NDArray[np.int64], ...]
    values: tuple[npt.NDArray[np.float32], ...]
    columns: tuple[str, ...]
    settings: Settings
    seconds: float
    ends: tuple[Kept, ...] = ()


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
    """What `execute` tells and asks between two chunks.

    keep: given all runs in training, every `keep_seconds` and before a stop; what it
      was given before is over or in it again. kept: a run as it was kept, if it was.
    refused: told why a run that was kept starts anew.
    """

    on_progress: Callable[[Progress], None] = lambda progress: None
    should_stop: Callable[[], bool] = lambda: False
    keep: Callable[[list[Kept]], None] | None = None
    kept: Callable[[str], Kept | None] = lambda run_id: None
    refused: Callable[[str], None] = lambda why: None
    keep_seconds: float = KEEP_SECONDS


def execute(
    planned: Sequence[Planned],
    *,
    done: frozenset[str] | set[str] = frozenset(),
    lanes: int | None = None,
    tile: int | None = None,
    hooks: Hooks = Hooks(),
) -> Iterator[Done | Failed]:
    """Trains all runs but those whose id is in `done`, longest first within a system.

    Stops between two chunks once `hooks.should_stop()`; runs in training are kept by
    `hooks.keep`, and go on from there when they are executed again. An exception yields
    `Failed` for the runs in training and leaves the others alone.
    """
    for system, runs in plan.by_system(planned).items():
        missing = (run for run in runs if run.run.run_id not in done)
        queue = deque(sorted(missing, key=plan.longest))
        if not queue:
            continue
        hall = _Hall(queue)
        choose = partial(choose_settings, system, runs, lanes, tile)
        if not (yield from _execute_system(system, choose, hall, hooks)):
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
    system: System, choose: Callable[[], Settings], hall: _Hall, hooks: Hooks
) -> Generator[Done | Failed, None, bool]:
    """The runs of one system that wait; returns whether to go on.

    Out of memory: half the lanes, and the runs in training start again.
    """
    settings: Settings | None = None
    while hall.waiting:
        hall.training.clear()
        try:
            settings = settings or choose()
            compiled = compile_system(system, settings)
            return (yield from _train(compiled, settings, hall, hooks))
        except GrokmapError:
            raise  # such as a full disk: no outcome of these runs
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
    last_out = last_kept = time.monotonic()
    while True:
        fresh = take_seats(compiled, seats, hall.waiting)
        # Before anything can fail: a run is waiting, in training or over at all times.
        hall.training[:] = [seat.planned for seat in seats if seat]
        lanes = refill(compiled, lanes, seats, fresh)
        lanes = resume(settings, lanes, seats, fresh, hooks)
        stop = not hall.training or hooks.should_stop()
        now = time.monotonic()
        due = stop or now - last_kept > hooks.keep_seconds
        keeping = hooks.keep and hall.training and due
        waited = now - last_out > SECONDS_TOGETHER
        if stop or keeping or waited or len(hall.over) >= RUNS_TOGETHER:
            yield from hall.leave(settings)
            last_out = now
        if hooks.keep and keeping:
            hooks.keep(keep(settings, lanes, seats))
            last_kept = time.monotonic()
        if stop:
            return not hall.training
        lanes, over, progress = _run_chunk(compiled, settings, lanes, seats)
        hall.over += over
        hall.training[:] = [seat.planned for seat in seats if seat]
        hooks.on_progress(progress)


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


def keep(settings: Settings, lanes: Any, seats: Sequence[Seat | None]) -> list[Kept]:
    """The runs of these seats as they stand."""
    if not any(seats):
        return []
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(lanes)]
    made_by = made_by_of(settings)
    return [
        seat.keep(tuple(leaf[i].copy() for leaf in leaves), made_by)
        for i, seat in enumerate(seats)
        if seat and seat.step
    ]


def resume(
    settings: Settings,
    lanes: Any,
    seats: Sequence[Seat | None],
    fresh: list[int],
    hooks: Hooks,
) -> Any:
    """`lanes`, those of fresh seats whose run was kept as they were then.

    Runs kept under other settings, by other versions or on another device start anew:
    as they stand they would be neither's.
    """
    leaves, tree = jax.tree.flatten(lanes)
    shapes = [(leaf.shape[1:], leaf.dtype) for leaf in leaves]
    states: dict[int, tuple[npt.NDArray[Any], ...]] = {}
    for i in fresh:
        seat = seats[i]
        kept = hooks.kept(seat.planned.run.run_id) if seat else None
        if seat is None or kept is None:
            continue
        same = [(leaf.shape, leaf.dtype) for leaf in kept.state] == shapes
        if kept.made_by != made_by_of(settings):
            hooks.refused("settings, versions or a device that differ from today's")
        elif same and seat.resume(kept):
            states[i] = kept.state
        else:
            hooks.refused("records or weights that do not fit")
    if not states:
        return lanes
    hosts = [np.array(leaf) for leaf in leaves]
    for i, state in states.items():
        for host, own in zip(hosts, state, strict=True):
            host[i] = own
    put = [
        jax.device_put(host, leaf.sharding)
        for host, leaf in zip(hosts, leaves, strict=True)
    ]
    return jax.tree.unflatten(tree, put)


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
    ended: list[Seat | None] = [None] * len(seats)
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
            # On a GPU a lane may have stepped beyond its budget: no end to go on from.
            if trajectory.step[-1] == seat.step == seat.planned.n_steps:
                ended[i] = seat
            spared += max(0, seat.planned.n_steps - seat.step)
            seats[i] = None
    for seat, end in zip(
        filter(None, ended), keep(settings, lanes, ended), strict=True
    ):
        seat.end = end
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
        tuple(seat.end for seat in seats if seat.end),
    )
