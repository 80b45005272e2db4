"""Trains a sweep in shards by processes here or elsewhere: `grokmap submit`.

An engine is a function from a `Job` to an `Engine`, which starts the command of a shard
(`Job.command`) somewhere and says how it ended. `drive` does the rest for all engines.
"""

from collections.abc import Callable, Iterable
from importlib.util import find_spec

from grokmap.errors import SpecError, short
from grokmap.submit import batch
from grokmap.submit.driver import drive
from grokmap.submit.job import Attempt, Engine, Job
from grokmap.submit.local import Local
from grokmap.submit.on_ray import Ray
from grokmap.submit.rounds import in_shards
from grokmap.submit.slurm import Slurm

ENGINES: dict[str, Callable[[Job], Engine]] = {
    "local": Local,
    "slurm": Slurm,
    "ray": Ray,
}
# What only some engines read of `Job.asks`, by their names on the command line.
TAKES: dict[str, tuple[str, ...]] = {
    "local": (),
    "slurm": batch.ASKS,
    "ray": ("gpus", "cpus", "address"),
}
# The package that an engine needs, which comes with the extra of the engine's name.
NEEDS = {"slurm": "submitit", "ray": "ray"}


def engine_named(name: str, asks: Iterable[str] = ()) -> Callable[[Job], Engine]:
    """The engine of that name, which is asked for these things.

    Raises:
      SpecError: there is none, its package is missing, or it does not know what is
        asked.
    """
    if name not in ENGINES:
        known = ", ".join(ENGINES)
        raise SpecError(f"--on {short(name)}: no such engine; there are: {known}")
    for ask in asks:
        if ask not in TAKES[name]:
            others = ", ".join(
                f"--on {n}" for n, takes in TAKES.items() if ask in takes
            )
            raise SpecError(f"--{ask}: not for --on {name}; for {others}")
    if name in NEEDS and not _is_installed(NEEDS[name]):
        raise SpecError(
            f"--on {name} needs the package {NEEDS[name]}: "
            f"pip install 'grokmap[{name}]'"
        )
    return ENGINES[name]


def _is_installed(package: str) -> bool:
    """Whether it can be imported; a mere folder of that name does not count."""
    found = find_spec(package)
    return found is not None and found.origin is not None


__all__ = ["ENGINES", "Attempt", "Engine", "Job", "drive", "engine_named", "in_shards"]
