"""Runs linearised at their initial weights, for the theory of the lazy limit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from grokmap.arrays import Bools, Floats
from grokmap.engine.devices import prepared
from grokmap.engine.lane import examples_of
from grokmap.engine.network import module_of
from grokmap.engine.restored import started
from grokmap.errors import SpecError
from grokmap.models import MODELS, MUP, Scale
from grokmap.optimizers import gd_rates
from grokmap.plan import scale_at
from grokmap.spec import Run, System
from grokmap.tasks import TASKS, Data
from grokmap.theory import infinite_width
from grokmap.theory.lazy import (
    Descent,
    Examples,
    Linearised,
    Modes,
    krylov_modes,
    modes_of,
)

# Vectors of the space in which a network is followed (`lazy.krylov_modes`): losses are
# then those of twice as many to 4 digits over 5000 steps without momentum, or 500 of
# 0.9 (tests/test_linearised.py).
SIZE = 200
# Other labels, other starts.
LIKE_OTHERS = ("label_noise", "chain", "initial_scale", "embedding_scale")
MOST = 100_000  # outputs of all examples: a GB for the space


class Lazy(NamedTuple):
    """A run as the lazy limit sees it."""

    modes: Modes
    descent: Descent


def problems_of(system: System) -> list[str]:
    """Why the lazy limit says nothing of the runs of a system; empty: it does."""
    shape = TASKS[system.task].shape(system)
    noises = [name for name in system.noisy if name not in LIKE_OTHERS]
    templates = "templates" in system.task or system.published_seed >= 0
    own_rates = system.parameterization == MUP and system.bias
    size = shape.n_examples * shape.n_outputs
    found = (
        (system.loss != "mse", f"loss = {system.loss!r}; it is known for 'mse'"),
        (system.optimizer != "gd", f"optimizer = {system.optimizer!r}; for 'gd'"),
        (system.batch_size > 0, f"batch_size = {system.batch_size}; for full batches"),
        (bool(noises), f"{', '.join(noises)}; for training without noise"),
        (system.perp_grad, "perp_grad = true; for plain gradients"),
        (
            system.bias and not system.decay_bias,
            "decay_bias = false; for one decay of all arrays",
        ),
        (system.ramped, "a ramped weight decay; for one that stays"),
        (bool(MODELS[system.model].controls), f"layers of model = {system.model!r}"),
        (own_rates, "parameterization = 'mup' with bias; for one step for all arrays"),
        (templates, f"task = {system.task!r}, whose classes have targets of their own"),
        (size > MOST, f"{shape.n_examples} x {shape.n_outputs} outputs; up to {MOST}"),
    )
    return [problem for is_so, problem in found if is_so]


def check(systems: Sequence[System]) -> None:
    """Raises SpecError: some system is not covered, and why."""
    problems = [line for system in systems for line in problems_of(system)]
    if problems:
        lines = [f"the lazy limit does not cover {line}" for line in problems]
        raise SpecError(list(dict.fromkeys(lines)))


def linearised(run: Run, size: int = SIZE) -> Lazy:
    """A run at its own initial weights, all numbers in float64.

    size: of the space in which it is followed; see `lazy.krylov_modes`.
    """
    check([run.system])
    with prepared():
        lane = started(run)
        data = examples_of(run.system, lane)
    train, inputs = np.asarray(lane.train), _inputs(data)
    with jax.enable_x64(True):
        scale = jax.tree.map(jnp.float64, scale_at(run.system, run.control))
        params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), lane.params)
        start, pull = _tangent(run.system)(params, scale, inputs, params)
        network = _network(run, data, train, np.asarray(start), np.asarray(pull))
        apply = partial(_apply, run.system, params, scale, inputs, train)
        return Lazy(krylov_modes(network, apply, size), _descent(run, train))


def _logits(system: System, scale: Scale, inputs: Any, params: Any) -> jax.Array:
    outputs: jax.Array = (
        module_of(system).apply({"params": params}, inputs, scale).logits
    )
    return outputs


@lru_cache(maxsize=8)
def _tangent(system: System) -> Any:
    """(params, scale, inputs, direction) -> outputs f [n, C] and J direction [n, C]."""

    def tangent(params: Any, scale: Scale, inputs: Any, direction: Any) -> Any:
        f = partial(_logits, system, scale, inputs)
        return jax.jvp(f, (params,), (direction,))

    return jax.jit(tangent)


@lru_cache(maxsize=8)
def _gradient(system: System) -> Any:
    """(params, scale, inputs, v [n, C]) -> J^T v, a pytree like params."""

    def gradient(params: Any, scale: Scale, inputs: Any, vector: Any) -> Any:
        f = partial(_logits, system, scale, inputs)
        return jax.vjp(f, params)[1](vector)[0]

    return jax.jit(gradient)


def _apply(
    system: System, params: Any, scale: Scale, inputs: Any, train: Bools, vector: Floats
) -> tuple[Floats, Floats]:
    """K v = J (J^T v) on the training examples and on the others; v [n_train C]."""
    rows = vector.reshape(int(train.sum()), -1)
    direction = _gradient(system)(params, scale, inputs[train], rows)
    moved = np.asarray(_tangent(system)(params, scale, inputs, direction)[1])
    return moved[train].ravel(), moved[~train].ravel()


def at_infinite_width(run: Run) -> Lazy:
    """The same with the kernel of infinitely many neurons, from outputs of 0.

    Raises:
      SpecError: no closed form: other networks than two_layer, without a bias, of the
        activations in `infinite_width.AVERAGES`, or conventions with raw rates.
    """
    system = run.system
    check([system])
    known = system.activation in infinite_width.AVERAGES and not system.bias
    scale = scale_at(system, run.control)
    unit = (scale.first_std, scale.readout_std, scale.hidden_scale) == (1.0, 1.0, 1.0)
    if system.model != "two_layer" or not known or not unit:
        raise SpecError(
            "infinite width: known for model = 'two_layer' without bias, of unit "
            f"weights, activation {', '.join(infinite_width.AVERAGES)}; here: "
            f"{system.model!r}, {system.activation!r}, {system.alpha_convention!r}"
        )
    with prepared():
        lane = started(run)
        data, train = examples_of(system, lane), np.asarray(lane.train)
    inputs = _inputs(data)
    tokens = TASKS[system.task].shape(system).n_tokens
    covariance = (
        infinite_width.shared_tokens(inputs)
        if tokens
        else infinite_width.products(inputs)
    )
    size = scale.prefactor**2 * system.width
    kernel = size * infinite_width.tangent_kernel(covariance, system.activation)
    zero = np.zeros((len(train), TASKS[system.task].shape(system).n_outputs))
    network = _network(run, data, train, zero, zero)
    modes = modes_of(network, kernel[train][:, train], kernel[~train][:, train])
    return Lazy(modes, _descent(run, train))


def _network(
    run: Run, data: Data, train: Bools, start: Floats, pull: Floats
) -> Linearised:
    """Training examples and others; start: f_0 [n, C], pull: J theta_0 [n, C]."""
    label = None if data.target is not None else np.asarray(data.label)
    target = np.eye(start.shape[1])[label] if data.target is None else data.target
    begin = np.zeros_like(start) if run.system.center else start
    target = np.asarray(target, np.float64)

    def side(rows: Bools) -> Examples:
        classes = None if label is None else label[rows]
        return Examples(begin[rows], pull[rows], target[rows], classes)

    return Linearised(side(train), side(~train), run.system.tolerance)


def _descent(run: Run, train: Bools) -> Descent:
    rates = gd_rates(run.control, scale_at(run.system, run.control))
    n_train, momentum = int(train.sum()), run.control.momentum
    return Descent(float(rates.step), float(rates.decay), momentum, n_train)


def _inputs(data: Data) -> Any:
    inputs = np.asarray(data.inputs)
    return inputs if inputs.dtype.kind == "i" else inputs.astype(np.float64)
