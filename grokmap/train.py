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
from grokmap.errors import SpecError
from grokmap.losses import LOSSES
from grokmap.models import (
    ACTIVATIONS,
    ALPHA_CONVENTIONS,
    KERNELS,
    MODELS,
    Activity,
    Scale,
    first_table,
)
from grokmap.optimizers import OPTIMIZERS, Rates
from grokmap.plan import NEVER, Slots, weight_decay_at
from grokmap.spec import Control, System, Vocabulary
from grokmap.tasks import TASKS, examples, probe


class Precision(NamedTuple):
    """jax's names for the arithmetic of float32 matrix products, by platform.

    None: the platform would compute another one under that name.
    """

    cpu: str | None
    gpu: str | None


PRECISIONS: dict[str, Precision] = {
    "float32": Precision(cpu="float32", gpu="float32"),
    "tf32": Precision(cpu=None, gpu="TF32_TF32_F32"),
    "bf16": Precision(cpu=None, gpu="BF16_BF16_F32"),
}

VOCABULARY = Vocabulary(
    task=TASKS,
    model=MODELS,
    activation=ACTIVATIONS,
    alpha_convention=ALPHA_CONVENTIONS,
    loss=LOSSES,
    optimizer=OPTIMIZERS,
    precision=PRECISIONS,
    order_parameters=op.ORDER_PARAMETERS,
)

SPLIT, INIT = 0, 1  # purposes folded into a run's own key


class Lane(NamedTuple):
    """Everything of one run in training.

    step: steps trained so far.
    rows: [m] example indices in the order of the run's own split, its n_train training
      examples first, repeated at the end to fill the last tile.
    train: [n] which examples of the table are training examples.
    offset: [n, C] initial outputs by example, if the system is centred.
    initial_kernel: [k, k] tangent kernel at step 0, if an order parameter needs it.
    diverged_step: first step whose gradient is not finite, else NEVER.
    """

    params: Any
    opt_state: Any
    step: jax.Array
    diverged_step: jax.Array
    control: Control
    rows: jax.Array
    n_train: jax.Array
    train: jax.Array
    offset: jax.Array | None
    initial_kernel: jax.Array | None


class Training(NamedTuple):
    """What a run's training loss is made of beside the weights; see `Lane`."""

    rows: jax.Array
    n_train: jax.Array
    train: jax.Array
    offset: jax.Array | None
    scale: Scale


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
    network = _network(system, tile, max_tiles, kernel)
    model, (a, b, label) = _model(system), _table(system)
    optimizer = OPTIMIZERS[system.optimizer]
    n_examples = label.shape[0]
    names = names_by_cost(system.order_parameters)
    drifts = "ntk_drift" in system.order_parameters

    def training(lane: Lane) -> Training:
        scale = scale_of(system, lane.control)
        return Training(lane.rows, lane.n_train, lane.train, lane.offset, scale)

    def on_table(params: Any, scale: Scale) -> Activity:
        embedded = KERNELS["grid"].embed(first_table(params), a, b)
        return model.apply({"params": params}, a, b, scale, embedded)

    def snapshot(lane: Lane) -> op.Snapshot:
        now = training(lane)
        activity = on_table(lane.params, now.scale)
        logits = activity.logits
        logits = logits if lane.offset is None else logits - lane.offset
        return op.Snapshot(
            params=lane.params,
            preactivation=activity.preactivation,
            hidden=activity.hidden,
            logits=logits,
            label=label,
            loss=network.loss(logits, label),
            train=lane.train,
            training=now,
            network=network,
            initial_kernel=lane.initial_kernel,
        )

    def measure(cost: str) -> Callable[[Lane], jax.Array]:
        table = op.HEALTH if cost == "dense" else op.ORDER_PARAMETERS
        return lambda lane: op.measure(table, names[cost], snapshot(lane))

    def init(control: Control, n_train: jax.Array, seed: jax.Array) -> Lane:
        scale = scale_of(system, control)
        key = jax.random.key(seed)
        order = jax.random.permutation(jax.random.fold_in(key, SPLIT), n_examples)
        params = model.init(jax.random.fold_in(key, INIT), a[:1], b[:1], scale)
        params = params["params"]
        in_train = jnp.arange(n_examples) < n_train
        lane = Lane(
            params=params,
            opt_state=optimizer.init(params),
            step=jnp.int32(0),
            diverged_step=jnp.int32(NEVER),
            control=control,
            rows=jnp.resize(order, (max(n_examples, tile * max_tiles),)),
            n_train=n_train,
            train=jnp.zeros(n_examples, bool).at[order].set(in_train),
            offset=on_table(params, scale).logits if system.center else None,
            initial_kernel=None,
        )
        if drifts:
            lane = lane._replace(initial_kernel=network.ntk(params, training(lane)))
        return lane

    def chunk(lane: Lane, slots: Slots) -> tuple[Lane, jax.Array]:
        now = training(lane)
        constant = optimizer.rates(lane.control, now.scale)

        def rates_at(step: jax.Array) -> Rates:
            if not system.ramped:
                return constant
            decay = weight_decay_at(step, lane.control)
            return optimizer.rates(lane.control._replace(weight_decay=decay), now.scale)

        def step(_: jax.Array, lane: Lane) -> Lane:
            _, grads = network.gradient(lane.params, now)
            rates, following = rates_at(lane.step), lane.step + 1
            params, opt_state = optimizer.update(
                grads, lane.opt_state, lane.params, lane.control, rates, following
            )
            first = (lane.diverged_step == NEVER) & ~is_finite(grads)
            return lane._replace(
                params=params,
                opt_state=opt_state,
                step=following,
                diverged_step=jnp.where(first, lane.step, lane.diverged_step),
            )

        def measured(cost: str, i: jax.Array, lane: Lane) -> jax.Array:
            if cost == "dense":
                return measure(cost)(lane)
            nothing = jnp.full(len(names[cost]), jnp.nan)
            due = getattr(slots, cost)[i]
            return lax.cond(due, measure(cost), lambda lane: nothing, lane)

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


