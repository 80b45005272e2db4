"""Gradients of runs at steps, from weights that training again has reached."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grokmap.avalanches import Gradients
from grokmap.engine.devices import platform, prepared
from grokmap.engine.inline import by_neuron
from grokmap.engine.restored import Reached, flat, nested
from grokmap.engine.train import build
from grokmap.plan import effective_precision
from grokmap.spec import Run, System, n_train_of
from grokmap.tasks import TASKS


def gradients_of(reached: Iterable[Reached]) -> Iterator[Gradients]:
    """The gradients of each run at all of its steps that are reached.

    They are those of the training loss on all training examples, without weight decay,
    batches, dropout or noise: `order_parameters.gradient_norm` is their norm.
    """
    in_order = sorted(reached, key=lambda one: (one.run.run_id, one.step))
    for _, group in groupby(in_order, key=lambda one: one.run.run_id):
        yield _of_run(list(group))


def _of_run(moments: list[Reached]) -> Gradients:
    run = moments[0].run
    names = sorted(moments[0].leaves)
    leaves = {k: np.stack([one.leaves[k] for one in moments]) for k in names}
    n_examples = TASKS[run.system.task].shape(run.system).n_examples
    n_train = n_train_of(run.control.train_fraction, n_examples)
    with prepared():
        found = _function(run.system, n_train)(run, leaves)
    found = {k: _of_each(k, found[k]) for k in names}
    sizes = [found[k][0].size for k in names]
    values = np.concatenate([found[k].reshape(len(moments), -1) for k in names], axis=1)
    layers = np.repeat(np.arange(len(names)), sizes)
    steps = np.array([one.step for one in moments], np.int64)
    return Gradients(run.run_id, run.seed, steps, values, layers)


def _of_each(name: str, values: Any) -> Any:
    """[K, ..] gradients of one array, each as it stands in the row of all weights."""
    return np.stack([by_neuron(name, value) for value in values])


@lru_cache(maxsize=16)
def _function(
    system: System, n_train: int
) -> Callable[[Run, dict[str, Any]], dict[str, Any]]:
    """(run, weights [K, ..] by name) -> gradients [K, ..] by name."""
    program = build(system, tile=n_train, max_tiles=1, platform=platform())
    precision = effective_precision(system.precision, platform())

    def gradient(lane: Any, params: Any) -> Any:
        snapshot = program.snapshot(lane._replace(params=params))
        return snapshot.network.gradient(snapshot.params, snapshot.training)[1]

    @jax.jit
    def of_all(control: Any, seed: Any, leaves: Any) -> Any:
        lane = program.init(control, jnp.int32(n_train), seed)
        with jax.default_matmul_precision(precision):
            return jax.lax.map(lambda params: gradient(lane, params), nested(leaves))

    def function(run: Run, leaves: dict[str, Any]) -> dict[str, Any]:
        return flat(of_all(run.control, np.uint32(run.seed), leaves))

    return function
