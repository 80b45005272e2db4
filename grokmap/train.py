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
from grokmap.losses import LOSSES
from grokmap.models import ACTIVATIONS, ALPHA_CONVENTIONS, MODELS, Activity, Scale
from grokmap.optimizers import OPTIMIZERS
from grokmap.spec import Control, System, Vocabulary
from grokmap.tasks import TASKS, examples, probe

# Sweep-file name -> jax's name for the precision of float32 matrix products.
PRECISIONS = {"float32": "float32"}

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
NEVER = -1


class Lane(NamedTuple):
    """Everything of one run in training.

    rows: [m] example indices in the order of the run's own split, its n_train training
      examples first, repeated at the end to fill the last tile.
    offset: [n, C] initial outputs by example, if the system is centred.
    initial_kernel: [k, k] tangent kernel at step 0, if an order parameter needs it.
    diverged_step: first step whose training loss is not finite, else NEVER.
    """

    params: Any
    opt_state: Any
    diverged_step: jax.Array
    control: Control
    rows: jax.Array
    n_train: jax.Array
    offset: jax.Array | None
    initial_kernel: jax.Array | None


class Training(NamedTuple):
    """What a run's training loss is made of beside the weights; see `Lane`."""

    rows: jax.Array
    n_train: jax.Array
    offset: jax.Array | None
    scale: Scale
    n_tiles: jax.Array


