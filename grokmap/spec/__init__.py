"""The words of a sweep: axis grammar, keys, systems, controls, run ids. No jax here."""

from grokmap.spec.axis import expand_axis, is_log
from grokmap.spec.sweep import AUTO, AXES, Sweep
from grokmap.spec.words import (
    CONTROL_FIELDS,
    SCHEMA_VERSION,
    SYSTEM_FIELDS,
    Control,
    Run,
    System,
    n_train_of,
    weight_decay_at,
)

__all__ = [
    "AUTO",
    "AXES",
    "CONTROL_FIELDS",
    "SCHEMA_VERSION",
    "SYSTEM_FIELDS",
    "Control",
    "Run",
    "Sweep",
    "System",
    "expand_axis",
    "is_log",
    "n_train_of",
    "weight_decay_at",
]
