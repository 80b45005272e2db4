"""One compared number of a reproduction, and what several comparisons say alike."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from grokmap.arrays import Floats

# Who published a value, and how it is called in a table. Only the first two are
# comparisons with a publication; the others check the code that makes them.
NUMBER, WORDS, RECOMPUTED, OWN = "number", "words", "recomputed", "own"
SOURCES = {
    NUMBER: "the authors, as a number, an exponent or a map",
    WORDS: "the authors, in words or in a figure; how far it holds is set here",
    RECOMPUTED: "computed here from the authors' formulas or setting",
    OWN: "this package",
}
PUBLISHED = (NUMBER, WORDS)


class Finding(NamedTuple):
    """One number to compare with, its tolerance, and what was measured.

    quantity: what, and at which setting; published, tolerance: as stated before the
    run; source: who published it, a key of `SOURCES`; measured: the number or words;
    spread: over seeds ("" where there is none); holds: whether it is within the
    tolerance.
    """

    quantity: str
    published: str
    source: str
    tolerance: str
    measured: str
    spread: str
    holds: bool


def near(
    quantity: str,
    published: float,
    tolerance: float,
    values: Floats | float,
    note: str,
    source: str,
) -> Finding:
    """Whether the mean of values lies within published +- tolerance.

    note: of the published number, where it has one. source: as of `Finding`. Spread:
    lowest to highest value.
    """
    measured = np.atleast_1d(values)
    mean = float(measured.mean())
    return Finding(
        quantity,
        f"{published:.4g}{note}",
        source,
        f"± {tolerance:.3g}",
        f"{mean:.4g}",
        f"{measured.min():.4g} to {measured.max():.4g}" if len(measured) > 1 else "",
        bool(abs(mean - published) <= tolerance),
    )


def rising(quantity: str, values: list[float]) -> Finding:
    """Whether values never fall."""
    text = ", ".join(f"{v:.4f}" for v in values)
    holds = values == sorted(values)
    return Finding(quantity, "increases", WORDS, "no fall", text, "", holds)


def spread(values: pd.Series) -> str:
    """Lowest to highest value; or how many are null, where some are."""
    if values.isna().any():
        return f"{int(values.isna().sum())} of {len(values)} never"
    if values.empty:
        return ""
    low, high = values.min(), values.max()
    return " to ".join(f"{x:.3g}" if x < 1000 else f"{x:.0f}" for x in (low, high))


def median(values: pd.Series) -> float:
    """NaN without values. Taken of a frame: pandas 2 warns where a series is empty."""
    return float(values.astype(float).to_frame().median().iloc[0])