class Program(NamedTuple):
    """The pure functions of one system, for one lane.

    init: (control, n_train, seed) -> lane
    chunk: (lane, start, steps [R], n_tiles) -> (lane, dense [R, M])
      trains from step `start` through the record steps.
    snapshot: (lane, n_tiles) -> what order parameters look at.
    measure: for each cost class in use, (lane, n_tiles) -> its quantities now.
    names: for each cost class in use, what they are; `dense` has the M of the chunks.
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
    system: System, *, tile: int, max_tiles: int, kernel: str = "gather"
) -> Program:
    """The training program of a system.

    Args:
      tile: rows whose gradient is computed at once; a step loops over `n_tiles` of
        them. The number is traced, so every train fraction shares one program.
      max_tiles: largest `n_tiles` the program will be called with.
      kernel: how the first layer is computed (`models.KERNELS`).
    """
    task = TASKS[system.task]
    a, b, label = map(jnp.asarray, examples(task, system.modulus))
    n_examples = label.shape[0]
    model = MODELS[system.model].module(
        modulus=system.modulus,
        width=system.width,
        activation=system.activation,
        bias=system.bias,
        kernel=kernel,
    )
    optimizer = OPTIMIZERS[system.optimizer]
    network = _network(system, model, tile)
    forward = _forward(model, a, b)
    names = names_by_cost(system.order_parameters)
    drifts = "ntk_drift" in system.order_parameters

    def training(lane: Lane, n_tiles: jax.Array) -> Training:
        scale = _scale(system, lane.control)
        return Training(lane.rows, lane.n_train, lane.offset, scale, n_tiles)

    def snapshot(lane: Lane, n_tiles: jax.Array) -> op.Snapshot:
        rows = lane.rows[:n_examples]
        now = training(lane, n_tiles)
        activity = forward(lane.params, rows, now.scale, lane.offset)
        return op.Snapshot(
            params=lane.params,
            preactivation=activity.preactivation,
            hidden=activity.hidden,
            logits=activity.logits,
            label=label[rows],
            loss=network.loss(activity.logits, label[rows]),
            train=jnp.arange(n_examples) < lane.n_train,
            training=now,
            network=network,
            initial_kernel=lane.initial_kernel,
        )

    def measure(cost: str) -> Callable[[Lane, jax.Array], jax.Array]:
        table = op.HEALTH if cost == "dense" else op.ORDER_PARAMETERS
        return lambda lane, n_tiles: op.measure(
            table, names[cost], snapshot(lane, n_tiles)
        )

    def init(control: Control, n_train: jax.Array, seed: jax.Array) -> Lane:
        scale = _scale(system, control)
        key = jax.random.key(seed)
        order = jax.random.permutation(jax.random.fold_in(key, SPLIT), n_examples)
        rows = jnp.resize(order, (max(n_examples, tile * max_tiles),))
        params = model.init(jax.random.fold_in(key, INIT), a[:1], b[:1], scale)
        params = params["params"]
        everything = jnp.arange(n_examples)
        offset = (
            forward(params, everything, scale, None).logits if system.center else None
        )
        lane = Lane(
            params=params,
            opt_state=optimizer.init(params),
            diverged_step=jnp.int32(NEVER),
            control=control,
            rows=rows,
            n_train=n_train,
            offset=offset,
            initial_kernel=None,
        )
        if drifts:
            lane = lane._replace(
                initial_kernel=network.ntk(params, training(lane, jnp.int32(0)))
            )
        return lane

    def chunk(
        lane: Lane, start: jax.Array, steps: jax.Array, n_tiles: jax.Array
    ) -> tuple[Lane, jax.Array]:
        now = training(lane, n_tiles)
        rates = optimizer.rates(lane.control, now.scale)

        def step(i: jax.Array, lane: Lane) -> Lane:
            value, grads = network.gradient(lane.params, now)
            params, opt_state = optimizer.update(
                grads, lane.opt_state, lane.params, lane.control, rates, i + 1
            )
            first = (lane.diverged_step == NEVER) & ~jnp.isfinite(value)
            diverged = jnp.where(first, i, lane.diverged_step)
            return lane._replace(
                params=params, opt_state=opt_state, diverged_step=diverged
            )

        def to_record(
            carry: tuple[Lane, jax.Array], until: jax.Array
        ) -> tuple[tuple[Lane, jax.Array], jax.Array]:
            lane, done = carry
            lane = lax.fori_loop(done, until, step, lane)
            return (lane, until), measure("dense")(lane, n_tiles)

        (lane, _), records = lax.scan(to_record, (lane, start), steps)
        return lane, records

    precision = PRECISIONS[system.precision]
    return Program(
        _with_precision(init, precision),
        _with_precision(chunk, precision),
        _with_precision(snapshot, precision),
        {cost: _with_precision(measure(cost), precision) for cost in names},
        names,
    )


Forward = Callable[[Any, jax.Array, Scale, jax.Array | None], Activity]


def _forward(model: Any, a: jax.Array, b: jax.Array) -> Forward:
    """(params, rows, scale, offset) -> what the network does on rows of the table."""

    def forward(
        params: Any, rows: jax.Array, scale: Scale, offset: jax.Array | None
    ) -> Activity:
        activity = model.apply({"params": params}, a[rows], b[rows], scale)
        if offset is None:
            return activity
        return activity._replace(logits=activity.logits - offset[rows])

    return forward


def _network(system: System, model: Any, tile: int) -> op.Network:
    """Loss, gradient and tangent kernel of a system, as order parameters see them."""
    task = TASKS[system.task]
    a, b, label = map(jnp.asarray, examples(task, system.modulus))
    forward = _forward(model, a, b)
    loss = LOSSES[system.loss]

    def gradient(params: Any, training: Training) -> tuple[jax.Array, Any]:
        rows, n_train, offset, scale, n_tiles = training

        def tile_loss(params: Any, rows: jax.Array, train: jax.Array) -> jax.Array:
            logits = forward(params, rows, scale, offset).logits
            losses = loss(logits, label[rows])
            return jnp.sum(jnp.where(train, losses, 0.0)) / n_train

        def add_tile(i: jax.Array, total: tuple[jax.Array, Any]) -> Any:
            own = lax.dynamic_slice(rows, (i * tile,), (tile,))
            train = i * tile + jnp.arange(tile) < n_train
            part = jax.value_and_grad(tile_loss)(params, own, train)
            return jax.tree.map(jnp.add, total, part)

        zero = (jnp.float32(0.0), jax.tree.map(jnp.zeros_like, params))
        return lax.fori_loop(0, n_tiles, add_tile, zero)

    probe_rows = probe(task, system.modulus)
    closed_form = MODELS[system.model].ntk

    def ntk(params: Any, training: Training) -> jax.Array:
        rows, scale = jnp.asarray(probe_rows), training.scale
        if closed_form:
            return closed_form(model, params, a[rows], b[rows], scale)
        return op.empirical_ntk(
            lambda theta, rows: forward(theta, rows, scale, None).logits, params, rows
        )

    return op.Network(
        loss=loss,
        gradient=gradient,
        ntk=ntk,
        probe_label=tuple(label[probe_rows].tolist()),
        cycle=task.cycle(system.modulus),
    )


def _scale(system: System, control: Control) -> Scale:
    convention = ALPHA_CONVENTIONS[system.alpha_convention]
    degree = ACTIVATIONS[system.activation].degree
    return convention.scale(control.alpha, system.width, degree, 2 * system.modulus)


def _with_precision(function: Callable[..., Any], precision: str) -> Callable[..., Any]:
    def traced(*arguments: Any) -> Any:
        with jax.default_matmul_precision(precision):
            return function(*arguments)

    return traced
