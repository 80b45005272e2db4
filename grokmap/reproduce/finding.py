"""One compared number of a reproduction."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One published number, its tolerance, and what was measured.

    quantity: what, and at which setting; published, tolerance: as stated before the
    run; measured: the number or words; spread: over seeds ("" where there is none);
    holds: whether it is within the tolerance.
    """

    quantity: str
    published: str
    tolerance: str
    measured: str
    spread: str
    holds: bool
