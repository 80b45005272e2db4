"""Runs as the mean-field limit sees them: their examples, rates, own neurons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from grokmap.arrays import Floats
from grokmap.engine.devices import prepared
from grokmap.engine.lane import examples_of
from grokmap.engine.restored import started
from grokmap.models import sigma_of
from grokmap.plan import scale_at
from grokmap.spec import Run
from grokmap.tasks import TASKS
from grokmap.theory.mean_field import Problem, State, at_rest


class Start(NamedTuple):
    """The problem of a run, and the engine's own initial neurons, at rest."""

    problem: Problem
    neurons: State


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
