"""Payloads -> one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

from grokmap.errors import shown
from grokmap.report.payload import Payload

SCRIPTS = (
    *("unpack.js", "format.js", "cells.js", "scales.js", "drawing.js", "map.js"),
    *("surface.js", "curves.js", "detail.js", "controls.js", "main.js"),
)


def page(payloads: Sequence[Payload], live: float | None = None) -> str:
    """The page, the same for the same payloads.

    live: seconds after which it loads itself again (None: never).
    """
    facts = {"live": live, "results": [each.facts for each in payloads]}
    style = _file("style.css")
    script = '"use strict";\n(() => {\n' + "".join(map(_file, SCRIPTS)) + "})();\n"
    names = ", ".join(shown(str(each.facts["name"])) for each in payloads)
    parts = {
        "policy": escape(_policy(script, style)),
        "title": escape(f"{names}: grokmap report"),
        "style": style,
        "summary": "".join(_summary(each.facts) for each in payloads),
        "facts": embedded(facts),
        "columns": "".join(_columns(k, each) for k, each in enumerate(payloads)),
        "script": script,
    }
    # In one pass, so that nothing in a part is taken for a place of another.
    return re.sub(r"\{\{(\w+)\}\}", lambda m: parts[m[1]], _file("page.html"))


def embedded(value: Any) -> str:
    """JSON that may stand in a script element: no tag or comment can begin in it."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return re.sub(r"[<>&]", lambda m: f"\\u{ord(m[0]):04x}", text)


def _file(name: str) -> str:
    return (files("grokmap.report") / "web" / name).read_text("utf-8")


def _policy(script: str, style: str) -> str:
    """Only this script and style, and nothing from anywhere else."""
    sources = "; ".join(
        f"{kind}-src 'sha256-{_digest(text)}'"
        for kind, text in (("script", script), ("style", style))
    )
    return f"default-src 'none'; {sources}"


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _columns(k: int, each: Payload) -> str:
    return "".join(
        f'<script type="text/plain" id="{name}-{k}">{packed.data}</script>\n'
        for name, packed in each._asdict().items()
        if name != "facts"
    )


def _summary(facts: dict[str, Any]) -> str:
    """What is known of a result, for a reader without scripts."""
    counts = ", ".join(f"{n} {escape(k)}" for k, n in facts["counts"].items())
    name = escape(shown(str(facts["name"])))
    return f"<p>{name}: {facts['done']} of {facts['planned']} runs done; {counts}.</p>"
