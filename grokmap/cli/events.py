"""What commands print for programs: events as lines of JSON; and sizes for people."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def print_event(event: str, **values: Any) -> None:
    """One line of JSON on stdout; null for what is not known yet."""
    print(json.dumps({"event": event, **known(values)}, allow_nan=False), flush=True)


def json_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as JSON has them."""
    return [known(row) for row in table.to_dict("records")]


def known(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Values as JSON has them: null for what is undefined or infinite."""
    return {str(k): None if _is_unknown(v) else v for k, v in values.items()}


def _is_unknown(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def human_bytes(count: float) -> str:
    """1500 -> '1.5 kB'."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
