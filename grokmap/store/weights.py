"""Kept weights: weights/<run_id>-<step>.safetensors, one file a run and step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from grokmap import disk
from grokmap.errors import ResultError
from grokmap.spec import SCHEMA_VERSION
from grokmap.store.files import UNREADABLE, WEIGHTS

SUFFIX = ".safetensors"
MAX_WEIGHTS_BYTES = 2**31  # of one file


class Weights(NamedTuple):
    """leaves: arrays by name, names of nested ones joined by "."; facts: the file's
    metadata, texts: run_id, step, schema_version, system and control (JSON)."""

    leaves: dict[str, npt.NDArray[Any]]
    facts: dict[str, str]


def weights_name(run_id: str, step: int) -> str:
    """The file's name inside the result folder."""
    return f"{WEIGHTS}/{run_id}-{step}{SUFFIX}"


def write_weights(
    path: Path,
    run_id: str,
    step: int,
    leaves: Mapping[str, npt.NDArray[Any]],
    facts: Mapping[str, str],
) -> Path:
    """Writes the weights of a run at a step; returns the file.

    Raises:
      ResultError: it cannot be written.
    """
    known = {"schema_version": str(SCHEMA_VERSION), "run_id": run_id, "step": str(step)}
    arrays = {name: np.ascontiguousarray(leaf) for name, leaf in leaves.items()}
    data = save(arrays, metadata={**facts, **known})
    return disk.write_file(path, weights_name(run_id, step), data)


def kept_weights(path: Path) -> set[tuple[str, int]]:
    """(run id, step) of every file of weights, by its name."""
    kept = set()
    for name in disk.names_in(path / WEIGHTS):
        run_id, dash, step = name.removesuffix(SUFFIX).rpartition("-")
        if name.endswith(SUFFIX) and dash and step.isascii() and step.isdigit():
            kept.add((run_id, int(step)))
    return kept


def take_weights(path: Path, other: Path, own: bool) -> None:
    """Takes the weights that another result folder keeps; own: as of `take_files`."""
    for run_id, step in sorted(kept_weights(other) - kept_weights(path)):
        name = weights_name(run_id, step)
        if not (other / name).is_symlink():
            disk.take_file(path, name, other / name, own)


def read_weights(path: Path, run_id: str, step: int) -> Weights:
    """The weights of a run at a step, as they were written.

    Raises:
      ResultError: they are not kept, or their file is damaged or a link.
    """
    file = path / weights_name(run_id, step)
    if file.name not in disk.names_in(path / WEIGHTS):
        raise ResultError(
            f"{path}: no weights of run {run_id} at step {step} are kept; "
            f"`grokmap weights {path} {run_id} --at {step}` or "
            f"grokmap.save_weights(result, {run_id!r}, {step}) trains it again to there"
        )
    try:
        with disk.folder(path, [WEIGHTS]) as handle:
            disk.refuse_link(handle, file.name, file)
        data = disk.read_bytes(file, MAX_WEIGHTS_BYTES)
        weights = Weights(load(data), _facts(data))
        _check(weights.facts, run_id, step)
    except (*UNREADABLE, SafetensorError) as error:
        raise ResultError(
            f"{file}: damaged or not ours: {disk.reason(error)}; remove it and "
            f"`grokmap weights` writes it again"
        ) from None
    return weights


def _facts(data: bytes) -> dict[str, str]:
    """The metadata in the header of a safetensors file, which `load` has checked."""
    length = int.from_bytes(data[:8], "little")
    facts: dict[str, str] = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    return facts


def _check(facts: Mapping[str, str], run_id: str, step: int) -> None:
    """Raises ValueError where the metadata are not of this run, step and version."""
    if facts.get("schema_version") != str(SCHEMA_VERSION):
        raise ValueError(f"of schema {facts.get('schema_version', 'none')[:20]}")
    if (facts.get("run_id"), facts.get("step")) != (run_id, str(step)):
        raise ValueError("weights of another run or step than its name says")
