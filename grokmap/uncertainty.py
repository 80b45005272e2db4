"""What a cell's few seeds say: P(phase), t_grok, and how far labels depend on bars.

Tables in, tables out. A cell is a set of runs that differ in their seeds alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm, t

Floats = npt.NDArray[np.float64]

LEVEL = 0.95
RESAMPLES = 1000
# Of fewer runs no interval of a median can hold 95%: it lies beyond all of them with a
# chance of 2^(1 - n).
FEWEST = 6


def wilson(
    successes: npt.ArrayLike, trials: npt.ArrayLike, level: float = LEVEL
) -> tuple[Floats, Floats]:
    """Wilson's score interval of a probability: (low, high), each in [0, 1].

    (p + z^2/2n ± z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n), with p the share of
    successes and z the normal quantile of `level` (Wilson, J. Am. Stat. Assoc. 22
    (1927) 209). No trials: (0, 1).
    """
    k, n = np.asarray(successes, float), np.asarray(trials, float)
    z2 = norm.ppf((1 + level) / 2) ** 2
    share = k / np.maximum(n, 1)
    middle = (share * n + z2 / 2) / (n + z2)
    half = np.sqrt(z2 * (share * (1 - share) * n + z2 / 4)) / (n + z2)
    # At k = 0 and k = n one end is exactly 0 or 1; rounding must not say otherwise.
    low = np.where(k == 0, 0.0, np.maximum(middle - half, 0))
    return low, np.where(k == n, 1.0, np.minimum(middle + half, 1))


def median_survival(times: Floats, happened: npt.NDArray[np.bool_]) -> Any:
    """Kaplan and Meier's median of right-censored times (J. Am. Stat. Assoc. 53 (1958)
    457): where the share that is left falls below 1/2; the middle of the times at which
    it is 1/2 exactly, if it is; inf if it never falls below.

    Args:
      times: [..., n] when it happened, or was last known not to have (inf: never will).
      happened: [..., n].

    Returns:
      [...] medians.
    """
    # At equal times what happened comes first: it was at risk there.
    order = np.lexsort((~happened, times), axis=-1)
    times = np.take_along_axis(times, order, -1)
    happened = np.take_along_axis(happened, order, -1)
    at_risk = np.arange(times.shape[-1], 0, -1)
    left = np.cumprod(np.where(happened, 1 - 1 / at_risk, 1.0), axis=-1)
    at_half = _first_time(times, left <= 0.5 + 1e-12)
    return (at_half + _first_time(times, left < 0.5 - 1e-12)) / 2


def _first_time(times: Floats, holds: npt.NDArray[np.bool_]) -> Floats:
    """[...] the first of times [..., n] at which it holds; inf if at none."""
    first = np.argmax(holds, -1)[..., None]
    found = np.take_along_axis(times, first, -1)[..., 0]
    return np.where(holds.any(-1), found, np.inf)


def expanded_tail(n: int, level: float = LEVEL) -> float:
    """Share of resamples to leave out at either end of a percentile interval.

    Resamples of n are too narrow by what Student's t is wider than the normal, and by
    sqrt(1 - 1/n); Hesterberg (arXiv 1411.5279) takes percentiles further out in return:
    1.6 and 98.4 of n = 20 at 95%.
    """
    wide = t.ppf((1 - level) / 2, n - 1) * np.sqrt(n / (n - 1))
    return float(norm.cdf(wide))


def median_interval(
    times: Floats, happened: npt.NDArray[np.bool_], level: float = LEVEL
) -> tuple[float, float, float]:
    """(median, low, high) of `median_survival`; expanded percentiles of resampled runs.

    NaN for low, high of fewer than FEWEST runs.
    """
    middle = float(median_survival(times, happened))
    n = len(times)
    if n < FEWEST:
        return middle, np.nan, np.nan
    draws = np.random.default_rng(0).integers(n, size=(RESAMPLES, n))
    medians = median_survival(times[draws], happened[draws])
    tail = expanded_tail(n, level)
    low, high = np.quantile(medians, [tail, 1 - tail], method="inverted_cdf")
    return middle, float(low), float(high)


def median_ratio_interval(
    times: Floats, happened: npt.NDArray[np.bool_], level: float = LEVEL
) -> tuple[float, float, float]:
    """(ratio, low, high) of two medians over the same seeds: the first by the second.

    Seeds are resampled, each with both of its runs, which share split and initial
    weights; expanded percentiles. Where both medians are out of reach the ratio is
    NaN, which counts as 0 for low and as infinite for high.

    Args:
      times, happened: [2, n], as of `median_survival`.

    Returns:
      NaN for low, high of fewer than FEWEST seeds.
    """

    def ratio(chosen: Any) -> Floats:
        medians = median_survival(times[:, chosen], happened[:, chosen])
        with np.errstate(invalid="ignore"):
            return np.asarray(medians[0] / medians[1])

    n = times.shape[-1]
    middle = float(ratio(np.arange(n)))
    if n < FEWEST:
        return middle, np.nan, np.nan
    drawn = ratio(np.random.default_rng(0).integers(n, size=(RESAMPLES, n)))
    tail = expanded_tail(n, level)

    def bound(unknown: float, share: float) -> float:
        known = np.where(np.isnan(drawn), unknown, drawn)
        return float(np.quantile(known, share, method="inverted_cdf"))

    return middle, bound(0.0, tail), bound(np.inf, 1 - tail)


def probabilities(
    runs: pd.DataFrame,
    axes: Sequence[str],
    grokked: Sequence[str],
    level: float = LEVEL,
) -> pd.DataFrame:
    """One row a cell: P(phase) and t_grok over its seeds.

    Args:
      runs: classified runs. axes: the columns that tell cells apart.
      grokked: the phases that generalised.

    Returns:
      The axes; n_runs; n_undecided (censored: they may still grok); for each phase P
      p_P with p_P_low, p_P_high (Wilson; of what the runs show so far); p_grok with
      p_grok_low, p_grok_high, which hold whatever the undecided runs would do: the low
      end counts them as not grokking, the high end as grokking; t_grok with t_grok_low,
      t_grok_high (Kaplan-Meier median in steps; inf: half the runs or more have not
      grokked, or never will; no interval of fewer than FEWEST runs).
    """
    phases = list(dict.fromkeys(runs["phase"]))
    rows = []
    for point, cell in runs.groupby(list(axes), sort=True):
        yes = cell["phase"].isin(grokked).to_numpy()
        undecided = cell["censored"].to_numpy(bool) & ~yes
        n, k, open_ = len(cell), int(yes.sum()), int(undecided.sum())
        row = dict(zip(axes, point, strict=True)) | {"n_runs": n, "n_undecided": open_}
        for phase in phases:
            row |= _share(f"p_{phase}", int((cell["phase"] == phase).sum()), n, level)
        row |= {
            "p_grok": k / n,
            "p_grok_low": float(wilson(k, n, level)[0]),
            "p_grok_high": float(wilson(k + open_, n, level)[1]),
        }
        last = np.where(undecided, cell["n_steps"].astype(float), np.inf)
        times = np.where(yes, cell["t_grok"].astype(float), last)
        median = median_interval(times, yes, level)
        row |= dict(zip(("t_grok", "t_grok_low", "t_grok_high"), median, strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


def _share(name: str, k: int, n: int, level: float) -> dict[str, float]:
    low, high = wilson(k, n, level)
    return {name: k / n, f"{name}_low": float(low), f"{name}_high": float(high)}


def sensitivity(
    labels: Mapping[str, pd.DataFrame], axes: Sequence[str]
) -> pd.DataFrame:
    """One row a cell: the share of its runs that other rules label otherwise.

    Args:
      labels: classified runs by the name of their rules, all with the same names of
        phases; the first are the ones compared with.

    Returns:
      The axes; changed (share of runs whose phase any of the others changes), and
      changed_NAME of each other set of rules.
    """
    (_, base), *others = labels.items()
    table = base[[*axes, "run_id"]].copy()
    phase = base.set_index("run_id")["phase"]
    for name, runs in others:
        other = runs.set_index("run_id")["phase"].reindex(phase.index)
        table[f"changed_{name}"] = (other != phase).to_numpy()
    columns = [f"changed_{name}" for name, _ in others]
    table.insert(len(axes), "changed", table[columns].any(axis=1))
    return table.groupby(list(axes))[["changed", *columns]].mean().reset_index()
