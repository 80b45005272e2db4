"""Measures what the systems of a sweep cost, the costliest first, while it pays."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator

from grokmap import plan
from grokmap.engine import cost
from grokmap.engine.compiled import fitting
from grokmap.engine.estimate import Estimate, Measured, Work, costliest_first, estimate
from grokmap.engine.records import n_records
from grokmap.engine.settings import Settings, choose_settings
from grokmap.plan import Planned
from grokmap.spec import System
from grokmap.spec.words import SYSTEM_SIZES
from grokmap.tasks import TASKS

# Measuring may take this share of what the sweep will take, as far as it is known.
SHARE = 0.1
# Systems whose weights are counted; of more, some take the count of a neighbour.
MOST_COUNTED = 200


class Meter:
    """What is known of the cost of some runs; `measure` finds out more.

    systems: with their runs, each one compile. works: what is to do of each. measured,
    settings: of those measured, by place. alone: a place, and the seconds of a record
    of its order parameters alone.
    """

    def __init__(self, missing: list[Planned], lanes: int | None) -> None:
        self.missing = missing
        self.lanes = lanes
        self.systems = list(plan.by_system(missing).items())
        self.works = _works(self.systems)
        self.measured: dict[int, Measured] = {}
        self.settings: dict[int, Settings] = {}
        self.alone: tuple[int, dict[str, float]] = (0, {})

    def estimate(self) -> Estimate:
        return estimate(self.works, dict(self.measured))

    def measure(self) -> Iterator[None]:
        """Measures the systems, and the order parameters of the first of them alone,
        until this has taken `SHARE` of what the sweep will take. Yields at each
        number that is found."""
        started = time.monotonic()
        for _ in self._numbers():
            yield
            costs = self.estimate()
            if not costs.unknown and time.monotonic() - started > SHARE * costs.whole:
                return

    def _numbers(self) -> Iterator[None]:
        for rank, place in enumerate(costliest_first(self.works)):
            system, runs = self.systems[place]
            print(f"grokmap: measuring {named(system)}", file=sys.stderr)
            chosen = choose_settings(system, runs, self.lanes)
            compiled, settings = fitting(system, chosen)
            self.settings[place] = settings
            each: dict[str, float] = {}
            for name, seconds in cost.measured(compiled, settings, runs):
                each = each | {name: seconds}
                self.measured[place] = Measured(compiled.seconds, each)
                yield
            if rank == 0:
                self.alone = place, {}
                for name, seconds in cost.measured_alone(
                    system, compiled, settings, runs
                ):
                    self.alone[1][name] = seconds
                    yield


def run_within(steps: Iterator[None], seconds: float) -> bool:
    """Goes through `steps` in another thread; whether they were over in time.

    A compile cannot be stopped, only left alone: if they were not, the thread goes on.
    Raises what the steps raise.
    """
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in steps:
                pass
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    if failures:
        raise failures[0]
    return not thread.is_alive()


def named(system: System) -> str:
    sizes = [f"{k} {getattr(system, k)}" for k in SYSTEM_SIZES if getattr(system, k)]
    return ", ".join([system.task, *sizes])


def _works(systems: list[tuple[System, list[Planned]]]) -> list[Work]:
    beside = -(-len(systems) // MOST_COUNTED)
    works: list[Work] = []
    for place, (system, runs) in enumerate(systems):
        counted = place % beside == 0
        weights = cost.n_weights(system) if counted else works[-1].weights
        works.append(work_of(system, runs, weights))
    return works


def work_of(system: System, runs: list[Planned], weights: int) -> Work:
    """Steps and records over all runs to the end of their budgets.

    A run on a small training set counts in parts of the costliest run's steps.
    """
    largest = max(run.n_train for run in runs)
    records = {"dense": 0.0, "cheap": 0.0, "expensive": 0.0}
    for run in runs:
        for name, count in n_records(run.n_steps, system).items():
            records[name] += count
    measured = cost.costs_of(system)
    return Work(
        steps=sum(run.n_steps * run.n_train / largest for run in runs),
        records={k: n for k, n in records.items() if k in measured},
        train=min(largest, system.batch_size or largest),
        examples=TASKS[system.task].shape(system).n_examples,
        weights=weights,
    )
