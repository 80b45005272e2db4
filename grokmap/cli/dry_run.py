"""`grokmap sweep --dry-run`: what would be done and its cost; nothing is written."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from grokmap import plan, store
from grokmap.cli.events import human_bytes, print_event
from grokmap.cli.meter import Meter, run_within
from grokmap.cli.sweep import Given, resolved
from grokmap.durations import human_time
from grokmap.engine.estimate import Estimate, seconds_of_all
from grokmap.engine.records import n_records
from grokmap.engine.restored import bytes_of_all
from grokmap.engine.train import names_by_cost
from grokmap.plan import Planned
from grokmap.session import missing_of
from grokmap.session.folder import rounds_in
from grokmap.session.shard import own_runs
from grokmap.spec import Sweep

# Seconds until the estimate is made of what is measured by then: with start-up and
# printing a dry run takes less than a minute.
LONGEST = 40.0


def dry_run_sweep(given: Given) -> int:
    """Says what `run_sweep` would do; writes nothing."""
    deadline = time.monotonic() + LONGEST
    path, sweep = resolved(given, quick=True)
    shard = given.options.shard
    planned = own_runs(rounds_in(path, sweep), shard)
    missing = planned
    if (path / store.SPEC).exists():
        steps = store.stored(path).steps
        table = plan.plan_table(planned, sweep)
        missing = missing_of(path, planned, table, steps)
    meter = Meter(missing, given.options.lanes)
    is_over = run_within(meter.measure(), deadline - time.monotonic())
    report = {
        "sweep": sweep.name,
        "folder": str(path),
        "axes": {key: list(sweep.points(key)) for key in sweep.swept},
        "runs": len(planned),
        "to_do": len(missing),
        "run_steps": sum(run.n_steps for run in missing),
        "bytes": sum(map(_bytes_of, missing)),
        **_weights(sweep, planned),
        **_costs(meter),
    }
    if given.as_json:
        print_event("plan", **report)
    else:
        _print(report)
    if not is_over:
        _leave()
    return 0


def _weights(sweep: Sweep, planned: list[Planned]) -> dict[str, Any]:
    """Cost of the weights to keep, at most: run-steps trained again, and bytes."""
    if not sweep.save_weights:
        return {}
    return {
        "weights_run_steps": sum(_last_kept(sweep, run.n_steps) for run in planned),
        "weights_bytes": bytes_of_all(sweep, planned),
    }


def _last_kept(sweep: Sweep, n_steps: int) -> int:
    """The last step of a run at which weights are kept."""
    last = (
        n_steps if isinstance(m, str) else min(m, n_steps) for m in sweep.save_weights
    )
    return max(last)


def _leave() -> None:
    """Ends the process: a compile that goes on in a thread cannot be stopped."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _costs(meter: Meter) -> dict[str, Any]:
    """Compiles, seconds and shares, and of how many systems they were measured."""
    estimate = meter.estimate()
    measured = len(meter.measured)
    known = "step" not in estimate.unknown
    steps = sum(run.n_steps for run in meter.missing)
    return {
        "compiles": len(meter.works),
        "measured": measured,
        "modelled": len(meter.works) - measured if known else 0,
        "lanes": sorted({settings.lanes for settings in meter.settings.values()}),
        "seconds": estimate.whole if known else None,
        "unknown": list(estimate.unknown),
        "run_steps_per_s": steps / estimate.whole if known and estimate.whole else None,
        "order_parameters": _n_order_parameters(meter),
        "shares": _shares(estimate),
        "shares_alone": _shares_alone(meter, estimate),
    }


def _n_order_parameters(meter: Meter) -> int:
    return len(meter.systems[0][0].order_parameters) if meter.systems else 0


def _shares(estimate: Estimate) -> dict[str, float]:
    """Share of the training time that order parameters take; empty if not known."""
    if estimate.unknown or not estimate.training:
        return {}
    sparse = estimate.spent.get("cheap", 0.0) + estimate.spent.get("expensive", 0.0)
    return {"order_parameters": sparse / estimate.training}


def _shares_alone(meter: Meter, estimate: Estimate) -> dict[str, float]:
    """The same of each order parameter that was measured alone."""
    if not _shares(estimate):
        return {}
    place, seconds = meter.alone
    system = meter.systems[place][0]
    cost_of = {
        name: cost for cost, names in names_by_cost(system).items() for name in names
    }
    return {
        name: seconds_of_all(meter.works, {place: s}, cost_of[name]) / estimate.training
        for name, s in dict(seconds).items()
    }


def _print(report: dict[str, Any]) -> None:
    for key, values in report["axes"].items():
        print(f"{key:<15} {len(values):>4} points: {_points(values)}")
    print(
        f"{'runs':<15} {report['runs']:>4}, "
        f"{report['to_do']} to do in {report['folder']}"
    )
    _print_weights(report)
    if not report["to_do"]:
        print("nothing is left to do")
        return
    lanes = ", ".join(map(str, report["lanes"])) or "not known yet"
    print(f"{'compiles':<15} {report['compiles']:>4}, lanes {lanes}")
    print(f"{'run-steps':<15} {report['run_steps']:>4}, at most")
    print(f"{'output':<15} {human_bytes(report['bytes']):>4}, about")
    _print_time(report)
    if report["shares"]:
        _print_shares(report)


def _print_weights(report: dict[str, Any]) -> None:
    if "weights_bytes" in report:
        size = human_bytes(report["weights_bytes"])
        steps = report["weights_run_steps"]
        print(f"{'weights':<15} {size:>4}, and {steps} run-steps again, at most")


def _print_time(report: dict[str, Any]) -> None:
    if report["seconds"] is None:
        print(f"{'time':<15} {'-':>4}, nothing was measured within {LONGEST:g}s")
        return
    print(
        f"{'time':<15} {human_time(report['seconds']):>4}, at the rate just measured"
        f" ({report['run_steps_per_s']:.3g} run-steps/s)"
    )
    if report["modelled"]:
        print(
            f"{'measured':<15} {report['measured']:>4} of {report['compiles']} "
            "systems, the costliest; the others are modelled by their arithmetic"
        )
    if report["unknown"]:
        words = {"dense": "losses and norms", "cheap": "cheap order parameters"}
        words |= {"expensive": "expensive order parameters"}
        missing = ", ".join(words[cost] for cost in report["unknown"])
        print(f"{'not measured':<15} {missing}: the time is without them")


def _print_shares(report: dict[str, Any]) -> None:
    share = 100 * report["shares"]["order_parameters"]
    print(f"{'of which':<15} {share:>3.1f}% order parameters")
    alone = report["shares_alone"]
    if not alone:
        print("  (what each costs alone is measured of longer sweeps)")
        return
    known = f"{len(alone)} of {report['order_parameters']}, of the costliest system"
    print(f"  alone (together they share work; measured: {known}):")
    for name in sorted(alone, key=alone.__getitem__, reverse=True):
        print(f"  {name:<24} {100 * alone[name]:>5.2f}%")


def _points(values: list[Any]) -> str:
    shown = values if len(values) <= 8 else [*values[:3], "...", *values[-2:]]
    return ", ".join(str(v) if isinstance(v, (str, bool)) else f"{v:g}" for v in shown)


def _bytes_of(run: Planned) -> float:
    system = run.run.system
    counts = n_records(run.n_steps, system)
    names = names_by_cost(system)
    values = sum(counts[cost] * len(quantities) for cost, quantities in names.items())
    return store.BYTES_A_RUN + store.BYTES_A_VALUE * values
