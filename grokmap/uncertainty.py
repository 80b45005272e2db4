"""How well a share is known from counts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

Floats = npt.NDArray[np.float64]


def wilson(
    successes: npt.ArrayLike, trials: npt.ArrayLike, level: float = 0.95
) -> tuple[Floats, Floats]:
    """Wilson's score interval of a share (J. Am. Stat. Assoc. 22, 209 (1927)).

    The p with |successes / trials - p| <= z sqrt(p (1 - p) / trials), z the two-sided
    normal quantile of `level`. It has a width even where all trials agree.

    Args:
      successes, trials: counts of one shape, 0 <= successes <= trials.
      level: coverage, within (0, 1).

    Returns:
      (low, high) in [0, 1], of that shape; NaN without trials.
    """
    n = np.asarray(trials, np.float64)
    n = np.where(n > 0, n, np.nan)
    share = np.asarray(successes, np.float64) / n
    z2 = norm.isf((1 - level) / 2) ** 2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) + z2 / (4 * n)) / n) / (1 + z2 / n)
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)
