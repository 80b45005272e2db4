"""`grokmap sweep`: reads the options, trains, reports."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from grokmap.classify import PHASES
from grokmap.cli.advice import say_advice
from grokmap.cli.display import display_of
from grokmap.cli.doctor import start_jax
from grokmap.cli.events import print_event
from grokmap.cli.opened import open_result, say
from grokmap.cli.pasted import extend_command, next_command
from grokmap.cli.results import print_counts
from grokmap.durations import seconds_of
from grokmap.errors import shown
from grokmap.result.labels import phase_counts
from grokmap.session import Options, Session, open_session, resolve, train_missing
from grokmap.session.shard import refuse_shard, refuse_waiting
from grokmap.spec import Sweep


class Given(NamedTuple):
    """What `grokmap sweep` was given, its times in seconds."""

    spec: Path
    overrides: tuple[str, ...]
    out: Path | None
    options: Options
    as_json: bool = False


def options_of(
    time_budget: str | None, checkpoint: str = "2m", **others: object
) -> Options:
    """`Options` from times as typed, and what needs no reading.

    Raises:
      SpecError: a time of no known form.
    """
    return Options(
        seconds_of(time_budget, "--time-budget"),
        seconds_of(checkpoint, "--checkpoint"),
        **others,  # type: ignore[arg-type]
    )


def resolved(given: Given, quick: bool = False) -> tuple[Path, Sweep]:
    """The result folder and the sweep; see `session.resolve`."""
    start_jax()
    path, sweep = resolve(
        given.spec,
        given.overrides,
        given.out,
        extend=given.options.extend,
        quick=quick,
        in_shards=given.options.shard is not None,
        say=say,
    )
    refuse_shard(path)
    return path, sweep


def run_sweep(given: Given) -> int:
    """Trains what is missing of the sweep; returns the exit code."""
    path, sweep = resolved(given)
    if given.options.shard is None:
        refuse_waiting(path)
    listener = display_of(given.as_json)
    with open_session(path, sweep, given.options, listener) as session:
        runs = train_missing(session)
    if given.options.extend and not session.code and not session.done:
        say(_nothing_extended(path, sweep, runs))
    if session.stop.code and session.kept:
        say(f"{session.kept} runs in training are kept; the same command goes on")
    _report(session, runs, given.as_json)
    if not session.code and given.options.shard is None and not given.as_json:
        say_advice(open_result(path))
        say(f"next: `{next_command(path, sweep)}`")
    return session.code


def _nothing_extended(path: Path, sweep: Sweep, runs: pd.DataFrame) -> str:
    """Why --extend has trained nothing, and what to do."""
    count = int(runs["censored"].sum())
    if not count:
        return "--extend: nothing to go on with: no run is censored"
    return (
        f"--extend: no budget is larger than before, so none of the {count} censored "
        f"runs went on; raise one: `{extend_command(path, sweep, runs)}`"
    )


def _report(session: Session, runs: pd.DataFrame, as_json: bool) -> None:
    counts = phase_counts(runs, PHASES)
    if as_json:
        numbers = {"planned": session.n_planned, "done": len(runs), **counts}
        code = {"exit_code": session.code}
        print_event("result", path=str(session.path), **code, **numbers)
        return
    print(shown(f"{session.path}: {len(runs)} of {session.n_planned} runs"))
    print_counts(counts)
