"""Whether a process of this machine lives."""

from __future__ import annotations

import os
from typing import Any


def is_alive(pid: Any) -> bool:
    """True where it is not known, as of another user's, and of what is no number."""
    if not isinstance(pid, int) or pid <= 0:
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
