"""`grokmap submit`: trains a sweep in shards, then merges them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from grokmap.cli.doctor import start_jax
from grokmap.cli.merging import report
from grokmap.cli.opened import say
from grokmap.errors import ResultError, SpecError
from grokmap.plan import count_runs, read_sweep
from grokmap.process import signals
from grokmap.session import Session, train_missing
from grokmap.session.merge import merge
from grokmap.session.session import Stop, stop_on_signals
from grokmap.spec.shard import MAX_SHARDS
from grokmap.submit import Engine, Job, drive, engine_named, in_shards


class Asked(NamedTuple):
    """What `grokmap submit` was given.

    spec: a sweep file or a result folder. options: of `grokmap sweep`, as typed. asks:
    as of `Job`.
    """

    spec: Path
    overrides: tuple[str, ...]
    out: Path | None
    on: str
    of: int
    options: tuple[str, ...] = ()
    asks: dict[str, str] = {}


def submit_sweep(asked: Asked, dry_run: bool, as_json: bool) -> int:
    """Runs all shards, and merges what they have done; the exit code."""
    job, engine = job_of(asked)
    if dry_run:
        print(engine.script())
        return 0
    stop = Stop()
    with stop_on_signals(stop):
        code = drive(job, engine, say, stop)
    code = stop.code or code
    try:
        merged = merge(job.path, (), say)
    except ResultError:
        if not code:
            raise
        return code  # nothing was begun that could be merged
    report(job.path, merged, as_json)
    if code in (signals.EXIT_STOPPED, signals.EXIT_INTERRUPTED):
        say("stopped; the same command goes on")
    return code or merged.code


def job_of(asked: Asked) -> tuple[Job, Engine]:
    """The job and the engine that runs it.

    Raises:
      SpecError: no such engine, or not what it is asked for; more shards than runs;
        problems of the sweep.
    """
    engine = engine_named(asked.on, asked.asks)
    sweep = read_sweep(asked.spec, asked.overrides)
    n_runs = count_runs(sweep)
    if not 1 <= asked.of <= min(n_runs, MAX_SHARDS):
        raise SpecError(
            f"--shards {asked.of}: the sweep has {n_runs} runs; from 1 to as many "
            f"shards, {MAX_SHARDS} at most"
        )
    is_folder = asked.spec.is_dir()
    path = asked.out or (asked.spec if is_folder else Path("results") / sweep.name)
    settings = [word for each in asked.overrides for word in ("-s", each)]
    words = (str(asked.spec.absolute()), *settings, *asked.options)
    job = Job(path.absolute(), words, asked.of, asked.asks)
    return job, engine(job)


def trainer(on: str, of: int) -> Callable[[Session], object]:
    """What trains what is missing of a folder that a session holds: this process, or
    (`of` above 0) so many shards by an engine.

    Raises:
      SpecError: no such engine.
    """
    if not of:
        return train_missing
    engine = engine_named(on)
    start_jax(shared=True)
    return in_shards(engine, of, say)
