"""The runs that a sweep expands into."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from grokmap.models import ACTIVATIONS, MODELS
from grokmap.optimizers import OPTIMIZERS
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
    NOISES,
    RAMP_CONTROLS,
    SYSTEM_SIZES,
    control_identity,
    run_id,
    system_identity,
)


def expand(sweep: Sweep) -> Iterator[Run]:
    """The runs of a sweep: the product of its axes, `sweep.n_runs` of them."""
    axes = [getattr(sweep, k) for k in CONTROL_FIELDS]
    controls = [Control(*point) for point in itertools.product(*axes)]
    # Sorting is stable: runs of one system stay together, in the order of the axes.
    controls.sort(key=_noisy)
    for point in itertools.product(*(getattr(sweep, k) for k in SYSTEM_SIZES)):
        sizes = dict(zip(SYSTEM_SIZES, point, strict=True))
        for noisy, group in itertools.groupby(controls, key=_noisy):
            system = _system(sweep, sizes, noisy)
            system_text = system_identity(system)
            reads = (*controls_read(system), *noisy)
            for control in group:
                control_text = control_identity(control, reads)
                for seed in sweep.seed:
                    name = run_id(system_text, control_text, seed)
                    yield Run(name, system, control, seed)


def run_at(sweep: Sweep, point: Mapping[str, float]) -> Run:
    """One run of the sweep's physics anywhere on its axes.

    point: values of axes; the others have to be fixed in the sweep.
    """
    values: dict[str, Any] = {k: getattr(sweep, k)[0] for k in AXES} | dict(point)
    control = Control(**{k: float(values[k]) for k in CONTROL_FIELDS})
    sizes = {k: int(values[k]) for k in SYSTEM_SIZES}
    system = _system(sweep, sizes, _noisy(control))
    seed = int(values["seed"])
    identity = control_identity(control, (*controls_read(system), *system.noisy))
    return Run(run_id(system_identity(system), identity, seed), system, control, seed)


def controls_read(chosen: Sweep | System) -> tuple[str, ...]:
    """The controls that runs of a system read beside those that all runs read.

    A run reads those of `NOISES` that are not 0 in it, too.
    """
    controls = (
        *OPTIMIZERS[chosen.optimizer].controls,
        *MODELS[chosen.model].controls,
        *ACTIVATIONS[chosen.activation].controls,
    )
    return (*controls, *(RAMP_CONTROLS if chosen.ramped else ()))


def _noisy(control: Control) -> tuple[str, ...]:
    return tuple(name for name in NOISES if getattr(control, name) > 0)


def _system(sweep: Sweep, sizes: Mapping[str, int], noisy: tuple[str, ...]) -> System:
    others = (k for k in SYSTEM_FIELDS if k not in (*SYSTEM_SIZES, "noisy"))
    values: dict[str, Any] = {k: getattr(sweep, k) for k in others}
    return System(**values | dict(sizes), noisy=noisy)
