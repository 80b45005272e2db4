"""`grokmap early-stopping`: what stopping after t_mem would have cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from grokmap.analysis.early_stopping import ALIKE, PATIENCE, UNDECIDABLE
from grokmap.classify import Criteria, read_criteria
from grokmap.cli.events import json_rows
from grokmap.cli.opened import EVERYWHERE, open_result
from grokmap.cli.options import Figures
from grokmap.cli.outputs import file_name, name_of, outputs, print_files
from grokmap.cli.places import Where
from grokmap.errors import ResultError, SpecError, short
from grokmap.plot.rules import rule_words
from grokmap.result import stopping_rules
from grokmap.result.early_stopping import check, draw, find
from grokmap.result.result import Result


def judge_early_stopping(
    path: Path,
    patience: str | None,
    unit: str,
    criteria: str,
    figures: Figures,
    out: Path | None,
    as_json: bool,
    where: Where = EVERYWHERE,
) -> None:
    """Prints and writes the tables, and draws the figures."""
    to = outputs(path, out, figures, as_json)
    multiples = _multiples(patience)
    check(multiples, unit)
    rules = read_criteria(criteria)
    result = open_result(path, where)
    stopping = find(result, multiples, unit, rules)
    asked = "" if unit == "t_mem" else f"-{unit}"
    if patience is not None:
        asked += "-patience=" + ",".join(f"{k:g}" for k in sorted(set(multiples)))
    name = file_name(f"early-stopping{asked}", rules, result.place)
    other = file_name(f"early-stopping-warnings{asked}", rules, result.place)
    file = to.table(stopping.losses, name)
    warned_file = to.table(stopping.warnings, other)
    scored, why = _scored(result, rules)
    scored_name = file_name("early-stopping-rules", rules, result.place)
    scored_file = to.table(scored.table, scored_name) if scored else None
    if as_json:
        facts = {"file": name_of(file), "warnings_file": name_of(warned_file)}
        facts["rules_file"] = name_of(scored_file)
        tables = {"losses": stopping.losses, "warnings": stopping.warnings}
        tables["rules"] = scored.table if scored else pd.DataFrame()
        print(json.dumps(facts | {k: json_rows(v) for k, v in tables.items()}))
    else:
        _print_losses(stopping.losses)
        _print_warnings(stopping.best)
        _print_rules(scored.table) if scored else print(f"rules: {why}")
        print_files(file, warned_file, scored_file)
    drawing = draw(stopping, to.look)
    to.figure(drawing.figure, drawing.data, name)
    if scored:
        drawing = stopping_rules.draw(scored, to.look)
        to.figure(drawing.figure, drawing.data, scored_name)


def _scored(
    result: Result, rules: Criteria
) -> tuple[stopping_rules.StoppingRules | None, str]:
    """The rules' scores; None, and why, where there can be none."""
    try:
        return stopping_rules.find(result, rules), ""
    except ResultError as error:
        return None, str(error).removeprefix(f"{result.path}: ")


def _multiples(text: str | None) -> list[float]:
    """The numbers of a comma-separated list.

    Raises:
      SpecError: an entry is not a number.
    """
    try:
        return list(PATIENCE) if text is None else list(map(float, text.split(",")))
    except ValueError:
        raise SpecError(
            f"--patience {short(str(text))!r}: positive numbers such as 0.5,1,4"
        ) from None


def _print_losses(lost: pd.DataFrame) -> None:
    unit = lost["unit"].iloc[0]
    if not lost["n_stopped"].any():
        least = lost["patience"].min()
        print(f"nothing is stopped: every run is over by {least:g} {unit} after t_mem")
        return
    print(f"stopped k after t_mem, in {unit}: test accuracy lost, median [quartiles]")
    if "system" not in lost:
        _print_rows(lost)
        return
    for system, rows in lost.groupby("system", sort=False):
        print(f"{system}:")
        _print_rows(rows)


def _print_rows(lost: pd.DataFrame) -> None:
    for row in lost.to_dict("records"):
        low, high = row["lost_final_q25"], row["lost_final_q75"]
        missed = f", {row['missed']:.0%} would have missed grokking"
        print(
            f"  k = {row['patience']:<5g}{row['phase']:<15}{row['n_stopped']:>4} of "
            f"{row['n_runs']:<4} stopped: {row['lost_final']:.2f} "
            f"[{low:.2f}, {high:.2f}]{'' if pd.isna(row['missed']) else missed}"
        )


def _print_warnings(best: pd.DataFrame) -> None:
    if not len(best):
        print(f"warnings: {UNDECIDABLE}: too few runs on either side")
        return
    if (best["verdict"] == UNDECIDABLE).all():
        print(
            f"warnings: {UNDECIDABLE}: at most "
            f"{best['n_decided'].max()} memorising runs are decided not to grok"
        )
    print(
        f"AUC at the stop, of runs that grok later against {best['against'].iloc[0]}, "
        f"of one system and decay rates\nwithin a factor {ALIKE:g} "
        "(in brackets: of all; the decay rate is known before training):"
    )
    for name, rows in best.groupby("quantity", sort=False):
        values = "  ".join(
            f"{row.patience:g}: {_auc(row.shown)} ({_auc(row.unmatched)})"
            for row in rows.itertuples()
        )
        print(f"  {name:<24} {values}")


def _auc(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.2f}"


def _print_rules(scored: pd.DataFrame) -> None:
    print(
        "rules, each with the threshold that other seeds chose: share of the grokking "
        "runs\nstopped before they grok, and of the steps saved (of runs that grok; of "
        "the others)"
    )
    for system, rows in scored.groupby("system", sort=False):
        if scored["system"].nunique() > 1:
            print(f"{system}:")
        for row in rows.to_dict("records"):
            print(
                f"  {rule_words(row['rule']):<22}{_threshold(row):<18}"
                f"missed {_share(row['missed'])} of {row['n_grok']:<4} saved "
                f"{_share(row['saved'])} ({_share(row['saved_grok'])}; "
                f"{_share(row['saved_other'])})"
            )


def _threshold(row: dict[Any, Any]) -> str:
    value = row["threshold"]
    return "" if pd.isna(value) else f"{value:.3g} {row['passed']}".rstrip()


def _share(value: float) -> str:
    return "  -" if pd.isna(value) else f"{value:3.0%}"
