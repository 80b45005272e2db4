"""Trains, round by round, the runs that place the wedge's edges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from grokmap import store
from grokmap.result import Result
from grokmap.result.refine import Round, Wanted, check, made, next_round
from grokmap.session.listener import Listener
from grokmap.session.session import Options, Session, open_session, train_missing
from grokmap.spec import Sweep

REACHED = "precision reached, or nothing further that runs could tell"


class Refined(NamedTuple):
    """How it ended.

    why: why no further round was made, empty if it was stopped before that; known: how
    well edges over several axes are known, in words.
    """

    session: Session
    why: str = ""
    known: str = ""


def refine(
    path: Path,
    sweep: Sweep,
    wanted: Wanted,
    options: Options,
    listener: Listener,
    train: Callable[[Session], object] = train_missing,
) -> Refined:
    """Refines until no run is left to choose, or max_runs are made.

    train: trains what is missing of the folder, here or in shards.

    Raises:
      SpecError, ResultError: as of `check` and `open_session`.
    """
    result = Result(path, listener.say)
    check(result, wanted)  # before hours of training
    with open_session(path, sweep, options, listener) as session:
        train(session)
        while not session.stop.code and not session.failed:
            if not _trains_a_round(session, result, wanted, train):
                break
        if session.stop.code:
            return Refined(session)
        return _reason(session, result, wanted)


def _trains_a_round(
    session: Session,
    result: Result,
    wanted: Wanted,
    train: Callable[[Session], object],
) -> bool:
    """Whether there was a run left to make."""
    before, left = made(result, wanted)
    found = next_round(result, wanted)
    points = found.points[:left]
    if points.empty:
        return False
    number = 1 if before is None else int(before["round"].max()) + 1
    chosen = wanted.max_runs - left
    line = f"round {number}: {len(points)} runs, {chosen} chosen before"
    session.listener.say(line + _precision(found, result, wanted))
    points = points.assign(round=number)
    points = pd.concat([before, points], ignore_index=True)
    store.write_points(session.path, points)
    train(session)
    return True


def _precision(found: Round, result: Result, wanted: Wanted) -> str:
    """How well the edges over several axes are known so far, in words."""
    if found.known is None:
        return ""
    return f"; {found.known.words(result.axis(wanted.x).is_log)}"


def _reason(session: Session, result: Result, wanted: Wanted) -> Refined:
    if session.failed:
        failed = f"{len(session.failed)} runs failed: see {store.FAILED}"
        return Refined(session, f"{failed}; the same command goes on")
    found = next_round(result, wanted)
    if not found.points.empty:
        why = f"--max-runs {wanted.max_runs} are made; a larger number goes on"
        return Refined(session, why, _precision(found, result, wanted))
    return Refined(session, REACHED, _precision(found, result, wanted))
