"""When a run is recorded. No jax.

The record grid is a function of the step alone: each step up to `records_per_octave`,
then `records_per_octave` evenly spaced records each time the step doubles. So a run's
records do not depend on the runs beside it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grokmap.spec import System


def record_interval(step: int, per_octave: int) -> int:
    """Steps from the record at `step` to the next one on the grid: a power of two."""
    octave = max(step // per_octave, 1).bit_length() - 1
    return int(2**octave)


def record_grid(n_steps: int, per_octave: int) -> npt.NDArray[np.int64]:
    """Steps of a run's records after step 0: the grid, and `n_steps` itself."""
    steps: list[int] = []
    step = 0
    while True:
        step += record_interval(step, per_octave)
        if step >= n_steps:
            return np.array([*steps, n_steps], np.int64)
        steps.append(step)


def cheap_length(system: System) -> int:
    """Records of the grid from one record of the cheap order parameters to the next."""
    return system.records_per_octave // system.order_parameters_per_octave


def expensive_length(system: System) -> int:
    """The same for the expensive ones, never recorded more often than the cheap."""
    cheap, expensive = (
        system.order_parameters_per_octave,
        system.expensive_order_parameters_per_octave,
    )
    return system.records_per_octave // min(cheap, expensive)


NEVER = -1  # `diverged_step` of a run that has not diverged


class Slots(NamedTuple):
    """When a chunk records one lane: [R] arrays of which the first n count.

    interval: steps from the record before; cheap, expensive: what is due beside the
    dense.
    Arrays of the host, or traced in training.
    """

    interval: Any
    cheap: Any
    expensive: Any
    n: Any


class Groups(NamedTuple):
    """When a chunk measures which of the lanes that step together, group by group.

    Arrays of G groups of which the first n count. interval: [G] steps since the group
    before, 0 where several stand at the same step; lanes: [G, K] the places of the
    lanes that are measured; cheap, expensive: [G] what is due of one of them beside the
    dense.
    """

    interval: Any
    lanes: Any
    cheap: Any
    expensive: Any
    n: Any


class Recorded(NamedTuple):
    """Masks [len(steps)]: at which of some steps a run is recorded, by cost class."""

    dense: npt.NDArray[np.bool_]
    cheap: npt.NDArray[np.bool_]
    expensive: npt.NDArray[np.bool_]


def recorded(steps: npt.NDArray[np.int64], n_steps: int, system: System) -> Recorded:
    """Which steps are record steps of a run of `n_steps`."""
    grid = record_grid(n_steps, system.records_per_octave)

    def every(length: int) -> npt.NDArray[np.bool_]:
        return np.isin(steps, np.append(grid[length - 1 :: length], (0, n_steps)))

    cheap, expensive = cheap_length(system), expensive_length(system)
    return Recorded(every(1), every(cheap), every(expensive))


def n_records(n_steps: int, system: System) -> dict[str, int]:
    """Records of each cost class along a run, step 0 and the last included."""
    n_grid = len(record_grid(n_steps, system.records_per_octave))
    lengths = {"cheap": cheap_length(system), "expensive": expensive_length(system)}
    counts = {k: 2 + (n_grid - 1) // length for k, length in lengths.items()}
    return {"dense": n_grid + 1, **counts}
