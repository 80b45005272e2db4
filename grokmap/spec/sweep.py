"""A checked sweep."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import model_validator

from grokmap.spec.axis import Axis, kind_as_written, kind_of, listed, round12
from grokmap.spec.keys import Keys
from grokmap.spec.points import Points
from grokmap.spec.words import (
    CHOICES,
    CONTROL_FIELDS,
    LATER_CONTROLS,
    RAMP_CONTROLS,
    SYSTEM_NUMBERS,
    SYSTEM_SIZES,
    Combination,
    with_new_names,
)

MAX_RUNS = 1_000_000
AUTO = "auto"
AXES = (*SYSTEM_SIZES, *SYSTEM_NUMBERS, *CONTROL_FIELDS, "seed")  # numbers
SWEEPABLE = (*CHOICES, *AXES)


class Sweep(Keys):
    """A checked sweep: one attribute a key; axes as tuples of points.

    A fixed number is an axis of one point; a choice (`CHOICES`) is a plain value where
    it is fixed and a tuple where it is swept; `points` has both as tuples. No point in
    `learning_rate`: "auto" was given, and the number is not chosen yet (`step_size`).
    Units: `horizon` in weight-decay times 1/decay_rate; `n_steps`, `min_steps`,
    `max_steps` in steps. `axis_kinds` holds the kinds of axes, where they were written
    as another kind than their values alone would be taken for.
    """

    @model_validator(mode="before")
    @classmethod
    def _kinds_as_written(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        written = {key: _kind_as_written(key, values[key]) for key in values}
        kinds = values.get("axis_kinds", {})
        if not isinstance(kinds, Mapping):
            return values  # refused with the other fields
        kinds = {**kinds, **{k: v for k, v in written.items() if v}}
        guess = {key: _guess(values.get(key)) for key in kinds}
        return {
            **values,
            "axis_kinds": {k: v for k, v in kinds.items() if v != guess[k]},
        }

    @property
    def swept(self) -> tuple[str, ...]:
        """The keys with more than one point, in the order of `SWEEPABLE`."""
        return tuple(k for k in SWEEPABLE if len(self.points(k)) > 1)

    def points(self, key: str) -> tuple[Any, ...]:
        """The points of a key that may be swept (`SWEEPABLE`), one where it is not."""
        value = getattr(self, key)
        return value if isinstance(value, tuple) else (value,)

    @property
    def n_combinations(self) -> int:
        return math.prod(len(self.points(k)) for k in CHOICES)

    def combinations(self) -> Iterator[Combination]:
        """All combinations of the choices: one, where none of them is swept."""
        return (
            Combination(*point)
            for point in itertools.product(*(self.points(k) for k in CHOICES))
        )

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The swept keys with their values and kinds, in the order of `SWEEPABLE`."""
        kinds = {k: _kind(k, self.points(k)) for k in self.swept} | self._kinds()
        return tuple(Axis(k, self.points(k), kinds[k]) for k in self.swept)

    def _kinds(self) -> dict[str, Any]:
        """`axis_kinds` of the swept axes that have another kind by their values."""
        return {
            key: kind
            for key, kind in self.axis_kinds.items()
            if key in self.swept
            and _kind(key, self.points(key)) in {"linear", "log"} - {kind}
        }

    def with_kinds_of(self, before: Sweep) -> Self:
        """The sweep with the kinds of those axes that have the same values in `before`,
        so that what was read of them stays what it was."""
        kinds: dict[str, Any] = dict(self.axis_kinds)
        for axis in before.axes:
            if axis.is_real and set(axis.values) == set(self.points(axis.name)):
                kinds[axis.name] = axis.kind
        return self.model_copy(update={"axis_kinds": kinds})

    @property
    def ramped(self) -> bool:
        """Whether weight decay rises and falls along every run; see `ramp_factor`."""
        return max(self.ramp_steps) > 0

    @property
    def is_open(self) -> bool:
        """Whether the learning rate has yet to be chosen."""
        return not self.learning_rate

    def with_learning_rate(self, chosen: float) -> Self:
        """The sweep with the number that "auto" stands for."""
        return self.model_copy(update={"learning_rate": (round12(chosen),)})

    def resolved(self) -> dict[str, Any]:
        """Every key with its value, as a document that reads back to this sweep."""
        values = self.model_dump(exclude_none=True)
        del values["axis_kinds"]
        for key in (*SYSTEM_SIZES, *_LATER, *HANDLING):
            if values[key] == Sweep.model_fields[key].default:
                del values[key]
        swept = {*AXES, *self.swept}
        axes = {k: list(values.pop(k)) for k in SWEEPABLE if k in values and k in swept}
        fixed = {k: v[0] for k, v in axes.items() if len(v) == 1}
        if self.horizon is None:
            del values["min_steps"], values["max_steps"]
        document = {**values, **fixed, "axes": {k: axes[k] for k in self.swept}}
        kinds = self._kinds()
        return {**document, "axis_kinds": kinds} if kinds else document

    @classmethod
    def from_resolved(cls, document: Mapping[str, Any]) -> Self:
        """The sweep whose `resolved` document this is."""
        values = {**document, **document.get("axes", {})}
        values.pop("axes", None)
        values = with_new_names(values)
        values.setdefault("tail", default_tail(values.get("horizon")))
        for key in ("order_parameters", "save_weights"):
            if isinstance(values.get(key), list):
                values[key] = tuple(values[key])
        return cls.model_validate(values)


KEYS = tuple(Sweep.model_fields)
# What no run depends on: left out of a resolved spec at their defaults, free to change.
HANDLING = ("save_weights", "max_weights_gib")


def points_of(axis: str) -> Points:
    """What the points of an axis may be."""
    metadata = Sweep.model_fields[axis].metadata
    return next(points for points in metadata if isinstance(points, Points))


def _kind(key: str, values: tuple[Any, ...]) -> str:
    return kind_of(values, points_of(key).whole) if key in AXES else "choice"


def _kind_as_written(key: str, value: Any) -> str | None:
    is_real = key in AXES and not points_of(key).whole
    return kind_as_written(value) if is_real else None


def _guess(value: Any) -> str | None:
    """The kind of an axis by its values alone; None where they are in error."""
    try:
        return kind_of(map(float, listed(value)), whole=False)
    except (TypeError, ValueError):
        return None


# Left out of a resolved spec at their defaults, so that older ones stay what they are.
_LATER = (
    *(name for name in LATER_CONTROLS if name not in RAMP_CONTROLS),
    *("batch_size", "tolerance", "perp_grad", "published_seed", "plugins"),
    *("batch_replacement", "kernel_examples", "parameterization", "ramp_of"),
    *("decay_bias", "decay_embedding", "schedule", "filter_window"),
    *("blocks", "heads", "head_dim", "layer_norm"),
    *("split", "held_out", "held_out_size", "read_at"),
)


def default_tail(horizon: float | None) -> float:
    """A budget in decay times may end early; a fixed number of steps is meant."""
    return math.inf if horizon is None else 1.0
