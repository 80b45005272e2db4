"""Reads grokmap's docstrings, which are plain text, for the reference of the library.

Their sections (Args, Returns, Raises) begin with a word in bold; what is explained word
by word becomes a list, but for errors, several of which may stand in a line. Nothing is
taken for markup but `code`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

SECTION = re.compile(r"(Args|Returns|Raises):\s*(.*)$")
ENTRY = re.compile(r"([a-z_]\w*(?:, (?:\w+|\.\.\.))*): (.*)$")


def restructured(lines: list[str]) -> list[str]:
    """The lines of a docstring as reStructuredText."""
    text: list[str] = []
    for section, block in _sections(lines):
        text += ["", f"**{section}**", ""] if section else []
        listed = section != "Raises"
        text += _listed(block) if listed else [_plain(line.strip()) for line in block]
    return text


def _sections(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The parts of a docstring, each with its section's name ("" for the first)."""
    section, block = "", list[str]()
    for line in lines:
        match = SECTION.match(line)
        if match:
            yield section, block
            section, block = match[1], [f"  {match[2]}"] if match[2] else []
        else:
            block.append(line)
    yield section, block


def _listed(block: list[str]) -> Iterator[str]:
    """The lines of a section: those indented least that explain a word are entries."""
    indents = [len(line) - len(line.lstrip()) for line in block if line.strip()]
    least, listing = min(indents, default=0), False
    for line in block:
        words = line.strip()
        entry = ENTRY.match(words) if words == line[least:] else None
        if entry:
            yield from ([] if listing else [""])
            yield f"- **{_plain(entry[1])}**: {_plain(entry[2])}"
        else:
            yield f"  {_plain(words)}" if listing and words else _plain(words)
        listing = bool(words) and (listing or entry is not None)


def _plain(line: str) -> str:
    """A line whose `code` is code, and in which nothing else is markup."""
    parts = re.split(r"(`[^`]+`)", line)
    return "".join(
        f"`{part}`" if part.startswith("`") else re.sub(r"[\\*|`]|_\b", _escape, part)
        for part in parts
    )


def _escape(match: re.Match[str]) -> str:
    return f"\\{match[0]}"


def _process(
    app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    lines[:] = restructured(lines)


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True}
