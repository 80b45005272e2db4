"""What a task is: a table of examples, the same for every run or drawn for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from grokmap.spec import System


class Shape(NamedTuple):
    """Sizes of a task's table.

    n_inputs: dimension of an input; of tokens: their places times their vocabulary.
    n_tokens: the vocabulary; 0 for real inputs.
    """

    n_examples: int
    n_outputs: int
    n_inputs: int
    n_tokens: int = 0


class Data(NamedTuple):
    """The examples of a run; arrays of the host, or traced where they are drawn.

    inputs: [n, k] tokens, or [n, d] reals of mean square about 1.
    label: [n] class of each example; None where targets are any real numbers.
    target: [n, C] what the outputs should be; None: the label's one-hot vector.
    prototypes: [K, C] target of each class, where classes have targets of their own.
    teacher: [d] direction the targets depend on, where there is one.
    """

    inputs: Any
    label: Any = None
    target: Any = None
    prototypes: Any = None
    teacher: Any = None

    @property
    def answer(self) -> Any:
        """What a loss compares outputs with: targets, or labels without them."""
        return self.label if self.target is None else self.target


TOKENS, REALS = "tokens", "reals"
CLASSES = ("mse", "cross_entropy", "stablemax")
SIGNS = ("mse", "logistic")
REAL_TARGETS = ("mse",)


class Task(NamedTuple):
    """One entry of the table of tasks.

    inputs: TOKENS or REALS; sizes: of a sweep, which it reads; losses: defined for it.
    data: (system, key of the run) -> its examples; the key is read where `drawn`.
    published: whether it can be drawn as in a published run; its own split then.
    shuffled: whether a split takes examples in random order; independent draws are.
    problem: what is wrong with a system's sizes; empty where nothing is.
    cycle: the tokens on which the operation is that of a cyclic group, in the order of
      a generator; empty where there is none.
    """

    formula: str
    inputs: str
    sizes: tuple[str, ...]
    shape: Callable[[System], Shape]
    data: Callable[[System, Any], Data]
    losses: tuple[str, ...] = CLASSES
    drawn: bool = False
    published: bool = False
    shuffled: bool = True
    problem: Callable[[System], str] = lambda system: ""
    cycle: Callable[[System], tuple[int, ...]] = lambda system: ()
