"""What the spec needs to know of the tables of names in the rooms below."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, Protocol

from grokmap.spec.words import System


class TaskEntry(Protocol):
    """What the checks need to know of a task."""

    @property
    def sizes(self) -> tuple[str, ...]: ...

    @property
    def inputs(self) -> str: ...

    @property
    def losses(self) -> tuple[str, ...]: ...

    @property
    def published(self) -> bool: ...

    @property
    def shape(self) -> Callable[[System], Any]: ...

    @property
    def problem(self) -> Callable[[System], str]: ...


class ModelEntry(Protocol):
    """What checks and plan need to know of a network."""

    @property
    def sizes(self) -> tuple[str, ...]: ...

    @property
    def controls(self) -> tuple[str, ...]: ...

    @property
    def conventions(self) -> tuple[str, ...]: ...

    @property
    def inputs(self) -> tuple[str, ...]: ...

    @property
    def hidden_matrices(self) -> bool: ...

    @property
    def published(self) -> bool: ...

    @property
    def problem(self) -> Callable[[System], str]: ...

    @property
    def degree(self) -> Callable[[int, int], int]: ...


class OptimizerEntry(Protocol):
    """What checks and plan need to know of an optimizer."""

    @property
    def controls(self) -> tuple[str, ...]: ...

    @property
    def decays(self) -> bool: ...

    @property
    def needs_hidden(self) -> bool: ...

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

    @property
    def controls(self) -> tuple[str, ...]: ...


class OrderParameterEntry(Protocol):
    """What the reader needs to know of an order parameter."""

    @property
    def tasks(self) -> tuple[str, ...] | None: ...

    @property
    def models(self) -> tuple[str, ...] | None: ...

    @property
    def on_request(self) -> bool: ...


class Vocabulary(NamedTuple):
    """The names a sweep file may use: the literal tables of the rooms below."""

    task: Mapping[str, TaskEntry]
    model: Mapping[str, ModelEntry]
    activation: Mapping[str, ActivationEntry]
    alpha_convention: Mapping[str, ConventionEntry]
    loss: Collection[str]
    optimizer: Mapping[str, OptimizerEntry]
    precision: Collection[str]
    order_parameters: Mapping[str, OrderParameterEntry]
