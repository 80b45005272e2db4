"""Loops of runs whose weight decay is ramped up and back down. Tables in, tables out.

Where two phases are both stable and nothing takes one to the other, the loop between
the way up and the way down stays open however slow the ramp: in mean field its area is
A0 + c rate^(2/3) (Jung, Gray, Roy and Mandel, Phys. Rev. Lett. 65, 1873 (1990)). Where
one phase only lags behind the ramp, the loop closes. The converse does not hold: with
fluctuations the area may vanish as a power of the rate at a first-order transition too
(field H0 at frequency Omega, O(N) model: A ~ H0^0.66 Omega^0.33; Rao, Krishnamurthy and
Pandit, Phys. Rev. B 42, 856 (1990)). So a loop that closes is evidence for neither
order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grokmap.analysis.series import Series, series
from grokmap.analysis.statistics import LEVEL, student_interval
from grokmap.analysis.systems import varying
from grokmap.arrays import Floats
from grokmap.spec import Control, weight_decay_at
from grokmap.spec.axis import word

POINTS = 257  # of a loop, evenly spaced in ln(weight decay)
FEWEST_RATES, FEWEST_SEEDS = 3, 2
ROUNDING = 1e-9  # of relative residuals
HALF_LEVEL = 1 - (1 - LEVEL) / 2  # of each of two intervals, so that both hold at LEVEL
# An exponent below this cannot be told from 0 over the two decades a sweep can afford.
FLAT = 0.1
# k of area = A0 + c rate^k: 1 for a lag of one relaxation time, less for others.
EXPONENTS = np.linspace(FLAT, 1.0, 46)
# An offset is ruled out where at most this share of the slowest ramp's area can be one.
LARGEST_OFFSET = 0.5
# Smaller areas, in quantity times e-folds of weight decay, are raised to this one.
SMALLEST = 1e-3

JUMPS = ("up_rise", "up_fall", "down_rise", "down_fall")


class Loop(NamedTuple):
    """A quantity on both ways: [k] arrays, weight_decay ascending."""

    weight_decay: Floats
    up: Floats
    down: Floats


def loop_of(curve: Series, weight_decay: float, factor: float, steps: float) -> Loop:
    """The loop of one run, linear in the step between records.

    Args:
      curve: the quantity along the run; weight_decay: where the ramp begins; factor,
        steps: ramp_factor and ramp_steps. A run that ended early (diverged) is NaN from
        there on.
    """
    share = np.linspace(0.0, 1.0, POINTS)

    def at(step: Floats) -> Floats:
        return np.interp(step, curve.step, curve.value, right=np.nan)

    control = Control(0, weight_decay, 0, 0, ramp_factor=factor, ramp_steps=steps)
    up_steps = share * steps
    decay = np.asarray(weight_decay_at(up_steps, control), np.float64)
    return Loop(decay, at(up_steps), at(2 * steps - up_steps))


def area(loop: Loop) -> float:
    """Integral of |up - down| d ln(weight decay): quantity times e-folds; >= 0."""
    return float(np.trapezoid(abs(loop.up - loop.down), np.log(loop.weight_decay)))


def signed_area(loop: Loop) -> float:
    """The same of up - down: where the two only fluctuate about one curve, 0 in the
    mean over runs, while their distance is not."""
    return float(np.trapezoid(loop.up - loop.down, np.log(loop.weight_decay)))


def jumps(loop: Loop, level: float) -> dict[str, float]:
    """Weight decays at which the quantity passes `level`; NaN where it does not.

    up_rise, down_rise: first passage from below to above, in the order of time, on the
    way up and on the way down; up_fall, down_fall: last passage from above to below.
    """
    passages = {}
    for branch, values, decay in (
        ("up", loop.up, loop.weight_decay),
        ("down", loop.down[::-1], loop.weight_decay[::-1]),
    ):
        above = values >= level
        rises = np.flatnonzero(~above[:-1] & above[1:])
        falls = np.flatnonzero(above[:-1] & ~above[1:])
        for kind, places in (("rise", rises[:1]), ("fall", falls[-1:])):
            at = np.sqrt(decay[places] * decay[places + 1])
            passages[f"{branch}_{kind}"] = float(at[0]) if len(at) else float("nan")
    return passages


def families(plan: pd.DataFrame) -> list[str]:
    """The columns that tell ramped runs apart beside their rate and the seed."""
    always = ["weight_decay", "ramp_factor"]
    return [*always, *varying(plan, beside=(*always, "ramp_steps", "seed"))]


def place_of(row: Mapping[str, Any], family: Sequence[str]) -> str:
    """Where a family stands on the axes beside the ramp's own, as in "depth=2"."""
    return ", ".join(
        f"{key}={word(row[key])}"
        for key in family
        if key not in ("weight_decay", "ramp_factor") and pd.notna(row[key])
    )


