"""A run in training: what it is made of, and how it starts."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from grokmap import filters
from grokmap import order_parameters as op
from grokmap.engine.network import Functions, Training
from grokmap.engine.records import NEVER
from grokmap.models import EMBEDDINGS
from grokmap.optimizers import OPTIMIZERS
from grokmap.plan import scale_at
from grokmap.spec import Control, System
from grokmap.tasks import TASKS, Data, splits

# Purposes folded into a run's own key.
SPLIT, INIT, EXAMPLES, LABELS, STEPS, EPOCHS, CHAINS = range(7)


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
    memory: past gradients, if they are filtered (`filters.Memory`).
    held_out: [n] which examples are in neither set, if some are.
    initial_norm: |theta| at step 0, if weights are held at a multiple of it.
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
    memory: Any = None
    initial_norm: jax.Array | None = None
    held_out: jax.Array | None = None


class Setup(NamedTuple):
    """What all functions of one program share, none of it traced.

    functions: of the network. names: as in `Program`. n_rows: of `Lane.rows`. block: as
    in `build`.
    """

    system: System
    functions: Functions
    names: dict[str, tuple[str, ...]]
    n_rows: int
    block: int


def init(setup: Setup, control: Control, n_train: jax.Array, seed: jax.Array) -> Lane:
    system, functions = setup.system, setup.functions
    key = jax.random.key(seed)
    order = order_of_examples(system, key)
    in_train = jnp.arange(len(order)) < n_train
    scale = scale_at(system, control)
    own = key_of(system, control, seed)
    params = functions.init(jax.random.fold_in(own, INIT), scale)
    if "initial_scale" in system.noisy:
        params = jax.tree.map(lambda w: control.initial_scale * w, params)
    if "embedding_scale" in system.noisy:
        scaled = [name for name in EMBEDDINGS if name in params]
        params |= {name: control.embedding_scale * params[name] for name in scaled}
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
    if system.held_out != splits.NONE:
        lane = lane._replace(held_out=held_out_of(system, key))
    if "filter_strength" in system.noisy:
        lane = lane._replace(memory=filters.start(params, system.filter_window))
    if "norm_clamp" in system.noisy:
        lane = lane._replace(initial_norm=optax.tree.norm(params))
    if system.center:
        now = training_of(system, lane)
        lane = lane._replace(offset=functions.on_table(params, now).logits)
    if "ntk_drift" in system.order_parameters:
        kernel = functions.network.ntk(params, training_of(system, lane))
        lane = lane._replace(initial_kernel=kernel)
    if any(op.ORDER_PARAMETERS[n].from_start for n in system.order_parameters):
        lane = lane._replace(initial_params=params)
    return lane


def key_of(system: System, control: Control, seed: jax.Array) -> jax.Array:
    """The key of a run's initial weights and steps, by its chain where it has one."""
    key = jax.random.key(seed)
    if "chain" not in system.noisy:
        return key
    number = jnp.asarray(control.chain).astype(jnp.int32)
    return jax.random.fold_in(jax.random.fold_in(key, CHAINS), number)


def steps_key(system: System, control: Control, seed: jax.Array) -> jax.Array:
    """The key of the noise of a run's steps: two starts of a chain are independent."""
    key = jax.random.fold_in(key_of(system, control, seed), STEPS)
    if "initial_scale" not in system.noisy:
        return key
    scale = jnp.asarray(control.initial_scale, jnp.float32)
    return jax.random.fold_in(key, lax.bitcast_convert_type(scale, jnp.int32))


def order_of_examples(system: System, key: jax.Array) -> jax.Array:
    """The run's own order of its examples, the training examples first."""
    task = TASKS[system.task]
    n_examples = task.shape(system).n_examples
    if not task.shuffled or system.published_seed >= 0:
        return jnp.arange(n_examples)
    if system.split != splits.RANDOM or system.held_out != splits.NONE:
        inputs, p = task.data(system, None).inputs, task.shape(system).n_tokens
        return splits.order(system, inputs, p, jax.random.fold_in(key, SPLIT))
    return jax.random.permutation(jax.random.fold_in(key, SPLIT), n_examples)


def held_out_of(system: System, key: jax.Array) -> jax.Array:
    """[n] bool, which examples of a run are in neither set."""
    task = TASKS[system.task]
    inputs, p = task.data(system, None).inputs, task.shape(system).n_tokens
    return splits.held_out(system, inputs, p, jax.random.fold_in(key, SPLIT))


def training_of(system: System, lane: Lane) -> Training:
    return Training(
        lane.rows,
        lane.n_train,
        lane.train,
        lane.offset,
        scale_at(system, lane.control),
        examples_of(system, lane),
        lane.control.dropout,
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
