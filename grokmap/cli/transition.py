"""`grokmap hysteresis` and `grokmap transition`: of which order is the transition?"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from grokmap import plot, store
from grokmap.analysis import hysteresis
from grokmap.analysis import transition_order as order
from grokmap.classify import CRITERIA
from grokmap.cli.opened import open_result
from grokmap.cli.outputs import name_of, outputs, print_files
from grokmap.cli.results import load_runs
from grokmap.errors import ResultError, SpecError, short
from grokmap.result.labels import plan_of
from grokmap.spec.names import nearest

DEFAULT = "test_accuracy"
ACCURACIES = ("train_accuracy", "test_accuracy")


def measure_hysteresis(
    path: Path, quantity: str, formats: str, out: Path | None, as_json: bool
) -> None:
    """Prints and writes the loop of every ramped run, and draws them."""
    to = outputs(path, out, formats, as_json)
    runs, loops, family = _loops(path, quantity)
    name = "hysteresis" + ("" if quantity == DEFAULT else f"-{quantity}")
    file = to.table(runs, name)
    rates = hysteresis.by_rate(runs, family)
    trends = hysteresis.trends(runs, family)
    if as_json:
        tables = {"rates": _records(rates), "trends": _records(trends)}
        print(json.dumps({"file": name_of(file), "quantity": quantity, **tables}))
    else:
        _print_rates(rates, trends, family)
        print_files(file)
    branches = {k: plot.Branches(*loop) for k, loop in loops.items()}
    label = f"${open_result(path).quantities[quantity].symbol}$"
    figure = plot.hysteresis_loops(runs, branches, rates, family, label)
    data = plot.loop_table(runs, branches, family)
    to.figure(figure, data, name)


def _loops(
    path: Path, quantity: str
) -> tuple[pd.DataFrame, dict[str, hysteresis.Loop], list[str]]:
    """Rows and loops of the ramped runs of a folder, and what tells families apart.

    Raises:
      SpecError: no such quantity. ResultError: no ramps, or it was not recorded.
    """
    _check(path, quantity)
    table = plan_of(path)
    if "ramp_steps" not in table or table["ramp_steps"].isna().all():
        raise ResultError(
            f"{path}: no ramped runs; sweep with ramp_factor and ramp_steps, as "
            "`grokmap sweeps hysteresis` does"
        )
    trajectories, _ = store.read_trajectories(path, [quantity])
    if quantity not in trajectories or trajectories[quantity].isna().all():
        raise ResultError(f"{path}: {quantity} was not recorded, or nothing is done")
    level = 0.5
    if quantity not in ACCURACIES:
        level = float(trajectories[quantity].quantile([0.0, 1.0]).mean())
    runs, loops = hysteresis.loops(trajectories, table, quantity, level)
    if runs["area"].isna().all():
        raise ResultError(f"{path}: every ramped run diverged, so there is no loop")
    return runs, loops, hysteresis.families(table)


def _check(path: Path, quantity: str) -> None:
    known = open_result(path).quantities
    if quantity not in known:
        near = nearest(quantity, known)
        raise SpecError(f"--quantity {short(quantity)!r}: not recorded; {near}")


def _print_rates(rates: pd.DataFrame, trends: pd.DataFrame, family: list[str]) -> None:
    heads = [*family, "steps up", "runs", "area [quartiles]", "rises at", "falls at"]
    print("  ".join(f"{head:>12}" for head in [*heads, "back at"]))
    for row in rates.to_dict("records"):
        spread = _number(row["area"])
        if spread != "-":
            spread += f" [{row['area_q25']:.3g}, {row['area_q75']:.3g}]"
        cells = [f"{row[k]:g}" for k in (*family, "ramp_steps", "n_runs")]
        cells += [spread, *(_number(row[k]) for k in ("up_rise", "up_fall"))]
        cells += [_number(row["down_rise"])]
        print("  ".join(f"{cell:>12}" for cell in cells))
    for row in trends.to_dict("records"):
        print(order.loop_evidence(row, DEFAULT).why)


def judge_transition(
    path: Path,
    quantity: str,
    x: str,
    ramps: Path | None,
    formats: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Prints and writes evidence and verdict, and draws what they are made of."""
    to = outputs(path, out, formats, as_json)
    wanted = [name.strip() for name in quantity.split(",")]
    for name in wanted:
        _check(path, name)
    runs = load_runs(path, CRITERIA["default"], None)
    _check_axes(path, runs, x)
    known = _measured(path, runs, wanted)
    cells = order.cells(runs, x, known)
    rows = order.evidence(cells, runs, x, known)
    for name in wanted if ramps is not None else ():
        assert ramps is not None
        rows += _loop_rows(ramps, name, order.falls(cells, x, name))
    # Cells and the evidence from them are of every quantity; loops of the chosen ones.
    of_axis = "" if x == "weight_decay" else f"-{x}"
    of_quantity = "" if quantity == DEFAULT else "-" + "-".join(wanted[:3])
    of_loops = "" if ramps is None else f"-hysteresis{of_quantity}"
    file = to.table(cells, f"transition{of_axis}")
    evidence_file = to.table(
        pd.DataFrame(rows), f"transition-evidence{of_axis}{of_loops}"
    )
    own = [row for row in rows if row.quantity in wanted]
    if as_json:
        facts = {"verdict": order.verdict(own)[1], "all": _verdicts(rows)}
        listed = [row._asdict() for row in own]
        print(json.dumps({"file": name_of(file), **facts, "evidence": listed}))
    else:
        _print_evidence(own, _verdicts(rows))
        print_files(file, evidence_file)
    values = {
        name: order.boundary_values(cells, runs, x, name, known[name])
        for name in wanted
    }
    symbols = open_result(path).quantities
    labels = {name: _label(symbols[name].symbol, known[name]) for name in wanted}
    figure = plot.order_panels(cells, values, x, labels, plot.axis_label(x, runs))
    data = cells[cells["quantity"].isin(wanted)]
    to.figure(figure, data, f"transition{of_axis}{of_quantity}")


