"""Folds the long tables of pages of evidence; a click opens them."""

from __future__ import annotations

from html import escape
from typing import Any

from docutils import nodes

LONGEST = 8  # rows that stay open


def _fold(app: Any, tree: nodes.document) -> None:
    if not _is_evidence(app, app.env.docname):
        return
    for table in list(tree.findall(nodes.table)):
        rows = sum(len(body) for body in table.findall(nodes.tbody))
        if rows > LONGEST:
            head = f"<details class='folded'><summary>{_summary(table, rows)}</summary>"
            place = table.parent.index(table)
            table.parent.insert(place + 1, nodes.raw("", "</details>", format="html"))
            table.parent.insert(place, nodes.raw("", head, format="html"))


def _summary(table: nodes.table, rows: int) -> str:
    """What is folded away: how many rows, and the names of the first columns."""
    heads = [cell.astext() for row in table.findall(nodes.thead) for cell in row[0]]
    named = ", ".join(head for head in heads[:4] if head)
    more = ", ..." if len(heads) > 4 else ""
    return escape(f"Table of {rows} rows" + (f": {named}{more}" if named else ""))


def _is_evidence(app: Any, name: str) -> bool:
    return name in app.config.evidence_pages or name.startswith("systems/")


def setup(app: Any) -> dict[str, bool]:
    app.add_config_value("evidence_pages", set(), "env")
    app.connect("doctree-read", _fold)
    return {"parallel_read_safe": True}
