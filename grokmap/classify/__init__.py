"""Trajectories -> phases, times and flags: a pure function of two tables and a frozen
`Criteria`."""

from grokmap.classify.criteria import (
    CRITERIA,
    FLAGS,
    GROK,
    MEMORIZE_ONLY,
    NO_LEARNING,
    PHASES,
    Criteria,
    read_criteria,
)
from grokmap.classify.labels import classify, classify_parts
from grokmap.classify.learning import over_at

__all__ = [
    "CRITERIA",
    "FLAGS",
    "GROK",
    "MEMORIZE_ONLY",
    "NO_LEARNING",
    "PHASES",
    "Criteria",
    "classify",
    "classify_parts",
    "over_at",
    "read_criteria",
]
