"""Commands that are printed to be pasted into a shell, whatever files are called."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from grokmap.analysis import advice as ways
from grokmap.analysis.advice import Advice, larger_budget
from grokmap.result.planes import numbers
from grokmap.shell import argument, pasted
from grokmap.spec import Sweep

__all__ = ["argument", "extend_command", "pasted"]


def extend_command(path: Path, sweep: Sweep, runs: pd.DataFrame) -> str:
    """The command that goes on with the censored runs of a folder."""
    settings = [word for each in larger_budget(sweep, runs) for word in ("-s", each)]
    return pasted(["grokmap", "sweep", argument(path), "--extend", *settings])


def next_command(path: Path, sweep: Sweep) -> str:
    """The command that shows what a finished sweep came to: a diagram of ramps, of a
    swept number, or the curves of runs that no number tells apart."""
    if sweep.ramped:
        name = "hysteresis"
    else:
        name = "phase-diagram" if numbers(sweep.axes) else "curves"
    return pasted(["grokmap", name, argument(path)])


def advice_command(path: Path, advice: Advice) -> str:
    """The command that follows a piece of advice on the result at `path`."""
    where = argument(path)
    settings = [word for each in advice.settings for word in ("-s", each)]
    if advice.how == ways.REFINE:
        return pasted(["grokmap", "refine", where])
    if advice.how == ways.CURVES:
        return pasted(["grokmap", "curves", where, "--run", *advice.settings])
    more = ["--extend"] if advice.how == ways.EXTEND else []
    if advice.how == ways.NEW:
        settings += ["--out", f"{where}-{advice.topic.replace(' ', '-')}"]
    return pasted(["grokmap", "sweep", where, *more, *settings])
