"""`grokmap early-stopping`: what stopping after t_mem would have cost."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from grokmap import plot, store
from grokmap.analysis import early_stopping, laws
from grokmap.classify import GROK
from grokmap.cli.forecast import file_name, sound
from grokmap.cli.order_parameters import compared
from grokmap.cli.outputs import name_of, outputs, print_files
from grokmap.cli.results import load_runs
from grokmap.errors import ResultError, SpecError, short
from grokmap.result.labels import criteria_with
from grokmap.spec.names import nearest

MOST = 5  # quantities printed and drawn


def judge_early_stopping(
    path: Path,
    patience: str | None,
    unit: str,
    criteria: str,
    formats: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Prints and writes both tables, and draws the figure."""
    to = outputs(path, out, formats, as_json)
    if unit not in early_stopping.UNITS:
        known = nearest(unit, early_stopping.UNITS)
        raise SpecError(f"--unit {short(unit)!r}; {known}")
    multiples = _multiples(patience)
    rules = criteria_with(criteria, [GROK])
    every = load_runs(path, rules, None)
    try:
        runs = early_stopping.memorised(every)
    except ResultError as error:
        raise ResultError(f"{path}: {error}") from None
    runs = runs.assign(system=laws.system_of(runs))
    trajectories, _ = store.read_trajectories(path)
    if trajectories["test_accuracy"].isna().all():
        raise ResultError(
            f"{path}: no run has a test accuracy, by which stopping is judged; with "
            "real targets, train with a tolerance"
        )
    lost = early_stopping.losses(trajectories, runs, multiples, unit)
    warned = early_stopping.warnings(trajectories, runs, compared(), multiples, unit)
    asked = "" if unit == "t_mem" else f"-{unit}"
    if patience is not None:
        asked += "-patience=" + ",".join(f"{multiple:g}" for multiple in multiples)
    name = file_name(f"early-stopping{asked}", rules.name)
    other = file_name(f"early-stopping-warnings{asked}", rules.name)
    file = to.table(lost, name)
    warned_file = to.table(warned, other)
    best = best_warnings(warned)
    if as_json:
        facts = {"file": name_of(file), "warnings_file": name_of(warned_file)}
        tables = {"losses": lost, "warnings": warned}
        rows = {k: [sound(r) for r in t.to_dict("records")] for k, t in tables.items()}
        print(json.dumps(facts | rows))
    else:
        _print(lost, best)
        print_files(file, warned_file)
    figure = plot.early_stopping(lost, best)
    drawn = pd.concat([lost, best], ignore_index=True)
    to.figure(figure, drawn, name)


def _multiples(text: str | None) -> list[float]:
    """Positive numbers of a comma-separated list.

    Raises:
      SpecError: one that is no positive number.
    """
    if text is None:
        return list(early_stopping.PATIENCE)
    try:
        values = sorted({float(word) for word in text.split(",")})
    except ValueError:
        values = [-1.0]
    if not all(0 < value < 1e12 for value in values):
        raise SpecError(f"--patience {short(text)!r}: positive numbers such as 0.5,1,4")
    return values


def best_warnings(warned: pd.DataFrame) -> pd.DataFrame:
    """The values that tell most over all patience, with what they are told from.

    Adds `shown` (the AUC of matched pairs with decided runs, or with censored ones if
    too few are decided in this sweep), `unmatched` (that of all pairs) and `against` in
    words. The decay rate comes first, whatever it tells.
    """
    tail = "" if warned["auc"].notna().any() else "_against_censored"
    own = warned[warned["measure"] == "value"]
    own = own.assign(shown=own[f"matched{tail}"], unmatched=own[f"auc{tail}"])
    told = own.groupby("quantity")["shown"].apply(lambda x: (x - 0.5).abs().mean())
    told = told.drop(early_stopping.RATE).dropna()
    best = told.sort_values(ascending=False, kind="stable").index[:MOST]
    names = [early_stopping.RATE, *best]
    own = own[own["quantity"].isin(names) & own["unmatched"].notna()].copy()
    own["rank"] = own["quantity"].map(names.index)
    own = own.sort_values(["rank", "patience"]).drop(columns="rank")
    return own.assign(against="censored runs" if tail else "decided runs")


def _print(lost: pd.DataFrame, best: pd.DataFrame) -> None:
    unit = lost["unit"].iloc[0]
    print(f"stopped k after t_mem, in {unit}: test accuracy lost, median [quartiles]")
    for row in lost.to_dict("records"):
        low, high = row["lost_final_q25"], row["lost_final_q75"]
        missed = f", {row['missed']:.0%} would have missed grokking"
        print(
            f"  k = {row['patience']:<5g}{row['phase']:<15}{row['n_stopped']:>4} of "
            f"{row['n_runs']:<4} stopped: {row['lost_final']:.2f} "
            f"[{low:.2f}, {high:.2f}]{'' if pd.isna(row['missed']) else missed}"
        )
    if not len(best):
        print(f"warnings: {early_stopping.UNDECIDABLE}: too few runs on either side")
        return
    if (best["verdict"] == early_stopping.UNDECIDABLE).all():
        print(
            f"warnings: {early_stopping.UNDECIDABLE}: at most "
            f"{best['n_decided'].max()} memorising runs are decided not to grok"
        )
    print(
        f"AUC at the stop, of runs that grok later against {best['against'].iloc[0]}, "
        f"of one system and decay rates\nwithin a factor {early_stopping.ALIKE:g} "
        "(in brackets: of all; the decay rate is known before training):"
    )
    for name, own in best.groupby("quantity", sort=False):
        values = "  ".join(
            f"{row.patience:g}: {_auc(row.shown)} ({_auc(row.unmatched)})"
            for row in own.itertuples()
        )
        print(f"  {name:<24} {values}")


def _auc(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.2f}"
