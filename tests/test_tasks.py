from __future__ import annotations

import numpy as np
import pytest

from grokmap.tasks import TASKS, examples


@pytest.mark.parametrize("name", TASKS)
def test_table_holds_every_pair_once(name: str) -> None:
    task, p = TASKS[name], 7
    table = examples(task, p)
    assert len(table.label) == task.n_examples(p)
    pairs = set(zip(table.a.tolist(), table.b.tolist(), strict=True))
    assert pairs == {(a, b) for a in range(p) for b in range(task.nonzero_b, p)}
    assert {int(x) for x in table.label} == set(range(p))


def test_labels_solve_their_equation() -> None:
    p = 11
    for name, holds in {
        "modular_addition": lambda a, b, c: (a + b - c) % p,
        "modular_subtraction": lambda a, b, c: (c + b - a) % p,
        "modular_multiplication": lambda a, b, c: (a * b - c) % p,
        "modular_division": lambda a, b, c: (c * b - a) % p,
    }.items():
        table = examples(TASKS[name], p)
        residue = holds(table.a.astype(int), table.b.astype(int), table.label)
        assert not np.any(residue), name
    assert set(TASKS) == {
        "modular_addition",
        "modular_subtraction",
        "modular_multiplication",
        "modular_division",
    }
