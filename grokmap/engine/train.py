"""Step and record: the whole training of one run as pure functions of a system.

Nothing here knows of devices or files: `devices` maps these functions over lanes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

from grokmap import order_parameters as op
from grokmap.engine.lane import (
    EPOCHS,
    Lane,
    Setup,
    init,
    key_of,
    steps_key,
    training_of,
)
from grokmap.engine.modifiers import clamped, modified, remembered, sharp_point
from grokmap.engine.network import Training, build_network, is_finite
from grokmap.engine.rates import are_constant, control_now, rates_of
from grokmap.engine.records import NEVER, Groups, Slots
from grokmap.optimizers import OPTIMIZERS, Rates, Update
from grokmap.plan import effective_precision, steps_of_epoch
from grokmap.spec import System
from grokmap.spec.kernels import kernel_columns
from grokmap.tasks import TASKS, splits

KERNEL_COST = "expensive"  # the cadence of the tangent kernel
# Steps of a block that follow each other without a loop, one launch on a GPU.
UNROLLED = 4


class Program(NamedTuple):
    """The pure functions of one system, for one lane but for `chunk_together`.

    init: (control, n_train, seed) -> lane
    chunk: (lane, slots) -> (lane, [R, M]); trains from record to record. Columns are
      those of `names`, cost class after cost class; NaN where not due.
    chunk_together: (lanes, groups) -> (lanes, [G, K, M]); the same of lanes that step
      together, a row for each lane of a group.
    step: lane -> lane, one step of training alone.
    snapshot: lane -> what order parameters look at.
    measure: for each cost class in use, lane -> its quantities now.
    names: for each cost class in use, what they are.
    """

    init: Callable[..., Lane]
    chunk: Callable[..., tuple[Lane, jax.Array]]
    chunk_together: Callable[..., tuple[Lane, jax.Array]]
    step: Callable[..., Lane]
    snapshot: Callable[..., op.Snapshot]
    measure: dict[str, Callable[..., jax.Array]]
    names: dict[str, tuple[str, ...]]


def names_by_cost(system: System) -> dict[str, tuple[str, ...]]:
    """What is recorded at each cadence, in the order of `COSTS`; none is empty.

    Entries of the tangent kernel, if any, stand behind the quantities of their cost.
    """
    chosen = system.order_parameters
    entries = {KERNEL_COST: kernel_columns(system.kernel_examples)}
    far = () if system.held_out == splits.NONE else tuple(op.HELD_OUT)
    names = {"dense": (*op.HEALTH, *far)}
    for cost in op.COSTS[1:]:
        subset = [n for n in chosen if op.ORDER_PARAMETERS[n].cost == cost]
        columns = (*subset, *entries.get(cost, ()))
        names |= {cost: columns} if columns else {}
    return names


def build(
    system: System,
    *,
    tile: int,
    max_tiles: int,
    kernel: str = "gather",
    platform: str = "cpu",
    block: int = 1,
) -> Program:
    """The training program of a system.

    Args:
      tile: training examples whose gradient is computed at once; a step loops over as
        many tiles as the lane needs, so every train fraction shares one program.
      max_tiles: most tiles of a lane; 1: no loop.
      kernel: how the first layer is computed in training (`models.KERNELS`).
      platform: for which the precision of matrix products is chosen.
      block: steps after which a loop over steps asks whether to go on.
    """
    setup = Setup(
        system=system,
        functions=build_network(system, tile=tile, max_tiles=max_tiles, kernel=kernel),
        names=names_by_cost(system),
        n_rows=max(TASKS[system.task].shape(system).n_examples, tile * max_tiles),
        block=block,
    )
    precision = effective_precision(system.precision, platform)

    def bound(function: Callable[..., Any], *arguments: Any) -> Callable[..., Any]:
        return _with_precision(partial(function, setup, *arguments), precision)

    return Program(
        bound(init),
        bound(_chunk),
        bound(_chunk_together),
        bound(_one_step),
        bound(_snapshot),
        {cost: bound(_measure, cost) for cost in setup.names},
        setup.names,
    )


def _with_precision(function: Callable[..., Any], precision: str) -> Callable[..., Any]:
    def traced(*arguments: Any) -> Any:
        with jax.default_matmul_precision(precision):
            return function(*arguments)

    return traced


def _chunk(setup: Setup, lane: Lane, slots: Slots | Groups) -> tuple[Lane, jax.Array]:
    system = setup.system
    now = training_of(system, lane)
    # Those that stay computed here, once for all steps.
    constant = rates_of(system, lane.control, now.scale, lane)
    key = steps_key(system, lane.control, lane.seed)

    def step(_: Any, lane: Lane) -> Lane:
        return _step(setup, lane, now, constant, key)

    def record(i: jax.Array, state: tuple[Lane, jax.Array]) -> Any:
        lane, records = state
        lane = _repeated(step, slots.interval[i], lane, setup.block)
        row = [_measured_if_due(setup, cost, lane, now, slots, i) for cost in names]
        return lane, records.at[i].set(jnp.concatenate(row, axis=-1))

    names = setup.names
    shape = (*_layout(slots), sum(map(len, names.values())))
    return lax.fori_loop(0, slots.n, record, (lane, jnp.full(shape, jnp.nan)))


def _chunk_together(
    setup: Setup, lanes: Lane, groups: Groups
) -> tuple[Lane, jax.Array]:
    chunk = partial(_chunk, setup)
    return jax.vmap(chunk, in_axes=(0, None), out_axes=(0, None))(lanes, groups)


def _layout(slots: Slots | Groups) -> tuple[int, ...]:
    """How the records of a chunk are laid out: (G, K) of groups, (R,) of a lane."""
    array = slots.lanes if isinstance(slots, Groups) else slots.interval
    return tuple(array.shape)


def _repeated(step: Any, n: jax.Array, lane: Lane, block: int) -> Lane:
    """n steps. A device reads after each whether there is another, or after a block."""
    if block > 1:
        steps = partial(lax.fori_loop, 0, block, step, unroll=UNROLLED)
        lane = lax.fori_loop(0, n // block, lambda _, lane: steps(lane), lane)
        n = n % block
    return lax.fori_loop(0, n, step, lane)


def _one_step(setup: Setup, lane: Lane) -> Lane:
    system = setup.system
    now = training_of(system, lane)
    constant = rates_of(system, lane.control, now.scale, lane)
    key = steps_key(system, lane.control, lane.seed)
    return _step(setup, lane, now, constant, key)


def _step(
    setup: Setup, lane: Lane, now: Training, constant: Rates, key: jax.Array
) -> Lane:
    """One step of training; constant: its rates, where those stay."""
    system = setup.system
    # Not used, and so not computed, where nothing in the step is random.
    step_key = jax.random.fold_in(key, lane.step)
    if system.batch_size:
        lane, now = _with_batch(system, lane, now, step_key)

    def gradient(params: Any) -> Any:
        return setup.functions.step_gradient(params, now, step_key)

    grads = gradient(sharp_point(system, lane, gradient))
    grads = modified(system, grads, lane, now.scale, step_key)
    lane, grads = remembered(system, grads, lane)
    control, rates = lane.control, constant
    if not are_constant(system):
        control = control_now(system, lane)
        rates = rates_of(system, control, now.scale, lane)
    following = lane.step + 1
    at = Update(control, rates, following, jax.random.fold_in(step_key, 1))
    update = OPTIMIZERS[system.optimizer].update
    params, opt_state = update(grads, lane.opt_state, lane.params, at)
    params = clamped(system, params, lane)
    first = (lane.diverged_step == NEVER) & ~is_finite(grads)
    return lane._replace(
        params=params,
        opt_state=opt_state,
        step=following,
        diverged_step=jnp.where(first, lane.step, lane.diverged_step),
    )


def _with_batch(
    system: System, lane: Lane, now: Training, key: jax.Array
) -> tuple[Lane, Training]:
    """What a step trains on in the place of all training examples.

    With replacement each batch is drawn by itself. Without, an epoch goes through all
    training examples in an order of its own; its last batch may be smaller.
    """
    size = system.batch_size
    if lane.epoch is None:
        places = jax.random.randint(key, (size,), 0, now.n_train)
        return lane, now._replace(rows=now.rows[places], n_train=jnp.int32(size))
    of_epoch = steps_of_epoch(lane.n_train, size)
    number, batch = jnp.divmod(lane.step, of_epoch)
    key = jax.random.fold_in(key_of(system, lane.control, lane.seed), EPOCHS)
    key = jax.random.fold_in(key, number)
    epoch = lax.cond(batch == 0, lambda: _shuffled(lane, key), lambda: lane.epoch)
    places = jnp.minimum(batch * size + jnp.arange(size), lane.n_train - 1)
    n_left = jnp.minimum(lane.n_train - batch * size, size)
    return lane._replace(epoch=epoch), now._replace(rows=epoch[places], n_train=n_left)


def _shuffled(lane: Lane, key: jax.Array) -> jax.Array:
    """[m] the rows of a run, its n_train training examples first, in random order."""
    draws = jax.random.uniform(key, lane.rows.shape)
    in_train = jnp.arange(len(draws)) < lane.n_train
    return lane.rows[jnp.argsort(jnp.where(in_train, draws, 2.0))]


def _measured_if_due(
    setup: Setup,
    cost: str,
    lane: Lane,
    now: Training,
    slots: Slots | Groups,
    i: jax.Array,
) -> jax.Array:
    """The quantities of a cost class at slot i; NaN where they are not due there.

    [m] of a lane alone; [K, m] of those lanes of a group that are due.
    """

    def values() -> jax.Array:
        if isinstance(slots, Groups):
            return _of_lanes(partial(_measured, setup, cost))(slots.lanes[i], lane, now)
        return _measured(setup, cost, lane, now)

    if cost == "dense":
        return values()
    shape = (*_layout(slots)[1:], len(setup.names[cost]))
    nothing = jnp.full(shape, jnp.nan)
    return lax.cond(getattr(slots, cost)[i], values, lambda: nothing)


def _of_lanes(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """`function` of some of the lanes that a `vmap` steps together: [K, m], for all.

    Under `vmap` alone it would be computed for every lane. Takes the places of those
    lanes before the arguments of `function`.
    """

    @custom_vmap
    def of_places(places: jax.Array, *arguments: Any) -> jax.Array:
        value = function(*arguments)
        return jnp.broadcast_to(value, (*places.shape, *value.shape))

    @of_places.def_vmap
    def of_some(_: int, in_batched: Any, places: jax.Array, *arguments: Any) -> Any:
        axes = jax.tree.map(lambda of_lane: 0 if of_lane else None, in_batched[1:])
        some = jax.tree.map(
            lambda x, of_lane: x[places] if of_lane else x,
            list(arguments),
            list(in_batched[1:]),
        )
        return jax.vmap(function, in_axes=tuple(axes))(*some), False

    return of_places


def _measure(setup: Setup, cost: str, lane: Lane) -> jax.Array:
    return _measured(setup, cost, lane, training_of(setup.system, lane))


def _measured(setup: Setup, cost: str, lane: Lane, now: Training) -> jax.Array:
    table = op.ALWAYS if cost == "dense" else op.ORDER_PARAMETERS
    snapshot = _snapshot_at(setup, lane, now)
    if cost != KERNEL_COST or not setup.system.kernel_examples:
        return op.measure(table, setup.names[cost], snapshot)
    quantities = tuple(name for name in setup.names[cost] if name in table)
    values = op.measure(table, quantities, snapshot)
    return jnp.concatenate([values, op.kernel_entries(snapshot)])


def _snapshot(setup: Setup, lane: Lane) -> op.Snapshot:
    return _snapshot_at(setup, lane, training_of(setup.system, lane))


def _snapshot_at(setup: Setup, lane: Lane, now: Training) -> op.Snapshot:
    network, data = setup.functions.network, now.data
    activity = setup.functions.on_table(lane.params, now)
    logits = activity.logits
    logits = logits if lane.offset is None else logits - lane.offset
    return op.Snapshot(
        params=lane.params,
        preactivation=activity.preactivation,
        hidden=activity.hidden,
        logits=logits,
        label=data.label,
        answer=data.answer,
        prototypes=data.prototypes,
        loss=network.loss(logits, data.answer),
        train=lane.train,
        held_out=lane.held_out,
        training=now,
        network=network,
        initial_kernel=lane.initial_kernel,
        initial_params=lane.initial_params,
        teacher=data.teacher,
        inputs=data.inputs,
        layers=activity.layers,
    )
