"""The runs that a sweep expands into."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

from grokmap import plugins
from grokmap.models import ACTIVATIONS, MODELS
from grokmap.optimizers import OPTIMIZERS
from grokmap.order_parameters import ORDER_PARAMETERS
from grokmap.schedules import SCHEDULES
from grokmap.spec import (
    AXES,
    CONTROL_FIELDS,
    SYSTEM_FIELDS,
    Control,
    Run,
    Sweep,
    System,
)
from grokmap.spec.words import (
    CHOICES,
    CHOSEN_CONTROLS,
    CONTROL_DEFAULTS,
    MODEL_NUMBERS,
    NOISES,
    RAMP_CONTROLS,
    READ_WITH,
    SYSTEM_NUMBERS,
    SYSTEM_SIZES,
    Combination,
    control_identity,
    run_id,
    system_identity,
)
from grokmap.tasks import TASKS

_OF_SYSTEM = (*SYSTEM_SIZES, *SYSTEM_NUMBERS)
_MADE = (*CHOICES, *_OF_SYSTEM, "noisy", "plugins")
_OTHERS = tuple(k for k in SYSTEM_FIELDS if k not in _MADE)


def expand(sweep: Sweep) -> Iterator[Run]:
    """The runs of a sweep, `count_runs` of them: of every combination of its choices
    the product of the axes that this combination reads."""
    for chosen in sweep.combinations():
        yield from _expand_one(part_of(sweep, chosen), chosen)


def _expand_one(part: Sweep, chosen: Combination) -> Iterator[Run]:
    axes = [getattr(part, k) for k in CONTROL_FIELDS]
    controls = [Control(*point) for point in itertools.product(*axes)]
    # Sorting is stable: runs of one system stay together, in the order of the axes.
    controls.sort(key=_noisy)
    for point in itertools.product(*(getattr(part, k) for k in _OF_SYSTEM)):
        numbers = dict(zip(_OF_SYSTEM, point, strict=True))
        for noisy, group in itertools.groupby(controls, key=_noisy):
            system = _system(part, chosen, numbers, noisy)
            system_text = system_identity(system)
            reads = controls_read(system)
            for control in group:
                control_text = control_identity(control, reads)
                for seed in part.seed:
                    name = run_id(system_text, control_text, seed)
                    yield Run(name, system, control, seed)


def count_runs(sweep: Sweep) -> int:
    """How many runs `expand` makes."""
    return sum(n_points(part_of(sweep, chosen)) for chosen in sweep.combinations())


def n_points(part: Sweep) -> int:
    """How many points the axes of one combination have together."""
    return math.prod(len(getattr(part, k)) for k in AXES)


def run_at(sweep: Sweep, point: Mapping[str, Any]) -> Run:
    """One run of the sweep's physics anywhere on its axes.

    point: values of axes and of swept choices; what is left out has to be fixed in the
      sweep. What the run does not read is ignored.
    """
    words = {k: point.get(k, sweep.points(k)[0]) for k in CHOICES}
    chosen = Combination(**words)
    part = part_of(sweep, chosen)
    fixed = set(unread(chosen)) | (set(AXES) - point.keys())
    values = {k: getattr(part, k)[0] if k in fixed else point[k] for k in AXES}
    control = Control(**{k: float(values[k]) for k in CONTROL_FIELDS})
    numbers = {k: int(values[k]) for k in _OF_SYSTEM}
    system = _system(part, chosen, numbers, _noisy(control))
    seed = int(values["seed"])
    identity = control_identity(control, controls_read(system))
    return Run(run_id(system_identity(system), identity, seed), system, control, seed)


def part_of(sweep: Sweep, chosen: Combination) -> Sweep:
    """The part of a sweep with one combination of its choices.

    What the combination does not read stands at its default, so that it multiplies no
    run; of several tasks or models, each records the order parameters that it has.
    """
    fields = Sweep.model_fields
    update = {k: fields[k].default for k in unread(chosen)} | chosen._asdict()
    several = len(sweep.points("task")) * len(sweep.points("model")) > 1
    if several and sweep.order_parameters is not None:
        names = (n for n in sweep.order_parameters if is_defined(n, chosen))
        update["order_parameters"] = tuple(names)
    return sweep.model_copy(update=update)


def unread(chosen: Combination) -> tuple[str, ...]:
    """The sizes and controls that a combination of choices does not read."""
    read = {
        *TASKS[chosen.task].sizes,
        *MODELS[chosen.model].sizes,
        *MODELS[chosen.model].numbers,
        *controls_chosen(chosen),
    }
    able = (*SYSTEM_SIZES, *MODEL_NUMBERS, *CHOSEN_CONTROLS)
    return tuple(k for k in able if k not in read)


def is_defined(order_parameter: str, chosen: Combination) -> bool:
    """Whether the task and the model of a combination have an order parameter."""
    entry = ORDER_PARAMETERS.get(order_parameter)
    if entry is None:  # of a plugin that is not loaded
        return True
    has_task = entry.tasks is None or chosen.task in entry.tasks
    return has_task and (entry.models is None or chosen.model in entry.models)


def controls_chosen(chosen: Combination | System) -> tuple[str, ...]:
    """The controls that optimizer, model, activation and schedule read."""
    return (
        *OPTIMIZERS[chosen.optimizer].controls,
        *MODELS[chosen.model].controls,
        *ACTIVATIONS[chosen.activation].controls,
        *SCHEDULES[chosen.schedule].controls,
    )


def controls_read(system: System) -> tuple[str, ...]:
    """The controls that runs of a system read beside those that all runs read."""
    ramp = RAMP_CONTROLS if system.ramped else ()
    beside = [READ_WITH[name] for name in system.noisy if name in READ_WITH]
    return (*controls_chosen(system), *ramp, *system.noisy, *beside)


def _noisy(control: Control) -> tuple[str, ...]:
    return tuple(
        name for name in NOISES if getattr(control, name) != CONTROL_DEFAULTS[name]
    )


def _system(
    part: Sweep,
    chosen: Combination,
    numbers: Mapping[str, int],
    noisy: tuple[str, ...],
) -> System:
    others: dict[str, Any] = {k: getattr(part, k) for k in _OTHERS}
    of_plugins = plugins.of_training(chosen)
    values = others | chosen._asdict() | dict(numbers)
    return System(**values, noisy=noisy, plugins=of_plugins)
