"""What a shard asks of Slurm, as submitit's parameters of a batch script."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grokmap.durations import seconds_of
from grokmap.errors import SpecError, short
from grokmap.store import POINTS, SPEC

ASKS = ("gpus", "cpus", "time", "partition", "sbatch")
SPARE_SECONDS = 300  # between the end of the time budget and that of the job
SIGNAL_SECONDS = 240  # before its end Slurm asks a shard to stop, if it still runs
# Of `sbatch`, what is set here: the option of `grokmap submit` that sets it, if any.
OURS = {
    "array": "--shards",
    "time": "--time",
    "partition": "--partition",
    "gpus-per-node": "--gpus",
    "cpus-per-task": "--cpus",
    **dict.fromkeys(("job-name", "output", "error", "open-mode", "signal"), ""),
    **dict.fromkeys(("nodes", "ntasks", "ntasks-per-node"), ""),
    **dict.fromkeys(("requeue", "no-requeue", "wait", "wrap", "parsable"), ""),
}


def job_name(path: Path) -> str:
    """The name of the jobs of a result folder: as the folder, for people to read."""
    mark = hashlib.sha256(str(path).encode()).hexdigest()[:6]
    plain = "".join(c if c.isalnum() and c.isascii() else "-" for c in path.name)
    return f"grokmap-{plain[:40]}-{mark}"


def mark_of(path: Path, words: Sequence[str]) -> str:
    """Tells apart what shards were asked to train: words of the command, what stands in
    the sweep file, and the points that `refine` has added."""
    spec = Path(words[0])
    files = (spec / SPEC if spec.is_dir() else spec, path / POINTS)
    digest = hashlib.sha256("\0".join(words).encode("utf-8", "surrogateescape"))
    for file in files:
        digest.update(file.read_bytes() if file.is_file() else b"")
    return digest.hexdigest()[:12]


def minutes_of(asks: Mapping[str, str]) -> int | None:
    """The wall time of a job in minutes; None where it is left to the cluster.

    Raises:
      SpecError: not a time, or so short that no time is left to train.
    """
    if "time" not in asks:
        return None
    seconds = seconds_of(asks["time"], "--time")
    if not 2 * SPARE_SECONDS <= seconds < float("inf"):
        raise SpecError(
            f"--time {short(asks['time'])}: give a shard 10 minutes or more; it stops "
            "5 minutes before the end, to leave nothing half done"
        )
    return int(seconds // 60)


def budget_of(asks: Mapping[str, str]) -> list[str]:
    """The option of a shard that makes it stop in good order before its job ends."""
    minutes = minutes_of(asks)
    if minutes is None:
        return []
    return ["--time-budget", f"{60 * minutes - SPARE_SECONDS}s"]


def extra_of(asks: Mapping[str, str]) -> dict[str, str | bool]:
    """What --sbatch KEY=VALUE adds to the script; a KEY alone is a flag.

    Raises:
      SpecError: no such form, or a key that is set here.
    """
    extra: dict[str, str | bool] = {}
    for text in asks.get("sbatch", "").splitlines():
        key, equals, value = (word.strip() for word in text.partition("="))
        key = key.removeprefix("--").replace("_", "-")
        if not key.replace("-", "").isalnum() or bool(equals) != bool(value):
            raise SpecError(
                f"--sbatch {short(text)}: give an option of sbatch as KEY=VALUE, for "
                "example account=physics, or the KEY of one without a value"
            )
        if key in OURS:
            instead = f"use {OURS[key]}" if OURS[key] else "grokmap sets it"
            raise SpecError(f"--sbatch {short(text)}: {instead}")
        extra[key] = value or True
    return extra


def parameters(path: Path, of: int, asks: Mapping[str, str]) -> dict[str, Any]:
    """What `submitit` is to write into the batch script of an array of `of` shards.

    Slurm starts no job again (`no-requeue`): who starts what again is decided in one
    place, the driver. What is None is left to the cluster.
    """
    cpus = asks.get("cpus")
    return {
        "job_name": job_name(path),
        "time": minutes_of(asks),
        "partition": asks.get("partition"),
        "gpus_per_node": asks.get("gpus"),
        "cpus_per_task": cpus,
        # Since 22.05 srun does not take this from the job.
        "srun_args": [f"--cpus-per-task={cpus}"] if cpus else [],
        "array_parallelism": of,
        "signal_delay_s": SIGNAL_SECONDS,
        "stderr_to_stdout": True,
        "wckey": None,
        "additional_parameters": {"no-requeue": True, **extra_of(asks)},
    }
