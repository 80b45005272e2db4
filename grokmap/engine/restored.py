"""Runs trained again up to a step for their weights, and networks made of weights."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from grokmap.engine.compiled import Compiled, fitting
from grokmap.engine.devices import platform, prepared
from grokmap.engine.execute import Tuning, budgets_of, plan_chunk, row_of
from grokmap.engine.filling import fill_lanes, refill
from grokmap.engine.lane import Lane, examples_of
from grokmap.engine.network import build_network, module_of
from grokmap.engine.schedule import RunState
from grokmap.engine.settings import Settings, choose_settings
from grokmap.engine.train import build
from grokmap.errors import SpecError
from grokmap.models import Scale
from grokmap.plan import Planned, by_system, effective_precision, scale_at
from grokmap.spec import Run, Sweep, System, n_train_of
from grokmap.tasks import TASKS

Array = npt.NDArray[Any]
GIB = 2**30


class Reached(NamedTuple):
    """A run that was trained again up to a step.

    leaves: its weights by name; steps: [rows], values: [rows, columns] recorded up to
    there, as in `Trajectory`.
    """

    run: Run
    step: int
    leaves: dict[str, Array]
    steps: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    columns: tuple[str, ...]


class Network(NamedTuple):
    """A trained network, to be looked into.

    params: its weights, a pytree as of `module.init`. module: the flax module; what
      alpha means for it is `scale`: `module.apply({"params": params}, inputs, scale)`
      has `logits` [n, C], and `preactivation` and `hidden` [n, N] of its last hidden
      layer.
    apply: inputs [n, k] -> logits [n, C] as they were trained and recorded: in the
      run's precision, less the initial outputs where the sweep says `center`.
    inputs: [n, k] tokens or [n, d] reals, all examples of the run, in the task's order.
    labels: [n] classes the run was trained on (noise included), or [n, C] targets
      where there are no classes.
    train: [n] which of them are training examples; held_out: [n] which are in neither
      set, None where none are.
    """

    params: Any
    module: Any
    scale: Scale
    apply: Callable[[Any], jax.Array]
    inputs: Array
    labels: Array
    train: npt.NDArray[np.bool_]
    held_out: npt.NDArray[np.bool_] | None = None


def weights_at(
    runs: Sequence[Planned],
    steps: Mapping[str, Sequence[int]],
    settings: Settings,
    should_stop: Callable[[], bool] = lambda: False,
    tuning: Tuning = Tuning(),
) -> Iterator[Reached]:
    """Trains runs of one system again, each to the last step wanted of it.

    Args:
      steps: by run id, the steps wanted, 0 to the run's budget.
      settings: those of the first training, if the bits are to be the same.
      should_stop: asked between two chunks; then no more comes.
    """
    compiled, settings = fitting(runs[0].run.system, settings)
    queue = deque(runs)
    while queue and not should_stop():
        yield from _train_group(compiled, settings, queue, steps, should_stop, tuning)


def _train_group(
    compiled: Compiled,
    settings: Settings,
    queue: deque[Planned],
    wanted: Mapping[str, Sequence[int]],
    should_stop: Callable[[], bool],
    tuning: Tuning,
) -> Iterator[Reached]:
    """As many runs of the queue as there are lanes, side by side."""
    states: list[RunState | None] = [None] * settings.lanes
    lanes = compiled.empty()
    lanes = refill(
        compiled, settings, lanes, states, fill_lanes(compiled, states, queue)
    )
    left = [
        deque(sorted(set(wanted[state.planned.run.run_id]))) if state else deque[int]()
        for state in states
    ]
    while not should_stop():
        yield from _reached(lanes, states, left)
        busy = [state if left[i] else None for i, state in enumerate(states)]
        if not any(busy):
            return
        budgets = _budgets_to(
            settings, busy, [steps[0] if steps else 0 for steps in left], tuning
        )
        slots, due = plan_chunk(settings, busy, budgets)
        lanes, records = compiled.chunk(lanes, slots)
        rows = np.asarray(records)
        for i, state in enumerate(busy):
            if state:
                state.take(due[i], rows[row_of(settings, i)])


def _reached(
    lanes: Any, states: Sequence[RunState | None], left: Sequence[deque[int]]
) -> Iterator[Reached]:
    """The lanes that stand at the next step wanted of them, which is then done."""
    for i, state in enumerate(states):
        if state and left[i] and left[i][0] == state.step:
            params = jax.tree.map(lambda leaf, i=i: np.asarray(leaf[i]), lanes.params)
            nothing = np.empty((0, len(state.columns)), np.float32)
            yield Reached(
                state.planned.run,
                left[i].popleft(),
                flat(params),
                state.steps[: state.taken],
                np.concatenate([nothing, *state.values]),
                state.columns,
            )


def _budgets_to(
    settings: Settings,
    busy: Sequence[RunState | None],
    targets: Sequence[int],
    tuning: Tuning,
) -> list[int]:
    """Steps of a chunk that ends no lane's beyond the next step wanted of it."""
    most = budgets_of(settings, busy, tuning)
    return [
        min(steps, target - state.step) if state else 0
        for steps, state, target in zip(most, busy, targets, strict=True)
    ]


