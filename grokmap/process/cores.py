"""The cores that this process may use."""

from __future__ import annotations

import os


def usable_cores() -> list[int]:
    """Their numbers, ascending; none where no process is bound to cores (macOS)."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return sorted(os.sched_getaffinity(0))
    return []
