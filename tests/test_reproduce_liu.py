"""The comparisons with arXiv 2205.10343 find what is wrong."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from grokmap.engine.train import build
from grokmap.models.published import Uniform
from grokmap.reproduce import liu
from grokmap.reproduce.trained import Trained
from grokmap.spec import Control, System

RATES = np.logspace(-5, -2, 10)


def toy(**changes: dict[int, float]) -> dict[str, Trained]:
    """Ten runs as published, and the published one itself.

    changes: quantity -> {seed: step of its crossing}.
    """
    records = []
    for seed in range(10):
        steps = dict(liu.PUBLISHED_STEPS)
        steps |= {name: own[seed] for name, own in changes.items() if seed in own}
        for step in (0, *steps.values(), 5000):
            if np.isfinite(step):
                values = {name: float(step >= own) for name, own in steps.items()}
                records.append({"run_id": str(seed), "step": step, **values})
    table = pd.DataFrame(records)
    drawn = table[table["run_id"] == "9"]
    return {
        liu.TOY: Trained(pd.DataFrame(), table),
        liu.TOY_DRAWN: Trained(pd.DataFrame(), drawn),
    }


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({}, []),
        ({"test_accuracy": dict.fromkeys(range(2), np.inf)}, []),
        ({"test_accuracy": dict.fromkeys(range(3), np.inf)}, [3]),
        ({"parallelogram_share": dict.fromkeys(range(3), 1200)}, [3]),
        ({"train_accuracy": dict.fromkeys(range(9), 2400)}, [3, 5]),
        ({"test_accuracy": dict.fromkeys(range(9), 3100)}, [3, 6]),
        ({"parallelogram_share": dict.fromkeys(range(6), np.inf)}, [3, 4]),
        # The published draw itself, a few records late.
        ({"train_accuracy": {9: 1160}}, [1]),
        ({"parallelogram_share": {9: 780}}, [0]),
    ],
)
def test_the_toy_comparison_finds_what_is_wrong(
    changes: dict[str, dict[int, float]], missed: list[int]
) -> None:
    found = liu.compare_toy(toy(**changes))
    assert [i for i, own in enumerate(found) if not own.holds] == missed


def grid(*texts: tuple[str, ...]) -> dict[str, Trained]:
    """Grids of letters as trained: the authors' draw, then our seeds."""
    drawn, *own = texts
    return {liu.GRID_DRAWN: runs_of([drawn]), liu.GRID: runs_of(own)}


def runs_of(texts: list[tuple[str, ...]]) -> Trained:
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
    return Trained(runs, pd.DataFrame())


def verdicts(*texts: tuple[str, ...]) -> list[bool]:
    return [own.holds for own in liu.compare_grid(grid(*texts))]


def test_the_published_grid_is_the_published_one() -> None:
    letters = "".join(liu.PUBLISHED_GRID)
    assert {x: letters.count(x) for x in "MCXG"} == dict(M=64, C=14, X=12, G=10)


def test_the_grid_comparison_finds_what_is_wrong() -> None:
    own = liu.PUBLISHED_GRID
    memorised = ("M" * 10,) * 10
    assert verdicts(own, own, own) == [True, True, True]
    # Our seeds differ from it as much as from each other.
    assert verdicts(own, own, memorised) == [True, True, True]
    # 64 cells agree, seeds always: no grokking, and below both bars.
    assert verdicts(memorised, memorised, memorised) == [False, False, False]
    early = ("MMMMMMMMGG", *own[1:])
    assert verdicts(early, own, own) == [True, False, True]
    assert verdicts(own, memorised, memorised) == [True, True, False]


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
    figure = liu.grid_figure(grid(*[liu.PUBLISHED_GRID] * 3))
    panels: list[Any] = figure.axes
    titles = [p.get_title(loc="left").replace("\n", " ") for p in panels[:5]]
    assert titles == [
        "(a) published",
        "(b) ours, the authors' draw",
        "(c) ours, seed 0",
        "(d) ours, seed 1",
        "(e) share of our seeds with their commonest phase",
    ]
    for panel in panels[:4]:
        letters = [text.get_text() for text in panel.texts]
        assert "".join(letters) == "".join(liu.PUBLISHED_GRID)
    assert [x.get_text() for x in panels[0].get_yticklabels()][0] == "$10^{-2}$"


def test_the_authors_draw_is_theirs() -> None:
    """Uniform numbers of PyTorch's manual, and the engine's start from them."""
    # torch.manual_seed(0); torch.rand(2) prints 0.4963, 0.7682.
    numbers = Uniform(0).draw(2)
    np.testing.assert_allclose(numbers, [0.4963, 0.7682], atol=5e-5)
    system = System(
        task="plain_addition",
        modulus=10,
        model="embedding_mlp",
        embedding=1,
        depth=2,
        width=200,
        activation="tanh",
        bias=True,
        alpha_convention="standard",
        optimizer="adamw",
        published_seed=58,
    )
    program = build(system, tile=45, max_tiles=1)
    control = Control(1.0, 0.0, 45 / 55, 1e-4)
    one, other = (
        program.init(control, jnp.int32(45), jnp.uint32(seed)) for seed in (0, 1)
    )
    for name, array in one.params.items():
        np.testing.assert_array_equal(array, other.params[name])
    raw = Uniform(58).draw(10)
    np.testing.assert_array_equal(one.params["embedding"][:, 0], raw - 0.5)
    assert abs(one.params["first"]).max() <= 1.0
    assert abs(one.params["readout"]).max() <= 200**-0.5
    np.testing.assert_array_equal(np.flatnonzero(one.train), np.arange(45))
    snapshot = program.snapshot(one)
    random = np.random.RandomState(58)
    templates = random.normal(0, 1, (19, 30))
    np.testing.assert_allclose(snapshot.prototypes, templates, rtol=1e-6)
    pairs = np.stack(np.triu_indices(10), axis=1)[random.permutation(55)]
    np.testing.assert_array_equal(snapshot.label, pairs.sum(axis=1))
