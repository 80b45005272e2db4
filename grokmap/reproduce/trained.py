"""What a comparison is given of each sweep that was trained for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from grokmap.avalanches import Gradients
from grokmap.spec.kernels import Kernels

if TYPE_CHECKING:  # it loads jax, and the list of reproductions need not
    from grokmap.engine.restored import Reached

END = -1


class Trained(NamedTuple):
    """A finished sweep.

    runs: one row a run, as `classify.classify` gives it under the reproduction's own
    criteria; trajectories: run_id, step, one column a recorded quantity.
    gradients: (steps by run id) -> gradients of the runs there, trained again.
    weights: (steps) -> every run at each with its weights, trained again; END: where it
      ended.
    kernels: () -> tangent kernels recorded along the runs, by run id.
    say: told how far a comparison of minutes has come.
    """

    runs: pd.DataFrame
    trajectories: pd.DataFrame
    gradients: Callable[[Mapping[str, Collection[int]]], Sequence[Gradients]] = (
        lambda steps: []
    )
    weights: Callable[[tuple[int, ...]], Sequence[Reached]] = lambda steps: []
    kernels: Callable[[], Mapping[str, Kernels]] = dict
    say: Callable[[str], None] = lambda line: None


class Sweeps(dict[str, Trained]):
    """What a comparison is given: sweeps by name, none where nothing is trained.

    say: told how far it has come.
    """

    def __init__(self, sweeps: Mapping[str, Trained], say: Callable[[str], None]):
        super().__init__(sweeps)
        self.say = say


def say_of(trained: Mapping[str, Trained]) -> Callable[[str], None]:
    """What is told how far a comparison has come; of a plain mapping nobody is."""
    return trained.say if isinstance(trained, Sweeps) else lambda line: None
