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
from grokmap.engine.compiled import GROUPS, SLOTS, Compiled, fitting
from grokmap.engine.filling import fill_lanes, keep, refill, resume
from grokmap.engine.schedule import (
    Due,
    Kept,
    RunState,
    Trajectory,
    aligned,
    groups_of,
    slots_of,
    steps_alike,
)
from grokmap.engine.settings import Settings, choose_settings, whole_devices
from grokmap.errors import GrokmapError
from grokmap.plan import Planned
from grokmap.spec import System

# Seconds between two checkpoints of the runs in training.
KEEP_SECONDS = 120.0


class Tuning(NamedTuple):
    """How training is cut into chunks and files; no result depends on it.

    cpu_chunk_flops, cpu_least_flops: a chunk's arithmetic on one core, at most and at
      least: some 0.2 s, and 5 ms.
    gpu_chunk_steps: a chunk on a GPU ends at a multiple of these steps of its first
      run: enough to hide the cost of a dispatch, and that most records of runs that
      start at such multiples fall on the same steps.
    runs_together, seconds_together: after how many finished runs, or how long, they
      are handed out together, since labelling them one by one takes longer.
    """

    cpu_chunk_flops: float = 1e10
    cpu_least_flops: float = 2.5e8
    gpu_chunk_steps: int = 2048
    runs_together: int = 256
    seconds_together: float = 5.0


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

    keep: called with all runs in training, every `keep_seconds` and before a stop; runs
      of an earlier call are over or included again. kept: the kept state of a run, or
      None. refused: called with the reason why a run that was kept starts again.
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
    own: frozenset[str] | set[str] | None = None,
    lanes: int | None = None,
    tile: int | None = None,
    hooks: Hooks = Hooks(),
    tuning: Tuning = Tuning(),
    choose: Callable[..., Settings] = choose_settings,
) -> Iterator[Done | Failed]:
    """Trains all runs but those whose id is in `done`, longest first within a system.

    own: ids of the runs that this process is for (None: all): a device that trains its
    lanes together gets no more lanes than it has of these.
    choose: settings of a system; takes what `choose_settings` does.

    Stops between two chunks once `hooks.should_stop()`; runs in training are kept by
    `hooks.keep`, and go on from there when they are executed again. An exception yields
    `Failed` for the runs in training and leaves the others alone.
    """
    for system, runs in plan.by_system(planned).items():
        missing = (run for run in runs if run.run.run_id not in done)
        queue = _Queue(deque(sorted(missing, key=plan.longest)))
        if not queue.waiting:
            continue
        chosen = partial(choose, system, runs, lanes, tile)
        if own is not None:
            chosen.keywords["most_lanes"] = sum(run.run.run_id in own for run in runs)
        if not (yield from _execute_system(system, chosen, queue, hooks, tuning)):
            return


@dataclass
class _Queue:
    """The runs of a system: waiting, in training, or over."""

    waiting: deque[Planned]
    training: list[Planned] = field(default_factory=list)
    over: list[tuple[RunState, Trajectory]] = field(default_factory=list)

    def give_out(self, settings: Settings) -> Iterator[Done]:
        """The runs that are over, if any are; they leave the queue."""
        if self.over:
            over, self.over = self.over, []
            yield _done(over, settings)


