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
from grokmap.models import ACTIVATIONS, ALPHA_CONVENTIONS, MODELS, Scale
from grokmap.optimizers import OPTIMIZERS
from grokmap.spec import Control, System, Vocabulary
from grokmap.tasks import TASKS, examples

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
    diverged_step: first step whose training loss is not finite, else NEVER.
    """

    params: Any
    opt_state: Any
    diverged_step: jax.Array
    control: Control
    rows: jax.Array
    n_train: jax.Array
    offset: jax.Array | None


class Program(NamedTuple):
    """The pure functions of one system, for one lane.

    init: (control, n_train, seed) -> (lane, dense [M], sparse [K])
    chunk: (lane, start, steps [R], n_tiles) -> (lane, dense [R, M], sparse [K])
      trains from step `start` through the record steps; order parameters at the last.
    dense_names [M], sparse_names [K]: what the records hold.
    """

    init: Callable[..., tuple[Lane, jax.Array, jax.Array]]
    chunk: Callable[..., tuple[Lane, jax.Array, jax.Array]]
    dense_names: tuple[str, ...]
    sparse_names: tuple[str, ...]


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
    model = MODELS[system.model](
        modulus=system.modulus,
        width=system.width,
        activation=system.activation,
        bias=system.bias,
        kernel=kernel,
    )
    loss = LOSSES[system.loss]
    optimizer = OPTIMIZERS[system.optimizer]
    dense_names = tuple(op.HEALTH)
    sparse_names = system.order_parameters

    def forward(
        params: Any, rows: jax.Array, scale: Scale, offset: jax.Array | None
    ) -> tuple[jax.Array, jax.Array]:
        logits, hidden = model.apply({"params": params}, a[rows], b[rows], scale)
        return (logits if offset is None else logits - offset[rows]), hidden

    def snapshot(lane: Lane, scale: Scale) -> op.Snapshot:
        rows = lane.rows[:n_examples]
        logits, hidden = forward(lane.params, rows, scale, lane.offset)
        train = jnp.arange(n_examples) < lane.n_train
        losses = loss(logits, label[rows])
        return op.Snapshot(lane.params, hidden, logits, label[rows], losses, train)

    def dense(lane: Lane, scale: Scale) -> jax.Array:
        return op.measure(op.HEALTH, dense_names, system.task, snapshot(lane, scale))

    def sparse(lane: Lane, scale: Scale) -> jax.Array:
        if not sparse_names:
            return jnp.zeros((0,), jnp.float32)
        table = op.ORDER_PARAMETERS
        return op.measure(table, sparse_names, system.task, snapshot(lane, scale))

    def gradient(
        params: Any, lane: Lane, scale: Scale, n_tiles: jax.Array
    ) -> tuple[jax.Array, Any]:
        def tile_loss(params: Any, rows: jax.Array, train: jax.Array) -> jax.Array:
            logits, _ = forward(params, rows, scale, lane.offset)
            losses = loss(logits, label[rows])
            return jnp.sum(jnp.where(train, losses, 0.0)) / lane.n_train

        def add_tile(i: jax.Array, total: tuple[jax.Array, Any]) -> Any:
            rows = lax.dynamic_slice(lane.rows, (i * tile,), (tile,))
            train = i * tile + jnp.arange(tile) < lane.n_train
            part = jax.value_and_grad(tile_loss)(params, rows, train)
            return jax.tree.map(jnp.add, total, part)

        zero = (jnp.float32(0.0), jax.tree.map(jnp.zeros_like, params))
        return lax.fori_loop(0, n_tiles, add_tile, zero)

    def init(
        control: Control, n_train: jax.Array, seed: jax.Array
    ) -> tuple[Lane, jax.Array, jax.Array]:
        scale = _scale(system, control)
        key = jax.random.key(seed)
        order = jax.random.permutation(jax.random.fold_in(key, SPLIT), n_examples)
        rows = jnp.resize(order, (max(n_examples, tile * max_tiles),))
        params = model.init(jax.random.fold_in(key, INIT), a[:1], b[:1], scale)
        params = params["params"]
        everything = jnp.arange(n_examples)
        offset = forward(params, everything, scale, None)[0] if system.center else None
        state = optimizer.init(params)
        never = jnp.int32(NEVER)
        lane = Lane(params, state, never, control, rows, n_train, offset)
        return lane, dense(lane, scale), sparse(lane, scale)

    def chunk(
        lane: Lane, start: jax.Array, steps: jax.Array, n_tiles: jax.Array
    ) -> tuple[Lane, jax.Array, jax.Array]:
        scale = _scale(system, lane.control)
        rates = optimizer.rates(lane.control, scale)

        def step(i: jax.Array, lane: Lane) -> Lane:
            value, grads = gradient(lane.params, lane, scale, n_tiles)
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
            lane, now = carry
            lane = lax.fori_loop(now, until, step, lane)
            return (lane, until), dense(lane, scale)

        (lane, _), records = lax.scan(to_record, (lane, start), steps)
        return lane, records, sparse(lane, scale)

    precision = PRECISIONS[system.precision]
    return Program(
        _with_precision(init, precision),
        _with_precision(chunk, precision),
        dense_names,
        sparse_names,
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
