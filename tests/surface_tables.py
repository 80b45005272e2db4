"""Generated tables on surfaces over several axes: bands and strategies."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from conftest import ROOT
from table_format import markdown

from grokmap.analysis.statistics import wilson
from grokmap.result import refine

STRATEGIES = ("look-ahead", "straddle", "random", "rows")


def found(name: str) -> pd.DataFrame:
    file = ROOT / f"benchmarks/results/surface_{name}.json"
    return pd.DataFrame(json.loads(file.read_text()))


def coverage() -> str:
    """A row a kind of runs, a column a number of axes, and all of a row."""
    table, rows = found("coverage"), []
    for (runs, seeds, censored), own in table.groupby(["runs", "seeds", "censored"]):
        name = f"{runs} runs, seeds: {seeds}" + (", cut short" if censored else "")
        cells = [_share(part) for _, part in own.groupby("axes")]
        halves = [_half(part) for _, part in own.groupby("axes")]
        rows.append([name, *cells, " / ".join(halves)])
    for shape, own in table.groupby("shape", sort=False):
        cells = [_share(part) for _, part in own.groupby("axes")]
        rows.append([f"all, {shape}", *cells, ""])
    low, high = wilson(table["held"].sum(), table["n"].sum())
    total = f"{_share(table)} ({low:.1%} to {high:.1%})"
    rows.append(["all", total, *[""] * table["axes"].nunique()])
    head = [f"{n} axes" for n in sorted(table["axes"].unique())]
    return markdown(["", *head, "half-width, by axes"], rows)


def orders() -> str:
    rows = []
    for (order, runs), own in found("orders").groupby(["order", "runs"]):
        shares = [_share(part) for _, part in own.groupby("axes")]
        halves = [_half(part) for _, part in own.groupby("axes")]
        rows.append([f"order {order}, {runs} runs", *shares, " / ".join(halves)])
    head = [f"{n} axes" for n in (2, 3, 4)]
    return markdown(["", *head, "half-width, by axes"], rows)


def _share(own: pd.DataFrame) -> str:
    held, n = own["held"].sum(), own["n"].sum()
    return f"{held} of {n}"


def _half(own: pd.DataFrame) -> str:
    return f"{own['half_width'].median():.3f}"


def strategies() -> str:
    table, rows = found("strategies"), []
    for (width, axes), own in table.groupby(["width", "axes"], sort=False):
        lines = {name: curve(own, name) for name in STRATEGIES}
        random = lines["random"]
        for name, line in lines.items():
            if line.empty:
                continue
            last = line.iloc[-1]
            needed = _needed(line, random["wrong"].iloc[-1])
            cheaper = random["cost"].iloc[-1] / needed
            ends = own[(own["strategy"] == name) & own["held"].notna()]
            cells = [f"width {width:g}, {axes} axes, {name}"]
            cells += [f"{line.loc[64, 'wrong']:.1%}"]
            cells += [f"{last['wrong']:.1%} ± {last['error']:.1%}"]
            cells += ["-" if np.isnan(cheaper) else f"{cheaper:.1f}"]
            rows.append([*cells, *_bands(ends)])
    head = ["", "wrong at 64 runs", "at 128", "times cheaper than random"]
    return markdown([*head, "bands hold", "half-width"], rows)


def _bands(ends: pd.DataFrame) -> list[str]:
    if ends.empty:
        return ["-", "-"]
    held = int(ends["held"].astype(bool).sum())
    return [f"{held} of {len(ends)}", f"{ends['half_width'].median():.3f}"]


def curve(own: pd.DataFrame, strategy: str) -> pd.DataFrame:
    """By number of runs: what is wrong, its standard error, and the cost."""
    loops = own[own["strategy"] == strategy].to_dict("records")
    if not loops:
        return pd.DataFrame()
    at = np.arange(32, 129, 16)
    wrong = np.array([np.interp(at, loop["runs"], loop["wrong"]) for loop in loops])
    cost = np.array([np.interp(at, loop["runs"], loop["cost"]) for loop in loops])
    error = wrong.std(axis=0, ddof=1) / np.sqrt(len(loops))
    columns = {"wrong": wrong.mean(axis=0), "error": error, "cost": cost.mean(axis=0)}
    return pd.DataFrame(columns, index=at)


def _needed(curve: pd.DataFrame, wrong: float) -> float:
    """The cost at which so little is wrong; NaN if it never is."""
    reached = curve["wrong"].to_numpy() <= wrong
    if not reached.any():
        return np.nan
    i = int(np.argmax(reached))
    if i == 0:
        return float(curve["cost"].iloc[0])
    ends = curve.iloc[i - 1 : i + 1].sort_values("wrong")
    return float(np.interp(wrong, ends["wrong"], ends["cost"]))


def seconds() -> str:
    rows = [
        [str(row.runs), *(f"{s:.2f}" for s in (row.fit, row.bands, row.choose))]
        for row in found("seconds").itertuples()
    ]
    return markdown(["runs", "fit, s", "bands, s", "16 of 512 candidates, s"], rows)


def shares_of_training() -> str:
    """Rounds from 32 to 1,000 runs over the training of as many of the quickstart."""
    table = found("seconds")
    done = json.loads((ROOT / "benchmarks/results/end_to_end.json").read_text())
    quickstart = done["found"]["quickstart"]
    training = 1000 * quickstart["seconds"] / quickstart["runs"]
    head, cells = ["runs a round"], ["share of the training time"]
    rounds = {str(n): list(range(32, 1000, n)) for n in (16, 32, 64, 128)}
    for name, at in (
        rounds | {"an eighth of those so far, at least 4": growing()}
    ).items():
        fixed = np.interp(at, table["runs"], table["fit"] + table["bands"]).sum()
        # A run of a round costs a sixteenth of the choice of sixteen.
        picks = np.interp(at, table["runs"], table["choose"]) * np.diff([*at, 1000])
        head.append(name)
        cells.append(f"{(fixed + picks.sum() / 16) / training:.0%}")
    return markdown(head, [cells])


def growing() -> list[int]:
    """Runs at the beginning of each round of `refine`, from 32 to 1,000."""
    at = [32]
    while (after := at[-1] + max(refine.LEAST, int(refine.GROWTH * at[-1]))) < 1000:
        at.append(after)
    return at


SURFACE_TABLES = {
    ("docs/boundaries.md", "surface coverage"): coverage,
    ("docs/boundaries.md", "surface orders"): orders,
    ("docs/boundaries.md", "surface strategies"): strategies,
    ("docs/boundaries.md", "surface seconds"): seconds,
    ("docs/boundaries.md", "surface shares"): shares_of_training,
}
