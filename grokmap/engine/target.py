"""What programs are compiled for: local devices, or a card that need not be here."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

UNKNOWN_MEMORY = 8 << 30  # where a device does not say


class Target(NamedTuple):
    """Devices of one kind that lanes are split over.

    platform: cpu or gpu; kind: the device by its maker's name; devices: of jax, local
    ones or those of a topology; memory: bytes of one of them.
    """

    platform: str
    kind: str
    devices: tuple[Any, ...]
    memory: float

    @property
    def n_devices(self) -> int:
        return len(self.devices)

    def mesh(self) -> Mesh:
        """All devices along one axis, `run`."""
        auto = (AxisType.Auto,)
        return Mesh(np.array(self.devices), ("run",), axis_types=auto)


def local_target() -> Target:
    """The devices of this process."""
    devices = tuple(jax.local_devices())
    first = devices[0]
    # A CPU has none to say.
    stats = first.memory_stats() or {} if first.platform != "cpu" else {}
    memory = float(stats.get("bytes_limit", UNKNOWN_MEMORY))
    return Target(str(first.platform), str(first.device_kind), devices, memory)
