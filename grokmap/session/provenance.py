"""Versions, commit, device and flags: what a result says of how it was made."""

from __future__ import annotations

import functools
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax

from grokmap.engine.devices import pinned
from grokmap.engine.settings import version_of
from grokmap.process import environment

PACKAGES = (
    *("grokmap", "jax", "jaxlib", "flax", "optax", "numpy", "scipy"),
    *("pandas", "pyarrow", "matplotlib"),
)


def now() -> str:
    """The time, as results say it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@functools.cache
def versions() -> dict[str, Any]:
    """Versions, commit, device and flags of this process."""
    devices = jax.local_devices()
    return {
        "versions": {name: version_of(name) for name in PACKAGES},
        "python": platform.python_version(),
        "commit": _commit(),
        "platform": f"{platform.system()} {platform.machine()}",
        "device": devices[0].device_kind,
        "backend": devices[0].platform,
        "n_devices": len(devices),
        "flags": environment.kept(),
        "ignored": dict(environment.ignored),
        "settings": pinned(),
    }


def _commit() -> str | None:
    """Commit of a source checkout, with '+dirty' where it has changes."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty=+dirty"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
