"""An axis as a field of a sweep: from what is written to a tuple of checked points."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core.core_schema import CoreSchema, no_info_before_validator_function

from grokmap.errors import short
from grokmap.spec.axis import GRAMMAR, listed, round12


@dataclass(frozen=True)
class Points:
    """An axis field: from a number, an axis string or a list to a tuple of points.

    ge, gt, le, lt: bounds of each point; whole: whole numbers only.
    """

    whole: bool = False
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return no_info_before_validator_function(self.expand, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        words = {"ge": "minimum", "gt": "exclusiveMinimum"}
        words |= {"le": "maximum", "lt": "exclusiveMaximum"}
        number: dict[str, Any] = {"type": "integer" if self.whole else "number"}
        number |= {
            v: getattr(self, k)
            for k, v in words.items()
            if getattr(self, k) is not None
        }
        one = [number, {"type": "string"}]
        return {"anyOf": [*one, {"type": "array", "items": {"anyOf": one}}]}

    def expand(self, value: Any) -> tuple[float | int, ...]:
        values = listed(value)
        points = tuple(self._point(v) for v in values)
        # Runs are trained in float32: points it cannot tell apart are one point.
        seen: set[float] = set()
        for point in points:
            place = point if self.whole else float(np.float32(point))
            if place in seen:
                raise ValueError(f"{point} is given twice (or equals one in float32)")
            seen.add(place)
        return points

    def allows(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which of an array of numbers the axis may have."""
        with np.errstate(invalid="ignore", over="ignore"):
            single = values.astype(np.float32)
            fine = np.isfinite(single) & ((single == 0) == (values == 0))
            if self.whole:
                fine &= values == np.floor(values)
            for name, (holds, _) in _BOUNDS.items():
                if (bound := getattr(self, name)) is not None:
                    fine &= holds(values, bound)
        return fine

    @property
    def words(self) -> str:
        """What a point has to be, for a message."""
        bounds = [
            f"{words} {getattr(self, name)}"
            for name, (_, words) in _BOUNDS.items()
            if getattr(self, name) is not None
        ]
        kind = "a whole number" if self.whole else "a number"
        return " ".join([kind, " and ".join(bounds)]).strip()

    def _point(self, value: Any) -> float | int:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            text = short(repr(value))
            raise ValueError(f"{text} is no number; write axes as {GRAMMAR}")
        try:
            with np.errstate(over="ignore"):
                single = float(np.float32(value))
        except OverflowError:
            raise ValueError("a whole number of hundreds of digits") from None
        if not math.isfinite(value):
            raise ValueError(f"{value} is not finite")
        value = whole(value) if self.whole else value
        for name, (holds, words) in _BOUNDS.items():
            bound = getattr(self, name)
            if bound is not None and not holds(value, bound):
                raise ValueError(f"should be {words} {bound}, not {value}")
        if not math.isfinite(single) or (single == 0) != (value == 0):
            raise ValueError(f"{value} is beyond float32")
        return value if self.whole else round12(value)


def whole(value: Any) -> Any:
    """1e5 -> 100000: what is written as a real number but is a whole one.

    Raises:
      ValueError: a real number that is not whole.
    """
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        raise ValueError(f"{value} is not finite")
    if value != int(value):
        raise ValueError(f"whole numbers only, not {value}")
    return int(value)


_BOUNDS: dict[str, tuple[Callable[[Any, float], Any], str]] = {
    "ge": (operator.ge, "at least"),
    "gt": (operator.gt, "above"),
    "le": (operator.le, "at most"),
    "lt": (operator.lt, "below"),
}
