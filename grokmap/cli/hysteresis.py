"""`grokmap hysteresis`: loops of runs whose weight decay is ramped up and down."""

from __future__ import annotations

import json
import math
from pathlib import Path

from grokmap.analysis import transition_order as order
from grokmap.analysis.hysteresis import place_of
from grokmap.cli.events import json_rows
from grokmap.cli.opened import EVERYWHERE, open_result
from grokmap.cli.options import Figures
from grokmap.cli.outputs import name_of, outputs, placed, print_files
from grokmap.cli.places import Where
from grokmap.result.hysteresis import Hysteresis, draw, find
from grokmap.spec.axis import word


def measure_hysteresis(
    path: Path,
    quantity: str,
    figures: Figures,
    out: Path | None,
    as_json: bool,
    where: Where = EVERYWHERE,
) -> None:
    """Prints and writes the loop of every ramped run, and draws them."""
    to = outputs(path, out, figures, as_json)
    result = open_result(path, where)
    loops = find(result, quantity)
    name = "hysteresis" + ("" if quantity == "test_accuracy" else f"-{quantity}")
    name = placed(name, result.place)
    file = to.table(loops.table, name)
    if as_json:
        tables = {"rates": json_rows(loops.rates), "trends": json_rows(loops.trends)}
        print(json.dumps({"file": name_of(file), "quantity": quantity, **tables}))
    else:
        _print_rates(loops)
        print_files(file)
    drawing = draw(loops, to.look)
    to.figure(drawing.figure, drawing.data, name)


def _print_rates(loops: Hysteresis) -> None:
    family = loops.family
    heads = [*family, "steps up", "runs", "area [quartiles]", "rises at", "falls at"]
    print("  ".join(f"{head:>12}" for head in [*heads, "back at"]))
    for row in loops.rates.to_dict("records"):
        spread = _number(row["area"])
        if spread != "-":
            spread += f" [{row['area_q25']:.3g}, {row['area_q75']:.3g}]"
        cells = [word(row[k]) for k in (*family, "ramp_steps", "n_runs")]
        cells += [spread, *(_number(row[k]) for k in ("up_rise", "up_fall"))]
        cells += [_number(row["down_rise"])]
        print("  ".join(f"{cell:>12}" for cell in cells))
    for row in loops.trends.to_dict("records"):
        print(order.loop_evidence(row, loops.quantity, place_of(row, family)).why)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}"