def loops(
    trajectories: pd.DataFrame, plan: pd.DataFrame, quantity: str, level: float
) -> tuple[pd.DataFrame, dict[str, Loop]]:
    """The loop of every ramped run that has the quantity.

    Args:
      trajectories: run_id, step and the quantity; plan: `plan.plan_table`.
      level: what a jump passes, in units of the quantity.

    Returns:
      One row a run: run_id, seed, the columns of `families`, ramp_steps, ramp_rate
      (ln(ramp_factor) / ramp_steps: e-folds of weight decay a step), area,
      signed_area, level, top and end (the quantity at the ramp's top and at the run's
      end) and `jumps`. And the loops by run_id.
    """
    ramps = plan[plan["ramp_steps"].notna()].set_index("run_id", drop=False)
    columns = [*families(ramps), "ramp_steps"]
    rows: list[dict[str, Any]] = []
    by_run = {}
    for run_id, curve in series(trajectories, quantity):
        if run_id not in ramps.index:
            continue
        run = ramps.loc[run_id]
        steps, factor = float(run["ramp_steps"]), float(run["ramp_factor"])
        loop = loop_of(curve, float(run["weight_decay"]), factor, steps)
        by_run[run_id] = loop
        facts = {"run_id": run_id, "seed": run["seed"], **run[columns].to_dict()}
        facts |= {"ramp_rate": np.log(factor) / steps, "area": area(loop)}
        facts |= {"signed_area": signed_area(loop)}
        ends = {"top": float(loop.up[-1]), "end": float(loop.down[0])}
        rows.append(facts | {"level": level} | ends | jumps(loop, level))
    names = ["run_id", "seed", *columns, "ramp_rate", "area", "signed_area", "level"]
    names += ["top", "end"]
    return pd.DataFrame(rows, columns=[*names, *JUMPS]), by_run


def by_rate(runs: pd.DataFrame, family: list[str]) -> pd.DataFrame:
    """One row a family and ramp rate, the fastest first: medians over the seeds.

    Columns: those of the family, ramp_steps, ramp_rate, n_runs, area with quartiles
    area_q25, area_q75, end, and `jumps`, each with the share of the runs that have it.
    """
    rows = []
    for key, group in runs.groupby([*family, "ramp_steps"], dropna=False):
        quartiles = group["area"].quantile([0.25, 0.5, 0.75]).to_numpy()
        row = dict(zip([*family, "ramp_steps"], key, strict=True))
        row |= {"ramp_rate": group["ramp_rate"].iloc[0], "n_runs": len(group)}
        row |= dict(
            zip(("area_q25", "area", "area_q75"), map(float, quartiles), strict=True)
        )
        row |= group[["end", *JUMPS]].median().to_dict()
        row |= {f"{name}_share": group[name].notna().mean() for name in JUMPS}
        rows.append(row)
    return pd.DataFrame(rows)


