"""`grokmap sweep`: joins spec, plan, execute, store and classify."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from grokmap import execute, plan, store
from grokmap.classify import PHASES, classify
from grokmap.cli.display import (
    Display,
    human_bytes,
    human_time,
    print_event,
)
from grokmap.cli.doctor import versions
from grokmap.cli.results import phase_counts, print_counts, with_costs
from grokmap.errors import OtherSweepError, ResultError, SpecError
from grokmap.order_parameters import HEALTH
from grokmap.plan import Planned
from grokmap.spec import Sweep, read_sweep
from grokmap.spec.sweep import AXES, KEYS
from grokmap.train import VOCABULARY

EXIT_SOME_FAILED, EXIT_STOPPED, EXIT_INTERRUPTED = 3, 75, 130


class Options(NamedTuple):
    spec: Path
    overrides: tuple[str, ...]
    out: Path | None
    time_budget: str | None
    lanes: int | None
    as_json: bool


@dataclass
class Stop:
    """Why to stop at the next chunk: a signal's exit code, or the time budget."""

    deadline: float = float("inf")
    code: int | None = None

    def __call__(self) -> bool:
        if self.code is None and time.monotonic() > self.deadline:
            self.code = EXIT_STOPPED
        return self.code is not None


@dataclass
class Session:
    """What one call of `grokmap sweep` did, for provenance.json."""

    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    done: int = 0
    failed: list[str] = field(default_factory=list)

    def record(self, exit_code: int) -> dict[str, Any]:
        return {
            "started": self.started.isoformat(timespec="seconds"),
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": ["grokmap", *sys.argv[1:]],
            "exit_code": exit_code,
            "runs_done": self.done,
            "runs_failed": self.failed,
            **versions(),
        }


def run_sweep(options: Options) -> int:
    """Trains what is missing of the sweep; returns the exit code."""
    stop = Stop(time.monotonic() + _seconds(options.time_budget))
    sweep = read_sweep(options.spec, options.overrides, vocabulary=VOCABULARY)
    path = options.out or Path("results") / sweep.name
    _check_folder(path, sweep)
    planned = plan.plan(sweep, VOCABULARY)
    execute.use_all_cores()
    session = Session()
    with _signals(stop), store.locked(path):
        # Again, now that no other process can change the folder.
        _check_folder(path, sweep)
        table = plan.plan_table(planned, sweep, VOCABULARY)
        store.write_spec(path, sweep)
        store.write_plan(path, table)
        missing = _missing(path, planned)
        _train(path, table, missing, options, stop, session)
        code = stop.code or (EXIT_SOME_FAILED if session.failed else 0)
        runs = _write_runs(path)
        store.add_session(path, session.record(code))
    if stop.code and missing and not session.done:
        print(
            "grokmap: stopped before the first batch was finished: only whole batches "
            "are kept; allow more time or choose fewer --lanes",
            file=sys.stderr,
        )
    _report(path, runs, len(planned), code, options.as_json)
    return code


def _write_runs(path: Path) -> pd.DataFrame:
    """Labels all finished runs of the folder, writes and returns them."""
    trajectories, _ = store.read_trajectories(path)
    runs = with_costs(path, classify(trajectories, store.read_plan(path)))
    store.write_runs(path, runs)
    return runs


def _train(
    path: Path,
    table: pd.DataFrame,
    missing: list[Planned],
    options: Options,
    stop: Stop,
    session: Session,
) -> None:
    versions()  # known before anything is trained that would carry them
    with Display(missing, len(table), options.as_json) as display:
        for outcome in execute.execute(
            missing,
            lanes=options.lanes,
            on_progress=display.progress,
            should_stop=stop,
        ):
            ids = [run.run.run_id for run in outcome.batch.runs]
            if isinstance(outcome, execute.Failed):
                session.failed += ids
                display.failed(ids, outcome.trace)
                continue
            records = outcome.records
            metadata = {"seconds": round(outcome.seconds, 3), **versions()}
            metadata |= outcome.settings._asdict()
            store.write_batch(
                path, ids, records.run, records.step, records.columns, records.values,
                metadata,
            )  # fmt: skip
            session.done += len(ids)
            display.done(classify(_frame(ids, records), table))


def _frame(ids: list[str], records: execute.Records) -> pd.DataFrame:
    frame = pd.DataFrame(records.values, columns=list(records.columns))
    frame.insert(0, "step", records.step)
    frame.insert(0, "run_id", [ids[i] for i in records.run])
    return frame


def _missing(path: Path, planned: list[Planned]) -> list[Planned]:
    done, unreadable = store.done_ids(path)
    for line in unreadable:
        print(f"grokmap: {line}", file=sys.stderr)
    return [run for run in planned if run.run.run_id not in done]


def _check_folder(path: Path, sweep: Sweep) -> None:
    """Refuses a folder that is no result, or the result of another sweep."""
    if not path.exists():
        return
    if not (path / store.SPEC).exists():
        if not path.is_dir() or any(p.name != store.LOCK for p in path.iterdir()):
            raise ResultError(f"{path}: exists and is no sweep result; choose --out")
        return
    problems = list(_differences(store.read_spec(path), sweep))
    if problems:
        raise OtherSweepError(
            [f"{path}: holds another sweep: {problem}" for problem in problems]
            + [f"{path}: choose another name or --out, or undo the difference"]
        )


