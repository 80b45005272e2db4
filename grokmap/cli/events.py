"""What commands print for programs: events as lines of JSON; and sizes for people."""

from __future__ import annotations

import json
import math
from typing import Any


def print_event(event: str, **values: Any) -> None:
    """One line of JSON on stdout; null for what is not known yet."""
    known = {k: None if _is_unknown(v) else v for k, v in values.items()}
    print(json.dumps({"event": event, **known}, allow_nan=False), flush=True)


def _is_unknown(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def human_bytes(count: float) -> str:
    """1500 -> '1.5 kB'."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
