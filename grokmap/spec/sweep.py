"""The keys of a sweep, what they may be, and the runs they expand into."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Protocol, Self

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic_core.core_schema import CoreSchema, no_info_before_validator_function

from grokmap.spec.axis import GRAMMAR, expand_axis, round12
from grokmap.spec.words import (
    CONTROL_FIELDS,
    RAMP_CONTROLS,
    SYSTEM_FIELDS,
    SYSTEM_SIZES,
    Control,
    Run,
    System,
    control_identity,
    run_id,
    system_identity,
)

MAX_RUNS = 1_000_000
AUTO = "auto"
AXES = (*SYSTEM_SIZES, *CONTROL_FIELDS, "seed")


class TaskEntry(Protocol):
    """What the checks need to know of a task."""

    @property
    def prime_modulus(self) -> bool: ...

    def n_examples(self, modulus: int) -> int: ...


class OptimizerEntry(Protocol):
    """What checks and plan need to know of an optimizer."""

    @property
    def controls(self) -> tuple[str, ...]: ...

    @property
    def decay_rate(self) -> Callable[..., float]: ...


class ConventionEntry(Protocol):
    """What checks and plan need to know of an alpha convention."""

    @property
    def multiplies(self) -> bool: ...

    @property
    def scale(self) -> Callable[..., Any]: ...


class ActivationEntry(Protocol):
    """What the plan needs to know of an activation."""

    @property
    def degree(self) -> int: ...


class OrderParameterEntry(Protocol):
    """What the reader needs to know of an order parameter."""

    @property
    def tasks(self) -> tuple[str, ...] | None: ...


class Vocabulary(NamedTuple):
    """The names a sweep file may use: the literal tables of the rooms below."""

    task: Mapping[str, TaskEntry]
    model: Collection[str]
    activation: Mapping[str, ActivationEntry]
    alpha_convention: Mapping[str, ConventionEntry]
    loss: Collection[str]
    optimizer: Mapping[str, OptimizerEntry]
    precision: Collection[str]
    order_parameters: Mapping[str, OrderParameterEntry]


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
        return {
            "anyOf": [number, {"type": "string"}, {"type": "array", "items": number}]
        }

    def expand(self, value: Any) -> tuple[float | int, ...]:
        if isinstance(value, str):
            values: list[Any] = list(expand_axis(value))
        elif isinstance(value, (list, tuple)):
            values = list(value)
        else:
            values = [value]
        if not values:
            raise ValueError(f"an empty axis; write one as {GRAMMAR}")
        points = tuple(self._point(v) for v in values)
        # Runs are trained in float32: points it cannot tell apart are one point.
        seen: set[float] = set()
        for point in points:
            place = point if self.whole else float(np.float32(point))
            if place in seen:
                raise ValueError(f"{point} is given twice (or equals one in float32)")
            seen.add(place)
        return points

    def _point(self, value: Any) -> float | int:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{value!r} is no number; write axes as {GRAMMAR}")
        try:
            with np.errstate(over="ignore"):
                single = float(np.float32(value))
        except OverflowError:
            raise ValueError("a whole number of hundreds of digits") from None
        if not math.isfinite(value):
            raise ValueError(f"{value} is not finite")
        if self.whole and value != int(value):
            raise ValueError(f"whole numbers only, not {value}")
        for name, (holds, words) in _BOUNDS.items():
            bound = getattr(self, name)
            if bound is not None and not holds(value, bound):
                raise ValueError(f"should be {words} {bound}, not {value}")
        if not math.isfinite(single) or (single == 0) != (value == 0):
            raise ValueError(f"{value} is beyond float32")
        return int(value) if self.whole else round12(value)


_BOUNDS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "ge": (operator.ge, "at least"),
    "gt": (operator.gt, "above"),
    "le": (operator.le, "at most"),
    "lt": (operator.lt, "below"),
}


def _key(text: str, **kwargs: Any) -> Any:
    return Field(description=text, **kwargs)


class Sweep(BaseModel):
    """A checked sweep: one attribute a key; axes as tuples of points.

    A fixed number is an axis of one point. No point in `learning_rate`: "auto" was
    given, and the number is not chosen yet (`step_size`). Units: `horizon` in
    weight-decay times 1/decay_rate; `n_steps`, `min_steps`, `max_steps` in steps.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] = _key(
        "name of the sweep and of its folder under results/"
    )
    task: str = _key("task to learn")
    modulus: Annotated[tuple[int, ...], Points(whole=True, ge=2, le=1024)] = _key(
        "p: residues 0..p-1, p^2 examples"
    )
    width: Annotated[tuple[int, ...], Points(whole=True, ge=1, le=65536)] = _key(
        "N: hidden neurons"
    )
    alpha: Annotated[tuple[float, ...], Points(ge=0, le=1e6)] = _key(
        "initialisation scale; see alpha_convention"
    )
    weight_decay: Annotated[tuple[float, ...], Points(ge=0)] = _key("lambda")
    train_fraction: Annotated[tuple[float, ...], Points(gt=0, lt=1)] = _key(
        "share of the examples trained on"
    )
    learning_rate: Annotated[tuple[float, ...], Points(gt=0)] = _key(
        'eta, in function space (see alpha_convention); "auto" with gd: one step for '
        "all runs, 0.4 of the largest that is stable at initialisation"
    )
    learning_rate_choice: Literal["given", "auto"] = _key(
        'whether learning_rate was given or chosen by "auto"', default="given"
    )
    seed: Annotated[tuple[int, ...], Points(whole=True, ge=0, le=2**32 - 1)] = _key(
        "seeds split and initial weights", default=(0,)
    )
    momentum: Annotated[tuple[float, ...], Points(ge=0, lt=1)] = _key(
        "heavy-ball momentum of gd", default=(0.0,)
    )
    beta1: Annotated[tuple[float, ...], Points(ge=0, lt=1)] = _key(
        "adamw: decay of the mean", default=(0.9,)
    )
    beta2: Annotated[tuple[float, ...], Points(ge=0, lt=1)] = _key(
        "adamw: decay of the square", default=(0.999,)
    )
    epsilon: Annotated[tuple[float, ...], Points(gt=0)] = _key(
        "adamw: added to the root", default=(1e-8,)
    )
    ramp_factor: Annotated[tuple[float, ...], Points(ge=1, le=1e6)] = _key(
        "weight decay rises to ramp_factor times weight_decay and falls back, both "
        "geometrically, in one run of 2 ramp_steps",
        default=(1.0,),
    )
    ramp_steps: Annotated[tuple[int, ...], Points(whole=True, ge=0, le=5 * 10**8)] = (
        _key(
            "steps of the ramp's way up, and of its way down; 0: no ramp", default=(0,)
        )
    )
    model: str = _key("network", default="two_layer")
    activation: str = _key("sigma of the hidden layer", default="quadratic")
    alpha_convention: str = _key("what alpha means", default="laziness")
    center: bool = _key("train f(x) - f_0(x)", default=False)
    bias: bool = _key("add zero-initialised biases to both layers", default=False)
    loss: str = _key("training loss", default="mse")
    optimizer: str = _key("update rule", default="gd")
    precision: str = _key("arithmetic of matrix products", default="float32")
    order_parameters: tuple[str, ...] | None = _key(
        "order parameters recorded besides losses, accuracies and norms "
        "(default: all that the task has)",
        default=None,
    )
    records_per_octave: Annotated[int, Field(ge=8, le=256)] = _key(
        "records each time the step doubles: 64 resolves times to 1.6%", default=64
    )
    order_parameters_per_octave: Annotated[int, Field(ge=1, le=256)] = _key(
        "records of the cheap order parameters each time the step doubles", default=8
    )
    dear_order_parameters_per_octave: Annotated[int, Field(ge=1, le=256)] = _key(
        "records of the dear order parameters each time the step doubles", default=2
    )
    horizon: Annotated[float, Field(gt=0, le=1e6)] | None = _key(
        "length of a run in weight-decay times 1/decay_rate", default=None
    )
    n_steps: Annotated[int, Field(ge=1, le=10**9)] | None = _key(
        "fixed length of every run, instead of horizon", default=None
    )
    min_steps: Annotated[int, Field(ge=1, le=10**9)] = _key(
        "shortest run under a horizon: memorisation gets its chance", default=1000
    )
    max_steps: Annotated[int, Field(ge=1, le=10**9)] = _key(
        "longest run under a horizon; what it cuts short is censored", default=100_000
    )
    tail: Annotated[float, Field(ge=0)] | None = _key(
        "a run that has grokked at step t is followed to (1 + tail) t; inf: to the end "
        "of its budget (default: 1 under a horizon, inf for n_steps)",
        default=None,
    )

    @property
    def swept(self) -> tuple[str, ...]:
        """The axes with more than one point, in the order of `AXES`."""
        return tuple(k for k in AXES if len(getattr(self, k)) > 1)

    @property
    def n_runs(self) -> int:
        return math.prod(len(getattr(self, k)) for k in AXES)

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
        axes = {k: list(values.pop(k)) for k in AXES}
        fixed = {k: v[0] for k, v in axes.items() if len(v) == 1}
        if self.n_steps is not None or self.ramped:
            del values["min_steps"], values["max_steps"]
        return {**values, **fixed, "axes": {k: axes[k] for k in self.swept}}

    @classmethod
    def from_resolved(cls, document: Mapping[str, Any]) -> Self:
        """The sweep whose `resolved` document this is."""
        values = {**document, **document.get("axes", {})}
        values.pop("axes", None)
        values.setdefault("tail", default_tail(values.get("horizon")))
        for key in ("order_parameters",):
            if isinstance(values.get(key), list):
                values[key] = tuple(values[key])
        return cls.model_validate(values)


