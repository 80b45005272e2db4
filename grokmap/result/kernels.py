"""Tangent kernels that were recorded along runs, as matrices."""

from __future__ import annotations

from collections.abc import Collection

from grokmap import store
from grokmap.errors import ResultError, SpecError
from grokmap.result.result import Result
from grokmap.result.selection import run_of
from grokmap.spec.kernels import Kernels
from grokmap.spec.words import SYSTEM_SIZES
from grokmap.tasks import kernel_rows


def find(result: Result, run_ids: Collection[str]) -> dict[str, Kernels]:
    """The kernels of some runs, by run id; runs that are not done are left out.

    Raises:
      SpecError: the sweep records none.
    """
    if not result.spec.kernel_examples:
        raise SpecError(
            f"{result.path}: records no tangent kernels; train it in another folder "
            "with -s kernel_examples=16 (on so many examples)"
        )
    plan = result.plan
    wanted = plan[plan["run_id"].isin(list(run_ids))]
    sizes = [key for key in ("task", *SYSTEM_SIZES) if key in plan]
    found: dict[str, Kernels] = {}
    for _, rows in wanted.groupby(sizes, dropna=False):
        ids = rows["run_id"].tolist()
        examples = kernel_rows(run_of(result.spec, plan, ids[0]).system)
        found |= store.read_kernels(result.path, ids, examples)
    return found


def of_run(result: Result, run_id: str) -> Kernels:
    """Those of one run.

    Raises:
      SpecError: the sweep records none. ResultError: the run is not done.
    """
    found = find(result, {run_id})
    if run_id not in found:
        raise ResultError(f"run {run_id} is planned, but not done yet")
    return found[run_id]
