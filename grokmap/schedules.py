"""How the learning rate goes along a run: shares of `learning_rate`.

Warm-up goes with each of them. The formulas are those of optax, whose own functions
take no traced numbers; tests compare the two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from grokmap.spec import Control

Share = Callable[[Any, Any], jax.Array]


class Schedule(NamedTuple):
    """One entry of the table of schedules.

    share: (z, e) -> share of the learning rate, where z in [0, 1] is how far the run
      is from the end of its warm-up to `schedule_steps`, and e the share at the end.
    controls: what it reads.
    """

    share: Share
    controls: tuple[str, ...] = ("schedule_steps", "final_share")


SCHEDULES: dict[str, Schedule] = {
    "constant": Schedule(lambda z, end: jnp.ones_like(z), ()),
    "linear": Schedule(lambda z, end: 1.0 + z * (end - 1.0)),
    # Loshchilov and Hutter (arXiv 1608.03983), without restarts.
    "cosine": Schedule(
        lambda z, end: end + (1.0 - end) * 0.5 * (1.0 + jnp.cos(jnp.pi * z))
    ),
}


def share_at(schedule: str, step: jax.Array, control: Control) -> jax.Array:
    """Share of the learning rate with which the step after `step` steps is taken.

    It rises from 0 by 1 / warmup_steps a step, and goes from there to final_share at
    schedule_steps, where it stays.
    """
    warmup = control.warmup_steps
    rising = jnp.minimum(1.0, step / jnp.maximum(warmup, 1.0))
    whole = jnp.maximum(control.schedule_steps - warmup, 1.0)
    z = jnp.clip((step - warmup) / whole, 0.0, 1.0)
    falling = SCHEDULES[schedule].share(z, control.final_share)
    return jnp.where(step < warmup, rising, falling)
