"""One system's network as pure functions: outputs, loss, gradient, tangent kernel."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from grokmap import order_parameters as op
from grokmap.losses import LOSSES
from grokmap.models import (
    ACTIVATIONS,
    KERNELS,
    MODELS,
    Activity,
    Drop,
    Kernel,
    Scale,
    first_table,
)
from grokmap.spec import System
from grokmap.tasks import TASKS, Data, kernel_rows, probe, similarity


class Training(NamedTuple):
    """What a run's outputs and training loss are made of beside the weights.

    rows, n_train, train, offset: as in `lane.Lane`; data: the examples of the run;
    dropout: share of hidden neurons that a step silences.
    """

    rows: jax.Array
    n_train: jax.Array
    train: jax.Array
    offset: jax.Array | None
    scale: Scale
    data: Data
    dropout: Any


# (params, training, key or None for no dropout) -> (training loss, gradient)
Gradient = Callable[[Any, Training, jax.Array | None], tuple[jax.Array, Any]]


class Functions(NamedTuple):
    """The pure functions of a system's network.

    init: (key, scale) -> params.
    on_table: (params, training) -> activity on all examples, before centring.
    step_gradient: (params, training, key) -> the gradient that a step follows: of the
      rows of its batch where there are batches, with neurons silenced where there is
      dropout.
    network: what order parameters look at.
    """

    init: Callable[[jax.Array, Scale], Any]
    on_table: Callable[[Any, Training], Activity]
    step_gradient: Callable[[Any, Training, jax.Array], Any]
    network: op.Network


def build_network(
    system: System, *, tile: int, max_tiles: int, kernel: str
) -> Functions:
    """The functions of a system; arguments as of `train.build`."""
    task, model = TASKS[system.task], module_of(system)
    gradient_of = partial(_autodiff_gradient, system, model)
    if _has_token_layer(system):
        gradient_of = partial(_kernel_gradient, system, model, kernel)
    gradient = partial(gradient_of, tile, max_tiles)
    batch = system.batch_size
    if batch and KERNELS[kernel].distinct:  # a batch may draw an example twice
        raise ValueError(f"kernel {kernel!r}: not for batches; use 'gather_product'")
    of_batch = partial(gradient_of, batch, 1) if batch else gradient
    rows = probe(system)
    network = op.Network(
        loss=LOSSES[system.loss],
        gradient=lambda params, now: gradient(params, now, None),
        ntk=_ntk(system, model, rows),
        recorded_ntk=_ntk(system, model, kernel_rows(system)),
        similarity=lambda now: jnp.asarray(similarity(now.data, rows), jnp.float32),
        cycle=task.cycle(system),
        tolerance=system.tolerance,
    )
    return Functions(
        init=partial(_initial_params, system, model),
        on_table=partial(
            _on_table, model, _has_token_layer(system) and _is_grid(system)
        ),
        step_gradient=lambda params, now, key: of_batch(params, now, key)[1],
        network=network,
    )


def _has_token_layer(system: System) -> bool:
    """Whether the first layer is that of a two-layer network on tokens."""
    shape = TASKS[system.task].shape(system)
    return MODELS[system.model].own_first and shape.n_tokens > 0


def _initial_params(system: System, model: Any, key: jax.Array, scale: Scale) -> Any:
    shape = TASKS[system.task].shape(system)
    example = (
        jnp.zeros((1, 2), jnp.int32)
        if shape.n_tokens
        else jnp.zeros((1, shape.n_inputs))
    )
    return model.init(key, example, scale)["params"]


def _on_table(model: Any, is_grid: bool, params: Any, now: Training) -> Activity:
    """Activity on all examples; is_grid: they are all pairs of tokens, in order."""
    inputs, embedded = now.data.inputs, {}
    if is_grid:
        a, b = inputs[:, 0], inputs[:, 1]
        embedded = {"embedded": KERNELS["grid"].embed(first_table(params), a, b)}
    activity: Activity = model.apply({"params": params}, inputs, now.scale, **embedded)
    return activity


def module_of(system: System) -> Any:
    """The system's flax module."""
    return MODELS[system.model].module(system, TASKS[system.task].shape(system))


def _is_grid(system: System) -> bool:
    """Whether the table is all pairs of some tokens, ordered by a, then b."""
    shape = TASKS[system.task].shape(system)
    if TASKS[system.task].drawn:
        return False
    a, b = TASKS[system.task].data(system, None).inputs.T
    columns = shape.n_examples // shape.n_tokens
    by_a = np.repeat(np.arange(shape.n_tokens), columns)
    return (
        columns * shape.n_tokens == len(a)
        and np.array_equal(a, by_a)
        and np.array_equal(b, np.tile(b[:columns], shape.n_tokens))
    )


def _dropped(now: Training, key: jax.Array | None, system: System) -> Drop | None:
    """Silences a share of a layer, the rest scaled up, by a tile's own key."""
    if key is None or "dropout" not in system.noisy:
        return None
    kept = 1.0 - now.dropout

    def drop(hidden: jax.Array) -> jax.Array:
        mask = jax.random.bernoulli(key, kept, hidden.shape)
        return jnp.where(mask, hidden / kept, 0.0)

    return drop


def _loss_of(
    system: System, logits: jax.Array, rows: Any, train: jax.Array, now: Training
) -> jax.Array:
    """The part of the mean training loss that comes from some rows of the table."""
    logits = logits if now.offset is None else logits - now.offset[rows]
    losses = LOSSES[system.loss](logits, now.data.answer[rows])
    return jnp.sum(jnp.where(train, losses, 0.0)) / now.n_train


