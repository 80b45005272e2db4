"""`grokmap weights`: trains a run again and keeps its weights."""

from __future__ import annotations

import json
from pathlib import Path

from grokmap.cli.doctor import start_jax
from grokmap.cli.opened import say
from grokmap.cli.results import find_run
from grokmap.errors import SpecError, shown
from grokmap.session import save_weights
from grokmap.spec.moments import moments


def keep_weights(path: Path, text: str, at: str, as_json: bool) -> None:
    """Prints the files of the weights.

    at: moments with commas between them.
    """
    try:
        wanted = moments(at)
    except ValueError as error:
        raise SpecError(f"--at: {error}") from None
    run_id = find_run(path, text)
    start_jax()
    files = save_weights(path, run_id, wanted, say)
    if as_json:
        print(json.dumps({"run_id": run_id, "files": list(map(str, files))}))
        return
    for file in files:
        print(shown(str(file)))
