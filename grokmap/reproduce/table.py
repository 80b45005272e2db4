"""The reproductions, by name: each system's own, in its module."""

from __future__ import annotations

from grokmap.reproduce import (
    conventions,
    equilibrium,
    finite_width,
    grok_time,
    kumar,
    kumar_regression,
    lazy,
    levi,
    limits,
    liu,
    minima,
    modular,
    mup,
    mup_depth,
    omnigrok,
    optimizers,
    pracher,
    signals,
    theory,
    thermal,
    truong,
    wang,
)
from grokmap.reproduce.reproduction import Reproduction

REPRODUCTIONS: dict[str, Reproduction] = {
    **theory.REPRODUCTIONS,
    **liu.REPRODUCTIONS,
    **kumar.REPRODUCTIONS,
    **kumar_regression.REPRODUCTIONS,
    **conventions.REPRODUCTIONS,
    **levi.REPRODUCTIONS,
    **omnigrok.REPRODUCTIONS,
    **optimizers.REPRODUCTIONS,
    **modular.REPRODUCTIONS,
    **wang.REPRODUCTIONS,
    **truong.REPRODUCTIONS,
    **pracher.REPRODUCTIONS,
    **limits.REPRODUCTIONS,
    **lazy.REPRODUCTIONS,
    **finite_width.REPRODUCTIONS,
    **grok_time.REPRODUCTIONS,
    **mup.REPRODUCTIONS,
    **mup_depth.REPRODUCTIONS,
    **signals.REPRODUCTIONS,
    **equilibrium.REPRODUCTIONS,
    **minima.REPRODUCTIONS,
    **thermal.REPRODUCTIONS,
}
