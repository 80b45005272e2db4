"""`grokmap refine`: trains, round by round, the runs that place the wedge's edges."""

from __future__ import annotations

import json
from math import inf

from grokmap.classify import Criteria
from grokmap.cli.boundaries import find_boundaries
from grokmap.cli.display import display_of
from grokmap.cli.opened import open_result, say
from grokmap.cli.pasted import extend_command
from grokmap.cli.places import Where
from grokmap.cli.submitting import trainer
from grokmap.cli.surface import Question, find_surface
from grokmap.cli.sweep import Given, resolved
from grokmap.errors import ResultError
from grokmap.process.signals import EXIT_STOPPED
from grokmap.result import Result
from grokmap.result.refine import Wanted, check, made, next_round
from grokmap.session.refine import REACHED, refine

NOTHING = "no run is left to choose"


def refine_result(
    given: Given, wanted: Wanted, dry_run: bool, on: str = "local", of: int = 0
) -> int:
    """Refines until no run is left to choose, or max_runs are made; the exit code.

    on, of: the engine that trains each round in so many shards (0: this process does).
    """
    result = open_result(given.spec)
    if dry_run:
        check(result, wanted)
        _say_next(given, wanted)
        return 0
    train = trainer(on, of)
    path, sweep = resolved(given)  # whether its runs can be trained here comes first
    check(result, wanted)
    listener = display_of(given.as_json)
    refined = refine(path, sweep, wanted, given.options, listener, train)
    if refined.why:
        reached = refined.why == REACHED
        more = _to_extend(open_result(path), wanted.criteria) if reached else ""
        say(f"{refined.why}{refined.known}{more}")
    elif refined.session.stop.code:
        is_over = refined.session.stop.code == EXIT_STOPPED
        by = "--time-budget" if is_over and given.options.time_budget < inf else "asked"
        say(f"stopped ({by}); the same command goes on")
    code = refined.session.code
    x, y, rules = wanted.x, wanted.y, str(wanted.criteria)
    where = Where(dict(wanted.at or {}))
    try:
        if wanted.over:
            surface = Question(wanted.over, x, wanted.precision)
            find_surface(path, surface, rules, given.as_json, where=where)
        else:
            find_boundaries(path, x, y, rules, False, given.as_json, where=where)
    except ResultError as error:
        if not code:
            raise
        # Stopped, or failed, before there was anything to place an edge by.
        say(str(error))
    return code


def _to_extend(result: Result, criteria: str | Criteria) -> str:
    """What would decide the censored runs, if there are any."""
    runs = result.labelled(criteria)
    n = int(runs["censored"].sum())
    extend = extend_command(result.path, result.spec, runs) if n else ""
    return f"; {n} runs are censored: `{extend}`" if n else ""


def _say_next(given: Given, wanted: Wanted) -> None:
    """Prints the next round."""
    result = open_result(given.spec)
    before, left = made(result, wanted)
    n_before = 0 if before is None else len(before)
    first = wanted.over or (wanted.y, wanted.x)
    in_front = [*(name for name in first if name != wanted.x), wanted.x, "seed"]
    rest = [axis.name for axis in result.axes if axis.name not in in_front]
    points = next_round(result, wanted).points[:left][[*rest, *in_front]]
    if given.as_json:
        rows = points.to_dict("records")
        print(json.dumps({"chosen_before": n_before, "points": rows}))
    elif not left:
        print(f"--max-runs {wanted.max_runs} are made; a larger number goes on")
    else:
        nothing = f"{NOTHING}{_to_extend(result, wanted.criteria)}"
        print(points.to_string(index=False) if len(points) else nothing)
