"""One of the parts into which a sweep is cut for several processes or machines."""

from __future__ import annotations

import re
from typing import NamedTuple

from grokmap.errors import SpecError, short

MAX_SHARDS = 100_000


class Shard(NamedTuple):
    """Part `number` (1 to `of`) of a sweep that is cut into `of` parts."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def read_shard(text: str) -> Shard:
    """A shard as it is typed: k/K.

    Raises:
      SpecError: it is not two whole numbers with 1 <= k <= K <= `MAX_SHARDS`.
    """
    match = re.fullmatch(r"\s*([0-9]{1,9})\s*/\s*([0-9]{1,9})\s*", text)
    shard = Shard(int(match[1]), int(match[2])) if match else Shard(0, 0)
    if not 1 <= shard.number <= shard.of <= MAX_SHARDS:
        raise SpecError(
            f"--shard {short(text)}: should be k/K, part k of K, such as 3/64; k from "
            f"1 to K, K at most {MAX_SHARDS}"
        )
    return shard
