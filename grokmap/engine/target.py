"""What programs are compiled for: local devices, or a card that need not be here."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from grokmap.errors import SpecError
from grokmap.spec.names import nearest

UNKNOWN_MEMORY = 8 << 30  # where a device does not say


class Card(NamedTuple):
    """A graphics card as its maker describes it; bytes, FLOP/s and bytes/s.

    flops: of float32 multiplications and additions; tf32: of products of matrices in
    TF32 on tensor cores, of which bfloat16 does twice as many; capability: of CUDA;
    cores: its multiprocessors, each with `lanes` float32 units, `shared` bytes of
    shared memory (of which one block may have all but 1 KiB) at `clock` GHz.
    """

    kind: str
    memory: int
    bandwidth: float
    flops: float
    tf32: float
    capability: tuple[int, int]
    cores: int
    lanes: int
    shared: int
    cache: int
    clock: float


CARDS = {
    "a100": Card(
        "NVIDIA A100-SXM4-80GB",
        memory=85_031_714_816,
        bandwidth=2.039e12,
        flops=19.5e12,
        tf32=156e12,
        capability=(8, 0),
        cores=108,
        lanes=64,
        shared=167_936,
        cache=41_943_040,
        clock=1.41,
    ),
    "h100": Card(
        "NVIDIA H100 80GB HBM3",
        memory=84_929_347_584,
        bandwidth=3.352e12,
        flops=66.9e12,
        tf32=494.7e12,
        capability=(9, 0),
        cores=132,
        lanes=128,
        shared=233_472,
        cache=52_428_800,
        clock=1.98,
    ),
    "h200": Card(
        "NVIDIA H200",
        memory=150_109_880_320,
        bandwidth=4.8e12,
        flops=66.9e12,
        tf32=494.7e12,
        capability=(9, 0),
        cores=132,
        lanes=128,
        shared=233_472,
        cache=52_428_800,
        clock=1.98,
    ),
    "l4": Card(
        "NVIDIA L4",
        memory=23_580_639_232,
        bandwidth=0.3e12,
        flops=30.3e12,
        tf32=60e12,
        capability=(8, 9),
        cores=58,
        lanes=128,
        shared=102_400,
        cache=50_331_648,
        clock=2.04,
    ),
}
# How often the TF32 rate a product of float32 matrices is computed at, by `precision`.
_TENSOR_RATE = {"tf32": 1, "tf32x3": 1 / 3, "bf16": 2, "bf16x6": 2 / 6}
# Threads of a multiprocessor, by capability.
_THREADS = {(8, 0): 2048, (8, 9): 1536, (9, 0): 2048}


def product_rate(card: Card, precision: str) -> float:
    """FLOP/s of products of float32 matrices in a precision of sweep files."""
    return card.tf32 * _TENSOR_RATE.get(precision, card.flops / card.tf32)


class Target(NamedTuple):
    """Devices of one kind that lanes are split over.

    platform: cpu or gpu; kind: the device by its maker's name; devices: of jax, local
    ones or those of a topology; memory: bytes of one of them; here: whether programs
    can run on them.
    """

    platform: str
    kind: str
    devices: tuple[Any, ...]
    memory: float
    here: bool = True

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


def named_target(name: str, n_devices: int = 1) -> Target:
    """Cards of one kind that need not be here: programs compile for them, none runs.

    Raises:
      SpecError: no such card; or jax has no compiler for it here.
    """
    if name not in CARDS:
        raise SpecError(f"--target {name!r}: no such card; {nearest(name, CARDS)}")
    card = CARDS[name]
    before = dict(os.environ)
    # There is nothing to time candidates on.
    flags = os.environ.get("XLA_FLAGS", "")
    if "autotune_level" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_autotune_level=0".strip()
    os.environ.setdefault("JAX_SKIP_CUDA_CONSTRAINTS_CHECK", "1")
    try:
        from jax.experimental import topologies

        topology = topologies.get_topology_desc(
            "", "cuda", target_config=_config(card), topology=f"1x1x{n_devices}"
        )
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise SpecError(
            f"--target {name}: jax cannot compile for it here ({reason}); "
            "pip install 'grokmap[gpu]', which needs no GPU"
        ) from None
    finally:  # what this process starts later must not see them
        for key in ("XLA_FLAGS", "JAX_SKIP_CUDA_CONSTRAINTS_CHECK"):
            os.environ.pop(key, None)
            if key in before:
                os.environ[key] = before[key]
    devices = tuple(topology.devices)
    return Target("gpu", card.kind, devices, float(card.memory), here=False)


def _config(card: Card) -> str:
    """The card as XLA's compiler wants to be told of it (`GpuTargetConfigProto`)."""
    major, minor = card.capability
    return f"""
gpu_device_info {{
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_core: {card.shared}
  threads_per_core_limit: {_THREADS[card.capability]}
  core_count: {card.cores}
  fpus_per_core: {card.lanes}
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  memory_bandwidth: {card.bandwidth:.0f}
  l2_cache_size: {card.cache}
  clock_rate_ghz: {card.clock}
  device_memory_size: {card.memory}
  shared_memory_per_block_optin: {card.shared - 1024}
  cuda_compute_capability {{ major: {major} minor: {minor} }}
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9 minor: 7 }}
runtime_version {{ major: 13 }}
device_description_str: "{card.kind}"
"""
