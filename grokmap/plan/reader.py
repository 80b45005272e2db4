"""From a sweep file, a text or a dict to a checked sweep, every problem at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grokmap import plugins
from grokmap.errors import SpecError
from grokmap.order_parameters import ORDER_PARAMETERS
from grokmap.plan.checks import check
from grokmap.plan.expansion import is_defined, unread
from grokmap.spec import AUTO, Sweep
from grokmap.spec.document import load, merge, n_points, validate
from grokmap.spec.overrides import override
from grokmap.spec.sweep import default_tail
from grokmap.spec.words import CHOICES

MAX_PROBLEMS = 30


def read_sweep(
    source: str | Path | Mapping[str, Any],
    overrides: Sequence[str] = (),
    to_train: bool = False,
) -> Sweep:
    """Reads and checks a sweep.

    Args:
      source: the path of a TOML file; or of the folder of a result, whose resolved
        spec names every key, also those that are not used; or TOML text (a str with a
        line break or "="); or a dict with what the TOML would hold.
      overrides: `key=value` strings that replace keys of the source.
      to_train: whether a result's plugins have to be there. Else its names are taken
        as they stand where they are not: its tables can be read without its plugins.

    Raises:
      SpecError: with one line for each problem of the source and the overrides.
    """
    document, where, resolved = load(source)
    problems: list[str] = []
    values = merge(document, problems)
    has_several = any(n_points(k, values.get(k)) > 1 for k in ("task", "model"))
    overridden = override(values, overrides, problems)
    is_auto = values.get("learning_rate") == AUTO
    if is_auto:
        values |= {"learning_rate": 1.0, "learning_rate_choice": AUTO}
    sweep, bad = validate(values, problems)
    given = {k for k in (overridden if resolved else values) if k not in bad}
    absent = _absent_plugins(sweep, to_train or not resolved)
    readable = bool(absent) and resolved and not to_train
    problems += absent if not readable else []
    problems += check(sweep, given, bad, any_name=bool(absent))
    if problems:
        more = len(problems) - MAX_PROBLEMS
        shown = problems[:MAX_PROBLEMS] + [f"and {more} more problems"] * (more > 0)
        raise SpecError([f"{where}: {problem}" for problem in shown])
    sweep = sweep.model_copy(update={"learning_rate": ()}) if is_auto else sweep
    if readable:
        return sweep
    return _completed(sweep, has_several and "order_parameters" not in overridden)


def _absent_plugins(sweep: Sweep, to_train: bool) -> list[str]:
    """A line for each plugin that the sweep names and that is not there.

    to_train: those that are installed are loaded; nothing else is imported.

    Raises:
      SpecError: an installed one cannot be imported.
    """
    if to_train:
        plugins.load_installed(sweep.plugins)
    return plugins.missing(sweep.plugins)


def _completed(sweep: Sweep, has_several: bool) -> Sweep:
    """The sweep with what its defaults stand for, and nothing that no run reads.

    has_several: several tasks or models were given, of which the overrides may have
      left one: it records the same order parameters as among the others.
    """
    combinations = list(sweep.combinations())
    chosen = sweep.order_parameters
    if chosen is None:
        chosen = tuple(n for n, e in ORDER_PARAMETERS.items() if not e.on_request)
    if has_several or sweep.order_parameters is None:
        defined = (n for n in chosen if any(is_defined(n, c) for c in combinations))
        chosen = tuple(defined)
    tail = default_tail(sweep.horizon) if sweep.tail is None else sweep.tail
    unread_by_all = set.intersection(*(set(unread(each)) for each in combinations))
    defaults = {key: Sweep.model_fields[key].default for key in unread_by_all}
    names = {key: sweep.points(key) for key in CHOICES} | {"order_parameters": chosen}
    made = {"order_parameters": chosen, "tail": tail, "plugins": plugins.used(names)}
    return sweep.model_copy(update={**defaults, **made})
