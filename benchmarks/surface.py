"""Refinement over several axes against dense grids of the same systems: JSON on stdout.

    python benchmarks/surface.py > benchmarks/results/surface.json

Of the committed labels in results/surface, surface-dense, both again with four seeds
(surface-seeds, surface-seeds-dense), refined-over, and of results/dense. A minute; no
timing. The labels of a folder that was just trained:

    python benchmarks/surface.py results/surface sweeps/criteria/within-4000.toml
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grokmap import store
from grokmap.analysis import boundaries as wedge
from grokmap.analysis import level_sets
from grokmap.classify import Criteria, read_criteria
from grokmap.plan import read_sweep
from grokmap.result import Result
from grokmap.result.surface import Model, model_from

ROOT = Path(__file__).parents[1]
X, WANTED = "weight_decay", 0.1
ROWS = ("train_fraction", "alpha")  # of the edges that are compared
LABELS = "labels.parquet"


class Compared(NamedTuple):
    """A dense grid and a refinement of one system.

    truth: runs of the dense grid at all weight decays; dense: at those of the grid that
    is compared; refined: with the round of each run, 0 on the coarse grid. fewer: run
    steps by which it was to be cheaper, times.
    """

    name: str
    fewer: int
    over: tuple[str, ...]
    rules: Criteria
    axes: Any
    truth: pd.DataFrame
    dense: pd.DataFrame
    refined: pd.DataFrame


def three_axes(name: str, folder: str) -> Compared:
    rules = read_criteria(str(ROOT / "sweeps/criteria/within-4000.toml"))
    refined = ROOT / "results" / folder
    truth = pd.read_parquet(ROOT / f"results/{folder}-dense" / LABELS)
    # Every third of the 46 weight decays is one of 16 over the same range.
    decays = np.sort(truth[X].unique())[::3]
    dense = truth[truth[X].isin(decays)]
    over = ("alpha", X, "train_fraction")
    axes = read_sweep(refined).axes
    runs = pd.read_parquet(refined / LABELS)
    return Compared(name, 15, over, rules, axes, truth, dense, runs)


def two_axes() -> Compared:
    rules = read_criteria(str(ROOT / "sweeps/criteria/within-6000.toml"))
    folder = ROOT / "results/refined-over"
    dense = Result(ROOT / "results/dense").labelled(rules)
    axes = read_sweep(folder).axes
    refined = pd.read_parquet(folder / LABELS)
    return Compared("two axes", 10, ("alpha", X), rules, axes, dense, dense, refined)


def edges_of_rows(runs: pd.DataFrame) -> pd.DataFrame:
    """log10 of both edges in each row, placed row by row: NaN where not measured."""
    parts = [
        wedge.boundaries(own).assign(train_fraction=fraction)
        for fraction, own in runs.groupby("train_fraction")
    ]
    table = pd.concat(parts)
    known = table["status"] == wedge.MEASURED
    ends = np.log10(table[["low", "high"]].where(known))
    alone = {"pointwise_low": ends["low"], "pointwise_high": ends["high"]}
    place = np.log10(table["estimate"].where(known))
    columns = [*ROWS, "edge", "place", *alone]
    return table.assign(place=place, **alone)[columns]


def edges_of_model(model: Model, rows: pd.DataFrame) -> pd.DataFrame:
    """The same by the model at the same rows, with the band of all edges together."""
    at = rows.drop_duplicates(list(ROWS))
    found = level_sets.level_set(model.surface, model.at, model.others.points(at))
    side = model.cube.sides[model.at]

    def decades(unit: Any) -> Any:
        start = np.log10(side.value(0.0))
        return start + side.width * np.asarray(unit)

    parts = []
    for name, band in ((wedge.MIN, found.lower), (wedge.MAX, found.upper)):
        ends = {key: decades(getattr(band, key)) for key in ENDS}
        own = {"edge": name, "place": decades(band.estimate), "status": band.status}
        parts.append(at[list(ROWS)].assign(**own, **ends))
    return pd.concat(parts)


ENDS = ("low", "high", "pointwise_low", "pointwise_high")


def between_fractions(truth: pd.DataFrame) -> pd.DataFrame:
    """Each edge of the truth as half-way between those at the next smaller and the next
    larger fraction: as well as runs at other fractions could tell it."""
    others = ["alpha", "edge"]
    by_fraction = truth.pivot_table("place", others, "train_fraction", dropna=False)
    rest = by_fraction.shift(1, axis=1) / 2 + by_fraction.shift(-1, axis=1) / 2
    found = rest.stack(future_stack=True).rename("place").reset_index()
    return found.assign(pointwise_low=np.nan, pointwise_high=np.nan)


def against(found: pd.DataFrame, truth: pd.DataFrame) -> dict[str, Any]:
    """How far edges are from those of the truth, in decades, and which are missed."""
    both = truth.merge(found, on=[*ROWS, "edge"], suffixes=("_true", ""))
    off = (both["place"] - both["place_true"]).abs()
    known = off.dropna()
    facts = {
        "edges": int(both["place_true"].notna().sum()),
        "missed": int((both["place_true"].notna() & both["place"].isna()).sum()),
        "beside": int((both["place_true"].isna() & both["place"].notna()).sum()),
        **{"median": known.median(), "mean": known.mean()},
        **{"ninth": known.quantile(0.9), "within": (known <= WANTED).mean()},
    }
    half = (both["pointwise_high"] - both["pointwise_low"]) / 2
    facts["half"] = half[both["place"].notna()].fillna(np.inf).median()
    if "status" in both:
        banded = both[(both["status"] == wedge.MEASURED) & both["place_true"].notna()]
        held = banded["place_true"].between(banded["low"], banded["high"])
        facts |= {"banded": len(banded), "held": int(held.sum())}
    return {k: None if v == np.inf else v for k, v in facts.items()}


def rows_of(case: Compared) -> Iterator[dict[str, Any]]:
    truth = edges_of_rows(case.truth)

    def row(words: str, runs: pd.DataFrame, found: pd.DataFrame) -> dict[str, Any]:
        steps = int(runs["n_steps"].sum())
        counts = {"runs": len(runs), "run_steps": steps}
        return {"case": case.name, "what": words} | counts | against(found, truth)

    def model(runs: pd.DataFrame) -> pd.DataFrame:
        fitted = model_from(runs, case.axes, case.over, X, case.rules)
        assert fitted is not None
        return edges_of_model(fitted, truth)

    yield row("dense, in rows", case.dense, edges_of_rows(case.dense))
    if truth["train_fraction"].nunique() > 2:
        nothing = case.dense[:0]
        yield row("dense, between fractions", nothing, between_fractions(truth))
    rounds = sorted(case.refined["round"].unique())
    so_far = [case.refined[case.refined["round"] <= last] for last in rounds]
    most = case.dense["n_steps"].sum() / case.fewer
    within = max(i for i, runs in enumerate(so_far) if runs["n_steps"].sum() <= most)
    for i, runs in enumerate(so_far):
        shown = 20 * case.refined["seed"].nunique()
        if len(runs) % shown == 0 or i in (within, len(so_far) - 1):
            words = f"refined, {case.fewer} times fewer" if i == within else "refined"
            yield row(words, runs, model(runs))


KEPT = ["alpha", X, "train_fraction", "seed", "phase", "censored", "t_mem", "t_grok"]


def write_labels(folder: Path, rules: Criteria) -> None:
    """The labels of a folder and the round in which each run was chosen, 0 of the
    grid: what is committed of it in place of its trajectories."""
    result = Result(folder)
    runs = result.labelled(rules)[[*KEPT, "n_steps"]]
    points = store.read_points(folder)
    if points is None:
        runs = runs.assign(round=0)
    else:
        keys = ["alpha", X, "train_fraction", "seed"]
        runs = runs.merge(points[[*keys, "round"]], how="left", on=keys)
        runs = runs.fillna({"round": 0}).astype({"round": int})
    runs.sort_values(["round", "train_fraction", "alpha", X]).to_parquet(
        folder / LABELS, index=False, compression="zstd"
    )


def main() -> None:
    if len(sys.argv) == 3:
        write_labels(Path(sys.argv[1]), read_criteria(sys.argv[2]))
        return
    rows = []
    cases = (
        three_axes("three axes", "surface"),
        three_axes("three axes, four seeds", "surface-seeds"),
        two_axes(),
    )
    for case in cases:
        for row in rows_of(case):
            print(row, file=sys.stderr)
            rows.append(row)
    json.dump(rows, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