KEYS = tuple(Sweep.model_fields)


def default_tail(horizon: float | None) -> float:
    """A budget in decay times may end early; a fixed number of steps is meant."""
    return math.inf if horizon is None else 1.0


def run_at(sweep: Sweep, point: Mapping[str, float], vocabulary: Vocabulary) -> Run:
    """One run of the sweep's physics anywhere on its axes.

    point: values of axes; the others have to be fixed in the sweep.
    """
    values: dict[str, Any] = {k: getattr(sweep, k)[0] for k in AXES} | dict(point)
    static = {k: getattr(sweep, k) for k in SYSTEM_FIELDS if k not in SYSTEM_SIZES}
    static |= {k: int(values[k]) for k in SYSTEM_SIZES}
    system = System(**static)
    control = Control(**{k: float(values[k]) for k in CONTROL_FIELDS})
    reads = controls_read(sweep, vocabulary)
    seed = int(values["seed"])
    identity = control_identity(control, reads)
    return Run(run_id(system_identity(system), identity, seed), system, control, seed)


def sweep_schema(vocabulary: Vocabulary) -> dict[str, Any]:
    """JSON schema of a sweep file, for editors; names as enumerations."""
    schema = Sweep.model_json_schema()
    properties: dict[str, Any] = schema["properties"]
    for key, names in vocabulary._asdict().items():
        enum = {"enum": sorted(names), "type": "string"}
        several = {"type": "array", "items": enum}
        properties[key] |= several if key == "order_parameters" else enum
        properties[key].pop("anyOf", None)
    axes = {k: properties[k] for k in AXES}
    properties["axes"] = {
        "type": "object",
        "additionalProperties": False,
        "description": f"swept keys; each axis: a list or {GRAMMAR}",
        "properties": axes,
    }
    # A required number may stand at the top or under [axes].
    schema["required"] = ["name", "task"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def controls_read(sweep: Sweep, vocabulary: Vocabulary) -> tuple[str, ...]:
    """The controls that the runs of a sweep read beside those that all runs read."""
    ramp = RAMP_CONTROLS if sweep.ramped else ()
    return (*vocabulary.optimizer[sweep.optimizer].controls, *ramp)


def expand(sweep: Sweep, vocabulary: Vocabulary) -> Iterator[Run]:
    """The runs of a sweep: the product of its axes, `sweep.n_runs` of them."""
    reads = controls_read(sweep, vocabulary)
    static = {k: getattr(sweep, k) for k in SYSTEM_FIELDS if k not in SYSTEM_SIZES}
    axes = [getattr(sweep, k) for k in CONTROL_FIELDS]
    controls = [Control(*point) for point in itertools.product(*axes)]
    for modulus, width in itertools.product(sweep.modulus, sweep.width):
        system = System(modulus=modulus, width=width, **static)
        system_text = system_identity(system)
        for control in controls:
            control_text = control_identity(control, reads)
            for seed in sweep.seed:
                name = run_id(system_text, control_text, seed)
                yield Run(name, system, control, seed)
