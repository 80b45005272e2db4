"""`grokmap reproduce`: trains what a published result needs, compares, keeps it."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from grokmap import store
from grokmap.cli.comparisons import (
    all_hold,
    explanation,
    totals,
    totals_text,
    verdict_markdown,
    verdict_text,
)
from grokmap.cli.display import display_of
from grokmap.cli.doctor import start_jax
from grokmap.cli.events import print_event
from grokmap.cli.opened import say
from grokmap.cli.outputs import Outputs
from grokmap.cli.submitting import trainer
from grokmap.durations import human_time, seconds_of
from grokmap.engine import devices
from grokmap.engine.restored import Reached
from grokmap.errors import GrokmapError, ResultError, SpecError, short, shown
from grokmap.reproduce import table
from grokmap.reproduce.budget import within
from grokmap.reproduce.finding import Finding
from grokmap.reproduce.reproduction import Reproduction
from grokmap.reproduce.trained import END, Sweeps, Trained
from grokmap.result import Result, kernels
from grokmap.result.labels import label_runs
from grokmap.session import Options, Session, open_session, resolve
from grokmap.session.gradients import gradients_at, reached_at
from grokmap.session.lock import locked
from grokmap.session.provenance import now, versions
from grokmap.session.session import EXIT_SOME_FAILED
from grokmap.spec.names import nearest

SWEEPS = resources.files("grokmap.reproduce") / "sweeps"

Train = Callable[[Session], object]


class Wanted(NamedTuple):
    """The options of `grokmap reproduce`, as typed; on, of: as of `trainer`."""

    names: tuple[str, ...]
    every: bool
    max_cost: str | None
    out: Path
    time_budget: str | None = None
    as_json: bool = False
    on: str = "local"
    of: int = 0


class Choice(NamedTuple):
    """costs: seconds of those to run, in order; left_out: why, by name."""

    costs: dict[str, float]
    left_out: dict[str, str]


class _Stopped(Exception):
    """A signal or the time budget ended the training; `code` is the exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def reproduce_results(wanted: Wanted) -> int:
    """Runs the reproductions wanted, one after another; the exit code."""
    deadline = time.monotonic() + seconds_of(wanted.time_budget, "--time-budget")
    train = trainer(wanted.on, wanted.of)
    start_jax()
    choice = choose(wanted, table.REPRODUCTIONS, devices.platform() != "cpu")
    _say_choice(choice, wanted.as_json)
    compared: dict[str, Sequence[Finding]] = {}
    code = 0
    for place, (name, cost) in enumerate(choice.costs.items(), 1):
        say(f"{name}: {place} of {len(choice.costs)}, about {human_time(cost)}")
        try:
            compared[name] = _reproduce(name, wanted, deadline, train)
        except _Stopped as stop:
            code = stop.code
            break
        except GrokmapError as error:
            if len(choice.costs) == 1 and not isinstance(error, _RunsFailedError):
                raise  # with its own exit code
            code = _say_failed(name, error.problems, wanted.as_json)
        except Exception as error:
            print(traceback.format_exc(), file=sys.stderr)
            reason = f"{type(error).__name__}: {error}"
            code = _say_failed(name, [reason], wanted.as_json)
    _say_totals(compared, choice, code, wanted.as_json)
    return code


def choose(wanted: Wanted, known: Mapping[str, Reproduction], on_gpu: bool) -> Choice:
    """The reproductions to run, cheapest first.

    Raises:
      SpecError: a name that is not known; names and --all; a budget nothing fits in.
    """
    budget = seconds_of(wanted.max_cost, "--max-cost")
    if wanted.names and wanted.every:
        raise SpecError("--all: with names; give one or the other")
    problems = [
        f"no reproduction {short(name)!r}; {nearest(name, known)}"
        for name in wanted.names
        if name not in known
    ]
    if problems:
        raise SpecError(problems)
    left = {}
    if wanted.every and not on_gpu:
        why = "needs a GPU to be practical; its name runs it anyway"
        left = {name: why for name, entry in known.items() if entry.gpu}
    names = [name for name in wanted.names or known if name not in left]
    costs = {name: known[name].seconds(on_gpu) for name in names}
    chosen, beyond = within(costs, budget)
    left |= {name: f"{human_time(costs[name])}, beyond --max-cost" for name in beyond}
    if not chosen:
        reasons = [f"{name}: {why}" for name, why in left.items()]
        raise SpecError(["no reproduction is left to run", *reasons])
    return Choice({name: costs[name] for name in chosen}, left)


class _RunsFailedError(ResultError):
    """Runs of a sweep raised, so that there is nothing whole to compare."""


