"""Commands that are printed to be pasted into a shell, whatever files are called."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from grokmap.session import larger_budget
from grokmap.shell import argument, pasted
from grokmap.spec import Sweep

__all__ = ["argument", "extend_command", "pasted"]


def extend_command(path: Path, sweep: Sweep, runs: pd.DataFrame) -> str:
    """The command that goes on with the censored runs of a folder."""
    setting = larger_budget(sweep, runs)
    return pasted(["grokmap", "sweep", argument(path), "--extend", "-s", setting])
