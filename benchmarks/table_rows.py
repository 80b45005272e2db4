"""Cells and rows of tables in Markdown."""

from __future__ import annotations

from typing import Any

import numpy as np


def row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def head(*cells: str) -> list[str]:
    return [row(*cells), "|" + "---|" * len(cells)]


def spread(values: Any, digits: int = 2) -> str:
    low, middle, high = (f"{f(values):.{digits}f}" for f in (np.min, np.median, np.max))
    return f"**{middle}** ({low} to {high})"
