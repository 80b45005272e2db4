"""Trains a sweep in shards by processes here or elsewhere: `grokmap submit`.

An engine is a function from a `Job` to an `Engine`, which starts the command of a shard
(`Job.command`) somewhere and says how it ended. `drive` does the rest for all engines.
"""

from collections.abc import Callable

from grokmap.errors import SpecError, short
from grokmap.submit.driver import drive
from grokmap.submit.job import Attempt, Engine, Job
from grokmap.submit.local import Local
from grokmap.submit.rounds import in_shards

ENGINES: dict[str, Callable[[Job], Engine]] = {
    "local": Local,
}


def engine_named(name: str) -> Callable[[Job], Engine]:
    """The engine of that name.

    Raises:
      SpecError: there is none.
    """
    if name not in ENGINES:
        known = ", ".join(ENGINES)
        raise SpecError(f"--on {short(name)}: no such engine; there are: {known}")
    return ENGINES[name]


__all__ = ["ENGINES", "Attempt", "Engine", "Job", "drive", "engine_named", "in_shards"]
