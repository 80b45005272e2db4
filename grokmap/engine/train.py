"""Init, step, record: the whole training of one run as pure functions of a system.

Nothing here knows of lanes, devices or files: `execute` vmaps `init` and `chunk`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from grokmap import order_parameters as op
from grokmap.engine.network import Functions, Training, build_network, is_finite
from grokmap.engine.records import NEVER, Slots
from grokmap.models import MODELS, Scale
from grokmap.optimizers import (
    OPTIMIZERS,
    Rates,
    Update,
    noise_like,
    without_own_direction,
)
from grokmap.plan import effective_precision, scale_at, steps_of_epoch
from grokmap.spec import Control, System, weight_decay_at
from grokmap.tasks import TASKS, Data

# Purposes folded into a run's own key.
SPLIT, INIT, EXAMPLES, LABELS, STEPS, EPOCHS = range(6)


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
    epoch: [m] the training examples in the order of this epoch, which batches without
      replacement go through; what stands behind them is not used.
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
    epoch: jax.Array | None


class Program(NamedTuple):
    """The pure functions of one system, for one lane.

    init: (control, n_train, seed) -> lane
    chunk: (lane, slots) -> (lane, [R, M]); trains from record to record. Columns are
      those of `names`, cost class after cost class; NaN where not due.
    step: lane -> lane, one step of training alone.
    snapshot: lane -> what order parameters look at.
    measure: for each cost class in use, lane -> its quantities now.
    names: for each cost class in use, what they are.
    """

    init: Callable[..., Lane]
    chunk: Callable[..., tuple[Lane, jax.Array]]
    step: Callable[..., Lane]
    snapshot: Callable[..., op.Snapshot]
    measure: dict[str, Callable[..., jax.Array]]
    names: dict[str, tuple[str, ...]]


def names_by_cost(order_parameters: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """What is recorded at each cadence, in the order of `COSTS`; none is empty."""
    names = {"dense": tuple(op.HEALTH)}
    for cost in op.COSTS[1:]:
        subset = [n for n in order_parameters if op.ORDER_PARAMETERS[n].cost == cost]
        names |= {cost: tuple(subset)} if subset else {}
    return names


class Setup(NamedTuple):
    """What all functions of one program share, none of it traced.

    functions: of the network. names: as in `Program`. n_rows: of `Lane.rows`.
    """

    system: System
    functions: Functions
    names: dict[str, tuple[str, ...]]
    n_rows: int


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
    setup = Setup(
        system=system,
        functions=build_network(system, tile=tile, max_tiles=max_tiles, kernel=kernel),
        names=names_by_cost(system.order_parameters),
        n_rows=max(TASKS[system.task].shape(system).n_examples, tile * max_tiles),
    )
    precision = effective_precision(system.precision, platform)

    def bound(function: Callable[..., Any], *arguments: Any) -> Callable[..., Any]:
        return _with_precision(partial(function, setup, *arguments), precision)

    return Program(
        bound(_init),
        bound(_chunk),
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


def _init(setup: Setup, control: Control, n_train: jax.Array, seed: jax.Array) -> Lane:
    system, functions = setup.system, setup.functions
    key = jax.random.key(seed)
    order = _order_of_examples(system, key)
    in_train = jnp.arange(len(order)) < n_train
    scale = scale_at(system, control)
    params = functions.init(jax.random.fold_in(key, INIT), scale)
    lane = Lane(
        params=params,
        opt_state=OPTIMIZERS[system.optimizer].init(params),
        step=jnp.int32(0),
        diverged_step=jnp.int32(NEVER),
        control=control,
        seed=seed,
        rows=jnp.resize(order, (setup.n_rows,)),
        n_train=n_train,
        train=jnp.zeros(len(order), bool).at[order].set(in_train),
        offset=None,
        initial_kernel=None,
        initial_params=None,
        epoch=None if system.batch_replacement else jnp.zeros(setup.n_rows, jnp.int32),
    )
    if system.center:
        now = _training(system, lane)
        lane = lane._replace(offset=functions.on_table(params, now).logits)
    if "ntk_drift" in system.order_parameters:
        kernel = functions.network.ntk(params, _training(system, lane))
        lane = lane._replace(initial_kernel=kernel)
    if any(op.ORDER_PARAMETERS[n].from_start for n in system.order_parameters):
        lane = lane._replace(initial_params=params)
    return lane


def _order_of_examples(system: System, key: jax.Array) -> jax.Array:
    """The run's own order of its examples, the training examples first."""
    task = TASKS[system.task]
    n_examples = task.shape(system).n_examples
    if not task.shuffled or system.published_seed >= 0:
        return jnp.arange(n_examples)
    return jax.random.permutation(jax.random.fold_in(key, SPLIT), n_examples)


def _training(system: System, lane: Lane) -> Training:
    return Training(
        lane.rows,
        lane.n_train,
        lane.train,
        lane.offset,
        scale_at(system, lane.control),
        examples_of(system, lane),
        lane.control.dropout,
    )


def _chunk(setup: Setup, lane: Lane, slots: Slots) -> tuple[Lane, jax.Array]:
    system = setup.system
    now = _training(system, lane)
    # Of a constant weight decay computed here, once for all steps.
    constant = _rates(system, lane.control, now.scale, lane)
    key = jax.random.fold_in(jax.random.key(lane.seed), STEPS)

    def step(_: jax.Array, lane: Lane) -> Lane:
        return _step(setup, lane, now, constant, key)

    def record(i: jax.Array, state: tuple[Lane, jax.Array]) -> Any:
        lane, records = state
        lane = lax.fori_loop(0, slots.interval[i], step, lane)
        row = [_measured_if_due(setup, cost, lane, now, slots, i) for cost in names]
        return lane, records.at[i].set(jnp.concatenate(row))

    names = setup.names
    shape = (slots.interval.shape[0], sum(map(len, names.values())))
    return lax.fori_loop(0, slots.n, record, (lane, jnp.full(shape, jnp.nan)))


