"""`grokmap verify`: prints what is wrong with a result folder, and what is to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grokmap.cli.opened import open_result
from grokmap.errors import shown

EXIT_DAMAGED = 1


def verify_result(path: Path, as_json: bool) -> int:
    """Prints every problem of the folder and what is to do; 1 if there is a problem."""
    facts = open_result(path).verify()
    print(json.dumps(facts, indent=2) if as_json else _text(path, facts))
    return EXIT_DAMAGED if facts["problems"] else 0


def _text(path: Path, facts: dict[str, Any]) -> str:
    kept = facts["of_these_kept"]
    goes_on = f", {kept} of them from where they are kept" if kept else ""
    lines = [
        *facts["problems"],
        *(f"plan not checked: {line}" for line in facts["plugins_not_loaded"]),
        *(f"{file}: set aside before; may be removed" for file in facts["set_aside"]),
        f"{path}: {facts['done']} of {facts['planned']} runs done; the next sweep "
        f"trains {facts['to_do']}{goes_on}",
    ]
    lines += ["no problem found"] if not facts["problems"] else []
    return "\n".join(map(shown, lines))
