"""Loops of runs whose weight decay is ramped up and back down. Tables in, tables out.

Where two phases are both stable, which one a network is in depends on where it comes
from, and the loop between the way up and the way down stays open however slow the ramp.
Where one phase only lags behind the ramp, the loop closes as the ramp slows down
(Binder, Rep. Prog. Phys. 50, 783 (1987); for areas against ramp rates: Rao,
Krishnamurthy and Pandit, Phys. Rev. B 42, 856 (1990)).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from grokmap.plan import weight_decay_at
from grokmap.spec import CONTROL_FIELDS, Control
from grokmap.transitions import Series, series

Floats = npt.NDArray[np.float64]

POINTS = 257  # of a loop, evenly spaced in ln(weight decay)
RESAMPLES = 2000
FEWEST_RATES, FEWEST_SEEDS = 3, 3
# An exponent below this cannot be told from 0 over the two decades a sweep can afford.
FLAT = 0.1
# Loops smaller than this, in quantity times e-folds of weight decay, count as this.
SMALLEST = 1e-3

JUMPS = ("up_rise", "up_fall", "down_rise", "down_fall")


class Loop(NamedTuple):
    """A quantity on both ways: [k] arrays, weight_decay ascending."""

    weight_decay: Floats
    up: Floats
    down: Floats


def loop_of(own: Series, weight_decay: float, factor: float, steps: float) -> Loop:
    """The loop of one run, linear in the step between records.

    Args:
      own: the quantity along the run; weight_decay: where the ramp begins; factor,
        steps: ramp_factor and ramp_steps. A run that ended early (diverged) is NaN from
        there on.
    """
    share = np.linspace(0.0, 1.0, POINTS)

    def at(step: Floats) -> Floats:
        return np.interp(step, own.step, own.value, right=np.nan)

    control = Control(0, weight_decay, 0, 0, ramp_factor=factor, ramp_steps=steps)
    up_steps = share * steps
    decay = np.asarray(weight_decay_at(up_steps, control), np.float64)
    return Loop(decay, at(up_steps), at(2 * steps - up_steps))


def area(loop: Loop) -> float:
    """Integral of |up - down| d ln(weight decay): quantity times e-folds; >= 0."""
    return float(np.trapezoid(abs(loop.up - loop.down), np.log(loop.weight_decay)))


def jumps(loop: Loop, level: float) -> dict[str, float]:
    """Weight decays at which the quantity passes `level`; NaN where it does not.

    up_rise, down_rise: first passage from below to above, in the order of time, on the
    way up and on the way down; up_fall, down_fall: last passage from above to below.
    """
    found = {}
    for branch, values, decay in (
        ("up", loop.up, loop.weight_decay),
        ("down", loop.down[::-1], loop.weight_decay[::-1]),
    ):
        above = values >= level
        rises = np.flatnonzero(~above[:-1] & above[1:])
        falls = np.flatnonzero(above[:-1] & ~above[1:])
        for kind, places in (("rise", rises[:1]), ("fall", falls[-1:])):
            at = np.sqrt(decay[places] * decay[places + 1])
            found[f"{branch}_{kind}"] = float(at[0]) if len(at) else float("nan")
    return found


def families(plan: pd.DataFrame) -> list[str]:
    """The columns that tell ramps apart beside their rate and the seed."""
    always = ["weight_decay", "ramp_factor"]
    numbers = ("modulus", "width", *CONTROL_FIELDS)
    others = [
        name
        for name in numbers
        if name not in (*always, "ramp_steps") and plan[name].nunique() > 1
    ]
    return [*always, *others]


def loops(
    trajectories: pd.DataFrame, plan: pd.DataFrame, quantity: str, level: float
) -> tuple[pd.DataFrame, dict[str, Loop]]:
    """The loop of every ramped run that has the quantity.

    Args:
      trajectories: run_id, step and the quantity; plan: `plan.plan_table`.
      level: what a jump passes, in units of the quantity.

    Returns:
      One row a run: run_id, seed, the columns of `families`, ramp_steps, ramp_rate
      (ln(ramp_factor) / ramp_steps: e-folds of weight decay a step), area, end (the
      quantity at the run's end) and `jumps`. And the loops by run_id.
    """
    ramps = plan[plan["ramp_steps"].notna()].set_index("run_id", drop=False)
    columns = [*families(ramps), "ramp_steps"]
    rows: list[dict[str, Any]] = []
    found = {}
    for run_id, own in series(trajectories, quantity):
        if run_id not in ramps.index:
            continue
        run = ramps.loc[run_id]
        steps, factor = float(run["ramp_steps"]), float(run["ramp_factor"])
        loop = loop_of(own, float(run["weight_decay"]), factor, steps)
        found[run_id] = loop
        facts = {"run_id": run_id, "seed": run["seed"], **run[columns].to_dict()}
        facts |= {"ramp_rate": np.log(factor) / steps, "area": area(loop)}
        rows.append(facts | {"end": float(loop.down[0])} | jumps(loop, level))
    names = ["run_id", "seed", *columns, "ramp_rate", "area", "end", *JUMPS]
    return pd.DataFrame(rows, columns=names), found


def by_rate(runs: pd.DataFrame, family: list[str]) -> pd.DataFrame:
    """One row a family and ramp rate, the fastest first: medians over the seeds.

    Columns: those of the family, ramp_steps, ramp_rate, n_runs, area with quartiles
    area_q25, area_q75, end, and `jumps`, each with the share of the runs that have it.
    """
    rows = []
    for key, own in runs.groupby([*family, "ramp_steps"]):
        quartiles = own["area"].quantile([0.25, 0.5, 0.75]).to_numpy()
        row = dict(zip([*family, "ramp_steps"], key, strict=True))
        row |= {"ramp_rate": own["ramp_rate"].iloc[0], "n_runs": len(own)}
        row |= dict(
            zip(("area_q25", "area", "area_q75"), map(float, quartiles), strict=True)
        )
        row |= own[["end", *JUMPS]].median().to_dict()
        row |= {f"{name}_share": own[name].notna().mean() for name in JUMPS}
        rows.append(row)
    return pd.DataFrame(rows)


def trends(runs: pd.DataFrame, family: list[str], seed: int = 0) -> pd.DataFrame:
    """One row a family: what becomes of the loop as the ramp slows down.

    The exponent b of area ~ rate^b over the slower half of the rates (at least three),
    by least squares on the logarithms of the medians over seeds; its 95% interval is
    from resampling the seeds of each rate. Hysteresis that is only lag closes, b > 0;
    where two phases are stable the loop stays, b = 0.

    Returns:
      Columns of the family and: n_rates, n_seeds (smallest of these rates), slowest
      (ramp_rate), area (median there), exponent, exponent_low, exponent_high, falls and
      rises (shares of the runs that pass the level downwards and upwards on the way
      up), returns (share of the former that are above it again at the end), limit:
      "closes" (b above FLAT), "stays" (below), or "undecided".
    """
    rng = np.random.default_rng(seed)
    rows = []
    for key, own in runs.groupby(family):
        rates = np.sort(own["ramp_rate"].unique())
        rates = rates[: max(FEWEST_RATES, len(rates) // 2)]
        areas = [own["area"][own["ramp_rate"] == r].dropna().to_numpy() for r in rates]
        row = dict(zip(family, key, strict=True))
        row |= {"n_rates": len(rates), "n_seeds": min(map(len, areas))}
        # Of runs that all diverged there is no area.
        slowest = float(np.median(areas[0])) if len(areas[0]) else np.nan
        row |= {"slowest": rates[0], "area": slowest}
        row |= _exponent(rates, areas, rng)
        rows.append(row | _passages(own))
    return pd.DataFrame(rows)


def _exponent(
    rates: Floats, areas: list[Floats], rng: np.random.Generator
) -> dict[str, Any]:
    """Exponent of the medians with its interval, and what it says of slow ramps."""
    nothing = dict.fromkeys(("exponent", "exponent_low", "exponent_high"), np.nan)
    if len(rates) < FEWEST_RATES or min(map(len, areas)) < FEWEST_SEEDS:
        return {**nothing, "limit": "undecided"}
    samples = np.array(
        [np.median(rng.choice(own, (RESAMPLES, len(own))), axis=1) for own in areas]
    )
    whole = np.array([[np.median(own)] for own in areas])
    slopes = [
        np.polyfit(np.log(rates), np.log(np.maximum(x, SMALLEST)), 1)[0]
        for x in (whole, samples)
    ]
    low, high = np.quantile(slopes[1], (0.025, 0.975))
    gone = bool((whole <= SMALLEST).all())
    limit = "closes" if low > FLAT or gone else "stays" if high < FLAT else "undecided"
    return {
        "exponent": float(slopes[0][0]),
        "exponent_low": float(low),
        "exponent_high": float(high),
        "limit": limit,
    }


def _passages(own: pd.DataFrame) -> dict[str, float]:
    fell = own["up_fall"].notna() & ~(own["up_rise"] > own["up_fall"])
    back = own["down_rise"].notna() & ~(own["down_fall"] < own["down_rise"])
    return {
        "rises": float(own["up_rise"].notna().mean()),
        "falls": float(fell.mean()),
        "returns": float(back[fell].mean()) if fell.any() else float("nan"),
    }
