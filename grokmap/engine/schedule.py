"""When a run in training is recorded, and when it may end. No jax.

Everything about a run's records and its end follows from its own steps and values, so
that neither lanes nor chunk lengths show in any result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grokmap.classify import CRITERIA, over_at
from grokmap.engine.records import NEVER, Groups, Slots, record_grid, recorded
from grokmap.plan import Planned

Floats = npt.NDArray[np.float32]


class Trajectory(NamedTuple):
    """The records of a run. step: [rows]; values: [rows, columns].

    NaN where undefined or not recorded. A diverged run ends with a row of NaN at its
    first non-finite step.
    """

    step: npt.NDArray[np.int64]
    values: Floats


class Kept(NamedTuple):
    """A run as it stood after some step: all that is needed to go on from there.

    step: steps trained; steps: [rows], values: [rows, columns] recorded so far;
    state: leaves of its `Lane` that steps change; made_by: what has to be the same for
    the state to mean the same, as text; seconds: spent on it.
    """

    run_id: str
    step: int
    steps: npt.NDArray[np.int64]
    values: Floats
    columns: tuple[str, ...]
    state: tuple[npt.NDArray[Any], ...]
    made_by: str
    seconds: float


class Due(NamedTuple):
    """What a chunk records of one lane.

    offsets: [r] steps from the chunk's start, rising; rows: where the records of these
    stand in the chunk's own, as indices; length: steps of the chunk.
    """

    offsets: npt.NDArray[np.int64]
    rows: tuple[Any, ...]
    length: int


@dataclass
class RunState:
    """A run in training: what it recorded so far. step: steps trained.

    names: for each cost class, what is recorded; seconds: time spent on it; end: the
    run as it stood at its budget's end.
    """

    planned: Planned
    names: dict[str, tuple[str, ...]]
    step: int = 0
    taken: int = 0
    seconds: float = 0.0
    end: Kept | None = None
    values: list[Floats] = field(default_factory=list)

    def __post_init__(self) -> None:
        system, n_steps = self.planned.run.system, self.planned.n_steps
        grid = record_grid(n_steps, system.records_per_octave)
        self.steps = np.append(0, grid)
        self.due = recorded(self.steps, n_steps, system)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every recorded quantity, cost class after cost class."""
        return tuple(name for names in self.names.values() for name in names)

    def keep(self, state: tuple[npt.NDArray[Any], ...], made_by: str) -> Kept:
        """The run as it stands, its lane holding `state`."""
        nothing = np.empty((0, len(self.columns)), np.float32)
        values = np.concatenate([nothing, *self.values])
        return Kept(
            self.planned.run.run_id,
            self.step,
            self.steps[: self.taken],
            values,
            self.columns,
            state,
            made_by,
            self.seconds,
        )

    def resume(self, kept: Kept) -> bool:
        """Takes the place of a run that was kept; False if its records do not fit.

        A larger budget has other last records: those that are not due any more go.
        """
        taken = int(np.searchsorted(self.steps, kept.step, side="right"))
        same = np.isin(kept.steps, self.steps[:taken])
        fits = np.array_equal(kept.steps[same], self.steps[:taken])
        if not fits or kept.columns != self.columns or kept.step > self.steps[-1]:
            return False
        self.step, self.taken, self.seconds = kept.step, taken, kept.seconds
        self.values = [self._only_due(kept.values[same], slice(0, taken))]
        return True

    def _only_due(self, rows: Floats, places: slice) -> Floats:
        """`rows` of these places of `steps`, NaN where a quantity is not due."""
        values, first = rows.copy(), 0
        for cost, names in self.names.items():
            not_due = ~getattr(self.due, cost)[places]
            values[not_due, first : first + len(names)] = np.nan
            first += len(names)
        return values

    def stops(self, budget: int) -> npt.NDArray[np.int64]:
        """Places in `steps` of the records due within `budget` steps from now."""
        within = np.searchsorted(self.steps, self.step + budget, side="right")
        return np.arange(self.taken, within)

    def take(self, due: Due, records: Floats) -> int:
        """Appends this run's records of a chunk; returns the steps that it needed.

        records: of the whole chunk.
        """
        at = self.step + due.offsets
        end = min(self.step + due.length, self.planned.n_steps)
        taken = self.taken + int(np.sum(self.steps[self.taken :] <= end))
        wanted = slice(self.taken, taken)
        run_rows = records[due.rows][np.searchsorted(at, self.steps[wanted])]
        self.values.append(self._only_due(run_rows, wanted))
        trained = end - self.step
        self.step, self.taken = self.step + due.length, taken
        return trained

    def outcome(self, diverged_step: int) -> Trajectory | None:
        """The whole trajectory if the run is over, None if it has to go on.

        Over: at its budget's end, diverged, or its label is final (see
        `classify.over_at`) at a record of everything. Of a ramped run nothing is
        over before its end: the fall of its weight decay is what it measures.
        """
        self.values = [np.concatenate(self.values)]
        step, values = self.steps[: self.taken], self.values[0]
        loss, train, test, norm = (
            values[:, self.columns.index(name)]
            for name in ("train_loss", "train_accuracy", "test_accuracy", "weight_norm")
        )
        unsound = step[~np.isfinite(loss)]
        # The last step's outcome shows in its record alone: no later step sees it.
        first = unsound[0] if diverged_step == NEVER and len(unsound) else diverged_step
        if NEVER < first <= step[-1]:
            return _cut_at_divergence(step, values, int(first))
        over = over_at(step, train, test, norm, self.planned.tail, CRITERIA["default"])
        is_ramped = self.planned.run.system.ramped
        over &= self.due.expensive[: self.taken] & (not is_ramped)
        may_end = np.flatnonzero(over)
        if len(may_end):
            return Trajectory(step[: may_end[0] + 1], values[: may_end[0] + 1])
        is_spent = self.step >= self.planned.n_steps
        return Trajectory(step, values) if is_spent else None


