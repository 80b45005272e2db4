"""First order or continuous? Evidence from many seeds across a boundary.

At a first-order transition two phases coexist: over the seeds of one cell the order
parameter has two modes, their distance stays as the width grows, and Binder's cumulant
has a minimum that deepens (Vollmayr, Reger, Scheucher and Binder, Z. Phys. B 91, 113
(1993)). At a continuous one there is one mode, whose width shrinks as a power of the
size, or a smooth crossover. Few seeds without two modes are evidence for neither.
Tables in, tables out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import combine_pvalues

from grokmap.analysis.statistics import (
    FEWEST_OF_CURVES,
    binder_cumulant,
    dip,
    dip_p_value,
    mode_gap,
    percentile_interval,
    resample_weights,
    resampled,
)
from grokmap.arrays import Floats

FIRST_ORDER, CONTINUOUS, UNDECIDED = "first order", "continuous", "undecided"
ORDERS = (FIRST_ORDER, CONTINUOUS, UNDECIDED)
FEWEST_KINDS = 2  # of evidence, for a verdict
FEWEST_SEEDS, FEWEST_WIDTHS = 8, 3
SIGNIFICANT = 0.05
# In standard deviations, the distance of the two modes whose detection `_modes` rates.
SEPARATION, POWER_SAMPLES = 6.0, 200
# A gap that shrinks by a smaller power of the width cannot be told from a constant.
FLAT = 0.1
# The boundary is resolved where a cell's mean is this far from both plateaus.
INSIDE = (0.25, 0.75)
TRANSITION = (0.1, 0.9)
# On a plateau neighbouring cells are no further apart than this share of the way.
PLATEAU = 0.1
MEASURED = ("mean", "std", "dip", "p_dip", "gap", "binder", "binder_low", "binder_high")


class Evidence(NamedTuple):
    """One row of a verdict. supports: FIRST_ORDER, CONTINUOUS or UNDECIDED."""

    quantity: str
    evidence: str
    supports: str
    why: str


def cells(runs: pd.DataFrame, x: str, quantities: Mapping[str, bool]) -> pd.DataFrame:
    """One row a quantity, width and point of x: the distribution over the seeds.

    Args:
      runs: one row a run: width, the column `x`, and final_<quantity> columns.
      quantities: names, and whether each is compared as its decimal logarithm.

    Returns:
      quantity, width, the column x, n (seeds with a value), mean, std, dip, p_dip
      (`statistics.dip_p_value`), gap (`mode_gap`) and binder (`binder_cumulant` of the
      distance from the lowest cell's mean at this width; NaN for logarithms), with its
      95% interval binder_low, binder_high (from FEWEST_OF_CURVES seeds on); progress
      (the mean, from 0 in the lowest cell to 1 in the highest one of this width), and
      at_boundary: the cell of each width whose progress is nearest to 1/2.
    """
    rows: list[dict[str, Any]] = []
    for name, log in quantities.items():
        for width, width_runs in runs.groupby("width"):
            points = {k: _values(cell, name, log) for k, cell in width_runs.groupby(x)}
            means = {k: v.mean() if len(v) else np.nan for k, v in points.items()}
            low = np.nan if log else np.nanmin([np.inf, *means.values()])
            for point, values in points.items():
                row = {"quantity": name, "width": width, x: point, "n": len(values)}
                rows.append(row | _distribution(values, float(low)))
    table = pd.DataFrame(rows)
    by_width = table.groupby(["quantity", "width"])
    least, most = (by_width["mean"].transform(kind) for kind in ("min", "max"))
    progress = (table["mean"] - least) / (most - least).replace(0, np.nan)
    away = (progress - 0.5).abs().dropna()
    nearest = away.groupby([table["quantity"], table["width"]]).idxmin()
    return table.assign(progress=progress, at_boundary=table.index.isin(nearest))


def _values(runs: pd.DataFrame, name: str, log: bool) -> Floats:
    """The finite final values of a quantity, or of its decimal logarithm."""
    values = runs[f"final_{name}"].to_numpy(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.log10(values) if log else values
    return values[np.isfinite(values)]


def _distribution(values: Floats, low: float) -> dict[str, float]:
    if len(values) < 2:
        return dict.fromkeys(MEASURED, float("nan"))
    binder = binder_cumulant(values - low, resample_weights(len(values)))
    known = binder[1:][np.isfinite(binder[1:])]
    interval = (np.nan, np.nan)
    if len(known) and len(values) >= FEWEST_OF_CURVES:
        interval = percentile_interval(known, len(values))
    return {
        "mean": float(values.mean()),
        "std": float(values.std(ddof=1)),
        "dip": dip(values),
        "p_dip": dip_p_value(values),
        "gap": float(mode_gap(values)),
        "binder": float(binder[0]),
        "binder_low": interval[0],
        "binder_high": interval[1],
    }


def evidence(
    table: pd.DataFrame, runs: pd.DataFrame, x: str, quantities: Mapping[str, bool]
) -> list[Evidence]:
    """What the cells say of each quantity: modes, gap against width, Binder's minimum.

    A gap that shrinks has closed nowhere as long as the largest width has two modes.

    table: of `cells`, from these runs.
    """
    rows = []
    for name, log in quantities.items():
        part = table[table["quantity"] == name]
        nearest = part[part["at_boundary"]].sort_values("width")
        scarce = _scarce(part, nearest, x)
        if scarce:
            rows.append(Evidence(name, "seeds at the boundary", UNDECIDED, scarce))
            continue
        samples = boundary_values(part, runs, x, name, log)
        modes = _modes(name, nearest)
        two = modes.supports == FIRST_ORDER
        gap = _gap(name, samples, part, two)
        if gap.supports == CONTINUOUS and nearest["p_dip"].iloc[-1] < SIGNIFICANT:
            open_ = f"{gap.why}; but the largest width has two modes"
            gap = gap._replace(supports=UNDECIDED, why=open_)
        rows += [modes, gap]
        rows += [] if log else [_binder(name, part, two)]
    return rows


def boundary_values(
    table: pd.DataFrame, runs: pd.DataFrame, x: str, name: str, log: bool
) -> dict[int, Floats]:
    """By width, a quantity's values over the seeds of its boundary cell; of `cells`."""
    nearest = table[table["at_boundary"] & (table["quantity"] == name)]
    return {
        int(width): _values(
            runs[(runs["width"] == width) & (runs[x] == point)], name, log
        )
        for width, point in zip(nearest["width"], nearest[x], strict=True)
    }


def _scarce(table: pd.DataFrame, nearest: pd.DataFrame, x: str) -> str:
    """Why the boundary cells say nothing; empty if they do."""
    if len(nearest) < FEWEST_WIDTHS:
        return f"{len(nearest)} widths cross the boundary; at least {FEWEST_WIDTHS}"
    if nearest["n"].min() < FEWEST_SEEDS:
        return f"{nearest['n'].min()} seeds in a cell; at least {FEWEST_SEEDS}"
    for width, row in table.sort_values(x).groupby("width"):
        above = row["progress"].dropna().to_numpy() > 0.5
        if np.sum(above[1:] != above[:-1]) > 1:
            return f"passes half-way more than once at width {width}: no one boundary"
        if len(ends := _open_ends(row, x)):
            return (
                f"the axis ends inside the transition of width {width} ({ends}): no "
                "plateau to measure it from; give a wider axis"
            )
    jumped = nearest[~nearest["progress"].between(*INSIDE)]
    if len(jumped):
        row = jumped.iloc[0]
        return (
            f"no cell of width {row['width']} is half-way (the nearest is at "
            f"{row['progress']:.2f} of the way): give a finer grid, or a wider one"
        )
    return ""


def _open_ends(row: pd.DataFrame, x: str) -> str:
    """Ends of the axis whose neighbours are not on their plateau; row: sorted by x."""
    known = row.dropna(subset="progress")
    progress, places = known["progress"].to_numpy(), known[x].to_numpy()
    ends = [
        f"{abs(progress[i] - progress[j]):.2f} of the way from {x} {places[i]:.3g} on"
        for i, j in ((0, 1), (-1, -2))
        if abs(progress[i] - progress[j]) > PLATEAU
    ]
    return ", ".join(ends)


def _modes(name: str, nearest: pd.DataFrame) -> Evidence:
    """The dips of all widths together, by Fisher's method.

    One mode decides nothing: two that are closer, or one of them rare, look the same.
    """
    p_value = float(combine_pvalues(nearest["p_dip"]).pvalue)
    each = ", ".join(f"{p:.2g}" for p in nearest["p_dip"])
    text = f"dip test p = {p_value:.2g} over widths {_list(nearest['width'])} ({each})"
    if p_value < SIGNIFICANT:
        return Evidence(name, "two modes", FIRST_ORDER, f"two modes: {text}")
    shares = tuple(nearest["progress"].round(2))
    power = dip_power(tuple(nearest["n"].astype(int)), shares)
    note = f"two modes {SEPARATION:g} deviations apart would be seen in {power:.0%}"
    return Evidence(name, "two modes", UNDECIDED, f"not seen: {text}; {note}")


@lru_cache
def dip_power(
    sizes: tuple[int, ...],
    shares: tuple[float, ...],
    separation: float = SEPARATION,
    seed: int = 0,
) -> float:
    """How often `_modes` finds two normal modes `separation` standard deviations apart.

    sizes: of the samples; shares: of each that belong to the upper mode, as the mean's
    progress is where there are two phases.
    """
    rng = np.random.default_rng(seed)

    def p_value() -> float:
        apart = [
            dip_p_value(rng.normal(size=n) + separation * (rng.random(n) < share))
            for n, share in zip(sizes, shares, strict=True)
        ]
        return float(combine_pvalues(apart).pvalue)

    return float(np.mean([p_value() < SIGNIFICANT for _ in range(POWER_SAMPLES)]))


def _gap(
    name: str, samples: Mapping[int, Floats], table: pd.DataFrame, two: bool
) -> Evidence:
    """Exponent of gap ~ width^-k at the boundary, its interval from resampled seeds.

    The gap as a share of the way between the plateaus of its width.
    """
    spans = table.groupby("width")["mean"].agg(np.ptp)
    samples = {width: values / spans[width] for width, values in samples.items()}
    widths = np.log(list(samples))
    gaps = np.array([mode_gap(values) for values in samples.values()])
    drawn = [mode_gap(resampled(v)) for v in samples.values()]
    slopes, k = (
        -np.polyfit(widths, np.log(np.maximum(x, 1e-12)), 1)[0] for x in (drawn, gaps)
    )
    low, high = percentile_interval(slopes, min(map(len, samples.values())))
    text = (
        f"gap {', '.join(f'{g:.2g}' for g in gaps)} of the way at widths "
        f"{_list(samples)}: "
        f"width^-k with k = {k:.2f} [{low:.2f}, {high:.2f}]"
    )
    if low > FLAT:
        return Evidence(name, "gap against width", CONTINUOUS, f"closes: {text}")
    if high < FLAT and two:
        return Evidence(name, "gap against width", FIRST_ORDER, f"stays: {text}")
    open_ = "stays, but of one mode" if high < FLAT else "may close or stay"
    return Evidence(name, "gap against width", UNDECIDED, f"{open_}: {text}")


def _binder(name: str, table: pd.DataFrame, two: bool) -> Evidence:
    """The minimum of Binder's cumulant inside the transition, against width.

    A cell where a third of the seeds or less are in the upper phase shows whether it
    goes below 0, as for two phases it must.
    """
    inside = table[table["progress"].between(*TRANSITION) & table["binder"].notna()]
    seen = inside[inside["progress"] <= 1 / 3]["width"].unique()
    if set(seen) != set(table["width"]):
        few = "some width has no cell in the lower third of the way"
        return Evidence(name, "Binder cumulant", UNDECIDED, few)
    if inside["n"].min() < FEWEST_OF_CURVES:
        few = f"no interval below {FEWEST_OF_CURVES} seeds"
        return Evidence(name, "Binder cumulant", UNDECIDED, few)
    lowest = inside.loc[inside.groupby("width")["binder"].idxmin()]
    lowest = lowest.sort_values("width")
    minima = ", ".join(f"{u:.2g}" for u in lowest["binder"])
    low, high = (f"{100 * end:.0f}%" for end in TRANSITION)
    text = (
        f"minimum {minima} at widths {_list(lowest['width'])}, between {low} and "
        f"{high} of the way from plateau to plateau"
    )
    first, last = lowest.iloc[0], lowest.iloc[-1]
    if (lowest["binder_low"] > 0).all():
        why = f"never below 0 there: {text}"
        return Evidence(name, "Binder cumulant", CONTINUOUS, why)
    below = bool(last["binder_high"] < 0)
    if below and two:
        how = "deepens" if last["binder"] < first["binder"] else "stays"
        return Evidence(name, "Binder cumulant", FIRST_ORDER, f"{how} below 0: {text}")
    why = "below 0, but with one mode" if below else "not clearly on one side of 0"
    return Evidence(name, "Binder cumulant", UNDECIDED, f"{why}: {text}")


def _list(values: Iterable[Any]) -> str:
    return ", ".join(f"{v:g}" for v in values)


def loop_evidence(trend: Mapping[str, Any], quantity: str, place: str = "") -> Evidence:
    """What a family of ramps through the same boundary says; a row of
    `hysteresis.trends`. place: where the family stands on other axes.

    A loop that closes decides nothing: a lag closes at either order (see `hysteresis`).
    Nor does one that stays because no run returns: an absorbing state does that at
    transitions of either order (Hinrichsen, Adv. Phys. 49, 815 (2000)). Nor one that
    both ways leave by fluctuations about one curve, as of chains at a temperature.
    """
    start, top = trend["weight_decay"], trend["weight_decay"] * trend["ramp_factor"]
    area = "none" if np.isnan(trend["area"]) else f"{trend['area']:.2g}"
    text = (
        f"loop area {area} at the slowest of the ramps from {start:g} to {top:g}"
        f"{place and ' at '}{place}, {_exponent(trend)}"
    )
    limit, supports = str(trend["limit"]), UNDECIDED
    if trend["returns"] == trend["returns"]:
        moved = "fell" if trend["falls"] > 0 else "rose"
        text += f"; {trend['returns']:.0%} of the runs that {moved} came back"
    if limit == "closes":
        limit = "closes, as a lag does at either order"
    elif limit == "stays" and not trend["one_sided"]:
        limit = "stays, by fluctuations about one curve"
    elif limit == "stays" and trend["returns"] >= 0.5:
        supports = FIRST_ORDER
    elif limit == "stays":
        limit = "stays, since the way back leads nowhere"
    return Evidence(quantity, "hysteresis", supports, f"{limit}: {text}")


def _exponent(trend: Mapping[str, Any]) -> str:
    if np.isnan(trend["exponent"]):
        return "at too few rates or seeds to say how it changes with them"
    exponent, offset = (
        _with_ends(trend, k) for k in (("exponent", ".2f"), ("offset", ".2g"))
    )
    return f"rate^b with b = {exponent}, offset {offset}"


def _with_ends(trend: Mapping[str, Any], wanted: tuple[str, str]) -> str:
    """A value of `hysteresis.trends` and its interval, if there is one."""
    name, form = wanted
    value, low, high = (
        format(trend[f"{name}{end}"], form) for end in ("", "_low", "_high")
    )
    return value if "nan" in (low, high) else f"{value} [{low}, {high}]"


def falls(table: pd.DataFrame, x: str, quantity: str) -> bool:
    """Whether the quantity is smaller at the large end of x (at most widths)."""
    rows = table[table["quantity"] == quantity].sort_values(x)
    ends = rows.groupby("width")["mean"].agg(["first", "last"])
    return bool((ends["last"] < ends["first"]).mean() > 0.5)


def verdict(rows: Iterable[Evidence]) -> tuple[str, str]:
    """(order, sentence): what all rows together support, and by how many.

    FIRST_ORDER or CONTINUOUS only where at least two kinds of evidence support it and
    no row supports the other.
    """
    rows = list(rows)
    kinds = {k: {r.evidence for r in rows if r.supports == k} for k in ORDERS}
    counts = [sum(row.supports == kind for row in rows) for kind in ORDERS]
    text = ", ".join(f"{n} {kind}" for n, kind in zip(counts, ORDERS, strict=True))
    if kinds[FIRST_ORDER] and kinds[CONTINUOUS]:
        return UNDECIDED, f"Undecided: the evidence disagrees ({text})."
    for kind in (FIRST_ORDER, CONTINUOUS):
        if len(kinds[kind]) >= FEWEST_KINDS:
            return kind, f"The evidence supports a {kind} transition ({text})."
        if kinds[kind]:
            alone = f"{min(kinds[kind])!r} alone supports a {kind} transition"
            return UNDECIDED, f"Undecided: {alone} ({text})."
    return UNDECIDED, f"Undecided: nothing found supports either order ({text})."
