"""How often lanes that step together are measured, by simulation of the schedule.

    python benchmarks/gpu_schedule.py > benchmarks/results/gpu_schedule.json

The engine's own scheduling (`grokmap.engine.schedule`) of all runs of a sweep, longest
budget first, on one device, with nothing trained: half of the runs end early, as
grokked ones do, at a place drawn evenly from their budget; the others at its end.
Counted: measurements made, over records that the runs need, for each cost class; the
share of lane-steps that belong to a run; and chunks. Beside it, what one measurement of
all lanes at each step at which any is due would take, and the share of training that
records take on an H100 by the model (`grokmap.engine.modelled`; extra `gpu`, no GPU is
needed).
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from grokmap import plan
from grokmap.engine.compiled import GROUPS, build_program
from grokmap.engine.execute import Tuning
from grokmap.engine.modelled import Cost, cost_of
from grokmap.engine.records import Groups
from grokmap.engine.schedule import Due, RunState, aligned, groups_of
from grokmap.engine.settings import SHARE, choose_settings
from grokmap.engine.target import CARDS, Target, named_target
from grokmap.plan import Planned

CARD = "h100"
SWEEP, LANES = "sweeps/alpha-lambda.toml", (64, 512, 1024)
COSTS = ("dense", "cheap", "expensive")


class Simulated:
    """Lanes of one device whose runs step, and end, but are not trained."""

    def __init__(self, runs: Sequence[Planned], lanes: int, seed: int = 0) -> None:
        self.waiting = deque(sorted(runs, key=plan.longest))
        self.states: list[RunState | None] = [None] * lanes
        self.ends: dict[int, int] = {}
        self.rng = np.random.default_rng(seed)
        self.size = max(1, lanes // SHARE)
        self.count: Counter[str] = Counter()

    def run(self) -> dict[str, Any]:
        while self._fill():
            budget = aligned(self.states, Tuning().gpu_chunk_steps)
            groups, due = groups_of(self.states, budget, GROUPS, self.size)
            self._count(groups, due)
            for i, (state, part) in enumerate(zip(self.states, due, strict=True)):
                if state:
                    self._step(i, state, part)
        return self._row()

    def _fill(self) -> bool:
        for i, state in enumerate(self.states):
            if state is None and self.waiting:
                planned = self.waiting.popleft()
                self.states[i] = RunState(planned, {})
                early = self.rng.random() < 0.5
                share = self.rng.uniform() if early else 1.0
                self.ends[i] = round(share * planned.n_steps)
        return any(self.states)

    def _count(self, groups: Groups, due: Sequence[Due]) -> None:
        n = int(groups.n)
        self.count["chunks"] += 1
        self.count["made dense"] += n * self.size
        self.count["made cheap"] += int(groups.cheap[:n].sum()) * self.size
        self.count["made expensive"] += int(groups.expensive[:n].sum()) * self.size
        self.count["lane-steps"] += max(d.length for d in due) * len(self.states)
        steps = np.concatenate([d.offsets for d in due])
        self.count["all lanes"] += len(np.unique(steps)) * len(self.states)

    def _step(self, i: int, state: RunState, due: Due) -> None:
        n = len(due.offsets)
        self.count["due dense"] += n
        for cost in COSTS[1:]:
            mask = getattr(state.due, cost)[state.taken : state.taken + n]
            self.count[f"due {cost}"] += int(mask.sum())
        self.count["run-steps"] += min(due.length, state.planned.n_steps - state.step)
        state.step, state.taken = state.step + due.length, state.taken + n
        if state.step >= min(self.ends[i], state.planned.n_steps):
            self.states[i] = None

    def _row(self) -> dict[str, Any]:
        count = self.count
        made = {c: count[f"made {c}"] / count[f"due {c}"] for c in COSTS}
        return {
            "lanes": len(self.states),
            "measured_at_once": self.size,
            "chunks": count["chunks"],
            "made_over_due": made,
            "all_lanes_over_due": count["all lanes"] / count["due dense"],
            "busy": count["run-steps"] / count["lane-steps"],
            "made": {c: count[f"made {c}"] for c in COSTS},
            "lane_steps": count["lane-steps"],
        }


def costs(runs: Sequence[Planned], target: Target) -> dict[str, Cost]:
    """Of a step and of a record of each cost class, compiled for a card."""
    system = runs[0].run.system
    settings = choose_settings(system, runs, target=target)
    program = build_program(system, settings)
    functions = {"step": program.step, **program.measure}
    return {name: cost_of(f, program, settings) for name, f in functions.items()}


def record_share(row: dict[str, Any], found: dict[str, Cost]) -> float:
    """The share of training that the records of a row take by the model."""
    card, at_once = CARDS[CARD], row["measured_at_once"]
    records = sum(row["made"][c] * found[c].seconds(card, at_once) for c in COSTS)
    steps = row["lane_steps"] * found["step"].seconds(card, row["lanes"])
    return float(records / (records + steps))


def main() -> None:
    runs = plan.plan_runs(plan.read_sweep(SWEEP))
    found = costs(runs, named_target(CARD))
    rows = [Simulated(runs, lanes).run() for lanes in LANES]
    rows = [{**row, "modelled_record_share": record_share(row, found)} for row in rows]
    each = {name: cost._asdict() for name, cost in found.items()}
    print(json.dumps({"sweep": SWEEP, "card": CARD, "compiled": each, "rows": rows}))


if __name__ == "__main__":
    main()