def trends(runs: pd.DataFrame, family: list[str]) -> pd.DataFrame:
    """One row a family: what becomes of the loop as the ramp slows down.

    At the slower half of the rates (at least three), of the seeds with a loop at all of
    them: the exponent b of area ~ rate^b (`exponent`) and the offset A0 of area = A0 +
    c rate^k (`offset`), which a power alone cannot see.

    Returns:
      Columns of the family and: n_rates, n_seeds (with a loop at all of these rates),
      slowest (ramp_rate), area (median there), exponent, exponent_low, exponent_high,
      offset, offset_low, offset_high, limit (`_limit`), one_sided
      (`_one_sided`), falls and rises (shares of the runs that pass the level on the way
      up and are below it, or above, at the top), returns (share of those that fell, or
      if none did of those that rose, that are on the other side at the end).
    """
    rows = []
    for key, group in runs.groupby(family, dropna=False):
        rates = np.sort(group["ramp_rate"].unique())
        rates = rates[: max(FEWEST_RATES, len(rates) // 2)]
        by_seed = group.pivot_table("area", "seed", "ramp_rate").reindex(columns=rates)
        areas = by_seed.dropna().to_numpy()
        row = dict(zip(family, key, strict=True))
        row |= {"n_rates": len(rates), "n_seeds": len(areas), "slowest": rates[0]}
        # The median of a frame, since pandas 2 warns of that of a column without any
        # value, as where all runs diverged.
        row |= {"area": float(by_seed.iloc[:, :1].median().iloc[0])}
        slowest = group[group["ramp_rate"] == rates[0]]
        row |= {"one_sided": _one_sided(slowest)}
        rows.append(row | _slow_ramps(rates, areas) | _passages(group))
    return pd.DataFrame(rows)


def _slow_ramps(rates: Floats, areas: Floats) -> dict[str, Any]:
    """Exponent and offset with their intervals, and the limit of slow ramps.

    areas: [seeds, rates].
    """
    enough = len(rates) >= FEWEST_RATES and len(areas) >= FEWEST_SEEDS
    fitted: dict[str, Any] = {}
    for name, fit in (("exponent", exponent), ("offset", offset)):
        values = fit(rates, areas) if enough else (np.nan,) * 3
        names = (f"{name}{end}" for end in ("", "_low", "_high"))
        fitted |= dict(zip(names, values, strict=True))
    if not enough:
        return fitted | {"limit": "undecided"}
    middle = np.median(areas, axis=0)
    gone = bool((middle <= SMALLEST).all())
    return fitted | {"limit": "closes" if gone else _limit(fitted, float(middle[0]))}


def exponent(rates: Floats, areas: Floats) -> tuple[float, float, float]:
    """(b, low, high) of area ~ rate^b from areas [seeds, rates].

    Least squares of logarithms for each seed, then Student's t over the seeds: a seed
    gives its ramps at every rate the same examples and initial weights, so that seeds
    are the independent units. Loops differ between seeds by factors, so that exponents
    are nearly normal. Bootstrap percentiles over three seeds would cover b in 75% of
    cases at a nominal 95%.
    """
    logs = np.log(np.maximum(areas, SMALLEST))
    return _floats(student_interval(np.polyfit(np.log(rates), logs.T, 1)[0]))


def offset(rates: Floats, areas: Floats) -> tuple[float, float, float]:
    """(A0, low, high) of area = A0 + c rate^k, k in EXPONENTS; areas [seeds, rates].

    At one k A0 is linear in the areas: least squares of relative residuals for each
    seed, Student's t over the seeds. So is the derivative of the misfit in k, up to a
    factor: k is allowed where its interval holds 0. The interval of A0 goes from the
    lowest to the highest end over the allowed k; each of the two is at 97.5%, so that
    both hold in 95% of cases. NaN where no k is allowed. In [0, inf).
    """
    scale = np.maximum(areas.mean(axis=0), SMALLEST)
    relative = (np.maximum(areas, SMALLEST) / scale).T
    best, least, ends = 0.0, np.inf, []
    for k in EXPONENTS:
        power = (rates / rates[0]) ** k
        design = np.stack([np.ones_like(power), power], axis=1) / scale[:, None]
        inverse = np.linalg.pinv(design)
        change = design[:, 1] * np.log(rates / rates[0])  # of the areas, with k
        missed = change - design @ (inverse @ change)
        _, under, over = student_interval(missed @ relative, HALF_LEVEL)
        value, *interval = student_interval(inverse[0] @ relative, HALF_LEVEL)
        if under <= ROUNDING and over >= -ROUNDING:
            ends.append(interval)
        misfit = np.sum((relative - design @ (inverse @ relative)).mean(axis=1) ** 2)
        if misfit < least:
            best, least = float(value), float(misfit)
    low, high = (np.min(ends), np.max(ends)) if ends else (np.nan, np.nan)
    return _floats(np.maximum([best, low, high], 0.0))


def _floats(values: Any) -> tuple[float, float, float]:
    one, two, three = map(float, values)
    return one, two, three


def _limit(fitted: dict[str, Any], area: float) -> str:
    """Of loops whose area at the slowest ramp is `area`, as the ramp slows down.

    "stays": the exponent is below FLAT, or an offset is needed; "closes": neither, and
    half of the area at the slowest ramp is too much for an offset; else "undecided".
    """
    if fitted["exponent_high"] < FLAT or fitted["offset_low"] > SMALLEST:
        return "stays"
    ruled_out = fitted["offset_high"] < LARGEST_OFFSET * area
    return "closes" if fitted["exponent_low"] > FLAT and ruled_out else "undecided"


def _one_sided(runs: pd.DataFrame) -> bool:
    """Whether most of the area at one rate is a distance that does not average out.

    Values that fluctuate about one curve leave an area at any rate. Its signed area is
    0 in the mean; that of a loop is not, and is at least half of the area. False where
    a table of an earlier version does not say.
    """
    known = runs.get("signed_area", pd.Series(dtype=float))
    signed = known.dropna().to_numpy(np.float64)
    if len(signed) < FEWEST_SEEDS:
        return False
    mean, low, high = student_interval(signed)
    share = abs(mean) >= 0.5 * runs["area"].mean()
    return bool(share and (low > 0 or high < 0))


def _passages(runs: pd.DataFrame) -> dict[str, float]:
    # A run may pass the level many times, so its values at top and end decide.
    fell = runs["up_fall"].notna() & (runs["top"] < runs["level"])
    rose = runs["up_rise"].notna() & (runs["top"] >= runs["level"])
    above = runs["end"] >= runs["level"]
    back = above[fell] if fell.any() else ~above[rose]
    return {
        "rises": float(rose.mean()),
        "falls": float(fell.mean()),
        "returns": float(back.mean()) if len(back) else float("nan"),
    }
