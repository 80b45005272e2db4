"""Lanes are given their runs: new ones, or runs that were kept in training."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from grokmap.engine.compiled import Compiled
from grokmap.engine.schedule import Kept, RunState
from grokmap.engine.settings import Settings, made_by_of
from grokmap.plan import Planned
from grokmap.spec import Control

# Fields of a `Lane` that steps change: only these are kept in a checkpoint.
TRAINED = ("params", "opt_state", "step", "diverged_step")


def fill_lanes(
    compiled: Compiled, states: list[RunState | None], queue: deque[Planned]
) -> list[int]:
    """Gives the free lanes to the next runs of the queue; returns their places."""
    fresh = [i for i, state in enumerate(states) if state is None][: len(queue)]
    for i in fresh:
        states[i] = RunState(queue.popleft(), compiled.names)
    return fresh


def refill(
    compiled: Compiled,
    settings: Settings,
    lanes: Any,
    states: Sequence[RunState | None],
    fresh: list[int],
) -> Any:
    """Initialises the lanes that were just given a run."""
    if not settings.together:
        return compiled.refill(lanes, *_starts(states, fresh)) if fresh else lanes
    for places in _places_to_fill(settings, fresh):
        runs = [states[i] for i in np.where(places < 0, fresh[0], places).ravel()]
        start = jax.tree.map(partial(_shaped, places.shape), _runs_of(runs))
        # A lane beyond the last is none.
        first = settings.of_device * np.arange(len(places))[:, None]
        where = np.where(places < 0, settings.of_device, places - first)
        lanes = compiled.refill(lanes, where.astype(np.int32), *start)
    return lanes


def _places_to_fill(settings: Settings, fresh: list[int]) -> Iterator[Any]:
    """[devices, K] some of the fresh lanes at a time, by device; -1 for none."""
    of_device, size = settings.of_device, settings.group
    n_devices = settings.target.n_devices
    parts = [[i for i in fresh if i // of_device == d] for d in range(n_devices)]
    for start in range(0, max(map(len, parts)), size):
        places = np.full((n_devices, size), -1)
        for row, part in zip(places, parts, strict=True):
            some = part[start : start + size]
            row[: len(some)] = some
        yield places


def _shaped(shape: tuple[int, ...], x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return x.reshape(shape)


def _starts(states: Sequence[RunState | None], fresh: list[int]) -> tuple[Any, ...]:
    """Arguments of `refill`; a lane without a run is given a run that never steps."""
    some = next(state for state in states if state)
    is_fresh = np.zeros(len(states), bool)
    is_fresh[fresh] = True
    return is_fresh, *_runs_of([state or some for state in states])


def _runs_of(states: Sequence[Any]) -> tuple[Any, ...]:
    """What `init` takes for these runs: control, n_train, seed."""
    runs = [state.planned for state in states]
    controls: Any = np.array([run.run.control for run in runs], np.float32)
    return (
        Control(*controls.T),
        np.array([run.n_train for run in runs], np.int32),
        np.array([run.run.seed for run in runs], np.uint32),
    )


def keep(
    settings: Settings, lanes: Any, states: Sequence[RunState | None]
) -> list[Kept]:
    """The runs of these lanes as they stand."""
    if not any(states):
        return []
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(_trained_part(lanes))]
    made_by = made_by_of(settings)
    return [
        state.keep(tuple(leaf[i].copy() for leaf in leaves), made_by)
        for i, state in enumerate(states)
        if state and state.step
    ]


def _trained_part(lanes: Any) -> dict[str, Any]:
    """The fields of lanes that a step changes; `init` computes the others again."""
    return {name: getattr(lanes, name) for name in TRAINED}


def resume(
    settings: Settings,
    lanes: Any,
    states: Sequence[RunState | None],
    fresh: list[int],
    kept: Callable[[str], Kept | None],
    refused: Callable[[str], None],
) -> Any:
    """`lanes`, with the kept state restored in those that were just given a run.

    lanes: initialised, see `refill`: what no step changes is not kept. kept, refused:
    as in `execute.Hooks`.

    Runs kept under other settings, by other versions or on another device start again:
    continued, their numbers would be reproducible under neither.
    """
    leaves, tree = jax.tree.flatten(_trained_part(lanes))
    shapes = [(leaf.shape[1:], leaf.dtype) for leaf in leaves]
    restored: dict[int, tuple[npt.NDArray[Any], ...]] = {}
    for i in fresh:
        state = states[i]
        found = kept(state.planned.run.run_id) if state else None
        if state is None or found is None:
            continue
        same = [(leaf.shape, leaf.dtype) for leaf in found.state] == shapes
        if found.made_by != made_by_of(settings):
            refused("settings, versions or a device that differ from today's")
        elif same and state.resume(found):
            restored[i] = found.state
        else:
            refused("records or weights that do not fit")
    if not restored:
        return lanes
    hosts = [np.array(leaf) for leaf in leaves]
    for i, kept_leaves in restored.items():
        for host, leaf in zip(hosts, kept_leaves, strict=True):
            host[i] = leaf
    put = [
        jax.device_put(host, leaf.sharding)
        for host, leaf in zip(hosts, leaves, strict=True)
    ]
    return lanes._replace(**jax.tree.unflatten(tree, put))
