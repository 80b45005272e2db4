"""The reproductions, by name: each system's own, in its module."""

from __future__ import annotations

from grokmap.reproduce import kumar, optimizers, theory
from grokmap.reproduce.reproduction import Reproduction

REPRODUCTIONS: dict[str, Reproduction] = {
    **theory.REPRODUCTIONS,
    **kumar.REPRODUCTIONS,
    **optimizers.REPRODUCTIONS,
}
