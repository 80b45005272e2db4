"""Init, step, record: the whole training of one run as pure functions of a system.

Nothing here knows of lanes, devices or files: `execute` vmaps `init` and `chunk`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from grokmap import order_parameters as op
from grokmap.engine.network import Training, build_network, is_finite
from grokmap.engine.records import NEVER, Slots
from grokmap.models import MODELS
from grokmap.optimizers import (
    OPTIMIZERS,
    Rates,
    Update,
    noise_like,
    without_own_direction,
)
from grokmap.plan import effective_precision, scale_at
from grokmap.spec import Control, System, weight_decay_at
from grokmap.tasks import TASKS, Data

# Purposes folded into a run's own key.
SPLIT, INIT, EXAMPLES, LABELS, STEPS = range(5)


class Lane(NamedTuple):
    """Everything of one run in training.

    seed: of the run: examples, split, initial weights, noise.
    step: steps trained so far.
    rows: [m] example indices in the order of the run's own split, its n_train training
      examples first, repeated at the end to fill the last tile.
    train: [n] which examples of the table are training examples.
    offset: [n, C] initial outputs by example, if the system is centred.
    initial_kernel: [k, k] tangent kernel at step 0, if an order parameter needs it.
    initial_params: the weights at step 0, likewise.
    diverged_step: first step whose gradient is not finite, else NEVER.
    """

    params: Any
    opt_state: Any
    step: jax.Array
    diverged_step: jax.Array
    control: Control
    seed: jax.Array
    rows: jax.Array
    n_train: jax.Array
    train: jax.Array
    offset: jax.Array | None
    initial_kernel: jax.Array | None
    initial_params: Any


class Program(NamedTuple):
    """The pure functions of one system, for one lane.

    init: (control, n_train, seed) -> lane
    chunk: (lane, slots) -> (lane, [R, M]); trains from record to record. Columns are
      those of `names`, cost class after cost class; NaN where not due.
    snapshot: lane -> what order parameters look at.
    measure: for each cost class in use, lane -> its quantities now.
    names: for each cost class in use, what they are.
    """

    init: Callable[..., Lane]
    chunk: Callable[..., tuple[Lane, jax.Array]]
    snapshot: Callable[..., op.Snapshot]
    measure: dict[str, Callable[..., jax.Array]]
    names: dict[str, tuple[str, ...]]


def names_by_cost(order_parameters: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """What is recorded at each cadence, in the order of `COSTS`; none is empty."""
    names = {"dense": tuple(op.HEALTH)}
    for cost in op.COSTS[1:]:
        own = [n for n in order_parameters if op.ORDER_PARAMETERS[n].cost == cost]
        names |= {cost: tuple(own)} if own else {}
    return names


def build(
    system: System,
    *,
    tile: int,
    max_tiles: int,
    kernel: str = "gather",
    platform: str = "cpu",
) -> Program:
    """The training program of a system.

    Args:
      tile: training examples whose gradient is computed at once; a step loops over as
        many tiles as the lane needs, so every train fraction shares one program.
      max_tiles: most tiles of a lane; 1: no loop.
      kernel: how the first layer is computed in training (`models.KERNELS`).
      platform: for which the precision of matrix products is chosen.
    """
    made = build_network(system, tile=tile, max_tiles=max_tiles, kernel=kernel)
    network, task = made.network, TASKS[system.task]
    optimizer = OPTIMIZERS[system.optimizer]
    n_examples = task.shape(system).n_examples
    names = names_by_cost(system.order_parameters)

    def training(lane: Lane) -> Training:
        return Training(
            lane.rows,
            lane.n_train,
            lane.train,
            lane.offset,
            scale_at(system, lane.control),
            examples_of(system, lane),
            lane.control.dropout,
        )

    def snapshot_at(lane: Lane, now: Training) -> op.Snapshot:
        activity, data = made.on_table(lane.params, now), now.data
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
            training=now,
            network=network,
            initial_kernel=lane.initial_kernel,
            initial_params=lane.initial_params,
            teacher=data.teacher,
        )

    def snapshot(lane: Lane) -> op.Snapshot:
        return snapshot_at(lane, training(lane))

    def measure_at(cost: str, lane: Lane, now: Training) -> jax.Array:
        table = op.HEALTH if cost == "dense" else op.ORDER_PARAMETERS
        return op.measure(table, names[cost], snapshot_at(lane, now))

    def measure(cost: str) -> Callable[[Lane], jax.Array]:
        return lambda lane: measure_at(cost, lane, training(lane))

    def init(control: Control, n_train: jax.Array, seed: jax.Array) -> Lane:
        key = jax.random.key(seed)
        order = jnp.arange(n_examples)
        if task.shuffled and system.published_seed < 0:
            order = jax.random.permutation(jax.random.fold_in(key, SPLIT), n_examples)
        in_train = jnp.arange(n_examples) < n_train
        params = made.init(jax.random.fold_in(key, INIT), scale_at(system, control))
        lane = Lane(
            params=params,
            opt_state=optimizer.init(params),
            step=jnp.int32(0),
            diverged_step=jnp.int32(NEVER),
            control=control,
            seed=seed,
            rows=jnp.resize(order, (max(n_examples, tile * max_tiles),)),
            n_train=n_train,
            train=jnp.zeros(n_examples, bool).at[order].set(in_train),
            offset=None,
            initial_kernel=None,
            initial_params=None,
        )
        if system.center:
            now = training(lane)
            lane = lane._replace(offset=made.on_table(params, now).logits)
        if "ntk_drift" in system.order_parameters:
            lane = lane._replace(initial_kernel=network.ntk(params, training(lane)))
        if "weight_motion" in system.order_parameters:
            lane = lane._replace(initial_params=params)
        return lane

    def chunk(lane: Lane, slots: Slots) -> tuple[Lane, jax.Array]:
        now = training(lane)
        constant = _own_rates(system, optimizer.rates(lane.control, now.scale), lane)
        key = jax.random.fold_in(jax.random.key(lane.seed), STEPS)

        def rates_at(step: jax.Array) -> Rates:
            if not system.ramped:
                return constant
            decay = weight_decay_at(step, lane.control)
            control = lane.control._replace(weight_decay=decay)
            return _own_rates(system, optimizer.rates(control, now.scale), lane)

        def step(_: jax.Array, lane: Lane) -> Lane:
            # Not used, and so not computed, where nothing in the step is random.
            own_key = jax.random.fold_in(key, lane.step)
            grads = made.step_gradient(lane.params, now, own_key)
            grads = _modified(system, grads, lane, own_key)
            rates, following = rates_at(lane.step), lane.step + 1
            at = Update(lane.control, rates, following, jax.random.fold_in(own_key, 1))
            params, opt_state = optimizer.update(grads, lane.opt_state, lane.params, at)
            first = (lane.diverged_step == NEVER) & ~is_finite(grads)
            return lane._replace(
                params=params,
                opt_state=opt_state,
                step=following,
                diverged_step=jnp.where(first, lane.step, lane.diverged_step),
            )

        def measured(cost: str, i: jax.Array, lane: Lane) -> jax.Array:
            if cost == "dense":
                return measure_at(cost, lane, now)
            nothing = jnp.full(len(names[cost]), jnp.nan)
            due = getattr(slots, cost)[i]
            return lax.cond(due, lambda: measure_at(cost, lane, now), lambda: nothing)

        def record(i: jax.Array, state: tuple[Lane, jax.Array]) -> Any:
            lane, records = state
            lane = lax.fori_loop(0, slots.interval[i], step, lane)
            row = jnp.concatenate([measured(cost, i, lane) for cost in names])
            return lane, records.at[i].set(row)

        shape = (slots.interval.shape[0], sum(map(len, names.values())))
        return lax.fori_loop(0, slots.n, record, (lane, jnp.full(shape, jnp.nan)))

    precision = effective_precision(system.precision, platform)
    return Program(
        _with_precision(init, precision),
        _with_precision(chunk, precision),
        _with_precision(snapshot, precision),
        {cost: _with_precision(measure(cost), precision) for cost in names},
        names,
    )


def examples_of(system: System, lane: Lane) -> Data:
    """The examples of a run, of which labels of training examples may be noise.

    label_noise: share of the training examples whose class is drawn anew from all; of
    real targets, standard deviation of what is added to them.
    """
    task, key = TASKS[system.task], jax.random.key(lane.seed)
    data = task.data(system, jax.random.fold_in(key, EXAMPLES))
    data = Data(*(x if x is None else jnp.asarray(x) for x in data))
    if "label_noise" not in system.noisy:
        return data
    which, what = jax.random.split(jax.random.fold_in(key, LABELS))
    share = lane.control.label_noise
    if data.label is None:
        noise = share * jax.random.normal(what, data.target.shape)
        return data._replace(
            target=data.target + jnp.where(lane.train[:, None], noise, 0.0)
        )
    n = data.label.shape[0]
    classes = task.shape(system).n_outputs
    classes = classes if data.prototypes is None else data.prototypes.shape[0]
    wrong = lane.train & jax.random.bernoulli(which, share, (n,))
    label = jnp.where(wrong, jax.random.randint(what, (n,), 0, classes), data.label)
    data = data._replace(label=label)
    if data.prototypes is None:
        return data
    return data._replace(target=data.prototypes[label])


def _own_rates(system: System, rates: Rates, lane: Lane) -> Rates:
    """Rates array by array, where the optimizer or the model has more than one.

    Embeddings with a learning rate of their own do not decay (Liu et al.).
    """
    plain, own_rates = rates, OPTIMIZERS[system.optimizer].own_rates
    if own_rates is not None:
        rates = own_rates(plain, lane.params, lane.control)
    if "embedding_learning_rate" not in MODELS[system.model].controls:
        return rates
    share = lane.control.embedding_learning_rate / lane.control.learning_rate
    steps, decays = (jax.tree.broadcast(rate, lane.params) for rate in rates)
    return Rates(steps | {"embedding": plain.step * share}, decays | {"embedding": 0.0})


def _modified(system: System, grads: Any, lane: Lane, key: jax.Array) -> Any:
    """The gradient with noise, and without its part along the weights."""
    if "gradient_noise" in system.noisy:
        noise = noise_like(grads, jax.random.fold_in(key, 2))
        size = lane.control.gradient_noise
        grads = jax.tree.map(lambda g, xi: g + size * xi, grads, noise)
    return without_own_direction(grads, lane.params) if system.perp_grad else grads


def _with_precision(function: Callable[..., Any], precision: str) -> Callable[..., Any]:
    def traced(*arguments: Any) -> Any:
        with jax.default_matmul_precision(precision):
            return function(*arguments)

    return traced