def _differences(old: Sweep, new: Sweep) -> Iterator[str]:
    """Why `new` does not continue `old`. Axes may grow; nothing else may change."""
    for key in KEYS:
        before, after = getattr(old, key), getattr(new, key)
        if key in AXES:
            lost = [value for value in before if value not in after]
            if lost:
                yield f"{key} had {', '.join(map(str, lost))}, which is gone"
        elif before != after and key != "name":
            yield f"{key} was {before}, now {after}"


@contextmanager
def _signals(stop: Stop) -> Iterator[None]:
    """SIGINT and SIGTERM stop at the next chunk; a second one at once."""

    def handle(number: int, frame: Any) -> None:
        if stop.code is not None:
            os._exit(stop.code)  # every file is whole: each was renamed into place
        stop.code = EXIT_INTERRUPTED if number == signal.SIGINT else EXIT_STOPPED
        print("grokmap: stopping after this chunk; again to stop now", file=sys.stderr)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, handle) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _seconds(text: str | None) -> float:
    """Seconds of a time budget such as 90s, 45m, 3h.

    Raises:
      SpecError: not of that form.
    """
    if text is None:
        return float("inf")
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if not match:
        raise SpecError(f"--time-budget {text}: write 90s, 45m or 3h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def _report(
    path: Path, runs: pd.DataFrame, n_planned: int, code: int, as_json: bool
) -> None:
    counts = phase_counts(runs, PHASES)
    if as_json:
        print_event(
            "result", path=str(path), planned=n_planned, exit_code=code, **counts
        )
        return
    print(f"{path}: {len(runs)} of {n_planned} runs")
    print_counts(counts)


def dry_run_sweep(options: Options) -> int:
    """Says what `run_sweep` would do; writes nothing."""
    _seconds(options.time_budget)
    sweep = read_sweep(options.spec, options.overrides, vocabulary=VOCABULARY)
    path = options.out or Path("results") / sweep.name
    _check_folder(path, sweep)
    planned = plan.plan(sweep, VOCABULARY)
    missing = _missing(path, planned) if path.exists() else planned
    execute.use_all_cores()
    estimate = _estimate(missing, options.lanes)
    report = {
        "sweep": sweep.name,
        "folder": str(path),
        "axes": {key: list(getattr(sweep, key)) for key in sweep.swept},
        "runs": len(planned),
        "to_do": len(missing),
        "run_steps": sum(run.n_steps for run in missing),
        **estimate,
    }
    if options.as_json:
        print_event("plan", **report)
        return 0
    for key, values in report["axes"].items():
        print(f"{key:<15} {len(values):>4} points: {_points(values)}")
    print(f"{'runs':<15} {len(planned):>4}, {len(missing)} to do in {path}")
    print(
        f"{'batches':<15} {estimate['batches']:>4}, {estimate['compiles']} compiles, "
        f"lanes {', '.join(map(str, estimate['lanes']))}"
    )
    print(f"{'run-steps':<15} {report['run_steps']:>4}, at most")
    print(f"{'output':<15} {human_bytes(estimate['bytes']):>4}, about")
    print(
        f"{'time':<15} {human_time(estimate['seconds']):>4}, at the rate just measured"
        f" ({estimate['run_steps_per_s']:.3g} run-steps/s)"
    )
    return 0


def _points(values: list[float]) -> str:
    shown = values if len(values) <= 8 else [*values[:3], "...", *values[-2:]]
    return ", ".join(v if isinstance(v, str) else f"{v:g}" for v in shown)


def _estimate(missing: list[Planned], lanes: int | None) -> dict[str, Any]:
    """Batches, compiles, bytes and seconds, from a second of training per system."""
    systems = plan.by_system(missing)
    total: dict[str, Any] = {"batches": 0, "compiles": len(systems), "lanes": []}
    n_bytes = seconds = 0.0
    for system, runs in systems.items():
        settings = execute.choose_settings(system, runs, lanes)
        batches = plan.batches(runs, settings.lanes)
        compiled = execute.compile_system(system, settings)
        rate = execute.measure_rate(compiled, settings, runs)
        for batch in batches:
            records = len(plan.record_grid(batch.n_steps, system.records_per_octave))
            lane = batch.n_steps * rate.step + records * rate.record
            seconds += lane * settings.lanes
        seconds += compiled.seconds
        total["batches"] += len(batches)
        total["lanes"].append(settings.lanes)
        n_bytes += sum(map(_bytes_of, runs))
    steps = sum(run.n_steps for run in missing)
    speed = steps / seconds if seconds else float("nan")
    return total | {"bytes": n_bytes, "seconds": seconds, "run_steps_per_s": speed}


def _bytes_of(run: Planned) -> float:
    system = run.run.system
    dense = len(plan.record_grid(run.n_steps, system.records_per_octave))
    sparse = dense / plan.chunk_length(system) * len(system.order_parameters)
    return store.BYTES_A_RUN + store.BYTES_A_VALUE * (dense * len(HEALTH) + sparse)
