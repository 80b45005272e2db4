"""`grokmap sweep --dry-run`: what would be done and its cost; nothing is written."""

from __future__ import annotations

import sys
from typing import Any

from grokmap import devices, plan, rates, store
from grokmap.cli.display import human_bytes, human_time, print_event
from grokmap.cli.durations import seconds_of
from grokmap.cli.sweep import Options, missing_of, planned_in, read_options
from grokmap.plan import Planned
from grokmap.spec.words import SYSTEM_SIZES
from grokmap.train import VOCABULARY, names_by_cost


def dry_run_sweep(options: Options) -> int:
    """Says what `run_sweep` would do; writes nothing."""
    seconds_of(options.time_budget, "--time-budget")
    seconds_of(options.checkpoint, "--checkpoint")
    path, sweep = read_options(options)
    planned = planned_in(path, sweep)
    missing = planned
    if path.exists():
        steps = store.stored(path).steps
        table = plan.plan_table(planned, sweep, VOCABULARY)
        missing = missing_of(path, planned, table, steps)
    report = {
        "sweep": sweep.name,
        "folder": str(path),
        "axes": {key: list(getattr(sweep, key)) for key in sweep.swept},
        "runs": len(planned),
        "to_do": len(missing),
        "run_steps": sum(run.n_steps for run in missing),
        **_estimate(missing, options.lanes),
    }
    if options.as_json:
        print_event("plan", **report)
    else:
        _print(report)
    return 0


def _print(report: dict[str, Any]) -> None:
    for key, values in report["axes"].items():
        print(f"{key:<15} {len(values):>4} points: {_points(values)}")
    print(
        f"{'runs':<15} {report['runs']:>4}, "
        f"{report['to_do']} to do in {report['folder']}"
    )
    if not report["to_do"]:
        print("nothing is left to do")
        return
    print(
        f"{'compiles':<15} {report['compiles']:>4}, "
        f"lanes {', '.join(map(str, report['lanes']))}"
    )
    print(f"{'run-steps':<15} {report['run_steps']:>4}, at most")
    print(f"{'output':<15} {human_bytes(report['bytes']):>4}, about")
    print(
        f"{'time':<15} {human_time(report['seconds']):>4}, at the rate just measured"
        f" ({report['run_steps_per_s']:.3g} run-steps/s)"
    )
    shares = report["shares"]
    if not shares:
        return
    print(
        f"{'of which':<15} {100 * shares['order_parameters']:>3.1f}% order parameters"
    )
    print("  alone (together they share work):")
    alone = report["shares_alone"]
    for name in sorted(alone, key=alone.__getitem__, reverse=True):
        print(f"  {name:<24} {100 * alone[name]:>5.2f}%")


def _points(values: list[float]) -> str:
    shown = values if len(values) <= 8 else [*values[:3], "...", *values[-2:]]
    return ", ".join(v if isinstance(v, str) else f"{v:g}" for v in shown)


def _estimate(missing: list[Planned], lanes: int | None) -> dict[str, Any]:
    """Compiles, bytes, seconds and shares, from a few seconds per system."""
    systems = plan.by_system(missing)
    total: dict[str, Any] = {"compiles": len(systems), "lanes": []}
    seconds = {"compile": 0.0, "steps": 0.0, "dense": 0.0, "cheap": 0.0, "dear": 0.0}
    alone: dict[str, float] = {}
    for system, runs in systems.items():
        sizes = [f"{k} {getattr(system, k)}" for k in SYSTEM_SIZES]
        named = ", ".join(size for size in sizes if not size.endswith(" 0"))
        print(f"grokmap: measuring {system.task}, {named}", file=sys.stderr)
        settings = devices.choose_settings(system, runs, lanes)
        compiled = devices.compile_system(system, settings)
        rate = rates.measure_rate(compiled, settings, runs)
        seconds["compile"] += compiled.seconds
        counts = _counts(runs)
        seconds["steps"] += counts.pop("steps") * rate.step
        for cost, each in rate.record.items():
            seconds[cost] += counts[cost] * each
        costs = {
            n: k
            for k, names in names_by_cost(system.order_parameters).items()
            for n in names
        }
        for name, each in rates.measure_costs(system, compiled, settings, runs).items():
            alone[name] = alone.get(name, 0.0) + counts[costs[name]] * each
        total["lanes"].append(settings.lanes)
    whole = sum(seconds.values())
    training = whole - seconds["compile"]
    steps = sum(run.n_steps for run in missing)
    sparse = seconds["cheap"] + seconds["dear"]
    return total | {
        "bytes": sum(map(_bytes_of, missing)),
        "seconds": whole,
        "run_steps_per_s": steps / whole if whole else None,
        "shares": {"order_parameters": sparse / training} if training else {},
        "shares_alone": {name: value / training for name, value in alone.items()},
    }


def _counts(runs: list[Planned]) -> dict[str, float]:
    """Steps and records of each cost class, over all runs to the end of their budgets.

    A run on a small training set counts in parts of the dearest run's steps.
    """
    counts = {"steps": 0.0, "dense": 0.0, "cheap": 0.0, "dear": 0.0}
    dearest = max(run.n_train for run in runs)
    for run in runs:
        counts["steps"] += run.n_steps * run.n_train / dearest
        for cost, count in plan.n_records(run.n_steps, run.run.system).items():
            counts[cost] += count
    return counts


def _bytes_of(run: Planned) -> float:
    system = run.run.system
    counts = plan.n_records(run.n_steps, system)
    names = names_by_cost(system.order_parameters)
    values = sum(counts[cost] * len(own) for cost, own in names.items())
    return store.BYTES_A_RUN + store.BYTES_A_VALUE * values