def _cut_at_divergence(
    step: npt.NDArray[np.int64], values: Floats, first: int
) -> Trajectory:
    before = step < first
    nothing = np.full((1, values.shape[1]), np.nan, np.float32)
    return Trajectory(
        np.append(step[before], first), np.concatenate([values[before], nothing])
    )


def slots_of(state: RunState | None, budget: int, n_slots: int) -> tuple[Slots, Due]:
    """Slots of one lane for `budget` steps, or until `n_slots` records or its end."""
    interval = np.zeros(n_slots, np.int32)
    due = np.zeros((2, n_slots), bool)
    if state is None:
        return Slots(interval, due[0], due[1], np.int32(0)), NOTHING
    length = min(budget, state.planned.n_steps - state.step)
    places = state.stops(length)[:n_slots]
    offsets = np.unique(np.append(state.steps[places] - state.step, length))[:n_slots]
    due[:, : len(places)] = state.due.cheap[places], state.due.expensive[places]
    interval[: len(offsets)] = np.diff(offsets, prepend=0)
    rows = (slice(len(offsets)),)
    due_of = Due(offsets.astype(np.int64), rows, int(offsets[-1]))
    return Slots(interval, due[0], due[1], np.int32(len(offsets))), due_of


NOTHING = Due(np.empty(0, np.int64), (slice(0),), 0)


def aligned(states: Sequence[RunState | None], steps: int) -> int:
    """Steps until the first run has done a multiple of `steps`.

    Chunks that end there let runs start at multiples of `steps`; most of their records,
    at powers of two from their start, then fall on the same steps.
    """
    return steps - next((state.step for state in states if state), 0) % steps


