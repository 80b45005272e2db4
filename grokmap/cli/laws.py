"""`grokmap laws`: which law of t_grok holds, and how far the times collapse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from grokmap.analysis.laws import FEWEST, T_MEM
from grokmap.classify import read_criteria
from grokmap.cli.events import json_rows, known
from grokmap.cli.opened import EVERYWHERE, open_result
from grokmap.cli.options import Figures
from grokmap.cli.outputs import file_name, name_of, outputs, print_files
from grokmap.cli.places import Where
from grokmap.result.laws import Laws, decay_facts, draw, draw_collapse, find


def compare_laws(
    path: Path,
    criteria: str,
    figures: Figures,
    out: Path | None,
    as_json: bool,
    where: Where = EVERYWHERE,
) -> None:
    """Prints and writes the table, and draws residuals and the master curve."""
    to = outputs(path, out, figures, as_json)
    rules = read_criteria(criteria)
    result = open_result(path, where)
    laws = find(result, rules)
    name = file_name("laws", rules, result.place)
    file = to.table(laws.table, name)
    if as_json:
        _print_json(laws, name_of(file))
    else:
        _print(laws)
        print_files(file)
    drawing = draw(laws, to.look)
    to.figure(drawing.figure, drawing.data, name)
    collapse = draw_collapse(laws, to.look)
    to.figure(collapse.figure, collapse.data, name, "-collapse")


def _print_json(laws: Laws, file: str | None) -> None:
    facts = {"file": file, "outside": laws.outside, "skipped": laws.skipped}
    decay = known(decay_facts(laws.decay))
    measured = {"laws": json_rows(laws.table), "pure_decay": decay}
    print(json.dumps(facts | measured | {"too_few": laws.few}))


def _print(laws: Laws) -> None:
    for scope, rows in laws.table.groupby("scope", sort=False):
        _print_scope(str(scope), rows)
    print("each law by the better of its clocks, from the start or from t_mem")
    print("a run: log-likelihood of cells left out, best first; k counts sigma")
    print("spread: largest over smallest (t_grok - t_0) / law; 80%: between quantiles")
    if laws.few:
        few = "; ".join(laws.few)
        print(f"fitted with the others only, below {FEWEST} grokked runs: {few}")
    if laws.skipped:
        why = "ln(K) / L has no meaning where f is not homogeneous in the weights"
        print(f"not fitted to all runs: {', '.join(laws.skipped)}: {why}")
    outside = ", ".join(f"{n} {reason}" for reason, n in laws.outside.items() if n)
    print(f"outside the laws' scope: {outside or 'no run'}")
    _print_decay(decay_facts(laws.decay))


def _print_scope(scope: str, rows: pd.DataFrame) -> None:
    first = rows.iloc[0]
    print(f"{scope}: {first['n_runs']} runs, {first['n_grokked']} grokked")
    print(f"  {'law':<28} k  AIC - best   a run   sigma   spread (80%)")
    for row in rows.drop_duplicates("law").to_dict("records"):
        law = row["law"] + (" + t_mem" if row["clock"] == T_MEM else "")
        spread = f"{row['spread']:.3g} ({row['spread_80']:.3g})"
        sigma = "-" if np.isnan(row["sigma"]) else f"{row['sigma']:.2f}"
        print(
            f"  {law:<28} {row['n_parameters']:<2} {row['delta_aic']:>9.1f}  "
            f"{row['held_out']:>6.2f}  {sigma:>6}   {spread}"
        )
    likeliest = rows.loc[rows["delta_aic"].idxmin(), "law"]
    if likeliest != first["law"]:
        print(
            f"  {likeliest} fits best, but {first['law']} predicts cells left out "
            "best: the data do not decide between them"
        )


def _print_decay(facts: dict[str, float]) -> None:
    if not facts["n_norm_fell"]:
        print("pure decay from t_mem to t_grok: the norm fell in no run")
        return
    print(
        f"pure decay from t_mem to t_grok: the norm fell in {facts['n_norm_fell']} of "
        f"{facts['n_runs']} runs; there delay r / ln(norm ratio) is "
        f"{facts['median_ratio']:.3g} in the median, not 1"
    )
