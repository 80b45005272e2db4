"""Edges over several axes: planes of the model of P(grok), by places of sliders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from grokmap.analysis.uncertain_edges import REACH
from grokmap.analysis.unit_cube import Cube, Side
from grokmap.classify import Criteria
from grokmap.errors import SpecError
from grokmap.report.packing import Packed, pack
from grokmap.result import groups
from grokmap.result.result import Result
from grokmap.result.surface import edges_of, model_of, sure_of, upright_of

PLANE = 33, 49  # places up and across
# Places of a slider where there is one, two, or more of them; choices have their own.
SLIDER = (17, 9, 5)
STEP, MOST = 1 / 16, 8.0  # how finely standard deviations are told, and up to how many


class Over(NamedTuple):
    """axes: those that edges are placed over (none: no such edges); x: their own."""

    axes: Sequence[str] = ()
    x: str = "weight_decay"


NOWHERE = Over()


def surface(
    result: Result, over: Over, rules: Criteria
) -> tuple[dict[str, Any] | None, Packed]:
    """(facts, planes): sure, whole numbers of STEP, by slider places, then up, then
    across; None and nothing without axes.

    Raises:
      SpecError: axes over which no surface can be fitted. ResultError: no run is
        decided.
    """
    if not over.axes:
        return None, pack({})
    _check(result, over)
    model = model_of(result, over.axes, over.x, rules)
    upright = upright_of(model.others)
    rest = Cube(tuple(s for s in model.others.sides if s is not upright))
    plane = Cube((upright, model.cube.sides[model.at]))
    count = SLIDER[min(max(len(rest.sides), 1), len(SLIDER)) - 1]
    places = _places(rest, count)
    grid = plane.grid(PLANE)
    sure = np.concatenate([sure_of(model, plane, grid, place) for place in places])
    codes = np.round(np.clip(sure, -MOST, MOST) / STEP).astype(np.int64)
    alone, together = edges_of(model, np.inf).bands
    facts = {
        "x": _axis(plane.sides[1], PLANE[1]),
        "y": _axis(upright, PLANE[0]),
        "rest": [_axis(side, count) for side in rest.sides],
        "reach": REACH,
        "step": STEP,
        "bands": [alone, together],
    }
    return facts, pack({"sure": codes})


def _check(result: Result, over: Over) -> None:
    swept = [axis.name for axis in result.axes if axis.name != groups.REPLICAS]
    rest = [name for name in swept if name not in over.axes]
    if rest and set(over.axes) <= set(swept):
        raise SpecError(
            f"--over {','.join(over.axes)}: {', '.join(rest)} is swept too; a page has "
            f"edges over all swept axes but the seed: --over {','.join(swept)}"
        )


def _places(rest: Cube, count: int) -> list[dict[str, Any]]:
    """The places of the sliders, the last of them fastest; one where there is none."""
    if not rest.sides:
        return [{}]
    grid = rest.grid([count] * len(rest.sides))
    return [dict(row) for row in rest.rows(grid).to_dict("records")]


def _axis(side: Side, count: int) -> dict[str, Any]:
    """Name, places in [0, 1] and the values there, in their order."""
    (places,) = Cube((side,)).grid([count]).T
    values = [side.value(place) for place in places]
    return {
        "name": side.axis.name,
        "real": side.axis.is_real,
        "units": places.tolist(),
        "values": [v.item() if hasattr(v, "item") else v for v in values],
    }