def settings_of(planned: Sequence[Planned], tile: int | None) -> Settings:
    """Settings to train runs again; planned: all runs of the sweep of one system;
    tile: that of the first training, as its file says."""
    return choose_settings(planned[0].run.system, planned, None, tile)


def facts_of(run: Run) -> dict[str, str]:
    """What a file of weights says of its run beside its id: system and control."""
    system = {k: v for k, v in asdict(run.system).items() if v not in (0, (), -1)}
    control = {**run.control._asdict(), "seed": run.seed}
    return {"system": json.dumps(system), "control": json.dumps(control)}


def flat(params: Any, before: str = "") -> dict[str, Array]:
    """Leaves by name, names of nested ones joined by "."."""
    leaves: dict[str, Array] = {}
    for name, part in params.items():
        nested = isinstance(part, Mapping)
        full = f"{before}{name}"
        leaves |= flat(part, f"{full}.") if nested else {full: np.asarray(part)}
    return leaves


def nested(leaves: Mapping[str, Array]) -> dict[str, Any]:
    """The pytree of which `flat` made these leaves."""
    params: dict[str, Any] = {}
    for full, leaf in leaves.items():
        *parts, last = full.split(".")
        inside = params
        for part in parts:
            inside = inside.setdefault(part, {})
        inside[last] = jnp.asarray(leaf)
    return params


def bytes_of_weights(run: Run) -> int:
    """Bytes of a run's weights at one step; nothing is computed."""
    functions = build_network(run.system, tile=1, max_tiles=1, kernel="gather")
    scale = scale_at(run.system, run.control)
    params = jax.eval_shape(lambda: functions.init(jax.random.key(0), scale))
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(params))


def bytes_of_all(sweep: Sweep, planned: Sequence[Planned]) -> int:
    """Bytes that `save_weights` takes at most: every run at every moment."""
    runs = by_system(planned).values()
    each = sum(bytes_of_weights(group[0].run) * len(group) for group in runs)
    return each * len(sweep.save_weights)


def check_room(sweep: Sweep, planned: Sequence[Planned]) -> None:
    """Refuses weights that would take more than the sweep allows.

    Raises:
      SpecError: saying how much they would take.
    """
    needed = bytes_of_all(sweep, planned)
    if needed > sweep.max_weights_gib * GIB:
        moments = ", ".join(map(str, sweep.save_weights))
        raise SpecError(
            f"save_weights = {moments}: up to {needed / GIB:.3g} GiB for {len(planned)}"
            f" runs, above max_weights_gib = {sweep.max_weights_gib:g}; keep fewer, "
            f"use `grokmap weights` on single runs later, or raise it: "
            f"-s max_weights_gib={needed / GIB * 1.05:.2g}"
        )


@lru_cache(maxsize=8)
def _starter(system: System, platform: str) -> Callable[..., Lane]:
    # Tiles belong to steps, of which there are none here.
    return jax.jit(build(system, tile=1, max_tiles=1, platform=platform).init)


def started(run: Run) -> Lane:
    """A run at step 0: its examples, its split, its initial weights."""
    n_examples = TASKS[run.system.task].shape(run.system).n_examples
    n_train = n_train_of(run.control.train_fraction, n_examples)
    start = _starter(run.system, platform())
    return start(run.control, np.int32(n_train), np.uint32(run.seed))


def network_of(run: Run, leaves: Mapping[str, Array]) -> Network:
    """The network of a run with these weights."""
    system = run.system
    with prepared():
        lane = started(run)
        data = examples_of(system, lane)
        params, scale = nested(leaves), scale_at(system, run.control)
    module = module_of(system)
    precision = effective_precision(system.precision, platform())
    start = lane.params if system.center else None

    def outputs(params: Any, inputs: Any) -> jax.Array:
        logits: jax.Array = module.apply({"params": params}, inputs, scale).logits
        return logits

    def apply(inputs: Any) -> jax.Array:
        with jax.default_matmul_precision(precision):
            logits = outputs(params, inputs)
            return logits if start is None else logits - outputs(start, inputs)

    labels = data.target if data.label is None else data.label
    return Network(
        params,
        module,
        scale,
        apply,
        np.asarray(data.inputs),
        np.asarray(labels),
        np.asarray(lane.train),
        None if lane.held_out is None else np.asarray(lane.held_out),
    )
