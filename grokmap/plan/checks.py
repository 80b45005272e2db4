"""Checks that need several keys of a sweep, or the names that exist."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator

from grokmap.errors import short
from grokmap.models import (
    ACTIVATIONS,
    ALPHA_CONVENTIONS,
    MODELS,
)
from grokmap.optimizers import OPTIMIZERS
from grokmap.plan.choices import NAMES
from grokmap.plan.expansion import controls_chosen, n_points, part_of
from grokmap.plan.fit import check_fit
from grokmap.plan.sides import check_split, check_structure
from grokmap.schedules import SCHEDULES
from grokmap.spec import Sweep, System
from grokmap.spec.names import nearest
from grokmap.spec.sweep import MAX_RUNS
from grokmap.spec.words import (
    ALWAYS_READ,
    CHOSEN_CONTROLS,
    CONTROL_DEFAULTS,
    MODEL_NUMBERS,
    NOISE_RAMP,
    NOISES,
    RAMP_CONTROLS,
    READ_WITH,
    SYSTEM_SIZES,
    Combination,
)
from grokmap.tasks import TASKS, probe
from grokmap.tasks.splits import (
    HELD_OUT,
    SPLITS,
)

MAX_COMBINATIONS = 1000
CONTROLLING = ("optimizer", "model", "activation", "schedule")
BUDGETS = ("horizon", "n_steps", "n_epochs")


def check(
    sweep: Sweep, given: set[str], bad: frozenset[str], any_name: bool = False
) -> Iterator[str]:
    """Problems that need several keys or the names that exist.

    given: keys that the user gave, and so meant. bad: those that are wrong by
      themselves, with a stand-in in the sweep. any_name: unknown names are those of
      plugins that are not loaded.
    """
    if sweep.n_combinations > MAX_COMBINATIONS:
        n = sweep.n_combinations
        yield f"{n} combinations of choices; at most {MAX_COMBINATIONS} in one sweep"
        return
    known = _known_combinations(sweep)
    n_runs = sum(map(n_points, (part_of(sweep, chosen) for chosen in known)))
    if n_runs > MAX_RUNS:
        yield f"{n_runs} runs; at most {MAX_RUNS} in one sweep"
        return
    yield from () if any_name else _check_names(sweep, bad)
    yield from _check_budget(sweep, given, bad)
    yield from _check_ramp(sweep, given, bad)
    yield from _check_cadence(sweep, given, bad)
    yield from _check_alpha(sweep, bad)
    yield from _check_optimizer(sweep)
    yield from _check_read_with(sweep, given, bad)
    yield from _check_schedule(sweep, bad)
    if all(_are_known(sweep, k) for k in CONTROLLING):
        yield from _check_controls(sweep, given)
    if all(_are_known(sweep, k) for k in ("task", "model")):
        yield from _check_sizes(sweep, given)
    yield from _check_combinations(sweep, known, bad)


def _are_known(sweep: Sweep, key: str) -> bool:
    return all(name in NAMES[key] for name in sweep.points(key))


def _known_combinations(sweep: Sweep) -> list[Combination]:
    """Those of known tasks and models. Other unknown names are reported by themselves,
    and must not hide what is wrong beside them."""
    known = {
        each._replace(
            optimizer=each.optimizer if each.optimizer in OPTIMIZERS else "gd",
            activation=each.activation if each.activation in ACTIVATIONS else "tanh",
            schedule=each.schedule if each.schedule in SCHEDULES else "constant",
        ): None
        for each in sweep.combinations()
        if each.task in TASKS and each.model in MODELS
    }
    return list(known)


def _check_names(sweep: Sweep, bad: frozenset[str]) -> Iterator[str]:
    for key, known in NAMES.items():
        if key in bad:
            continue
        several = key == "order_parameters"
        chosen = (sweep.order_parameters or ()) if several else sweep.points(key)
        if len(set(chosen)) < len(chosen):
            yield f"{key}: a name is given twice"
        for name in chosen:
            if name not in known:
                what = "order parameter" if several else key.replace("_", " ")
                yield f"unknown {what} {short(repr(name))}; {nearest(name, known)}"


def _check_budget(sweep: Sweep, given: set[str], bad: frozenset[str]) -> Iterator[str]:
    if bad & {*BUDGETS, *RAMP_CONTROLS} or _wants_ramp(sweep):
        return
    budgets = [key for key in BUDGETS if getattr(sweep, key) is not None]
    if len(budgets) != 1:
        both = " and ".join(budgets) or "none"
        way_out = f"; -s {budgets[0]}=none takes one out" if budgets else ""
        yield (
            "give one of horizon (decay times), n_steps (fixed) and n_epochs (passes "
            f"through the training examples); {both} found{way_out}"
        )
    if budgets and sweep.horizon is None:
        for key in sorted(given & {"min_steps", "max_steps"}):
            yield f"{key}: goes with horizon, not with {budgets[0]}; -s {key}=none"
    elif "min_steps" in given and sweep.min_steps > sweep.max_steps:
        yield f"min_steps = {sweep.min_steps}: above max_steps = {sweep.max_steps}"


def _wants_ramp(sweep: Sweep) -> bool:
    return sweep.ramped or max(sweep.ramp_factor) > 1


def _check_ramp(sweep: Sweep, given: set[str], bad: frozenset[str]) -> Iterator[str]:
    """A ramp is wanted in every run of a sweep or in none."""
    if bad & set(RAMP_CONTROLS):
        return
    yield from _check_noise_ramp(sweep)
    if not _wants_ramp(sweep):
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
    budgets = {key for key in BUDGETS if getattr(sweep, key) is not None}
    for key in sorted(budgets | given & {"min_steps", "max_steps", "tail"}):
        yield f"{key}: not with a ramp, which always takes 2 ramp_steps; leave it out"


def _check_noise_ramp(sweep: Sweep) -> Iterator[str]:
    """Noise is ramped where there is some, in every run."""
    if sweep.ramp_of != NOISE_RAMP:
        return
    reads = all(
        "temperature" in OPTIMIZERS[name].controls
        for name in sweep.points("optimizer")
        if name in OPTIMIZERS
    )
    if not _wants_ramp(sweep):
        yield (
            f"ramp_of = {NOISE_RAMP!r}: without a ramp; give ramp_factor and "
            "ramp_steps, or leave it out"
        )
    if not reads or min(sweep.temperature) <= 0:
        yield (
            f"ramp_of = {NOISE_RAMP!r}: ramps a temperature above 0 of optimizer "
            f"'langevin'; {_quoted(sweep, 'optimizer')} with temperature = "
            f"{min(sweep.temperature):g} found"
        )


def _check_cadence(sweep: Sweep, given: set[str], bad: frozenset[str]) -> Iterator[str]:
    cadences = (
        "records_per_octave",
        "order_parameters_per_octave",
        "expensive_order_parameters_per_octave",
    )
    for key in cadences:
        value = getattr(sweep, key)
        if key not in bad and value & (value - 1):
            yield f"{key} = {value}: a power of two"
    for often, seldom in itertools.pairwise(cadences):
        limit, value = getattr(sweep, often), getattr(sweep, seldom)
        if seldom in given and not bad & {often, seldom} and value > limit:
            yield f"{seldom} = {value}: at most {often} = {limit}"


def _check_alpha(sweep: Sweep, bad: frozenset[str]) -> Iterator[str]:
    for name in sweep.points("alpha_convention"):
        convention = ALPHA_CONVENTIONS.get(name)
        if "alpha" in bad or not convention:
            continue
        if convention.multiplies and min(sweep.alpha) <= 0:
            yield f"alpha = {min(sweep.alpha)}: above 0 under convention {name!r}"
        if not convention.multiplies and max(sweep.alpha) > 2:
            yield f"alpha = {max(sweep.alpha)}: an exponent of the width, at most 2"


def _check_optimizer(sweep: Sweep) -> Iterator[str]:
    decay = max(sweep.weight_decay)
    for name in sweep.points("optimizer"):
        if name in OPTIMIZERS and not OPTIMIZERS[name].decays and decay > 0:
            yield f"weight_decay = {decay:g}: optimizer {name!r} has none; give 0"
        if name in OPTIMIZERS and not OPTIMIZERS[name].has_decay_time:
            if sweep.horizon is not None:
                yield (
                    f"horizon: weight decay has no time of its own under optimizer "
                    f"{name!r}; give n_steps in its place (-s horizon=none)"
                )
    if sweep.learning_rate_choice == "auto" and len(sweep.points("optimizer")) > 1:
        yield (
            'learning_rate = "auto": one number for all runs, but each optimizer '
            f"({_quoted(sweep, 'optimizer')}) needs its own; give a number, or sweep "
            "one optimizer at a time"
        )
    if sweep.learning_rate_choice == "auto" and max(sweep.sextic_decay) > 0:
        yield (
            f'learning_rate = "auto": its rules do not look at sextic_decay = '
            f"{max(sweep.sextic_decay):g}; give a number"
        )


def _check_read_with(
    sweep: Sweep, given: set[str], bad: frozenset[str]
) -> Iterator[str]:
    """What belongs to a strength is read where that is on, so it has to be on."""
    of_window = {"filter_strength": "filter_window"}
    for strength, key in (*READ_WITH.items(), *of_window.items()):
        if key in given and not bad & {strength, key}:
            off = CONTROL_DEFAULTS[strength]
            if off in sweep.points(strength):
                yield (
                    f"{key}: goes with {strength}, which is {off:g} in some "
                    f"or all runs; give it above that, or leave {key} out"
                )


def _check_schedule(sweep: Sweep, bad: frozenset[str]) -> Iterator[str]:
    """A schedule has to end after its warm-up."""
    if bad & {"schedule", "schedule_steps", "warmup_steps"}:
        return
    least, warmup = min(sweep.schedule_steps), max(sweep.warmup_steps)
    for name in sweep.points("schedule"):
        entry = SCHEDULES.get(name)
        if entry and entry.controls and least <= warmup:
            yield (
                f"schedule_steps = {least:g}: schedule {name!r} needs the step at "
                f"which it ends, above warmup_steps = {warmup:g}"
            )


def _check_controls(sweep: Sweep, given: set[str]) -> Iterator[str]:
    """A control that no combination reads is an error, not a flat axis."""
    read = _read_by_any(sweep, controls_chosen)
    for key in CHOSEN_CONTROLS:
        if key in given and key not in read:
            yield (
                f"{key}: ignored by optimizer {_quoted(sweep, 'optimizer')}, model "
                f"{_quoted(sweep, 'model')}, activation "
                f"{_quoted(sweep, 'activation')} and schedule "
                f"{_quoted(sweep, 'schedule')} "
                f"(they read {', '.join((*ALWAYS_READ, *read, *NOISES))})"
            )


def _check_sizes(sweep: Sweep, given: set[str]) -> Iterator[str]:
    """A size that no combination reads, likewise."""
    read = _read_by_any(sweep, lambda each: (*_sizes_of(each), *_numbers_of(each)))
    for key in (*SYSTEM_SIZES, *MODEL_NUMBERS):
        if key in given and key not in read:
            yield (
                f"{key}: ignored by task {_quoted(sweep, 'task')} and model "
                f"{_quoted(sweep, 'model')} (they read {', '.join(read)})"
            )


def _read_by_any(
    sweep: Sweep, keys_read: Callable[[Combination], Iterable[str]]
) -> dict[str, None]:
    """The keys that some combination of the choices reads, each once, in order."""
    return dict.fromkeys(
        k for chosen in sweep.combinations() for k in keys_read(chosen)
    )


def _quoted(sweep: Sweep, key: str) -> str:
    return ", ".join(map(repr, sweep.points(key)))


def _sizes_of(chosen: Combination) -> tuple[str, ...]:
    return (*TASKS[chosen.task].sizes, *MODELS[chosen.model].sizes)


def _numbers_of(chosen: Combination) -> tuple[str, ...]:
    return MODELS[chosen.model].numbers


def _check_combinations(
    sweep: Sweep, known: list[Combination], bad: frozenset[str]
) -> Iterator[str]:
    """Problems of single combinations of the choices, which are named where some have
    the problem and others do not."""
    affected: dict[str, list[Combination]] = {}
    for chosen in known:
        part = part_of(sweep, chosen)
        for problem in dict.fromkeys(_check_one(part, chosen, bad)):
            affected.setdefault(problem, []).append(chosen)
    for problem, where in affected.items():
        yield problem if len(where) == len(known) else problem + _named(sweep, where)


def _named(sweep: Sweep, where: list[Combination]) -> str:
    """The first of some combinations by its swept choices, and how many more."""
    first = where[0]._asdict()
    words = [f"{k} = {first[k]!r}" for k in sweep.swept if k in first]
    more = len(where) - 1
    others = f" and {more} more combination{'s' * (more > 1)}" if more else ""
    return f" (with {', '.join(words)}{others})"


def _check_one(part: Sweep, chosen: Combination, bad: frozenset[str]) -> Iterator[str]:
    for key in SYSTEM_SIZES:
        missing = getattr(part, key) == (0,) and key in _sizes_of(chosen)
        if missing and key not in bad:
            yield f"missing key {key!r}"
    yield from check_fit(part, chosen)
    yield from _check_systems(part, chosen, bad)


def _check_systems(
    part: Sweep, chosen: Combination, bad: frozenset[str]
) -> Iterator[str]:
    """Every combination of sizes has to make a task, a model and both sets."""
    task, model = TASKS[chosen.task], MODELS[chosen.model]
    if chosen.split not in SPLITS or chosen.held_out not in HELD_OUT:
        return
    keys = dict.fromkeys((*_sizes_of(chosen), *model.numbers))
    if bad & {*keys, "train_fraction"} or any(
        getattr(part, key) == (0,) for key in _sizes_of(chosen)
    ):
        return
    for point in itertools.product(*(getattr(part, key) for key in keys)):
        sizes = dict(zip(keys, point, strict=True))
        system = System(task=chosen.task, model=chosen.model, **sizes)
        problem = task.problem(system) or model.problem(system)
        if problem:
            yield problem
            continue
        n_examples = task.shape(system).n_examples
        where = ", ".join(f"{k} = {sizes[k]}" for k in task.sizes) or "the task"
        yield from check_split(part, n_examples, where)
        for size in part.held_out_size:
            of_size = dataclasses.replace(
                system,
                split=chosen.split,
                held_out=chosen.held_out,
                held_out_size=size,
            )
            yield from check_structure(part, chosen, of_size)
        if max(part.batch_size) > n_examples:
            yield f"batch_size = {max(part.batch_size)}: more than {where} has examples"
        if part.kernel_examples and part.kernel_examples > len(probe(system)):
            yield (
                f"kernel_examples = {part.kernel_examples}: more than the "
                f"{len(probe(system))} examples on which kernels are taken at {where}"
            )