def _execute_system(
    system: System,
    choose: Callable[[], Settings],
    queue: _Queue,
    hooks: Hooks,
    tuning: Tuning,
) -> Generator[Done | Failed, None, bool]:
    """The runs of one system that wait; returns whether to go on.

    Out of memory: half the lanes, and the runs in training start again.
    """
    settings: Settings | None = None
    while queue.waiting:
        queue.training.clear()
        try:
            settings = settings or choose()  # known, should compiling fail
            compiled, settings = fitting(system, settings)
            return (yield from _train(compiled, settings, queue, hooks, tuning))
        except GrokmapError:
            raise  # such as a full disk: no outcome of these runs
        except Exception as error:  # whatever it is, it is these runs' outcome
            trace = traceback.format_exc()
            if settings:
                yield from queue.give_out(settings)
                target = settings.target
                if _out_of_memory(error) and settings.lanes > target.n_devices:
                    half = whole_devices(target, settings.lanes // 2)
                    settings = settings._replace(lanes=half)
                    queue.waiting.extendleft(reversed(queue.training))
                    continue
            # If none was in training, compiling failed: it would for all.
            yield Failed(tuple(queue.training or queue.waiting), trace)
            if not queue.training:
                queue.waiting.clear()
    return True


def _out_of_memory(error: Exception) -> bool:
    return "RESOURCE_EXHAUSTED" in str(error)


def _train(
    compiled: Compiled,
    settings: Settings,
    queue: _Queue,
    hooks: Hooks,
    tuning: Tuning,
) -> Generator[Done, None, bool]:
    """Trains, chunk by chunk, until no run waits; returns whether all are over."""
    lanes = compiled.empty()
    states: list[RunState | None] = [None] * settings.lanes
    last_out = last_kept = time.monotonic()
    while True:
        fresh = fill_lanes(compiled, states, queue.waiting)
        # Before anything can fail: a run is waiting, in training or over at all times.
        queue.training[:] = [state.planned for state in states if state]
        lanes = refill(compiled, settings, lanes, states, fresh)
        lanes = resume(settings, lanes, states, fresh, hooks.kept, hooks.refused)
        stop = not queue.training or hooks.should_stop()
        now = time.monotonic()
        due = stop or now - last_kept > hooks.keep_seconds
        keeping = hooks.keep and queue.training and due
        waited = now - last_out > tuning.seconds_together
        if stop or keeping or waited or len(queue.over) >= tuning.runs_together:
            yield from queue.give_out(settings)
            last_out = now
        if hooks.keep and keeping:
            hooks.keep(keep(settings, lanes, states))
            last_kept = time.monotonic()
        if stop:
            return not queue.training
        lanes, over, progress = _run_chunk(compiled, settings, lanes, states, tuning)
        queue.over += over
        queue.training[:] = [state.planned for state in states if state]
        hooks.on_progress(progress)


def _run_chunk(
    compiled: Compiled,
    settings: Settings,
    lanes: Any,
    states: list[RunState | None],
    tuning: Tuning,
) -> tuple[Any, list[tuple[RunState, Trajectory]], Progress]:
    """One chunk of all lanes; those whose run is over are free again."""
    started = time.perf_counter()
    slots, due = plan_chunk(settings, states, budgets_of(settings, states, tuning))
    lanes, records = compiled.chunk(lanes, slots)
    rows, diverged = np.asarray(records), np.asarray(lanes.diverged_step)
    seconds = time.perf_counter() - started
    over: list[tuple[RunState, Trajectory]] = []
    run_steps = spared = 0
    busy = [state for state in states if state]
    ended: list[RunState | None] = [None] * len(states)
    for i, state in enumerate(states):
        if state is None:
            continue
        state.seconds += seconds / len(busy)
        run_steps += state.take(due[i], rows[row_of(settings, i)])
        trajectory = state.outcome(int(diverged[i]))
        if trajectory:
            over.append((state, trajectory))
            # On a GPU a lane may have stepped beyond its budget: no end to go on from.
            if trajectory.step[-1] == state.step == state.planned.n_steps:
                ended[i] = state
            spared += max(0, state.planned.n_steps - state.step)
            states[i] = None
    for state, end in zip(
        filter(None, ended), keep(settings, lanes, ended), strict=True
    ):
        state.end = end
    longest = max(of_lane.length for of_lane in due)
    return lanes, over, Progress(run_steps, longest * len(states), spared)


def budgets_of(
    settings: Settings, states: Sequence[RunState | None], tuning: Tuning
) -> list[int]:
    """Steps of a chunk, for each lane."""
    if not settings.together:
        return steps_alike(states, tuning.cpu_chunk_flops, tuning.cpu_least_flops)
    return [aligned(states, tuning.gpu_chunk_steps)] * len(states)


def plan_chunk(
    settings: Settings, states: Sequence[RunState | None], budgets: Sequence[int]
) -> tuple[Any, list[Due]]:
    """What a chunk of at most so many steps records, for the program and by lane."""
    if not settings.together:
        pairs = zip(states, budgets, strict=True)
        slots, each = zip(*[slots_of(s, b, SLOTS) for s, b in pairs], strict=True)
        return jax.tree.map(_stack, *slots), list(each)
    least = min(b for b, state in zip(budgets, states, strict=True) if state)
    groups, due = [], []
    for start in range(0, settings.lanes, settings.of_device):
        mine = states[start : start + settings.of_device]
        of_device, of_lanes = groups_of(mine, least, GROUPS, settings.group)
        groups.append(of_device)
        due += of_lanes
    return jax.tree.map(_stack, *groups), due


def _stack(*parts: Any) -> Any:
    return np.stack(parts)


def row_of(settings: Settings, lane: int) -> int:
    """Where a lane's records stand along the first axis of a chunk's."""
    return lane // settings.of_device if settings.together else lane


def _done(over: list[tuple[RunState, Trajectory]], settings: Settings) -> Done:
    states, trajectories = zip(*over, strict=True)
    return Done(
        tuple(state.planned for state in states),
        tuple(trajectory.step for trajectory in trajectories),
        tuple(trajectory.values for trajectory in trajectories),
        states[0].columns,
        settings,
        sum(state.seconds for state in states),
        tuple(state.end for state in states if state.end),
    )
