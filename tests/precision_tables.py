"""The generated tables of docs/engine.md on precisions of matrix products."""

from __future__ import annotations

import json
from typing import Any

from conftest import ROOT
from table_format import markdown

from grokmap.engine.modelled import Cost
from grokmap.engine.target import CARDS

RESULTS = ROOT / "benchmarks/results"
# TFLOP/s of products on an H100 by its data sheet (dense), and how many products of
# parts make one.
RATES = {
    "float32": (66.9, 1),
    "tf32": (494.7, 1),
    "tf32x3": (494.7, 3),
    "bf16": (989.4, 1),
    "bf16x6": (989.4, 6),
    "bf16x9": (989.4, 9),
}
ORDER = ("float32", "tf32x3", "bf16x6", "bf16x9", "tf32", "bf16")
FIRST_LAYER, FRACTION = "gather_product", 0.7  # of the step whose time is modelled


def measured() -> dict[str, Any]:
    return json.loads((RESULTS / "precision.json").read_text())


def errors() -> str:
    rows = sorted(measured()["errors"], key=lambda r: ORDER.index(r["precision"]))
    table = [
        [
            words(row),
            _range(row["product"]),
            *(f"{row['gradient'][when]:.1e}" for when in ("start", "memorised")),
        ]
        for row in rows
    ]
    head = ["products in", "error of a product", "of a gradient, start"]
    return markdown([*head, "of a gradient, memorised"], table)


def words(row: dict[str, Any]) -> str:
    text = f"`{row['precision']}`"
    text += ", sums cut" if row["cut"] else ""
    text += ", sums in another order" if row.get("tile") else ""
    return text + (", other seeds" if row.get("other_seeds") else "")


def _range(values: list[float]) -> str:
    low, high = f"{min(values):.1e}", f"{max(values):.1e}"
    return low if low == high else f"{low} to {high}"


def planes() -> str:
    found = measured()["planes"]
    by_words: dict[str, dict[str, Any]] = {}
    for row in found:
        by_words.setdefault(words(row), {})[row["plane"]] = row
    table = [
        [name, *_cells(of["quickstart"]), *_cells(of["adamw"])]
        for name, of in by_words.items()
    ]
    head = ["products in"]
    for plane in ("quickstart", "AdamW"):
        head += [f"{plane}: other label", "t_grok over float32's (5 to 95%)"]
    return markdown(head, table)


def _cells(row: dict[str, Any]) -> list[str]:
    low, middle, high = row["ratio"]
    ratio = f"{middle:.3f} ({low:.3f} to {high:.3f}), {row['grokked']} runs"
    return [f"{row['other_label']} of {row['runs']}", ratio]


def rates() -> str:
    """Data-sheet rates, and the time of a step that they model."""
    document = json.loads((RESULTS / "gpu_kernels.json").read_text())
    (step,) = (
        row
        for row in document["rows"]
        if row["kernel"] == FIRST_LAYER and row["fraction"] == FRACTION
    )
    table = []
    for name in ORDER:
        rate, products = RATES[name]
        card = CARDS["h100"]._replace(flops=1e12 * rate / products)
        seconds = Cost(step["flops"], step["bytes"]).seconds(card, lanes=1)
        of = f"{rate:g} / {products}" if products > 1 else f"{rate:g}"
        cells = [f"`{name}`", str(products), f"{of} TFLOP/s", f"{rate / products:.0f}"]
        table.append([*cells, f"{1e6 * seconds:.0f}"])
    head = ["", "products", "data sheet", "TFLOP/s of float32 products"]
    return markdown([*head, "us a step (modelled)"], table)


PRECISION_TABLES = {
    ("docs/engine.md", "precision errors"): errors,
    ("docs/engine.md", "precision planes"): planes,
    ("docs/engine.md", "precision rates"): rates,
}
