"""What a comparison is given of each sweep that was trained for it."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd


class Trained(NamedTuple):
    """A finished sweep.

    runs: one row a run, as `classify.classify` gives it under the reproduction's own
    criteria; trajectories: run_id, step, one column a recorded quantity.
    """

    runs: pd.DataFrame
    trajectories: pd.DataFrame
