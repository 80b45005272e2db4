"""What training finds of the analytic weights: Gromov (arXiv 2301.02679).

Figs. 1, 3 and 5. f = W2 (W1 x)^2 / (2 p N) of weights N(0, 1) is alpha_convention
"output_scale" at alpha = 1 / (2p). Learning rates, and AdamW's decay, are our own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from grokmap.arrays import Floats
from grokmap.reproduce.finding import WORDS, Finding, spread
from grokmap.reproduce.reproduction import Reproduction
from grokmap.reproduce.trained import END, Trained
from grokmap.theory.gromov import inverse_participation, phase_match

SMALL, LARGE = "gromov-trained", "gromov-trained-97"
OPTIMIZERS = ("gd", "adamw")
PEAKED = 0.8  # mean cosine from which phases are "strongly peaked around 0"
LOCALISED = 2.0  # growth of the participation from which weights are "more periodic"


class Found(NamedTuple):
    """Of one network at its end: mean cosine of its phases, and how much the mean
    inverse participation of its first layer has grown."""

    match: float
    growth: float


def of_weights(start: Mapping[str, Floats], end: Mapping[str, Floats]) -> Found:
    """start, end: arrays first [2p, N] and readout [p, N]."""
    w1, w2 = (np.asarray(end[name], float) for name in ("first", "readout"))
    grown = [_participation(np.asarray(w["first"], float)) for w in (start, end)]
    return Found(float(phase_match(w1.T, w2).mean()), grown[1] / grown[0])


def _participation(first: Floats) -> float:
    """Of both tokens' rows, rfft, the constant left out."""
    halves = np.concatenate(np.split(first, 2), axis=1).T
    return float(inverse_participation(np.fft.rfft(halves)[:, 1:]).mean())


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Delays, phases and periodicity of each optimizer's networks."""
    each = dict(zip(OPTIMIZERS, trained.values(), strict=True))
    found = {name: _found(one) for name, one in each.items()}
    match = {name: found[name]["match"] for name in OPTIMIZERS}
    return [
        *(_delay(name, one.runs) for name, one in each.items()),
        *(_peaked(name, match[name]) for name in OPTIMIZERS),
        _closer(match),
        *(_periodic(name, found[name]["growth"]) for name in OPTIMIZERS),
    ]


def _found(one: Trained) -> pd.DataFrame:
    """A row a run; see `Found`."""
    leaves = {
        (each.run.run_id, each.step): each.leaves for each in one.weights((0, END))
    }
    ids = {run_id for run_id, _ in leaves}
    ends = {run_id: max(s for i, s in leaves if i == run_id) for run_id in ids}
    rows = [of_weights(leaves[i, 0], leaves[i, ends[i]]) for i in one.runs["run_id"]]
    return pd.DataFrame(rows, columns=Found._fields)


def _delay(name: str, runs: pd.DataFrame) -> Finding:
    ratio = runs["t_grok"].astype(float) / runs["t_mem"].astype(float)
    return Finding(
        f"t_grok / t_mem, {name}, {len(runs)} seeds",
        "generalises after training accuracy is 1",
        WORDS,
        "> 1 in every run",
        f"{ratio.median():.3g}",
        spread(ratio),
        bool((ratio > 1).all()),
    )


def _peaked(name: str, match: pd.Series) -> Finding:
    return Finding(
        f"mean over neurons of cos(phi_1 + phi_2 - phi_3), {name}",
        "strongly peaked around 0 (1: analytic weights)",
        WORDS,
        f">= {PEAKED:g} in every run",
        f"{match.median():.3f}",
        spread(match),
        bool((match >= PEAKED).all()),
    )


def _closer(match: Mapping[str, pd.Series]) -> Finding:
    gd, adamw = (float(match[name].median()) for name in OPTIMIZERS)
    return Finding(
        "the same, median over seeds, adamw against gd",
        "closer to 1 with adamw",
        WORDS,
        "no smaller",
        f"{adamw:.3f} against {gd:.3f}",
        "",
        adamw >= gd,
    )


def _periodic(name: str, growth: pd.Series) -> Finding:
    return Finding(
        f"inverse participation of the first layer, end over start, {name}",
        "weights become periodic",
        WORDS,
        f">= {LOCALISED:g} in every run",
        f"{growth.median():.3g}",
        spread(growth),
        bool((growth >= LOCALISED).all()),
    )


REPRODUCTIONS: dict[str, Reproduction] = {
    SMALL: Reproduction(
        reference="Gromov (arXiv 2301.02679), Figs. 1, 3 and 5, smaller",
        claim="Descent without weight decay, and AdamW, find weights of single "
        "frequencies whose phases match, after they have memorised.",
        setting="p = 23, 90%, N = 100, quadratic, mse, full batch, 3 seeds",
        compare=compare,
        cpu_s=70,
        sweeps=("gromov-gd", "gromov-adamw"),
    ),
    LARGE: Reproduction(
        reference="Gromov (arXiv 2301.02679), Figs. 1, 3 and 5",
        claim="The same at the sizes of the paper.",
        setting="p = 97, 49%, N = 500, quadratic, mse, full batch, 3 seeds",
        compare=compare,
        cpu_s=9000,
        gpu_s=600,
        gpu=True,
        sweeps=("gromov-gd-97", "gromov-adamw-97"),
    ),
}