def _one_step(setup: Setup, lane: Lane) -> Lane:
    now = _training(setup.system, lane)
    constant = _rates(setup.system, lane.control, now.scale, lane)
    key = jax.random.fold_in(jax.random.key(lane.seed), STEPS)
    return _step(setup, lane, now, constant, key)


def _step(
    setup: Setup, lane: Lane, now: Training, constant: Rates, key: jax.Array
) -> Lane:
    """One step of training; constant: its rates, unless weight decay is ramped."""
    system = setup.system
    # Not used, and so not computed, where nothing in the step is random.
    step_key = jax.random.fold_in(key, lane.step)
    if system.batch_size:
        lane, now = _with_batch(system.batch_size, lane, now, step_key)
    grads = setup.functions.step_gradient(lane.params, now, step_key)
    grads = _modified(system, grads, lane, step_key)
    rates = _ramped_rates(system, now.scale, lane) if system.ramped else constant
    following = lane.step + 1
    at = Update(lane.control, rates, following, jax.random.fold_in(step_key, 1))
    update = OPTIMIZERS[system.optimizer].update
    params, opt_state = update(grads, lane.opt_state, lane.params, at)
    first = (lane.diverged_step == NEVER) & ~is_finite(grads)
    return lane._replace(
        params=params,
        opt_state=opt_state,
        step=following,
        diverged_step=jnp.where(first, lane.step, lane.diverged_step),
    )


def _with_batch(
    size: int, lane: Lane, now: Training, key: jax.Array
) -> tuple[Lane, Training]:
    """What a step trains on in the place of all training examples.

    With replacement each batch is drawn by itself. Without, an epoch goes through all
    training examples in an order of its own; its last batch may be smaller.
    """
    if lane.epoch is None:
        places = jax.random.randint(key, (size,), 0, now.n_train)
        return lane, now._replace(rows=now.rows[places], n_train=jnp.int32(size))
    of_epoch = steps_of_epoch(lane.n_train, size)
    number, batch = jnp.divmod(lane.step, of_epoch)
    epoch = lax.cond(batch == 0, lambda: _shuffled(lane, number), lambda: lane.epoch)
    places = jnp.minimum(batch * size + jnp.arange(size), lane.n_train - 1)
    n_left = jnp.minimum(lane.n_train - batch * size, size)
    return lane._replace(epoch=epoch), now._replace(rows=epoch[places], n_train=n_left)


def _shuffled(lane: Lane, epoch: jax.Array) -> jax.Array:
    """[m] the rows of a run, its n_train training examples first, in random order."""
    key = jax.random.fold_in(jax.random.key(lane.seed), EPOCHS)
    draws = jax.random.uniform(jax.random.fold_in(key, epoch), lane.rows.shape)
    in_train = jnp.arange(len(draws)) < lane.n_train
    return lane.rows[jnp.argsort(jnp.where(in_train, draws, 2.0))]


def _measured_if_due(
    setup: Setup, cost: str, lane: Lane, now: Training, slots: Slots, i: jax.Array
) -> jax.Array:
    """The quantities of a cost class at slot i; NaN where they are not due there."""

    def values() -> jax.Array:
        return _measured(setup, cost, lane, now)

    if cost == "dense":
        return values()
    nothing = jnp.full(len(setup.names[cost]), jnp.nan)
    return lax.cond(getattr(slots, cost)[i], values, lambda: nothing)


def _measure(setup: Setup, cost: str, lane: Lane) -> jax.Array:
    return _measured(setup, cost, lane, _training(setup.system, lane))


def _measured(setup: Setup, cost: str, lane: Lane, now: Training) -> jax.Array:
    table = op.HEALTH if cost == "dense" else op.ORDER_PARAMETERS
    return op.measure(table, setup.names[cost], _snapshot_at(setup, lane, now))


def _snapshot(setup: Setup, lane: Lane) -> op.Snapshot:
    return _snapshot_at(setup, lane, _training(setup.system, lane))


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
        training=now,
        network=network,
        initial_kernel=lane.initial_kernel,
        initial_params=lane.initial_params,
        teacher=data.teacher,
        inputs=data.inputs,
    )


def examples_of(system: System, lane: Lane) -> Data:
    """The examples of a run, of which labels of training examples may be noise.

    label_noise: share of the training examples whose class is drawn again from all; of
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


def _ramped_rates(system: System, scale: Scale, lane: Lane) -> Rates:
    decay = weight_decay_at(lane.step, lane.control)
    control = lane.control._replace(weight_decay=decay)
    return _rates(system, control, scale, lane)


def _rates(system: System, control: Control, scale: Scale, lane: Lane) -> Rates:
    """Rates of a step; array by array, where the optimizer or the model has several.

    Embeddings with a learning rate of their own do not decay (Liu et al.).
    """
    optimizer = OPTIMIZERS[system.optimizer]
    rates = plain = optimizer.rates(control, scale)
    if optimizer.own_rates is not None:
        rates = optimizer.own_rates(plain, lane.params, lane.control)
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
