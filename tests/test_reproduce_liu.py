"""The comparisons with arXiv 2205.10343 find what is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from grokmap.reproduce import liu
from grokmap.reproduce.trained import Trained

RATES = np.logspace(-5, -2, 10)


def toy(**changes: dict[int, float]) -> dict[str, Trained]:
    """Ten runs as published; changes: quantity -> {seed: step of its crossing}."""
    records = []
    for seed in range(10):
        steps = dict(liu.PUBLISHED_STEPS)
        steps |= {name: own[seed] for name, own in changes.items() if seed in own}
        for step in (0, *steps.values(), 5000):
            if np.isfinite(step):
                values = {name: float(step >= own) for name, own in steps.items()}
                records.append({"run_id": str(seed), "step": step, **values})
    return {liu.TOY: Trained(pd.DataFrame(), pd.DataFrame(records))}


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({}, []),
        ({"test_accuracy": dict.fromkeys(range(2), np.inf)}, []),
        ({"test_accuracy": dict.fromkeys(range(3), np.inf)}, [0]),
        ({"parallelogram_share": dict.fromkeys(range(3), 1200)}, [0]),
        ({"train_accuracy": dict.fromkeys(range(10), 2400)}, [0, 2]),
        ({"test_accuracy": dict.fromkeys(range(10), 3100)}, [0, 3]),
        ({"parallelogram_share": dict.fromkeys(range(6), np.inf)}, [0, 1]),
    ],
)
def test_the_toy_comparison_finds_what_is_wrong(
    changes: dict[str, dict[int, float]], missed: list[int]
) -> None:
    found = liu.compare_toy(toy(**changes))
    assert [i for i, own in enumerate(found) if not own.holds] == missed


def grid(*texts: tuple[str, ...]) -> dict[str, Trained]:
    """Runs of one seed for each grid of letters, shuffled."""
    rows = [
        {
            "seed": seed,
            "learning_rate": RATES[9 - i],
            "embedding_learning_rate": RATES[j],
            "phase": liu.PHASES[letter],
        }
        for seed, text in enumerate(texts)
        for i, row in enumerate(text)
        for j, letter in enumerate(row)
    ]
    runs = pd.DataFrame(rows).sample(frac=1, random_state=0)
    return {liu.GRID: Trained(runs, pd.DataFrame())}


def verdicts(*texts: tuple[str, ...]) -> list[bool]:
    return [own.holds for own in liu.compare_grid(grid(*texts))]


def test_the_published_grid_is_the_published_one() -> None:
    letters = "".join(liu.PUBLISHED_GRID)
    assert {x: letters.count(x) for x in "MCXG"} == dict(M=64, C=14, X=12, G=10)


def test_the_grid_comparison_finds_what_is_wrong() -> None:
    own = liu.PUBLISHED_GRID
    memorised = ("M" * 10,) * 10
    assert verdicts(own, own, own) == [True, True, True]
    assert verdicts(own, own, memorised) == [True, True, True]
    # 64 cells agree, seeds always: no grokking, and below both bars.
    assert verdicts(memorised, memorised, memorised) == [False, False, False]
    early = ("MMMMMMMMGG", *own[1:])
    assert verdicts(early, early, own) == [True, True, False]
    # No phase has a majority anywhere: nothing agrees.
    three = [("X" * 10,) * 10, ("G" * 10,) * 10, ("C" * 10,) * 10]
    assert verdicts(*three)[0] is False


def test_seeds_that_agree_are_counted() -> None:
    a, b = (np.array([["grokking", x]]) for x in ("confusion", "memorization"))
    names, share = liu.majority([a, a, b])
    assert names.tolist() == [["grokking", "confusion"]]
    np.testing.assert_allclose(share, [[1, 2 / 3]])
    assert liu.majority([a, b])[0].tolist() == [["grokking", ""]]


def test_accuracies_count_as_in_the_authors_code() -> None:
    rules = liu.AS_CODED
    assert not rules.strict and rules.last_step == 10_000
    assert rules.comprehension_delay == 1000 and rules.test_bar == 0.9


def test_the_effective_loss_of_the_authors_draw() -> None:
    # Gradient steps of the sum, not the mean: 1000 of them put any draw on a line.
    first, last = liu.flow_losses(0, 2000)
    assert first > 100 and last < 1e-3


def test_the_figure_shows_letters_and_rates() -> None:
    figure = liu.grid_figure(grid(liu.PUBLISHED_GRID, liu.PUBLISHED_GRID))
    panels: list[Any] = figure.axes
    assert [p.get_title() for p in panels[:3]] == [
        "published",
        "most of our 2 seeds",
        "seeds that agree",
    ]
    for panel in panels[:2]:
        letters = [text.get_text() for text in panel.texts]
        assert "".join(letters) == "".join(liu.PUBLISHED_GRID)
    assert [x.get_text() for x in panels[0].get_yticklabels()][0] == "1.0e-02"