def _label(symbol: str, log: bool) -> str:
    return rf"$\log_{{10}}\,{symbol}$" if log else f"${symbol}$"


def _measured(path: Path, runs: pd.DataFrame, wanted: list[str]) -> dict[str, bool]:
    """The quantities that differ between runs, and whether on a log scale.

    Raises:
      ResultError: one that is wanted is not among them.
    """
    known = {
        name: entry.log
        for name, entry in open_result(path).quantities.items()
        if f"final_{name}" in runs and runs[f"final_{name}"].nunique() > 1
    }
    missing = [name for name in wanted if name not in known]
    if missing:
        raise ResultError(f"{path}: {missing[0]} was not recorded, or never changes")
    return known


def _check_axes(path: Path, runs: pd.DataFrame, x: str) -> None:
    """Raises ResultError unless just the width, x and the seed are swept, and SpecError
    where x is one of those two."""
    if x in ("width", "seed"):
        raise SpecError(
            f"--x {x}: the axis across the transition, such as weight_decay"
        )
    swept = [
        name
        for name in (*plot.AXES, "seed")
        if name in runs and runs[name].nunique() > 1
    ]
    swept = [name for name in swept if name != "decay_rate"]
    if x not in swept or "width" not in swept:
        raise ResultError(
            f"{path}: sweeps {', '.join(swept) or 'nothing'}; the order of a "
            f"transition needs several widths, points of {short(x)!r} (--x) and seeds, "
            "as in `grokmap sweeps finite-size`"
        )
    others = [name for name in swept if name not in ("width", x, "seed")]
    if others:
        raise ResultError(
            f"{path}: sweeps {', '.join(others)} too; width, {x} and seed only"
        )


def _loop_rows(path: Path, quantity: str, falls: bool) -> list[order.Evidence]:
    """Of the ramps that cross the boundary in the direction that the cells show."""
    runs, _, family = _loops(path, quantity)
    trends = hysteresis.trends(runs, family)
    kind = "falls" if falls else "rises"
    crossing = trends[trends[kind] > 0.5]
    if crossing.empty:
        why = f"no ramp of {path} crosses this boundary"
        return [order.Evidence(quantity, "hysteresis", order.UNDECIDED, why)]
    return [order.loop_evidence(row, quantity) for row in crossing.to_dict("records")]


def _verdicts(rows: list[order.Evidence]) -> dict[str, str]:
    """By quantity, the order that its own evidence supports."""
    names = dict.fromkeys(row.quantity for row in rows)
    return {n: order.verdict(r for r in rows if r.quantity == n)[0] for n in names}


def _print_evidence(rows: list[order.Evidence], verdicts: dict[str, str]) -> None:
    for row in rows:
        print(f"{row.quantity}, {row.evidence}: {row.supports}")
        print(f"    {row.why}")
    print(order.verdict(rows)[1])
    by_chance = 100 * order.SIGNIFICANT
    print(f"each quantity by itself ({by_chance:g}% seem to have two modes by chance):")
    for kind in (order.FIRST_ORDER, order.CONTINUOUS, order.UNDECIDED):
        names = [name for name, own in verdicts.items() if own == kind]
        if names:
            print(f"  {kind:<12} {', '.join(names)}")


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}"


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            k: None if isinstance(v, float) and not math.isfinite(v) else v
            for k, v in row.items()
        }
        for row in table.to_dict("records")
    ]
