"""Checks that need several keys of a sweep, or the names that exist."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from grokmap.errors import short
from grokmap.losses import LOSSES
from grokmap.models import ACTIVATIONS, ALPHA_CONVENTIONS, MODELS, Model
from grokmap.optimizers import OPTIMIZERS
from grokmap.plan.choices import NAMES
from grokmap.spec import Sweep, System, n_train_of
from grokmap.spec.names import nearest
from grokmap.spec.sweep import MAX_RUNS
from grokmap.spec.words import (
    ALWAYS_READ,
    CHOSEN_CONTROLS,
    NOISES,
    RAMP_CONTROLS,
    SYSTEM_SIZES,
)
from grokmap.tasks import TASKS, Task


def check(sweep: Sweep, given: set[str], bad: frozenset[str]) -> Iterator[str]:
    """Problems that need several keys or the names that exist."""
    if sweep.n_runs > MAX_RUNS:
        yield f"{sweep.n_runs} runs; at most {MAX_RUNS} in one sweep"
        return
    yield from _check_names(sweep, bad)
    yield from _check_budget(sweep, given, bad)
    yield from _check_ramp(sweep, given, bad)
    yield from _check_cadence(sweep, given, bad)
    yield from _check_controls(sweep, given)
    convention = ALPHA_CONVENTIONS.get(sweep.alpha_convention)
    if "alpha" not in bad and convention and convention.multiplies:
        if min(sweep.alpha) <= 0:
            name = sweep.alpha_convention
            yield f"alpha = {min(sweep.alpha)}: above 0 under convention {name!r}"
    elif "alpha" not in bad and convention and max(sweep.alpha) > 2:
        yield f"alpha = {max(sweep.alpha)}: an exponent of the width, at most 2"
    task, model = TASKS.get(sweep.task), MODELS.get(sweep.model)
    if task and model:
        yield from _check_sizes(sweep, bad, (*task.sizes, *model.sizes))
        yield from _check_fit(sweep, task, model)
        yield from _check_systems(sweep, task, model, bad)


def _check_names(sweep: Sweep, bad: frozenset[str]) -> Iterator[str]:
    for key, names in NAMES.items():
        if key in bad:
            continue
        value, several = getattr(sweep, key), key == "order_parameters"
        chosen = (value if several else (value,)) or ()
        if len(set(chosen)) < len(chosen):
            yield f"{key}: a name is given twice"
        for name in chosen:
            if name not in names:
                what = "order parameter" if several else key.replace("_", " ")
                yield f"unknown {what} {short(repr(name))}; {nearest(name, names)}"


def _check_budget(sweep: Sweep, given: set[str], bad: frozenset[str]) -> Iterator[str]:
    if bad & {"horizon", "n_steps", *RAMP_CONTROLS} or _wants_ramp(sweep):
        return
    if (sweep.horizon is None) == (sweep.n_steps is None):
        found = "both" if sweep.horizon else "neither"
        yield f"give horizon (decay times) or n_steps (fixed); {found} found"
    if sweep.n_steps is not None:
        for key in sorted(given & {"min_steps", "max_steps"}):
            yield f"{key}: goes with horizon, not with n_steps"
    elif "min_steps" in given and sweep.min_steps > sweep.max_steps:
        yield f"min_steps = {sweep.min_steps}: above max_steps = {sweep.max_steps}"


def _wants_ramp(sweep: Sweep) -> bool:
    return sweep.ramped or max(sweep.ramp_factor) > 1


def _check_ramp(sweep: Sweep, given: set[str], bad: frozenset[str]) -> Iterator[str]:
    """A ramp is wanted in every run of a sweep or in none."""
    if bad & set(RAMP_CONTROLS) or not _wants_ramp(sweep):
        return
    if min(sweep.ramp_steps) < 1:
        yield (
            "ramp_steps = 0: with a ramp_factor above 1, give the steps of the way up "
            "(1 or more), or leave both out for a constant weight_decay"
        )
    if min(sweep.ramp_factor) <= 1:
        yield (
            "ramp_factor = 1: with ramp_steps, give the largest weight decay over the "
            "smallest (above 1), or leave both out for a constant weight_decay"
        )
    if "weight_decay" not in bad and min(sweep.weight_decay) <= 0:
        yield (
            f"weight_decay = {min(sweep.weight_decay):g}: a ramp multiplies it; give "
            "its smallest value, above 0"
        )
    budgets = {key for key in ("horizon", "n_steps") if getattr(sweep, key) is not None}
    for key in sorted(budgets | given & {"min_steps", "max_steps", "tail"}):
        yield f"{key}: not with a ramp, which always takes 2 ramp_steps; leave it out"


def _check_cadence(sweep: Sweep, given: set[str], bad: frozenset[str]) -> Iterator[str]:
    cadences = (
        "records_per_octave",
        "order_parameters_per_octave",
        "dear_order_parameters_per_octave",
    )
    for key in cadences:
        value = getattr(sweep, key)
        if key not in bad and value & (value - 1):
            yield f"{key} = {value}: a power of two"
    for often, seldom in itertools.pairwise(cadences):
        limit, value = getattr(sweep, often), getattr(sweep, seldom)
        if seldom in given and not bad & {often, seldom} and value > limit:
            yield f"{seldom} = {value}: at most {often} = {limit}"


def _check_controls(sweep: Sweep, given: set[str]) -> Iterator[str]:
    """A control that nothing reads is an error, not a flat axis."""
    optimizer = OPTIMIZERS.get(sweep.optimizer)
    model = MODELS.get(sweep.model)
    activation = ACTIVATIONS.get(sweep.activation)
    if not (optimizer and model and activation):
        return
    reads = (*optimizer.controls, *model.controls, *activation.controls)
    for key in CHOSEN_CONTROLS:
        if key in given and key not in reads:
            yield (
                f"{key}: ignored by optimizer {sweep.optimizer!r}, model "
                f"{sweep.model!r} and activation {sweep.activation!r} "
                f"(they read {', '.join((*ALWAYS_READ, *reads, *NOISES))})"
            )
    if not optimizer.decays and max(sweep.weight_decay) > 0:
        yield (
            f"weight_decay = {max(sweep.weight_decay):g}: optimizer "
            f"{sweep.optimizer!r} has none; give 0"
        )
    if sweep.learning_rate_choice == "auto" and sweep.optimizer != "gd":
        yield (
            'learning_rate = "auto": for optimizer "gd" only, whose largest stable '
            "step follows from the curvature; give a number"
        )


def _check_sizes(
    sweep: Sweep, bad: frozenset[str], reads: tuple[str, ...]
) -> Iterator[str]:
    for key in SYSTEM_SIZES:
        missing = getattr(sweep, key) == (0,)
        if key in bad or missing != (key in reads):
            continue
        if missing:
            yield f"missing key {key!r}"
        else:
            yield (
                f"{key}: ignored by task {sweep.task!r} and model {sweep.model!r} "
                f"(they read {', '.join(reads)})"
            )


def _check_fit(sweep: Sweep, task: Task, model: Model) -> Iterator[str]:
    """Whether task, model, loss, optimizer and convention go together."""
    if task.inputs not in model.inputs:
        able = sorted(k for k, m in MODELS.items() if task.inputs in m.inputs)
        yield (
            f"model = {sweep.model!r}: takes no {task.inputs}, which task "
            f"{sweep.task!r} has; models that do: {', '.join(able)}"
        )
    if sweep.loss in LOSSES and sweep.loss not in task.losses:
        yield (
            f"loss = {sweep.loss!r}: not defined for task {sweep.task!r}; defined: "
            f"{', '.join(task.losses)}"
        )
    known = model.conventions
    exists = sweep.alpha_convention in ALPHA_CONVENTIONS
    if known and exists and sweep.alpha_convention not in known:
        yield (
            f"alpha_convention = {sweep.alpha_convention!r}: model {sweep.model!r} "
            f"knows {', '.join(known)}"
        )
    if sweep.published_seed >= 0 and not (task.published and model.published):
        yield (
            f"published_seed = {sweep.published_seed}: only for task 'plain_addition' "
            "with model 'embedding_mlp'; leave it out"
        )
    optimizer = OPTIMIZERS.get(sweep.optimizer)
    flat = "depth" in model.sizes and min(sweep.depth) < 2
    if optimizer and optimizer.needs_hidden and (flat or not model.hidden_matrices):
        yield (
            f"optimizer = {sweep.optimizer!r}: model {sweep.model!r} has no matrix "
            "between hidden layers for it; choose adamw, a depth of 2 or more in mlp "
            "or embedding_mlp, or transformer"
        )


def _check_systems(
    sweep: Sweep, task: Task, model: Model, bad: frozenset[str]
) -> Iterator[str]:
    """Every combination of sizes has to make a task, a model and both sets."""
    sizes = dict.fromkeys((*task.sizes, *model.sizes))
    if bad & {*sizes, "train_fraction"} or any(
        getattr(sweep, key) == (0,) for key in sizes
    ):
        return
    for point in itertools.product(*(getattr(sweep, key) for key in sizes)):
        chosen = dict(zip(sizes, point, strict=True))
        system = System(task=sweep.task, model=sweep.model, **chosen)
        problem = task.problem(system) or model.problem(system)
        if problem:
            yield problem
            continue
        where = ", ".join(f"{k} = {chosen[k]}" for k in task.sizes) or "the task"
        yield from _check_split(sweep, task.shape(system).n_examples, where)
        if sweep.batch_size > task.shape(system).n_examples:
            yield f"batch_size = {sweep.batch_size}: more than {where} has examples"


def _check_split(sweep: Sweep, n_examples: int, where: str) -> Iterator[str]:
    for fraction in sweep.train_fraction:
        n_train = n_train_of(fraction, n_examples)
        if not 0 < n_train < n_examples:
            side = "train" if n_train == 0 else "test"
            yield (
                f"train_fraction = {fraction}: leaves no {side} example of the "
                f"{n_examples} of {where}"
            )
