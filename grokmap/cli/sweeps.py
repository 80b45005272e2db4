"""`grokmap sweeps`: the sweep files that come with grokmap."""

from __future__ import annotations

import json
import sys
import textwrap

from grokmap.spec import shipped

WIDTH = 88


def list_sweeps(as_json: bool) -> None:
    """Prints each by name, with what it is for, its runs and what they cost."""
    entries = shipped.shipped().values()
    if as_json:
        rows = [{"name": entry.name, "about": entry.about} for entry in entries]
        print(json.dumps({"sweeps": rows}, indent=2))
        return
    wide = max((len(entry.name) for entry in entries), default=0) + 2
    for entry in entries:
        print(
            textwrap.fill(
                entry.about,
                WIDTH,
                initial_indent=entry.name.ljust(wide),
                subsequent_indent=" " * wide,
            )
        )


def print_sweep(name: str, as_json: bool) -> None:
    """Prints the text of a sweep file, unchanged."""
    text = shipped.find(name).file.read_text(encoding="utf-8")
    if as_json:
        print(json.dumps({"name": name.removesuffix(".toml"), "text": text}))
    else:
        sys.stdout.write(text)
