"""Runs with their budgets."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from grokmap.models import ACTIVATIONS, ALPHA_CONVENTIONS, MODELS, Scale
from grokmap.optimizers import OPTIMIZERS
from grokmap.plan.expansion import controls_read, expand
from grokmap.spec import CONTROL_FIELDS, Control, Run, Sweep, System, n_train_of
from grokmap.spec.budgets import steps_of
from grokmap.spec.words import (
    ALWAYS_READ,
    CONTROL_DEFAULTS,
    LATER_CONTROLS,
    LATER_FIELDS,
    NOISES,
    RAMP_CONTROLS,
    STORED_AS,
    SYSTEM_LISTS,
)
from grokmap.tasks import TASKS


class Planned(NamedTuple):
    """A run with its budget.

    decay_rate: r, relative weight shrinkage per step (of a ramped run where its ramp
    begins); n_steps: steps to train; n_train: training examples; tail: a run that
    grokked at step t is followed to (1 + tail) t at most.
    """

    run: Run
    decay_rate: float
    n_steps: int
    n_train: int
    tail: float


def plan_runs(sweep: Sweep, more: Sequence[Run] = ()) -> list[Planned]:
    """Every run of the sweep with its decay rate and its number of steps.

    more: runs of the same physics beside its grid (`run_at`).
    """
    planned: list[Planned] = []
    tail = math.inf if sweep.tail is None else sweep.tail
    with _all_is_kept():
        every = chain(expand(sweep), more)
        for system, runs in groupby(every, attrgetter("system")):
            rate_of = cache(partial(decay_rate, system))
            n_examples = TASKS[system.task].shape(system).n_examples
            for control, seeds in groupby(runs, attrgetter("control")):
                # Nothing decays by the train fraction: NaN would show if it did.
                rate = rate_of(control._replace(train_fraction=math.nan))
                n_train = n_train_of(control.train_fraction, n_examples)
                of_epoch = steps_of_epoch(n_train, system.batch_size)
                n_steps = _n_steps(sweep, control, rate, of_epoch)
                planned += [Planned(run, rate, n_steps, n_train, tail) for run in seeds]
    return planned


@contextmanager
def _all_is_kept() -> Iterator[None]:
    """Nothing made meanwhile is garbage, so the collector need not look through it.

    It would, over and over, for a third of the time that a million runs take.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def steps_of_epoch(n_train: Any, batch_size: int) -> Any:
    """Steps of one pass through the training examples, the last batch may be smaller.
    Numbers of the host or traced."""
    return -(-n_train // batch_size) if batch_size else 1


def _n_steps(sweep: Sweep, control: Control, rate: float, of_epoch: int) -> int:
    if sweep.ramped:
        return 2 * int(control.ramp_steps)
    return steps_of(sweep, rate, of_epoch)


def plan_table(planned: Sequence[Planned], sweep: Sweep) -> pd.DataFrame:
    """One row a run: run_id, system and control fields, seed, decay_rate (at
    weight_decay), horizon, budget_steps.

    Controls that a run does not read are null; of later versions, absent where no run
    reads them.
    """

    def column(name: str, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        return np.fromiter(map(attrgetter(name), planned), dtype, len(planned))

    groups = groupby(planned, attrgetter("run.system"))
    systems = [(system, len(list(runs))) for system, runs in groups]
    lengths = [length for _, length in systems]
    controls = [controls_read(system) for system, _ in systems]
    table = _system_table(systems)
    table.insert(0, "run_id", [run.run.run_id for run in planned])
    for field in CONTROL_FIELDS:
        only = _only_value(sweep, field)
        # A noise that is on somewhere is a number everywhere, its default where it is
        # off.
        is_on = field in NOISES and only != CONTROL_DEFAULTS[field]
        always = field in ALWAYS_READ or is_on
        read = [always or field in names for names in controls]
        if any(read):
            values = column(f"run.control.{field}", float) if only is None else only
            if not all(read):
                values = np.where(np.repeat(read, lengths), values, np.nan)
            table[field] = values
        elif field not in LATER_CONTROLS or field in RAMP_CONTROLS:
            table[field] = np.nan
    table["seed"] = column("run.seed", np.int64)
    table["decay_rate"] = column("decay_rate", float)
    table["horizon"] = np.nan if sweep.horizon is None else sweep.horizon
    table["budget_steps"] = column("n_steps", np.int64)
    return table


def _only_value(sweep: Sweep, field: str) -> float | None:
    """The value of a control that all runs have in common; None if it is swept."""
    values = getattr(sweep, field)
    return float(values[0]) if len(values) == 1 else None


def _system_table(systems: Sequence[tuple[System, int]]) -> pd.DataFrame:
    """The fields of each run's system: one row a system, repeated for its runs."""
    rows, lengths = [], []
    for system, length in systems:
        words = {k: ",".join(getattr(system, k)) for k in SYSTEM_LISTS}
        values = {**vars(system), **words}
        rows.append({STORED_AS.get(k, k): v for k, v in values.items()})
        lengths.append(length)
    table = pd.DataFrame(rows)
    unused = [k for k, v in LATER_FIELDS.items() if (table[k] == v).all()]
    table = table.drop(columns=unused)
    return table.loc[table.index.repeat(lengths)].reset_index(drop=True)


def decay_rate(system: System, control: Control) -> float:
    """Relative shrinkage of the weights per step at zero loss gradient.

    The r of docs/design.md, at `control.weight_decay`, whether or not a ramp starts
    from there.
    """
    scale = scale_at(system, control)
    return float(OPTIMIZERS[system.optimizer].decay_rate(control, scale))


def scale_at(system: System, control: Control) -> Scale:
    """What the run's alpha means; see `models.Scale`. Numbers or traced."""
    convention = ALPHA_CONVENTIONS[system.alpha_convention]
    sigma = ACTIVATIONS[system.activation].degree
    degree = MODELS[system.model].degree(sigma, system.depth)
    n_inputs = TASKS[system.task].shape(system).n_inputs
    scale = convention.scale(control.alpha, system.width, degree, n_inputs)
    if "temperature_logits" in system.noisy:
        colder = scale.prefactor / control.temperature_logits
        scale = scale._replace(prefactor=colder)
    return scale._replace(nonlinearity=control.nonlinearity)


def by_system(planned: Iterable[Planned]) -> dict[System, list[Planned]]:
    """The runs of each system, in order of first appearance: one compile each."""
    systems: dict[System, list[Planned]] = {}
    for system, runs in groupby(planned, attrgetter("run.system")):
        systems.setdefault(system, []).extend(runs)
    return systems


def longest(run: Planned) -> tuple[int, float, str]:
    """Sorts runs by what they will cost, the most expensive first."""
    return (-run.n_steps, -run.run.control.train_fraction, run.run.run_id)
