"""`grokmap sweep --dry-run --target`: what a sweep would take on an absent card."""

from __future__ import annotations

import sys
from typing import Any

from grokmap import plan
from grokmap.cli.events import human_bytes, print_event
from grokmap.cli.meter import named, work_of
from grokmap.cli.sweep import Given, resolved
from grokmap.durations import human_time
from grokmap.engine.modelled import Modelled, modelled
from grokmap.engine.settings import choose_settings
from grokmap.engine.target import CARDS, named_target
from grokmap.errors import short
from grokmap.session import planned_in
from grokmap.session.session import EXIT_SOME_FAILED


def dry_run_on(given: Given, card: str) -> int:
    """Compiles every system for the card and says what each takes; trains nothing."""
    target = named_target(card)
    path, sweep = resolved(given, quick=True)
    rows = []
    for system, runs in plan.by_system(planned_in(path, sweep)).items():
        name = named(system)
        print(f"grokmap: compiling {name} for {target.kind}", file=sys.stderr)
        settings = choose_settings(system, runs, target=target)
        try:
            work = work_of(system, runs, weights=0)  # which the model does not need
            facts = _facts(modelled(system, settings, work, CARDS[card]))
        except Exception as error:  # whatever the compiler says
            facts = {"problem": short(str(error).partition("\n")[0])}
        rows.append({"system": name, "runs": len(runs), **facts})
    report = {"target": card, "device": target.kind, "systems": rows}
    known = [row["modelled_seconds"] for row in rows if "problem" not in row]
    report["modelled_seconds"] = sum(known)
    if given.as_json:
        print_event("target", **report)
    else:
        _print(report)
    return 0 if len(known) == len(rows) else EXIT_SOME_FAILED


def _facts(found: Modelled) -> dict[str, Any]:
    """compiled_: of the program that XLA makes; modelled_: of the model of its time."""
    return {
        "compiled_lanes": found.lanes,
        "compiled_bytes_a_lane": found.bytes,
        "compiled_flops_a_step": found.step.flops,
        "compiled_bytes_a_step": found.step.bytes,
        "modelled_seconds": found.seconds,
        "modelled_record_share": found.record_share,
    }


def _print(report: dict[str, Any]) -> None:
    card = CARDS[report["target"]]
    print(f"{report['device']}, {human_bytes(card.memory)}; nothing was run on it")
    head = (
        "system",
        "runs",
        "lanes",
        "a lane",
        "GFLOP a step",
        "MiB",
        "hours",
        "records",
    )
    compiled = [row for row in report["systems"] if "problem" not in row]
    rows = [head, *map(_row, compiled)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [x.rjust(n) for x, n in zip(row, widths, strict=True)]
        print("  ".join([row[0].ljust(widths[0]), *cells[1:]]))
    for row in report["systems"]:
        if "problem" in row:
            print(f"{row['system']}: does not compile: {row['problem']}")
    print("compiled: lanes that fit, memory a lane, GFLOP and MiB moved a lane-step")
    print("modelled: hours on one card, all lanes busy, and the share of records")
    print(f"modelled time {human_time(report['modelled_seconds'])}, without compiling")


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["system"],
        str(row["runs"]),
        str(row["compiled_lanes"]),
        human_bytes(row["compiled_bytes_a_lane"]),
        f"{row['compiled_flops_a_step'] / 1e9:.3g}",
        f"{row['compiled_bytes_a_step'] / 2**20:.3g}",
        f"{row['modelled_seconds'] / 3600:.3g}",
        f"{row['modelled_record_share']:.1%}",
    )
