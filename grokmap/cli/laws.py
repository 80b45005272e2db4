"""`grokmap laws`: which law of t_grok holds, and how far the times collapse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from grokmap import plot, store
from grokmap.analysis import laws
from grokmap.classify import GROK
from grokmap.cli.forecast import file_name, sound
from grokmap.cli.outputs import name_of, outputs, print_files
from grokmap.cli.results import load_runs
from grokmap.errors import ResultError
from grokmap.result.labels import criteria_with, refuse_ramps

# The laws by which the master curve is drawn, after t_grok r itself.
_DELAY = r"$(t_{\mathrm{grok}}-t_{\mathrm{mem}})$"
_WHOLE = r"$t_{\mathrm{grok}}\ r$" + "\nno constant"
PREFACTORS = {
    "kinetic": _DELAY + " $r$\nno constant",
    "log-scale-free": _DELAY + r" $r\ /\ (c + k \ln K / L)$" + "\n1 constant",
    "two-rates": _DELAY + r" $(r/C + \kappa_N r/\lambda)$" + "\n1 constant a system",
}


def compare_laws(
    path: Path, criteria: str, formats: str, out: Path | None, as_json: bool
) -> None:
    """Prints and writes the table, and draws residuals and the master curve."""
    to = outputs(path, out, formats, as_json)
    rules = criteria_with(criteria, [GROK])
    runs = load_runs(path, rules)
    refuse_ramps(path, runs)
    trajectories, _ = store.read_trajectories(path, ["weight_norm"])
    table = laws.memorised(trajectories, runs)
    try:
        found = laws.compare(table)
    except ResultError as error:
        raise ResultError(f"{path}: {error}") from None
    name = file_name("laws", rules.name)
    file = to.table(found, name)
    decay = laws.pure_decay(table)
    left = laws.outside(runs)
    if as_json:
        rows = [sound(row) for row in found.to_dict("records")]
        facts = {"file": name_of(file), "outside": left, "skipped": skipped(found)}
        measured = {"laws": rows, "pure_decay": sound(decay_facts(decay))}
        print(json.dumps(facts | measured))
    else:
        _print(found, left, decay)
        print_files(file)
    drawn = laws.residuals(table, found)
    to.figure(plot.law_residuals(drawn), drawn, name)
    curve = master_table(table)
    to.figure(plot.master_curve(curve), curve, name, "-collapse")


def skipped(found: pd.DataFrame) -> list[str]:
    """The laws that do not apply to all runs."""
    fitted = set(found.loc[found["scope"] == laws.ALL, "law"])
    return [name for name in laws.LAWS if name not in fitted]


def decay_facts(decay: pd.DataFrame) -> dict[str, float]:
    """Of `laws.pure_decay`: runs, runs whose norm fell, and the median ratio."""
    known = decay["ratio"].dropna()
    return {
        "n_runs": len(decay),
        "n_norm_fell": len(known),
        "median_ratio": float(known.median()),
        "smallest_ratio": float(known.min()),
    }


def _print(found: pd.DataFrame, left: dict[str, int], decay: pd.DataFrame) -> None:
    head = "AIC - best   a run   sigma   spread (80%)"
    for scope, rows in found.groupby("scope", sort=False):
        first = rows.iloc[0]
        print(f"{scope}: {first['n_runs']} runs, {first['n_grokked']} grokked")
        print(f"  {'law':<28} k  {head}")
        for row in rows.drop_duplicates("law").to_dict("records"):
            law = row["law"] + (" + t_mem" if row["clock"] == laws.T_MEM else "")
            spread = f"{row['spread']:.3g} ({row['spread_80']:.3g})"
            sigma = "-" if np.isnan(row["sigma"]) else f"{row['sigma']:.2f}"
            print(
                f"  {law:<28} {row['n_parameters']:<2} {row['delta_aic']:>9.1f}  "
                f"{row['held_out']:>6.2f}  {sigma:>6}   {spread}"
            )
    print("each law by the better of its clocks, from the start or from t_mem")
    print("a run: log-likelihood of cells left out; k counts sigma")
    print("spread: largest over smallest (t_grok - t_0) / law; 80%: between quantiles")
    if names := skipped(found):
        why = "ln(K) / L has no meaning where f is not homogeneous in the weights"
        print(f"not fitted to all runs: {', '.join(names)}: {why}")
    outside = ", ".join(f"{n} {reason}" for reason, n in left.items() if n)
    print(f"outside the laws' scope: {outside or 'no run'}")
    facts = decay_facts(decay)
    if not facts["n_norm_fell"]:
        print("pure decay from t_mem to t_grok: the norm fell in no run")
        return
    print(
        f"pure decay from t_mem to t_grok: the norm fell in {facts['n_norm_fell']} of "
        f"{facts['n_runs']} runs; there delay r / ln(norm ratio) is "
        f"{facts['median_ratio']:.3g} in the median, not 1"
    )


def master_table(table: pd.DataFrame) -> pd.DataFrame:
    """t_grok r of the grokked runs, and delays over the laws of PREFACTORS.

    A factor common to all runs does not count as a constant: it cannot collapse them.
    """
    grokked = table["grokked"].to_numpy()
    own = table.loc[grokked, ["run_id", "system", "alpha", "weight_decay", "seed"]]
    rate = (table["time"] * table["decay_rate"])[grokked]
    parts = [own.assign(panel=_WHOLE, value=rate)]
    data = laws.data_of(table, laws.T_MEM)
    for name, title in PREFACTORS.items():
        law = laws.LAWS[name]
        if not laws.applies(law, data):
            continue
        time = law.time(laws.fit(law, data).p[:-1], data)
        value = ((data["time"] - data["t_0"]) / time)[grokked]
        parts.append(own.assign(panel=title, value=value))
    drawn = pd.concat(parts, ignore_index=True)
    return drawn[drawn["value"] > 0]
