"""A figure together with what it shows."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure


class Drawing(NamedTuple):
    """A figure, and its numbers as a table."""

    figure: Figure
    data: pd.DataFrame