def _reproduce(
    name: str, wanted: Wanted, deadline: float, train: Train
) -> list[Finding]:
    """Trains, compares, writes and prints one reproduction; its findings."""
    entry, folder = table.REPRODUCTIONS[name], wanted.out / name
    with locked(folder, say):
        for sweep in entry.sweeps:
            _train(sweep, folder / sweep, deadline, wanted.as_json, train)
        started = time.perf_counter()
        sweeps = {sweep: _trained(folder / sweep, entry) for sweep in entry.sweeps}
        trained = Sweeps(sweeps, say)
        findings = [_plain(finding) for finding in entry.compare(trained)]
        if not findings:
            raise ResultError(f"{folder}: the comparison has no finding")
        facts = _facts(name, entry, findings)
        facts["seconds"] = {
            "training": round(sum(_seconds(folder / s) for s in entry.sweeps), 1),
            "comparison": round(time.perf_counter() - started, 1),
        }
        text = verdict_markdown(name, entry, findings)
        file = store.write_comparison(
            folder, facts | {"ended": now()} | versions(), text
        )
        _print(name, entry, findings, facts | {"file": str(file)}, wanted.as_json)
        if entry.figure is not None:
            to = Outputs(folder, None, ("png",), quiet=wanted.as_json)
            to.figure(entry.figure(trained), pd.DataFrame(), name)
    return findings


def _train(name: str, path: Path, deadline: float, as_json: bool, train: Train) -> None:
    """Trains what is missing of a sweep of the package, as `grokmap sweep` would.

    Raises:
      _Stopped: before it was over. _RunsFailedError: some runs raised.
    """
    options = Options(time_budget=max(0.0, deadline - time.monotonic()))
    with resources.as_file(SWEEPS / f"{name}.toml") as spec:
        path, sweep = resolve(spec, out=path, say=say)
    with open_session(path, sweep, options, display_of(as_json)) as session:
        train(session)
    if session.stop.code:
        raise _Stopped(session.stop.code)
    if session.failed:
        raise _RunsFailedError(
            f"{path}: {len(session.failed)} runs failed, see {store.FAILED}; the same "
            "command goes on"
        )


def _trained(path: Path, entry: Reproduction) -> Trained:
    runs, _ = label_runs(path, entry.criteria)
    records = store.read_trajectories(path)[0]
    return Trained(
        runs,
        records,
        lambda steps: gradients_at(path, steps, say),
        weights_of(path, runs),
        cache(lambda: kernels.find(Result(path, say), set(runs["run_id"]))),
        say,
    )


def weights_of(
    path: Path, runs: pd.DataFrame
) -> Callable[[tuple[int, ...]], Sequence[Reached]]:
    """`Trained.weights` of a folder; a comparison and its figure ask for the same."""
    last = runs.set_index("run_id")["n_steps"].astype(int)

    @cache
    def weights(steps: tuple[int, ...]) -> Sequence[Reached]:
        wanted = {
            run_id: [end if step == END else step for step in steps]
            for run_id, end in last.items()
        }
        return reached_at(path, wanted, say)

    return weights


def _seconds(path: Path) -> float:
    """Seconds of training a sweep over all its sessions, without compiling."""
    return sum(made.seconds for _, made in store.origins(path))


def _plain(finding: Finding) -> Finding:
    """The finding with a Python bool as its verdict: JSON has no numpy bool."""
    return finding._replace(holds=bool(finding.holds))


def _facts(
    name: str, entry: Reproduction, findings: Sequence[Finding]
) -> dict[str, Any]:
    return {
        "name": name,
        "reference": entry.reference,
        "claim": entry.claim,
        "setting": entry.setting,
        "criteria": entry.criteria.name,
        "holds": all_hold(findings),
        "explained": explanation(entry, findings),
        "findings": [finding._asdict() for finding in findings],
    }


def _print(
    name: str,
    entry: Reproduction,
    findings: Sequence[Finding],
    facts: Mapping[str, Any],
    as_json: bool,
) -> None:
    if as_json:
        print_event("reproduction", **facts)
    else:
        print(verdict_text(name, entry, findings), shown(facts["file"]), sep="\n")


def _say_choice(choice: Choice, as_json: bool) -> None:
    if as_json:
        print_event("choice", **choice._asdict())
        return
    for name, why in choice.left_out.items():
        say(f"{name}: left out: {why}")


def _say_failed(name: str, problems: Sequence[str], as_json: bool) -> int:
    """Names the reproduction that could not be compared; the exit code."""
    if as_json:
        print_event("error", name=name, problems=list(problems))
    for problem in problems:
        say(f"{name}: {problem}")
    return EXIT_SOME_FAILED


def _say_totals(
    compared: Mapping[str, Sequence[Finding]], choice: Choice, code: int, as_json: bool
) -> None:
    open_ = [name for name in choice.costs if name not in compared]
    if as_json:
        print_event("result", **totals(compared), unfinished=open_, exit_code=code)
        return
    print(totals_text(compared))
    if open_:
        print(f"unfinished: {', '.join(open_)}")
