"""When weights are kept: t_mem, t_grok, end, or a step."""

from __future__ import annotations

from typing import Any

from grokmap.errors import short
from grokmap.spec.points import whole

T_MEM, T_GROK, END = "t_mem", "t_grok", "end"
NAMED = (T_MEM, T_GROK, END)


def moments(value: Any) -> tuple[int | str, ...]:
    """Moments from one, a list, or a text with commas between them.

    Raises:
      ValueError: something else, or one is given twice.
    """
    if isinstance(value, str):
        value = [part for part in map(str.strip, value.split(",")) if part]
    values = value if isinstance(value, (list, tuple)) else [value]
    parsed = tuple(map(moment, values))
    for place, each in enumerate(parsed):
        if each in parsed[:place]:
            raise ValueError(f"{each} is given twice")
    return parsed


def moment(value: Any) -> int | str:
    """One of `NAMED`, or a step >= 0 as a number or a text.

    Raises:
      ValueError: something else.
    """
    if isinstance(value, str):
        value = value.strip("'\" ")
        if value in NAMED:
            return value
        value = int(value) if value.isascii() and value.isdigit() else value
    step = whole(value)
    is_step = isinstance(step, int) and not isinstance(step, bool)
    if not is_step or not 0 <= step < 2**31:
        given = short(repr(value))
        raise ValueError(f"{given} is no moment; give {', '.join(NAMED)} or a step")
    return int(step)
