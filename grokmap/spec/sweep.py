"""The sweep file: read, check (every problem at once), resolve, expand into runs."""

from __future__ import annotations

import difflib
import itertools
import math
import operator
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol, Self

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
)
from pydantic_core.core_schema import CoreSchema, no_info_before_validator_function

from grokmap.errors import SpecError
from grokmap.spec.axis import GRAMMAR, expand_axis, round12
from grokmap.spec.words import (
    ALWAYS_READ,
    CONTROL_FIELDS,
    OPTIMIZER_CONTROLS,
    SYSTEM_FIELDS,
    SYSTEM_SIZES,
    Control,
    Run,
    System,
    n_train_of,
    run_id,
    system_identity,
)

MAX_RUNS = 1_000_000
MAX_FILE_BYTES = 1 << 20
MAX_PROBLEMS = 30
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


class Vocabulary(NamedTuple):
    """The names a sweep file may use: the literal tables of the rooms below."""

    task: Mapping[str, TaskEntry]
    model: Collection[str]
    activation: Mapping[str, ActivationEntry]
    alpha_convention: Mapping[str, ConventionEntry]
    loss: Collection[str]
    optimizer: Mapping[str, OptimizerEntry]
    precision: Collection[str]
    order_parameters: Collection[str]


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

    A fixed number is an axis of one point. Units: `horizon` in weight-decay times
    1/decay_rate; `n_steps`, `min_steps`, `max_steps` in optimizer steps.
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
        "eta, in function space (see alpha_convention)"
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
    model: str = _key("network", default="two_layer")
    activation: str = _key("sigma of the hidden layer", default="quadratic")
    alpha_convention: str = _key("what alpha means", default="laziness")
    center: bool = _key("train f(x) - f_0(x)", default=False)
    bias: bool = _key("add zero-initialised biases to both layers", default=False)
    loss: str = _key("training loss", default="mse")
    optimizer: str = _key("update rule", default="gd")
    precision: str = _key("arithmetic of matrix products", default="float32")
    order_parameters: tuple[str, ...] | None = _key(
        "order parameters recorded besides losses, accuracies and norms (default: all)",
        default=None,
    )
    records_per_octave: Annotated[int, Field(ge=8, le=256)] = _key(
        "records each time the step doubles: 64 resolves times to 1.6%", default=64
    )
    order_parameters_per_octave: Annotated[int, Field(ge=1, le=256)] = _key(
        "records of the order parameters each time the step doubles", default=8
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

    @property
    def swept(self) -> tuple[str, ...]:
        """The axes with more than one point, in the order of `AXES`."""
        return tuple(k for k in AXES if len(getattr(self, k)) > 1)

    @property
    def n_runs(self) -> int:
        return math.prod(len(getattr(self, k)) for k in AXES)

    def resolved(self) -> dict[str, Any]:
        """Every key with its value, as a document that reads back to this sweep."""
        values = self.model_dump(exclude_none=True)
        axes = {k: list(values.pop(k)) for k in AXES}
        fixed = {k: v[0] for k, v in axes.items() if len(v) == 1}
        if self.n_steps is not None:
            del values["min_steps"], values["max_steps"]
        return {**values, **fixed, "axes": {k: axes[k] for k in self.swept}}

    @classmethod
    def from_resolved(cls, document: Mapping[str, Any]) -> Self:
        """The sweep whose `resolved` document this is."""
        values = {**document, **document.get("axes", {})}
        values.pop("axes", None)
        for key in ("order_parameters",):
            if isinstance(values.get(key), list):
                values[key] = tuple(values[key])
        return cls.model_validate(values)


KEYS = tuple(Sweep.model_fields)
_ALL_KEYS = (*KEYS, "axes")


def read_sweep(
    path: Path, overrides: Sequence[str] = (), *, vocabulary: Vocabulary
) -> Sweep:
    """Reads and checks a sweep file.

    Args:
      path: a TOML file.
      overrides: `key=value` strings that replace keys of the file.
      vocabulary: the names that exist.

    Raises:
      SpecError: with one line for each problem of the file and the overrides.
    """
    document = _load(path)
    problems: list[str] = []
    values = _merge(document, problems)
    for text in overrides:
        key, equals, value = text.partition("=")
        key = key.strip().removeprefix("axes.")
        if not equals or not key:
            problems.append(f"-s {_short(text)}: write -s key=value")
        else:
            values[key] = _override_value(key, value.strip())
    sweep, bad = _validate(values, problems)
    given = {k for k in values if k not in bad}
    problems += _check(sweep, given, bad, vocabulary)
    if problems:
        more = len(problems) - MAX_PROBLEMS
        shown = problems[:MAX_PROBLEMS] + [f"and {more} more problems"] * (more > 0)
        raise SpecError([f"{path}: {problem}" for problem in shown])
    chosen = sweep.order_parameters
    if chosen is None:
        chosen = tuple(vocabulary.order_parameters)
    return sweep.model_copy(update={"order_parameters": chosen})


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


def expand(sweep: Sweep, vocabulary: Vocabulary) -> Iterator[Run]:
    """The runs of a sweep: the product of its axes, `sweep.n_runs` of them."""
    reads = vocabulary.optimizer[sweep.optimizer].controls
    static = {k: getattr(sweep, k) for k in SYSTEM_FIELDS if k not in SYSTEM_SIZES}
    axes = [getattr(sweep, k) for k in CONTROL_FIELDS]
    controls = [Control(*point) for point in itertools.product(*axes)]
    for modulus, width in itertools.product(sweep.modulus, sweep.width):
        system = System(modulus=modulus, width=width, **static)
        identity = system_identity(system)
        for control, seed in itertools.product(controls, sweep.seed):
            name = run_id(identity, control, reads, seed)
            yield Run(name, system, control, seed)


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "a device or pipe"
            raise SpecError(f"{path}: {kind}, not a sweep file")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SpecError(f"{path}: over {MAX_FILE_BYTES} bytes; no sweep file")
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path}: not a text file in UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{path}: not TOML: {_short(str(error))}") from None


