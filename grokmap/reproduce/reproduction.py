"""What a reproduction is: a published result, and how ours is compared with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from grokmap.classify import CRITERIA, Criteria
from grokmap.reproduce.finding import Finding
from grokmap.reproduce.trained import Trained


def later(module: str, name: str) -> Callable[[Mapping[str, Trained]], Any]:
    """A function of a module of this package, which is loaded when it is called."""
    return partial(_called, module, name)


def _called(module: str, name: str, trained: Mapping[str, Trained]) -> Any:
    return getattr(import_module(f"grokmap.reproduce.{module}"), name)(trained)


class Reproduction(NamedTuple):
    """One published result.

    reference: authors, arXiv id, figure; claim: one sentence; setting: one line.
    compare: sweeps by name -> the findings, at least one.
    sweeps: names of files in `sweeps/`, trained first; none where nothing is.
    cpu_s: seconds of the whole, measured on two CPU cores; gpu_s: estimate for one GPU
      (None: not known); gpu: whether it is too long for a CPU.
    explained: why a known miss misses, and what was tried.
    criteria: rules by which the runs are labelled.
    figure: as `compare`; None: no figure.
    """

    reference: str
    claim: str
    setting: str
    compare: Callable[[Mapping[str, Trained]], list[Finding]]
    cpu_s: float
    sweeps: tuple[str, ...] = ()
    gpu_s: float | None = None
    gpu: bool = False
    explained: str = ""
    criteria: Criteria = CRITERIA["default"]
    figure: Callable[[Mapping[str, Trained]], Figure] | None = None

    def seconds(self, on_gpu: bool) -> float:
        """Its cost here; that of a CPU where a GPU's is not known."""
        return self.gpu_s if on_gpu and self.gpu_s is not None else self.cpu_s