def groups_of(
    states: Sequence[RunState | None], budget: int, n_groups: int, size: int
) -> tuple[Groups, list[Due]]:
    """Groups of those lanes of a device that are due, `size` at a time, for lanes that
    step together; and what they record of each lane.

    The chunk lasts `budget` steps, or until all groups but one are full, or all runs at
    their end. n_groups: more than all lanes make.
    """
    busy = [(i, state) for i, state in enumerate(states) if state]
    if not busy:
        return _empty_groups(n_groups, size), [NOTHING] * len(states)
    length = min(budget, max(s.planned.n_steps - s.step for _, s in busy))
    lane, offset, due = _due_within(busy, length)
    steps, first, count = np.unique(offset, return_index=True, return_counts=True)
    ends = np.cumsum(-(-count // size))
    fitting = int(np.searchsorted(ends, n_groups - 1, side="right"))
    if fitting < len(steps):  # whole steps only
        steps, ends, count = steps[:fitting], ends[:fitting], count[:fitting]
        length = int(steps[-1])
    n_due = int(np.sum(count))
    lane, offset, due = lane[:n_due], offset[:n_due], due[:, :n_due]
    starts = np.append(0, ends)[: len(steps)]
    step = np.repeat(np.arange(len(steps)), count)
    rank = np.arange(n_due) - first[step]
    group, place = starts[step] + rank // size, rank % size
    groups = _empty_groups(n_groups, size)
    groups.lanes[group, place] = lane
    groups.cheap[group[due[0]]] = True
    groups.expensive[group[due[1]]] = True
    n = int(ends[-1]) if len(ends) else 0
    if not len(steps) or steps[-1] < length:  # one more, to train to the chunk's end
        starts, steps, n = np.append(starts, n), np.append(steps, length), n + 1
    groups.interval[starts] = np.diff(steps, prepend=0)
    parts = _by_lane(lane, offset, group, place, len(states), length)
    return groups._replace(n=np.int32(n)), parts


def _empty_groups(n_groups: int, size: int) -> Groups:
    return Groups(
        interval=np.zeros(n_groups, np.int32),
        lanes=np.zeros((n_groups, size), np.int32),
        cheap=np.zeros(n_groups, bool),
        expensive=np.zeros(n_groups, bool),
        n=np.int32(0),
    )


def _due_within(
    busy: Sequence[tuple[int, RunState]], length: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Each record due within `length` steps: [r] its lane, [r] its steps from now, [2,
    r] what is due beside the dense.

    In the order of steps; at each, those with most to measure first, so that they share
    a group.
    """
    places = [state.stops(length) for _, state in busy]
    counts = [len(at) for at in places]
    pairs = list(zip(busy, places, strict=True))
    lane = np.repeat([i for i, _ in busy], counts)
    offset = np.concatenate([s.steps[at] - s.step for (_, s), at in pairs])
    cheap = np.concatenate([s.due.cheap[at] for (_, s), at in pairs])
    expensive = np.concatenate([s.due.expensive[at] for (_, s), at in pairs])
    order = np.lexsort((~cheap, ~expensive, offset))
    return lane[order], offset[order], np.stack([cheap, expensive])[:, order]


def _by_lane(
    lane: npt.NDArray[Any],
    offset: npt.NDArray[Any],
    group: npt.NDArray[Any],
    place: npt.NDArray[Any],
    n_lanes: int,
    length: int,
) -> list[Due]:
    """What is recorded of each lane, out of all records in the order of steps."""
    order = np.argsort(lane, kind="stable")
    ends = np.searchsorted(lane[order], np.arange(1, n_lanes))
    parts = [np.split(x[order], ends) for x in (offset, group, place)]
    return [Due(o, (g, p), length) for o, g, p in zip(*parts, strict=True)]


def steps_alike(
    states: Sequence[RunState | None], flops: float, least: float
) -> list[int]:
    """Steps for each run that cost about the same, so that no lane waits for another.

    At most `flops`, at 6 n N p a step, and until the first run is at its end; but at
    least `least`, since every chunk has an overhead, and at least one step.
    """
    left = [
        (state.planned.n_steps - state.step) * flops_of_step(state.planned)
        for state in states
        if state
    ]
    each = max(least, min([flops, *left]))
    return [
        max(1, round(each / flops_of_step(state.planned))) if state else 0
        for state in states
    ]


def flops_of_step(planned: Planned, more_classes: int = 0) -> float:
    """Flops of the products with the readout and between hidden layers, about.

    more_classes: as many classes more stand for what else a step does.
    """
    system = planned.run.system
    rows = min(planned.n_train, system.batch_size or planned.n_train)
    between = max(0, system.depth - 1) * system.width
    classes = max(system.modulus, system.n_inputs // max(system.modulus, 1), 1)
    gradients = 2 if "sam_radius" in system.noisy else 1
    per_row = 6.0 * max(system.width, 1) * (classes + between + more_classes)
    return gradients * rows * per_row
