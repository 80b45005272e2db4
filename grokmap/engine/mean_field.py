"""Runs as the mean-field limit sees them: their examples, rates, own neurons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from grokmap.arrays import Floats
from grokmap.engine.devices import prepared
from grokmap.engine.lane import examples_of
from grokmap.engine.restored import started
from grokmap.errors import SpecError
from grokmap.models import ACTIVATIONS, sigma_of
from grokmap.plan import scale_at
from grokmap.spec import Run
from grokmap.tasks import TASKS
from grokmap.theory.mean_field import Problem, State, at_rest


class Start(NamedTuple):
    """The problem of a run, and the engine's own initial neurons, at rest."""

    problem: Problem
    neurons: State


def problems_of(run: Run) -> list[str]:
    """Why the mean-field limit says nothing of a run; empty: it does."""
    system, control = run.system, run.control
    shape = TASKS[system.task].shape(system)
    scale = scale_at(system, control)
    drawn = scale.first_std, scale.readout_std, scale.hidden_scale
    own_rates = not np.isclose(scale.gd_step, system.width / scale.laziness**2)
    templates = "templates" in system.task or system.published_seed >= 0
    degree = ACTIVATIONS[system.activation].degree
    found = (
        (system.model != "two_layer", f"model = {system.model!r}; for 'two_layer'"),
        (system.bias, "bias = true; for networks without biases"),
        (system.loss != "mse", f"loss = {system.loss!r}; for 'mse'"),
        (system.optimizer != "gd", f"optimizer = {system.optimizer!r}; for 'gd'"),
        (system.batch_size > 0, f"batch_size = {system.batch_size}; for full batches"),
        (bool(system.noisy), f"{', '.join(system.noisy)}; for training without noise"),
        (system.perp_grad, "perp_grad = true; for plain gradients"),
        (system.ramped, "a ramped weight decay; for one that stays"),
        (
            drawn != (1.0, 1.0, 1.0) or own_rates,
            f"alpha_convention = {system.alpha_convention!r}; for unit weights and "
            "steps of eta N / K^2: 'laziness', 'literal', 'output_scale'",
        ),
        (
            templates or shape.n_outputs < 2,
            f"task = {system.task!r}; for classes with one-hot targets",
        ),
        (
            degree > 2 and control.weight_decay > 0,
            f"activation = {system.activation!r} under weight decay: neurons of degree "
            f"{degree} have no limit at fixed weight_decay, since ever fewer of them "
            "come to carry the outputs (docs/theory.md); for relu, erf, tanh, or "
            "weight_decay = 0",
        ),
    )
    return [problem for is_so, problem in found if is_so]


def check(runs: Iterable[Run]) -> None:
    """Raises SpecError: some run is not covered, and why."""
    problems = dict.fromkeys(line for run in runs for line in problems_of(run))
    if problems:
        raise SpecError([f"the mean-field limit does not cover {p}" for p in problems])


def start_of(run: Run, dtype: Any = np.float32) -> Start:
    """Of a two-layer network without biases, under `gd` and mse."""
    system, control = run.system, run.control
    with prepared():
        lane = started(run)
        data = examples_of(system, lane)
    train = np.asarray(lane.train)
    order = np.argsort(~train, kind="stable")
    scale = scale_at(system, control)
    problem = Problem(
        x=_inputs(run, np.asarray(data.inputs)[order]).astype(dtype),
        y=_targets(run, data)[order].astype(dtype),
        n_train=int(train.sum()),
        sigma=sigma_of(system.activation, scale),
        laziness=float(scale.laziness),
        learning_rate=control.learning_rate,
        weight_decay=control.weight_decay,
        momentum=control.momentum,
        center=system.center,
    )
    return Start(problem, neurons_of(lane.params, dtype))


def _inputs(run: Run, inputs: Any) -> Floats:
    """[m, d] such that pre-activations are w.x."""
    shape = TASKS[run.system.task].shape(run.system)
    if not shape.n_tokens:
        return np.asarray(inputs / np.sqrt(shape.n_inputs))
    one_hot = np.eye(shape.n_tokens)[inputs]  # [m, places, tokens]
    return one_hot.reshape(len(inputs), -1)


def _targets(run: Run, data: Any) -> Floats:
    if data.target is not None:
        return np.asarray(data.target)
    outputs = TASKS[run.system.task].shape(run.system).n_outputs
    return np.asarray(np.eye(outputs)[np.asarray(data.label)])


def neurons_of(leaves: Mapping[str, Any], dtype: Any = np.float32) -> State:
    """The engine's weights, readout [C, N] and first [d, N], at rest."""
    readout, first = (np.asarray(leaves[k], dtype).T for k in ("readout", "first"))
    return at_rest(readout, first)