def _merge(document: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """Keys of the top and of [axes] as one mapping; misplaced keys are problems."""
    values = dict(document)
    axes = values.pop("axes", {})
    if not isinstance(axes, dict):
        problems.append("axes is a table: write [axes] and the swept keys below it")
        return values
    for key, value in values.items():
        if key in AXES and isinstance(value, (str, list)) and len(_peek(value)) > 1:
            problems.append(f"{key} = {value!r}: several values; put it under [axes]")
        if key in axes:
            problems.append(f"{key} stands at the top and under [axes]; keep one")
    for key in axes:
        if key in KEYS and key not in AXES:
            problems.append(
                f"{key} cannot be swept; numbers that can: {', '.join(AXES)}"
            )
    return {**values, **axes}


def _peek(value: str | list[Any]) -> Sequence[Any]:
    """The points of an axis, or none where it is in error (reported later)."""
    try:
        return expand_axis(value) if isinstance(value, str) else value
    except ValueError:
        return ()


def _override_value(key: str, text: str) -> Any:
    """`text` as a TOML value where it is one, else as an axis or a name."""
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        table = {}
    if set(table) == {"value"}:
        return table["value"]
    return text.split(",") if key == "order_parameters" else text


def _short(text: str) -> str:
    """At most 80 characters of a user's own text, for a message."""
    return text if len(text) <= 80 else f"{text[:77]}..."


_PLACEHOLDER: dict[str, Any] = {
    "name": "sweep",
    "task": "",
    "modulus": 2,
    "width": 1,
    "alpha": 1.0,
    "weight_decay": 0.0,
    "train_fraction": 0.5,
    "learning_rate": 1.0,
}


def _validate(
    values: dict[str, Any], problems: list[str]
) -> tuple[Sweep, frozenset[str]]:
    """A sweep from the sound keys, and the names of the others.

    Unsound keys get stand-ins, so that the checks across keys still see the rest and
    the user sees every problem at once.
    """
    values = {k: v for k, v in values.items() if not _unknown(k, problems)}
    if isinstance(values.get("order_parameters"), list):
        values["order_parameters"] = tuple(values["order_parameters"])
    try:
        return Sweep.model_validate(values), frozenset()
    except ValidationError as error:
        bad: dict[str, Any] = {}
        for detail in error.errors(include_url=False):
            bad.setdefault(str(detail["loc"][0]), detail)
        problems += [_message(key, detail) for key, detail in bad.items()]
    sound = {k: v for k, v in values.items() if k not in bad}
    stand_ins = {k: v for k, v in _PLACEHOLDER.items() if k in bad}
    return Sweep.model_validate({**sound, **stand_ins}), frozenset(bad)


def _unknown(key: str, problems: list[str]) -> bool:
    if key in KEYS:
        return False
    if key == "axes":
        problems.append("axes: name the swept key itself, as in alpha=0:0.5:6")
    else:
        problems.append(f"unknown key {_short(repr(key))}; {_nearest(key, _ALL_KEYS)}")
    return True


def _nearest(word: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(sorted(known))}"


def _message(key: str, detail: Any) -> str:
    if detail["type"] == "missing":
        return f"missing key {key!r}"
    if key == "name" and detail["type"] == "string_pattern_mismatch":
        given = _short(repr(detail["input"]))
        return (
            f"name = {given}: letters, digits, '.', '_' and '-' only, at most 100, "
            "not starting with a sign"
        )
    text = detail["msg"].removeprefix("Value error, ")
    text = text.replace("Input should be", "should be")
    return f"{key} = {_short(repr(detail['input']))}: {text}"


def _check(
    sweep: Sweep, given: set[str], bad: frozenset[str], vocabulary: Vocabulary
) -> Iterator[str]:
    """Problems that need several keys or the names that exist."""
    if sweep.n_runs > MAX_RUNS:
        yield f"{sweep.n_runs} runs; at most {MAX_RUNS} in one sweep"
        return
    yield from _check_names(sweep, bad, vocabulary)
    yield from _check_budget(sweep, given, bad)
    yield from _check_cadence(sweep, bad)
    optimizer = vocabulary.optimizer.get(sweep.optimizer)
    for key in OPTIMIZER_CONTROLS:
        if optimizer and key in given and key not in optimizer.controls:
            reads = ", ".join((*ALWAYS_READ, *optimizer.controls))
            yield f"{key}: ignored by optimizer {sweep.optimizer!r} (reads {reads})"
    convention = vocabulary.alpha_convention.get(sweep.alpha_convention)
    if "alpha" not in bad and convention and convention.multiplies:
        if min(sweep.alpha) <= 0:
            name = sweep.alpha_convention
            yield f"alpha = {min(sweep.alpha)}: above 0 under convention {name!r}"
    elif "alpha" not in bad and convention and max(sweep.alpha) > 2:
        yield f"alpha = {max(sweep.alpha)}: an exponent of the width, at most 2"
    task = vocabulary.task.get(sweep.task)
    if "modulus" not in bad:
        yield from _check_modulus(sweep, task, bad)


def _check_names(
    sweep: Sweep, bad: frozenset[str], vocabulary: Vocabulary
) -> Iterator[str]:
    for key, names in vocabulary._asdict().items():
        if key in bad:
            continue
        value = getattr(sweep, key)
        chosen = (value if key == "order_parameters" else (value,)) or ()
        if len(set(chosen)) < len(chosen):
            yield f"{key}: a name is given twice"
        for name in chosen:
            if name not in names:
                word = key.removesuffix("s").replace("_", " ")
                yield f"unknown {word} {_short(repr(name))}; {_nearest(name, names)}"


def _check_budget(sweep: Sweep, given: set[str], bad: frozenset[str]) -> Iterator[str]:
    if bad & {"horizon", "n_steps"}:
        return
    if (sweep.horizon is None) == (sweep.n_steps is None):
        found = "both" if sweep.horizon else "neither"
        yield f"give horizon (decay times) or n_steps (fixed); {found} found"
    if sweep.n_steps is not None:
        for key in sorted(given & {"min_steps", "max_steps"}):
            yield f"{key}: goes with horizon, not with n_steps"
    elif "min_steps" in given and sweep.min_steps > sweep.max_steps:
        yield f"min_steps = {sweep.min_steps}: above max_steps = {sweep.max_steps}"


def _check_cadence(sweep: Sweep, bad: frozenset[str]) -> Iterator[str]:
    for key in ("records_per_octave", "order_parameters_per_octave"):
        value = getattr(sweep, key)
        if key not in bad and value & (value - 1):
            yield f"{key} = {value}: a power of two"
    if sweep.order_parameters_per_octave > sweep.records_per_octave:
        yield "order_parameters_per_octave: at most records_per_octave"


def _check_modulus(
    sweep: Sweep, task: TaskEntry | None, bad: frozenset[str]
) -> Iterator[str]:
    for modulus in sweep.modulus:
        if task and task.prime_modulus and not _is_prime(modulus):
            yield f"modulus = {modulus}: task {sweep.task!r} needs a prime"
            continue
        n_examples = task.n_examples(modulus) if task else modulus**2
        for fraction in () if "train_fraction" in bad else sweep.train_fraction:
            n_train = n_train_of(fraction, n_examples)
            if not 0 < n_train < n_examples:
                side = "train" if n_train == 0 else "test"
                yield (
                    f"train_fraction = {fraction}: leaves no {side} example of the "
                    f"{n_examples} of modulus {modulus}"
                )


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % d for d in range(2, math.isqrt(number) + 1))
