"""Which reproductions fit in a time budget."""

from __future__ import annotations

from collections.abc import Mapping


def within(costs: Mapping[str, float], budget: float) -> tuple[list[str], list[str]]:
    """(chosen, left out), both cheapest first.

    Args:
      costs: seconds by name.
      budget: seconds; as many are chosen as fit in it one after another.
    """
    chosen: list[str] = []
    spent = 0.0
    by_cost = sorted(costs, key=costs.__getitem__)
    for name in by_cost:
        if spent + costs[name] > budget:
            break
        spent += costs[name]
        chosen.append(name)
    return chosen, by_cost[len(chosen) :]
