"""From a sweep file to runs: the axis grammar, the words, the reader. No jax here."""

from grokmap.spec.axis import expand_axis, is_log
from grokmap.spec.read import read_sweep
from grokmap.spec.sweep import (
    AUTO,
    AXES,
    Sweep,
    controls_read,
    expand,
    run_at,
    sweep_schema,
)
from grokmap.spec.vocabulary import Vocabulary
from grokmap.spec.words import (
    CONTROL_FIELDS,
    SCHEMA_VERSION,
    SYSTEM_FIELDS,
    Control,
    Run,
    System,
    n_train_of,
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
    "Vocabulary",
    "controls_read",
    "expand",
    "expand_axis",
    "is_log",
    "n_train_of",
    "read_sweep",
    "run_at",
    "sweep_schema",
]
