"""How many steps a run is given, by which setting, and how it is given more."""

from __future__ import annotations

import math
from collections.abc import Iterable

from grokmap.spec.sweep import Sweep

# What may grow between two calls: the larger, the longer each run, and nothing else.
BUDGETS = ("horizon", "min_steps", "max_steps", "n_steps", "n_epochs")


def steps_of(sweep: Sweep, rate: float, of_epoch: int = 1) -> int:
    """Steps of a run without a ramp. rate: its decay rate; of_epoch: steps of one pass
    through its training examples."""
    if sweep.n_epochs is not None:
        return sweep.n_epochs * of_epoch
    if sweep.horizon is None:
        assert sweep.n_steps is not None  # the reader lets no other sweep through
        return sweep.n_steps
    # A rate rounded a hair below its value must not cost a whole step.
    steps = min(_followed(sweep, rate), sweep.max_steps) * (1 - 1e-10)
    return min(max(sweep.min_steps, math.ceil(steps)), sweep.max_steps)


def _followed(sweep: Sweep, rate: float) -> float:
    """Steps that the horizon alone would take."""
    assert sweep.horizon is not None
    return sweep.horizon / rate if rate > 0 else math.inf


def ended_by(sweep: Sweep, rate: float) -> str:
    """The setting that a run without a ramp owes its last step to: one of BUDGETS."""
    if sweep.horizon is None:
        return "n_steps" if sweep.n_epochs is None else "n_epochs"
    steps = _followed(sweep, rate) * (1 - 1e-10)
    if max(steps, sweep.min_steps) > sweep.max_steps:
        return "max_steps"
    return "min_steps" if steps < sweep.min_steps else "horizon"


def longer(sweep: Sweep, rates: Iterable[float]) -> Sweep:
    """The sweep with budgets doubled, no more of them than give every run of these
    decay rates more steps; fixed budgets are doubled in any case."""
    if sweep.horizon is None:
        return _doubled(sweep, ended_by(sweep, 0.0))
    grown, rates = sweep, sorted(set(rates))
    for rate in rates:
        while not _is_longer(grown, sweep, rate):
            grown = _doubled(grown, ended_by(grown, rate))
    # What was doubled first may not be needed beside what was doubled later.
    for key in BUDGETS:
        fewer = grown.model_copy(update={key: getattr(sweep, key)})
        if all(_is_longer(fewer, sweep, rate) for rate in rates):
            grown = fewer
    return grown


def _is_longer(new: Sweep, old: Sweep, rate: float) -> bool:
    return steps_of(new, rate) > steps_of(old, rate)


def _doubled(sweep: Sweep, key: str) -> Sweep:
    return sweep.model_copy(update={key: 2 * getattr(sweep, key)})


def raised(old: Sweep, new: Sweep) -> tuple[str, ...]:
    """The budgets that are others in `new`, as key=value."""
    pairs = ((key, getattr(new, key)) for key in BUDGETS)
    return tuple(
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in pairs
        if value != getattr(old, key)
    )
