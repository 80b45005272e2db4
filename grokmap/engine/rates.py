"""Step and decay of each array: of optimizer, schedule and ramp, with exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax

from grokmap.engine.lane import Lane
from grokmap.models import EMBEDDINGS, MODELS, MUP, Scale
from grokmap.optimizers import OPTIMIZERS, Rates
from grokmap.schedules import share_at
from grokmap.spec import Control, System
from grokmap.spec.words import control_at


def are_constant(system: System) -> bool:
    """Whether the rates of a run are the same in every step."""
    scheduled = system.schedule != "constant" or "warmup_steps" in system.noisy
    return not (system.ramped or scheduled)


def control_now(system: System, lane: Lane) -> Control:
    """The control of the next step, of a ramp or of a schedule."""
    control = lane.control
    if system.ramped:
        control = control_at(lane.step, control, system.ramp_of)
    if system.schedule != "constant" or "warmup_steps" in system.noisy:
        share: Any = share_at(system.schedule, lane.step, control)
        control = control._replace(learning_rate=control.learning_rate * share)
    return control


def rates_of(system: System, control: Control, scale: Scale, lane: Lane) -> Rates:
    """Rates of a step; array by array, where some arrays have rates of their own.

    Embeddings with a learning rate of their own do not decay (Liu et al.).
    """
    optimizer = OPTIMIZERS[system.optimizer]
    rates = plain = optimizer.rates(control, scale)
    is_mup = system.parameterization == MUP
    own = optimizer.mup_rates if is_mup else optimizer.own_rates
    if own is not None:
        rates = own(plain, lane.params, lane.control)
    still = undecayed(system, lane.params)
    if not still:
        return rates
    steps, decays = (jax.tree.broadcast(rate, lane.params) for rate in rates)
    if has_own_embedding_rate(system):
        share = lane.control.embedding_learning_rate / lane.control.learning_rate
        steps = steps | {"embedding": plain.step * share}
    return Rates(steps, decays | dict.fromkeys(still, 0.0))


def undecayed(system: System, params: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the arrays that weight decay leaves alone."""
    kept = [name for name in params if name.endswith("_bias") and not system.decay_bias]
    if has_own_embedding_rate(system) or not system.decay_embedding:
        kept += [name for name in EMBEDDINGS if name in params]
    return tuple(kept)


def has_own_embedding_rate(system: System) -> bool:
    return "embedding_learning_rate" in MODELS[system.model].controls
