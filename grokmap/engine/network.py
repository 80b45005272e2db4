"""One system's network as pure functions: outputs, loss, gradient, tangent kernel."""

from __future__ import annotations

from collections.abc import Callable
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
    Scale,
    first_table,
)
from grokmap.spec import System
from grokmap.tasks import TASKS, Data, probe, similarity


class Training(NamedTuple):
    """What a run's outputs and training loss are made of beside the weights.

    rows, n_train, train, offset: as in `train.Lane`; data: the examples of the run;
    dropout: share of hidden neurons that a step silences.
    """

    rows: jax.Array
    n_train: jax.Array
    train: jax.Array
    offset: jax.Array | None
    scale: Scale
    data: Data
    dropout: Any


class Functions(NamedTuple):
    """The pure functions of a system's network.

    init: (key, scale) -> params.
    on_table: (params, training) -> activity on all examples, before centring.
    step_gradient: (params, training, key) -> the gradient that a step follows: of a
      batch where there is one, with neurons silenced where there is dropout.
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
    by_kernel = MODELS[system.model].own_first and task.shape(system).n_tokens > 0
    grid = by_kernel and _is_grid(system)

    def on_table(params: Any, now: Training) -> Activity:
        inputs, embedded = now.data.inputs, {}
        if grid:
            a, b = inputs[:, 0], inputs[:, 1]
            table = KERNELS["grid"].embed(first_table(params), a, b)
            embedded = {"embedded": table}
        activity: Activity = model.apply(
            {"params": params}, inputs, now.scale, **embedded
        )
        return activity

    def init(key: jax.Array, scale: Scale) -> Any:
        shape = task.shape(system)
        example = (
            jnp.zeros((1, 2), jnp.int32)
            if shape.n_tokens
            else jnp.zeros((1, shape.n_inputs))
        )
        return model.init(key, example, scale)["params"]

    gradient_of = _by_kernel(system, model, kernel) if by_kernel else _by_autodiff
    gradient = gradient_of(system, model, tile, max_tiles)
    batch = system.batch_size
    of_batch = gradient_of(system, model, batch, 1) if batch else gradient

    def step_gradient(params: Any, now: Training, key: jax.Array) -> Any:
        if batch:
            # Drawn with repetition: no state, so a run that resumes draws the same.
            places = jax.random.randint(key, (batch,), 0, now.n_train)
            now = now._replace(rows=now.rows[places], n_train=jnp.int32(batch))
        return of_batch(params, now, key)[1]

    rows = probe(system)
    network = op.Network(
        loss=LOSSES[system.loss],
        gradient=lambda params, now: gradient(params, now, None),
        ntk=_ntk(system, model, rows),
        similarity=lambda now: jnp.asarray(similarity(now.data, rows), jnp.float32),
        cycle=task.cycle(system),
        tolerance=system.tolerance,
    )
    return Functions(init, on_table, step_gradient, network)


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


def _by_autodiff(system: System, model: Any, tile: int, max_tiles: int) -> Any:
    """(params, training, key) -> training loss and gradient, of any network."""
    # Independent examples are in any order a random split: no rows to gather.
    in_place = max_tiles == 1 and not TASKS[system.task].shuffled
    in_place = in_place and not system.batch_size

    def gradient(
        params: Any, now: Training, key: jax.Array | None
    ) -> tuple[jax.Array, Any]:
        def add_tile(i: jax.Array, total: Any) -> Any:
            rows = (
                slice(0, tile)
                if in_place
                else lax.dynamic_slice(now.rows, (i * tile,), (tile,))
            )
            train = i * tile + jnp.arange(tile) < now.n_train
            drop = _dropped(
                now, key if key is None else jax.random.fold_in(key, i), system
            )

            def mean_loss(params: Any) -> jax.Array:
                inputs = now.data.inputs[rows]
                activity = model.apply({"params": params}, inputs, now.scale, drop)
                return _loss_of(system, activity.logits, rows, train, now)

            own = jax.value_and_grad(mean_loss)(params)
            return jax.tree.map(jnp.add, total, own)

        zero = jax.tree.map(jnp.zeros_like, (jnp.float32(0.0), params))
        return _over_tiles(add_tile, zero, now, tile, max_tiles)

    return gradient


def _over_tiles(
    add_tile: Any, zero: Any, now: Training, tile: int, max_tiles: int
) -> Any:
    if max_tiles == 1:
        return add_tile(jnp.int32(0), zero)
    return lax.fori_loop(0, -(-now.n_train // tile), add_tile, zero)


def _by_kernel(system: System, model: Any, kernel: str) -> Any:
    """The same of a two-layer network on tokens, its first layer by a kernel."""
    first_layer = KERNELS[kernel]
    # A slope taken anew must not close over numbers of the run.
    anew = first_layer.anew and not ACTIVATIONS[system.activation].controls

    def part(
        params: Any,
        table: jax.Array,
        rows: jax.Array,
        train: jax.Array,
        now: Training,
        drop: Drop | None,
    ) -> Any:
        """Training loss of some rows; its gradients in params and in their table."""
        inputs = now.data.inputs
        a, b = inputs[:, 0][rows], inputs[:, 1][rows]
        embedded, again = first_layer.embed(table, a, b), None
        if anew:
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

    def gradient_of(_: System, __: Any, tile: int, max_tiles: int) -> Any:
        def gradient(
            params: Any, now: Training, key: jax.Array | None
        ) -> tuple[jax.Array, Any]:
            table, to_params = jax.vjp(first_table, params)

            def add_tile(i: jax.Array, total: Any) -> Any:
                own = lax.dynamic_slice(now.rows, (i * tile,), (tile,))
                train = i * tile + jnp.arange(tile) < now.n_train
                tile_key = key if key is None else jax.random.fold_in(key, i)
                return add(total, own, train, _dropped(now, tile_key, system))

            def add(
                total: Any, rows: jax.Array, train: jax.Array, drop: Drop | None
            ) -> Any:
                value, grads, add_first = part(params, table, rows, train, now, drop)
                summed = jax.tree.map(jnp.add, total[1], grads)
                return total[0] + value, summed, add_first(total[2])

            zero = jax.tree.map(jnp.zeros_like, (jnp.float32(0.0), params, table))
            if first_layer.whole_table and not system.batch_size:
                every = jnp.arange(now.train.shape[0])
                drop = _dropped(now, key, system)
                value, grads, of_table = add(zero, every, now.train, drop)
            else:
                value, grads, of_table = _over_tiles(
                    add_tile, zero, now, tile, max_tiles
                )
            return value, jax.tree.map(jnp.add, grads, *to_params(of_table))

        return gradient

    return gradient_of


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