def _autodiff_gradient(
    system: System,
    model: Any,
    tile: int,
    max_tiles: int,
    params: Any,
    now: Training,
    key: jax.Array | None,
) -> tuple[jax.Array, Any]:
    """Training loss and gradient, of any network."""
    # Independent examples are in any order a random split: no rows to gather.
    in_place = max_tiles == 1 and not TASKS[system.task].shuffled
    in_place = in_place and not system.batch_size

    def add_tile(rows: Any, train: jax.Array, drop: Drop | None, total: Any) -> Any:
        rows = slice(0, tile) if in_place else rows

        def mean_loss(params: Any) -> jax.Array:
            inputs = now.data.inputs[rows]
            activity = model.apply({"params": params}, inputs, now.scale, drop)
            return _loss_of(system, activity.logits, rows, train, now)

        return jax.tree.map(jnp.add, total, jax.value_and_grad(mean_loss)(params))

    zero = jax.tree.map(jnp.zeros_like, (jnp.float32(0.0), params))
    return _over_tiles(add_tile, zero, system, now, key, tile, max_tiles)


def _over_tiles(
    add_tile: Callable[..., Any],
    zero: Any,
    system: System,
    now: Training,
    key: jax.Array | None,
    tile: int,
    max_tiles: int,
) -> Any:
    """Sums over the tiles of a lane.

    add_tile: (rows of the tile, which of them are training examples, what silences
      neurons, total) -> total.
    """

    def add(i: jax.Array, total: Any) -> Any:
        rows = lax.dynamic_slice(now.rows, (i * tile,), (tile,))
        train = i * tile + jnp.arange(tile) < now.n_train
        tile_key = key if key is None else jax.random.fold_in(key, i)
        return add_tile(rows, train, _dropped(now, tile_key, system), total)

    if max_tiles == 1:
        return add(jnp.int32(0), zero)
    return lax.fori_loop(0, -(-now.n_train // tile), add, zero)


def _kernel_gradient(
    system: System,
    model: Any,
    kernel: str,
    tile: int,
    max_tiles: int,
    params: Any,
    now: Training,
    key: jax.Array | None,
) -> tuple[jax.Array, Any]:
    """The same of a two-layer network on tokens, its first layer by a kernel."""
    table, to_params = jax.vjp(first_table, params)

    def add_rows(rows: Any, train: jax.Array, drop: Drop | None, total: Any) -> Any:
        value, grads, add_first = _kernel_part(
            system, model, KERNELS[kernel], params, table, rows, train, now, drop
        )
        summed = jax.tree.map(jnp.add, total[1], grads)
        return total[0] + value, summed, add_first(total[2])

    zero = jax.tree.map(jnp.zeros_like, (jnp.float32(0.0), params, table))
    if KERNELS[kernel].whole_table and not system.batch_size:
        every = jnp.arange(now.train.shape[0])
        total = add_rows(every, now.train, _dropped(now, key, system), zero)
    else:
        total = _over_tiles(add_rows, zero, system, now, key, tile, max_tiles)
    value, grads, of_table = total
    return value, jax.tree.map(jnp.add, grads, *to_params(of_table))


def _kernel_part(
    system: System,
    model: Any,
    first_layer: Kernel,
    params: Any,
    table: jax.Array,
    rows: jax.Array,
    train: jax.Array,
    now: Training,
    drop: Drop | None,
) -> Any:
    """Training loss of some rows; its gradient in params, and what adds that in the
    table of the first layer to a total."""
    inputs = now.data.inputs
    a, b = inputs[:, 0][rows], inputs[:, 1][rows]
    embedded, again = first_layer.embed(table, a, b), None
    # A slope that is computed again must not close over numbers of the run.
    if first_layer.twice and not ACTIVATIONS[system.activation].controls:
        # A zero that XLA cannot know: it would merge the two into one that is kept,
        # and reading [n, N] from memory takes longer than embedding once more.
        zero = jnp.minimum(now.n_train, 0)
        again = first_layer.embed(table, a + zero, b + zero)

    def mean_loss(params: Any, embedded: jax.Array) -> jax.Array:
        activity = model.apply(
            {"params": params}, inputs, now.scale, drop, embedded, again
        )
        return _loss_of(system, activity.logits, rows, train, now)

    value, (grads, slope) = jax.value_and_grad(mean_loss, (0, 1))(params, embedded)
    return value, grads, lambda total: first_layer.add_gradient(total, a, b, slope)


def _ntk(system: System, model: Any, probe_rows: Any) -> Any:
    """(params, training) -> [m, m] tangent kernel on the probe rows."""
    closed_form = MODELS[system.model].ntk

    def ntk(params: Any, now: Training) -> jax.Array:
        rows = jnp.asarray(probe_rows)
        inputs = jnp.asarray(now.data.inputs)
        if closed_form:
            return closed_form(model, params, inputs[rows], now.scale)

        def logits(params: Any, rows: jax.Array) -> jax.Array:
            return model.apply({"params": params}, inputs[rows], now.scale).logits

        return op.empirical_ntk(logits, params, rows)

    return ntk


def is_finite(grads: Any) -> jax.Array:
    """Whether every training example had finite outputs.

    One that is not is in the sums of all neurons of its class, so one neuron of the
    readout shows it; the loss itself would be another pass over all outputs in every
    step. A network without a readout is small: all of it is looked at.
    """
    if "readout" in grads:
        return jnp.isfinite(jnp.sum(grads["readout"][:, 0]))
    return jnp.isfinite(sum(jnp.sum(g) for g in jax.tree.leaves(grads)))
