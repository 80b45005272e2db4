"""Do decided labels last? Seven systems, labelled at a horizon and at five times it.

    python benchmarks/settled.py FOLDER > benchmarks/results/settled.json
    python benchmarks/settled.py results/fractions \\
      > benchmarks/results/settled-fractions.json

Trains the sweeps of `benchmarks/settled/` into FOLDER, each for 60 decay times (what is
trained already stays; some twelve minutes on two cores), or takes a result folder as it
is: that of `sweeps/fractions.toml`, whose runs had no part in choosing the bars. Cuts
the trajectories at each horizon and at `LONGER` times it, and labels both. One row a
system and horizon: runs; those that had grokked; of the others, those that were
followed for the horizon (and neither diverged nor died), those that are decided because
they have settled as well, and those that are partial. Of each, `_changed` counts the
labels that the longer budget changes; runs that had grokked are followed to twice
t_grok, as sweeps do, and grokked_lost counts those that have unlearned at the end of
the longer budget. No timing.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import grokmap
from grokmap import store
from grokmap.classify import CRITERIA, GROK, classify
from grokmap.spec.sweep import default_tail

SWEEPS = Path(__file__).parent / "settled"
HORIZONS = (3.0, 6.0, 12.0)
OTHER_HORIZONS = (6.0, 12.0, 24.0)
LONGER = 5.0
RULES = CRITERIA["default"]


def labels_at(
    records: pd.DataFrame, plan: pd.DataFrame, horizon: float, ends: Any = None
) -> pd.DataFrame:
    """The runs as labelled had their budget been `horizon` decay times.

    ends: by run id, the step at which a run is over before that.
    """
    # The last record before the budget's end lies up to one spacing before it.
    reached = horizon / (1 + 1 / plan["records_per_octave"].iloc[0])
    rules = dataclasses.replace(RULES, name="at-horizon", horizon=0.999 * reached)
    rate = records["run_id"].map(plan.set_index("run_id")["decay_rate"])
    inside = records["step"] * rate <= horizon * (1 + 1e-9)
    if ends is not None:
        inside &= records["step"] <= records["run_id"].map(ends).fillna(np.inf)
    return classify(records[inside], plan.assign(horizon=None), rules)


def compare(
    records: pd.DataFrame, plan: pd.DataFrame, horizon: float
) -> dict[str, Any]:
    """How many labels at `horizon` are others at `LONGER` times it."""
    runs = labels_at(records, plan, horizon)
    # A sweep follows what has grokked at t to (1 + tail) t.
    ends = runs.set_index("run_id")["t_grok"].astype(float) * (1 + default_tail(1.0))
    changes, lost = (
        runs["phase"] != runs["run_id"].map(later.set_index("run_id")["phase"])
        for later in (
            labels_at(records, plan, LONGER * horizon, ends),
            labels_at(records, plan, LONGER * horizon),
        )
    )
    grokked = runs["phase"] == GROK
    kinds = {
        "grokked": grokked,
        "followed": ~grokked & ~runs["diverged"] & ~runs["dead"],
        "decided": ~grokked & ~runs["censored"],
        "partial": runs["partial"],
    }
    counts = {name: int(chosen.sum()) for name, chosen in kinds.items()}
    changed = {f"{k}_changed": int((v & changes).sum()) for k, v in kinds.items()}
    return {
        "horizon": horizon,
        "runs": len(runs),
        **counts,
        **changed,
        "grokked_lost": int((grokked & lost).sum()),
    }


def main() -> None:
    folder = Path(sys.argv[1])
    rows = []
    if (folder / store.SPEC).exists():
        rows += _rows(folder.name, grokmap.open(folder), OTHER_HORIZONS)
    else:
        for spec in sorted(SWEEPS.glob("*.toml")):
            result = grokmap.sweep(spec, out=folder / spec.stem)
            rows += _rows(spec.stem, result, HORIZONS)
    print(json.dumps({"longer": LONGER, "rows": rows}))


def _rows(
    name: str, result: grokmap.Result, horizons: tuple[float, ...]
) -> list[dict[str, Any]]:
    records, plan = result.records(store.LABELS_READ), result.plan
    return [{"system": name, **compare(records, plan, h)} for h in horizons]


if __name__ == "__main__":
    main()
