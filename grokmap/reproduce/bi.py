"""Is grokking a transition as the modulus grows? Bi et al. (arXiv 2603.24746).

The size is p, the control parameter the train fraction f, and an ensemble is networks
of other initial weights on one split. Of the final head-tail contrast m of each: Binder
cumulants of successive p cross at one f, and the largest variance grows with p as a
power rather than saturates. `grokmap scaling` and `grokmap transition` measure the same
of any sweep; here their parts are taken with the authors' choices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from grokmap.analysis.scaling import Ensemble, binder, binder_crossings, gather
from grokmap.analysis.statistics import dip_p_value, resample_weights
from grokmap.arrays import Floats
from grokmap.reproduce.finding import NUMBER, WORDS, Finding
from grokmap.reproduce.reproduction import Reproduction
from grokmap.reproduce.trained import Trained

SWEEP = "bi-near-critical"
QUANTITY = "head_tail_contrast"
# Of their near-critical grid (Table 1), and how near is near enough.
CRITICAL, CRITICAL_WITHIN = 0.418, 0.02
SPREAD, SPREAD_WITHIN = 0.019, 0.03
DELTA_AIC, DELTA_AIC_LEAST = 16.8, 10.0
N_CONSTANTS = 2  # of both laws of the largest variance
WITHIN = (-8.0, 8.0)  # the exponent, and ln of the rate of the largest size
RESAMPLES = 400


def ensemble_of(runs: pd.DataFrame) -> Ensemble:
    """The last contrast by p, f and chain, of all runs, grokked or not by the end."""
    named = runs.assign(seed=runs["chain"], censored=False)
    return gather(named, "modulus", "train_fraction", QUANTITY, "steps", log=False)


def crossings(ensemble: Ensemble) -> Floats:
    """[..] fractions at which cumulants of successive p cross, all pairs together."""
    n = ensemble.order.shape[2]
    weights = np.concatenate([np.ones((1, n)), resample_weights(n, RESAMPLES)])
    pairs = binder_crossings(ensemble, binder(ensemble, weights))
    return np.array([place for pair in pairs for place, _, _ in pair])


def peaks(ensemble: Ensemble) -> Floats:
    """[S] largest n Var m over fractions, n networks: their susceptibility."""
    variance = np.nanvar(ensemble.order, axis=2)
    return np.asarray(ensemble.order.shape[2] * np.nanmax(variance, axis=1))


def power(size: Floats, exponent: float) -> Floats:
    return np.asarray(size**exponent)


def saturating(size: Floats, log_rate: float) -> Floats:
    return np.asarray(-np.expm1(-np.exp(log_rate) * size))


def aic(law: Callable[[Floats, float], Floats], size: Floats, values: Floats) -> float:
    """n ln(SS / n) + 2 k of least squares, of a factor times the law, whose constant is
    within `WITHIN`: k = 2. Sizes and values over their largest."""
    size, values, n = size / size.max(), values / values.max(), len(values)

    def squares(constant: float) -> float:
        shape = law(size, constant)
        return float(np.sum((shape @ values / (shape @ shape) * shape - values) ** 2))

    least = minimize_scalar(squares, bounds=WITHIN, options={"xatol": 1e-8})
    return n * np.log(max(float(least.fun), 1e-300) / n) + 2 * N_CONSTANTS


def delta_aic(size: Floats, values: Floats) -> float:
    """AIC of the saturating law less that of the power law: above 0 for the power.

    Growth as p is the limit rate -> 0 of the first, so exponents above 1 are told. NaN
    of fewer than four sizes, which both laws may fit.
    """
    if len(size) < N_CONSTANTS + 2:
        return float("nan")
    return aic(saturating, size, values) - aic(power, size, values)


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Where cumulants cross, how the largest variance grows, and signs of order."""
    ensemble = ensemble_of(trained[SWEEP].runs)
    cumulant = binder(ensemble, np.ones((1, ensemble.order.shape[2])))[0]
    return [
        *_crossings(crossings(ensemble)),
        _growth(ensemble),
        _minima(ensemble, cumulant),
        _modes(ensemble, cumulant),
    ]


def _crossings(found: Floats) -> list[Finding]:
    words = f"{len(found)} crossings"
    middle = float(np.median(found)) if len(found) else np.nan
    span = float(np.ptp(found)) if len(found) > 1 else np.nan
    return [
        Finding(
            "fraction at which cumulants of successive p cross, median",
            f"{CRITICAL:g}",
            NUMBER,
            f"± {CRITICAL_WITHIN:g}",
            f"{middle:.3f}" if len(found) else "nowhere",
            words,
            bool(abs(middle - CRITICAL) <= CRITICAL_WITHIN),
        ),
        Finding(
            "spread of these crossings, largest less smallest",
            f"{SPREAD:g}",
            NUMBER,
            f"<= {SPREAD_WITHIN:g}",
            f"{span:.3f}" if len(found) > 1 else "too few",
            words,
            bool(span <= SPREAD_WITHIN),
        ),
    ]


def _growth(ensemble: Ensemble) -> Finding:
    found = delta_aic(ensemble.sizes, peaks(ensemble))
    return Finding(
        "AIC of saturation of the largest variance, less that of a power of p",
        f"{DELTA_AIC:g}",
        NUMBER,
        f">= {DELTA_AIC_LEAST:g}",
        f"{found:.1f}",
        f"{len(ensemble.sizes)} sizes",
        bool(found >= DELTA_AIC_LEAST),
    )


def _minima(ensemble: Ensemble, cumulant: Floats) -> Finding:
    """A sign of first order: the cumulant dips below 0 at the largest p."""
    lowest = np.nanmin(cumulant, axis=1)
    words = ", ".join(
        f"{size:.0f}: {low:.2f}"
        for size, low in zip(ensemble.sizes, lowest, strict=True)
    )
    return Finding(
        "smallest cumulant at the two largest p",
        "negative",
        WORDS,
        "< 0 at both",
        f"{lowest[-2]:.2f}, {lowest[-1]:.2f}",
        words,
        bool((lowest[-2:] < 0).all()),
    )


def _modes(ensemble: Ensemble, cumulant: Floats) -> Finding:
    """A sign against it: one mode where the cumulant is smallest."""
    p_values = [
        dip_p_value(ensemble.order[i, int(np.nanargmin(cumulant[i]))]) for i in (-2, -1)
    ]
    return Finding(
        "p of the dip test of one mode there, at the two largest p",
        "one mode",
        WORDS,
        "> 0.05 at both",
        ", ".join(f"{p:.3f}" for p in p_values),
        "",
        bool(min(p_values) > 0.05),
    )


REPRODUCTIONS: dict[str, Reproduction] = {
    SWEEP: Reproduction(
        reference="Bi, Zhang, Wang, Calhoun (arXiv 2603.24746), Table 1, near-critical",
        claim="Grokking is organised as a transition of size p in the train fraction: "
        "cumulants cross in one place, and fluctuations grow as a power of p.",
        setting="addition, p = 149 to 397, f = 0.36 to 0.46, 50 networks on one split, "
        "encoder of two blocks, AdamW 5e-4, decay 1, batches of 512",
        compare=compare,
        cpu_s=30_000_000,
        gpu_s=200_000,
        gpu=True,
        sweeps=(SWEEP,),
    ),
}
