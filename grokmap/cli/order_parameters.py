"""`grokmap order-parameters`: which quantity moves first, and by how much."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from grokmap.classify import PHASES, read_criteria
from grokmap.cli.events import json_rows
from grokmap.cli.opened import EVERYWHERE, open_result
from grokmap.cli.options import Figures
from grokmap.cli.outputs import file_name, name_of, outputs, print_files
from grokmap.cli.places import Where
from grokmap.result.order_parameters import Movers, draw, find


def compare_order_parameters(
    path: Path,
    criteria: str,
    figures: Figures,
    out: Path | None,
    as_json: bool,
    where: Where = EVERYWHERE,
) -> None:
    """Prints and writes the table, and draws the figure."""
    to = outputs(path, out, figures, as_json)
    rules = read_criteria(criteria)
    result = open_result(path, where)
    movers = find(result, rules)
    name = file_name("order-parameters", rules, result.place)
    file = to.table(movers.table, name)
    if as_json:
        facts = {"file": name_of(file), "quantities": json_rows(movers.table)}
        print(json.dumps(facts))
    else:
        _print(movers)
        print_files(file)
    drawing = draw(movers, to.look)
    to.figure(drawing.figure, drawing.data, name)


def _print(movers: Movers) -> None:
    if "system" not in movers.table:
        _print_moves(movers.table)
    else:
        for system, moves in movers.table.groupby("system", sort=False):
            print(f"{system}:")
            _print_moves(moves)
    print("t_half: half of the way from t_mem to the end; quartiles over the runs")
    print("AUC: how often a grokked run ends above a memorize-only one")
    if movers.axes:
        print(f"runs of all {', '.join(movers.axes)} together")


def _print_moves(moves: pd.DataFrame) -> None:
    phases = [phase for phase in PHASES if f"final_{phase}" in moves]
    heads = [f"{phase:>15}" for phase in phases]
    print(f"{'median at the end':<24}{''.join(heads)}   {'AUC':>4}   t_half/t_grok (n)")
    for row in moves.to_dict("records"):
        values = "".join(f"{_number(row[f'final_{phase}']):>15}" for phase in phases)
        half = "-"
        if row["n_runs"]:
            spread = f"{1 / row['lead_q75']:.2f} to {1 / row['lead_q25']:.2f}"
            half = f"{row['t_half_over_t_grok']:.2f} [{spread}] ({row['n_runs']})"
        print(f"{row['quantity']:<24}{values}   {_number(row['auc'], 2):>4}   {half}")


def _number(value: float, digits: int = 3) -> str:
    return "-" if value != value else f"{value:.{digits}g}"
