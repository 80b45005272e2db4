"""How often the intervals of `grokmap boundaries` hold a planted edge: JSON on stdout.

    python benchmarks/coverage.py > benchmarks/results/coverage.json

100 synthetic diagrams of five rows a setting (`tests/diagrams.py`), with and without
censoring; and, for comparison, intervals from resampled runs. Some minutes; no timing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from diagrams import Planted, bootstrap, coverage, found

from grokmap.analysis.boundaries import MEASURED, MIN, NOT_BRACKETED

REPETITIONS = 100
RESAMPLED = 20  # each of its edges takes 50 fits
WIDTHS = (0.05, 0.3, 0.6, 1.0)
GRIDS = ((8, 2), (16, 1), (16, 2), (16, 4), (24, 1), (24, 2))
HEIGHTS = (0.9, 0.8, 0.7)
BUDGETS = (300.0, 3000.0, 30_000.0)


def complete() -> list[dict[str, Any]]:
    """Coverage where every run is decided, by grid and width of the edge."""
    rows = []
    for cells, seeds in GRIDS:
        for width in WIDTHS:
            planted = Planted(cells, seeds, width)
            rows.append(
                {**planted._asdict(), "covered": coverage(planted, REPETITIONS)}
            )
            print(rows[-1], file=sys.stderr)
    return rows


def plateaus() -> list[dict[str, Any]]:
    """Coverage where P(grok) is below 1 inside the wedge, by its height."""
    rows = []
    for cells, seeds in ((16, 2), (16, 4), (24, 2)):
        for height in HEIGHTS:
            planted = Planted(cells, seeds, 0.3, None, height)
            covered = coverage(planted, REPETITIONS)
            rows.append({**planted._asdict(), "covered": covered})
            print(rows[-1], file=sys.stderr)
    return rows


def censored() -> list[dict[str, Any]]:
    """Coverage of measured edges, and how often a bound holds, by budget."""
    rows = []
    for budget in BUDGETS:
        planted = Planted(12, 3, 0.3, budget)
        measured, bounds = [], []
        for name, edge, truth in found(planted, REPETITIONS):
            if edge.status == MEASURED:
                measured.append(edge.low <= truth <= edge.high)
            elif edge.status == NOT_BRACKETED:
                bounds.append(truth <= edge.high if name == MIN else truth >= edge.low)
        rows.append(
            {
                **planted._asdict(),
                "n_measured": len(measured),
                "covered": float(np.mean(measured)),
                "n_bounds": len(bounds),
                "held": float(np.mean(bounds)) if bounds else None,
            }
        )
    return rows


def resampled() -> list[dict[str, Any]]:
    """Coverage of percentiles of resampled runs, by width of the edge."""
    settings = [Planted(16, 2, width) for width in WIDTHS]
    return [
        {**p._asdict(), "covered": coverage(p, RESAMPLED, bootstrap)} for p in settings
    ]


if __name__ == "__main__":
    document = {
        "repetitions": REPETITIONS,
        "complete": complete(),
        "plateaus": plateaus(),
        "censored": censored(),
        "resampled": resampled(),
    }
    print(json.dumps(document, indent=1))
