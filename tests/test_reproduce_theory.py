"""Published results against the exact references: what holds, and the known miss."""

from __future__ import annotations

import numpy as np
import pytest
from tables import kept_findings

from grokmap.reproduce import theory
from grokmap.reproduce.finding import NUMBER, SOURCES

SLOW = {"lyu-diagonal"}


@pytest.mark.parametrize("name", sorted(set(theory.REPRODUCTIONS) - SLOW))
def test_reproductions_hold(name: str) -> None:
    findings = theory.REPRODUCTIONS[name].compare({})
    assert findings and all(f.holds for f in findings)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SLOW))
def test_expensive_reproductions_hold(name: str) -> None:
    assert all(f.holds for f in theory.REPRODUCTIONS[name].compare({}))


def test_near_tells_misses() -> None:
    hit = theory.near("x", 1.0, 0.1, np.array([1.05, 1.11]), "", theory.OWN)
    assert hit.holds and hit.measured == "1.08" and hit.spread == "1.05 to 1.11"
    assert not theory.near("x", 1.0, 0.1, 1.11, "", theory.OWN).holds
    assert not theory.near("x", 1.0, 0.1, float("nan"), "", theory.OWN).holds


def test_order_is_judged() -> None:
    assert theory.rising("x", [0.1, 0.1, 0.2]).holds
    assert not theory.rising("x", [0.1, 0.2, 0.15]).holds
    assert theory.falling_to_one("x", np.array([1.4, 1.2])).holds
    assert not theory.falling_to_one("x", np.array([1.2, 0.9])).holds
    assert not theory.falling_to_one("x", np.array([1.2, 1.3])).holds


def test_every_committed_finding_says_who_published_it() -> None:
    for name, findings in kept_findings().items():
        assert {f.source for f in findings} <= set(SOURCES), name
        # A number that nobody published does not count as one.
        words = ("recomputed", "own", "no number", "between two of ours")
        for f in findings:
            if f.source == NUMBER:
                assert not any(word in f.published for word in words), f
