"""How a system is executed: on which devices, how many lanes, in which tiles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from grokmap.engine.schedule import flops_of_step
from grokmap.engine.target import Target, local_target
from grokmap.plan import Planned, effective_precision
from grokmap.spec import System
from grokmap.tasks import TASKS

# Rows of a tile on a CPU: the hidden activations of a tile stay in its cache.
CPU_TILE = 512
# Arithmetic of a step of all lanes of a GPU, in which some 50 us of launches are about
# a hundredth of the time (modelled: 50 TFLOP/s).
GPU_STEP_FLOPS = 2.5e11
# Steps after which a GPU waits for the host to read whether there is another.
GPU_BLOCK = 32
# Of so many lanes that step together one is measured, or filled, at a time; or as
# many as do this much arithmetic in a record, so that its launches matter little.
SHARE, GPU_RECORD_FLOPS = 64, 1e9


class Settings(NamedTuple):
    """How a system is executed; none of it is part of a run's identity.

    target: the devices; lanes: runs in training at once; tile, max_tiles: rows per
    gradient tile, most tiles of a run; kernel: of the first layer; together: whether a
    device's lanes step together; precision: what matrix products are computed in;
    block: steps after which a device reads whether there is another; least_group:
    fewest lanes that are measured at once.
    """

    target: Target
    lanes: int
    tile: int
    max_tiles: int
    kernel: str
    together: bool
    precision: str
    block: int = 1
    least_group: int = 1

    @property
    def of_device(self) -> int:
        """Lanes of one device."""
        return self.lanes // self.target.n_devices

    @property
    def group(self) -> int:
        """Lanes of one device that are measured, or filled, at once."""
        return min(self.of_device, max(self.least_group, self.of_device // SHARE))

    def facts(self) -> dict[str, Any]:
        """All but the target, as JSON can hold it."""
        facts = self._asdict()
        del facts["target"]
        return facts


def choose_settings(
    system: System,
    planned: Sequence[Planned],
    lanes: int | None = None,
    tile: int | None = None,
    target: Target | None = None,
    most_lanes: int | None = None,
) -> Settings:
    """Settings for a system, `planned` all its runs of the sweep.

    All, done or not: tiles follow from the largest training set, and a sweep that is
    resumed has to compute the same sums.

    target: where it is executed (default: on the local devices). lanes (default on a
    GPU: so many that a step is long enough for its launch not to matter; those that do
    not fit its memory are taken away when it is compiled, see `compiled.fitting`).
    most_lanes: of a GPU, where less than all runs are trained here.

    Raises:
      SpecError: the devices do not have the system's precision.
    """
    target = target or local_target()
    precision = effective_precision(system.precision, target.platform)
    n_train = max(run.n_train for run in planned)
    if target.platform == "cpu":
        # Independent examples are not gathered, so one tile reads them where they are.
        whole = n_train if not TASKS[system.task].shuffled else CPU_TILE
        tiles = -(-n_train // (tile or whole))
        tile = tile or -(-n_train // tiles)
        cpu = Settings(target, 1, tile, tiles, "gather", False, precision)
        return cpu._replace(lanes=whole_devices(target, lanes or 1))
    rows = tile or n_train
    tiles = -(-n_train // rows)
    flops = max(map(flops_of_step, planned))
    enough = max(1, round(GPU_STEP_FLOPS / flops))
    most = min(len(planned), most_lanes or len(planned))
    enough = min(lanes or enough * target.n_devices, most)
    gpu = Settings(target, 1, rows, tiles, "gather_product", True, precision)
    return gpu._replace(
        lanes=whole_devices(target, enough),
        block=GPU_BLOCK,
        least_group=max(1, round(3 * GPU_RECORD_FLOPS / flops)),
    )


def made_by_of(settings: Settings) -> str:
    """All that a lane's bits depend on beside the run: settings, versions, device."""
    same = settings._replace(lanes=0).facts()
    device = settings.target.kind
    versions = {name: version_of(name) for name in ("grokmap", "jaxlib")}
    return json.dumps({**same, **versions, "device": device}, sort_keys=True)


def version_of(package: str) -> str | None:
    """None if it is not installed, as grokmap when it is used from its sources."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def whole_devices(target: Target, lanes: int) -> int:
    """The next multiple of the number of devices."""
    return -(-lanes // target.n_devices) * target.n_devices