def _table(system: System) -> tuple[jax.Array, jax.Array, jax.Array]:
    """a, b, label: [n] of the system's task."""
    a, b, label = examples(TASKS[system.task], system.modulus)
    return jnp.asarray(a), jnp.asarray(b), jnp.asarray(label)


def _model(system: System) -> Any:
    return MODELS[system.model].module(
        modulus=system.modulus,
        width=system.width,
        activation=system.activation,
        bias=system.bias,
    )


def _network(system: System, tile: int, max_tiles: int, kernel: str) -> op.Network:
    """Loss, gradient and tangent kernel of a system, as order parameters see them."""
    task, loss = TASKS[system.task], LOSSES[system.loss]
    model, (a, b, label) = _model(system), _table(system)
    first_layer = KERNELS[kernel]
    every = jnp.arange(label.shape[0])

    def part(
        params: Any, table: jax.Array, rows: jax.Array, train: jax.Array, now: Training
    ) -> Any:
        """Training loss of some rows; its gradients in params and in their table."""
        own_a, own_b, own_label = a[rows], b[rows], label[rows]
        embedded, again = first_layer.embed(table, own_a, own_b), None
        if first_layer.anew:
            # A zero that XLA cannot know: it would merge the two into one that is kept,
            # and reading [n, N] from memory takes longer than embedding once more.
            zero = jnp.minimum(now.n_train, 0)
            again = first_layer.embed(table, own_a + zero, own_b + zero)

        def mean_loss(params: Any, embedded: jax.Array) -> jax.Array:
            activity = model.apply(
                {"params": params}, own_a, own_b, now.scale, embedded, again
            )
            logits = activity.logits
            logits = logits if now.offset is None else logits - now.offset[rows]
            losses = loss(logits, own_label)
            return jnp.sum(jnp.where(train, losses, 0.0)) / now.n_train

        value, (grads, slope) = jax.value_and_grad(mean_loss, (0, 1))(params, embedded)
        return (
            value,
            grads,
            lambda total: first_layer.add_gradient(total, own_a, own_b, slope),
        )

    def gradient(params: Any, now: Training) -> tuple[jax.Array, Any]:
        table, to_params = jax.vjp(first_table, params)

        def add_tile(i: jax.Array, total: Any) -> Any:
            own = lax.dynamic_slice(now.rows, (i * tile,), (tile,))
            train = i * tile + jnp.arange(tile) < now.n_train
            return add(total, own, train)

        def add(total: Any, rows: jax.Array, train: jax.Array) -> Any:
            value, grads, add_first = part(params, table, rows, train, now)
            summed = jax.tree.map(jnp.add, total[1], grads)
            return total[0] + value, summed, add_first(total[2])

        zero = jax.tree.map(jnp.zeros_like, (jnp.float32(0.0), params, table))
        if first_layer.whole_table:
            value, grads, of_table = add(zero, every, now.train)
        elif max_tiles == 1:
            value, grads, of_table = add_tile(jnp.int32(0), zero)
        else:
            n_tiles = -(-now.n_train // tile)
            value, grads, of_table = lax.fori_loop(0, n_tiles, add_tile, zero)
        return value, jax.tree.map(jnp.add, grads, *to_params(of_table))

    probe_rows = probe(task, system.modulus)
    closed_form = MODELS[system.model].ntk

    def ntk(params: Any, now: Training) -> jax.Array:
        rows = jnp.asarray(probe_rows)
        if closed_form:
            return closed_form(model, params, a[rows], b[rows], now.scale)

        def logits(params: Any, rows: jax.Array) -> jax.Array:
            apply = model.apply({"params": params}, a[rows], b[rows], now.scale)
            return apply.logits

        return op.empirical_ntk(logits, params, rows)

    return op.Network(
        loss=loss,
        gradient=gradient,
        ntk=ntk,
        probe_label=tuple(label[probe_rows].tolist()),
        cycle=task.cycle(system.modulus),
    )


def is_finite(grads: Any) -> jax.Array:
    """Whether every training example had finite logits.

    One that is not is in the sums of all neurons of its class, so one neuron shows it;
    the loss itself would be another pass over all logits in every step.
    """
    return jnp.isfinite(jnp.sum(grads["readout"][:, 0]))


def scale_of(system: System, control: Control) -> Scale:
    """What the run's alpha means; see `models.Scale`."""
    convention = ALPHA_CONVENTIONS[system.alpha_convention]
    degree = ACTIVATIONS[system.activation].degree
    return convention.scale(control.alpha, system.width, degree, 2 * system.modulus)


def effective_precision(name: str, platform: str) -> str:
    """What jax computes matrix products in for a sweep file's `precision`.

    Raises:
      SpecError: the platform has no such arithmetic.
    """
    entry = PRECISIONS[name]
    effective = entry.cpu if platform == "cpu" else entry.gpu
    if effective is None:
        raise SpecError(
            f"precision = {name!r}: a {platform} computes float32 only, and the runs "
            "would carry the wrong name; choose 'float32', or run on a GPU"
        )
    return effective


def _with_precision(function: Callable[..., Any], precision: str) -> Callable[..., Any]:
    def traced(*arguments: Any) -> Any:
        with jax.default_matmul_precision(precision):
            return function(*arguments)

    return traced
