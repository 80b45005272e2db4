"""From a sweep file, a text or a dict to a checked sweep, every problem at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grokmap.errors import SpecError
from grokmap.order_parameters import ORDER_PARAMETERS
from grokmap.plan.checks import check
from grokmap.plan.expansion import is_defined
from grokmap.spec import AUTO, Sweep
from grokmap.spec.document import load, merge, validate
from grokmap.spec.overrides import override
from grokmap.spec.sweep import default_tail

MAX_PROBLEMS = 30


def read_sweep(
    source: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()
) -> Sweep:
    """Reads and checks a sweep.

    Args:
      source: the path of a TOML file; or of the folder of a result, whose resolved
        spec names every key, also those that are not used; or TOML text (a str with a
        line break or "="); or a dict with what the TOML would hold.
      overrides: `key=value` strings that replace keys of the source.

    Raises:
      SpecError: with one line for each problem of the source and the overrides.
    """
    document, where, resolved = load(source)
    problems: list[str] = []
    values = merge(document, problems)
    overridden = override(values, overrides, problems)
    is_auto = values.get("learning_rate") == AUTO
    if is_auto:
        values |= {"learning_rate": 1.0, "learning_rate_choice": AUTO}
    sweep, bad = validate(values, problems)
    given = {k for k in (overridden if resolved else values) if k not in bad}
    problems += check(sweep, given, bad)
    if problems:
        more = len(problems) - MAX_PROBLEMS
        shown = problems[:MAX_PROBLEMS] + [f"and {more} more problems"] * (more > 0)
        raise SpecError([f"{where}: {problem}" for problem in shown])
    return _completed(sweep, is_auto)


def _completed(sweep: Sweep, is_auto: bool) -> Sweep:
    """The sweep with what its defaults stand for."""
    chosen = sweep.order_parameters
    if chosen is None:
        combinations = list(sweep.combinations())
        chosen = tuple(
            name
            for name, entry in ORDER_PARAMETERS.items()
            if any(is_defined(name, each) for each in combinations)
            and not entry.on_request
        )
    tail = default_tail(sweep.horizon) if sweep.tail is None else sweep.tail
    sweep = sweep.model_copy(update={"learning_rate": ()}) if is_auto else sweep
    return sweep.model_copy(update={"order_parameters": chosen, "tail": tail})
