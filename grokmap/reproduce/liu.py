"""Liu et al. (arXiv 2205.10343): plain addition of learned one-dimensional embeddings.

Accuracies count as reached at their bar (9 of 10 test pairs), as in the authors' code;
their Table 1 says above it. Steps not reached count as infinite in medians.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.arrays import Floats
from grokmap.classify import CRITERIA, Criteria
from grokmap.reproduce.finding import NUMBER, OWN, WORDS, Finding, near
from grokmap.reproduce.reproduction import Reproduction
from grokmap.reproduce.trained import Trained
from grokmap.theory import liu

Names = npt.NDArray[np.str_]

TOY, GRID = "liu-toy", "liu-grid-5a"
# The same from the authors' own draws, at the one seed they published.
TOY_DRAWN, GRID_DRAWN = "liu-published", "liu-grid-published"
AS_CODED: Criteria = dataclasses.replace(
    CRITERIA["liu2022"], name="liu2022-code", strict=False, last_step=10_000
)
# The step at which their one run reaches each bar.
PUBLISHED_STEPS = {
    "parallelogram_share": 800,
    "train_accuracy": 1130,
    "test_accuracy": 1530,
}
BARS = {"parallelogram_share": 0.95, "train_accuracy": 0.9, "test_accuracy": 0.9}
STATED = {
    "parallelogram_share": "RQI > 0.95",
    "train_accuracy": "training accuracy 0.9",
    "test_accuracy": "test accuracy 0.9",
}
EARLIEST, LATEST = 600, 2500

PHASES = {
    "C": "comprehension",
    "G": "grokking",
    "M": "memorization",
    "X": "confusion",
}
# Fig. 5a, one run a cell. Rows: learning rate of the decoder, 1e-2 at the top to 1e-5;
# columns: of the representation, 1e-5 to 1e-2.
PUBLISHED_GRID = (
    "MMMMMMMMMM",
    "MMMMMMMMMM",
    "MMMMMMMMMC",
    "MMMMMMMMCC",
    "MMMMMMMCCC",
    "MMMMMMMCCC",
    "MMMMMMCCCC",
    "XXMMMCGGGG",
    "XXXXGGGGGG",
    "XXXXMMMMXX",
)
# Their grokking is in rows 8 and 9; one row of shift is allowed.
GROKKING_ROWS = (7, 10)


def compare_toy(trained: Mapping[str, Trained]) -> list[Finding]:
    """Order and times of structure, memorisation and generalisation; the ends."""
    drawn = crossings(trained[TOY_DRAWN].trajectories).iloc[0]
    trajectories = trained[TOY].trajectories
    steps = crossings(trajectories)
    ends = trajectories.sort_values("step").groupby("run_id")[list(BARS)].last()
    good = as_published(steps) & (ends.loc[steps.index] == 1).all(axis=1)
    return [
        *(
            near(
                f"step of {STATED[name]}, the authors' draw",
                PUBLISHED_STEPS[name],
                # A record every 8 or 16 steps, and counting from 0 or 1.
                0.02 * PUBLISHED_STEPS[name],
                float(drawn[name]),
                "",
                NUMBER,
            )
            for name in BARS
        ),
        Finding(
            "runs with RQI > 0.95, then training accuracy 0.9, then test accuracy 0.9, "
            f"all within steps {EARLIEST} to {LATEST}, and all three 1 at the end",
            "so is the one published run",
            WORDS,
            ">= 8 of 10",
            f"{int(good.sum())} of {len(good)}",
            "",
            bool(good.sum() >= 0.8 * len(good)),
        ),
        *(_median(steps[name], name) for name in BARS),
    ]


def crossings(trajectories: pd.DataFrame) -> pd.DataFrame:
    """First step at which each quantity passes its bar, by run; inf: never."""
    by_run = trajectories.set_index("run_id")
    first_steps = {}
    for name, bar in BARS.items():
        # Accuracies are stored in float32, and compared so.
        values, limit = by_run[name].astype(np.float32), np.float32(bar)
        passed = values > limit if name == "parallelogram_share" else values >= limit
        steps = by_run["step"].astype(float).where(passed, np.inf)
        first_steps[name] = steps.groupby(level=0).min()
    return pd.DataFrame(first_steps)


def as_published(steps: pd.DataFrame) -> pd.Series:
    """Whether a run's crossings come in the published order and window."""
    rqi, train, test = (steps[name] for name in BARS)
    inside = steps.ge(EARLIEST).all(axis=1) & steps.le(LATEST).all(axis=1)
    return inside & (rqi < train) & (train <= test)


def _median(steps: pd.Series, name: str) -> Finding:
    published, median = PUBLISHED_STEPS[name], float(steps.median())
    reached = steps[np.isfinite(steps)]
    spread = f"{len(reached)} of {len(steps)} reach it"
    if len(reached):
        spread += f", at {reached.min():.0f} to {reached.max():.0f}"
        spread += f", their median {reached.median():.0f}"
    return Finding(
        f"median step of {STATED[name]}",
        f"{published} (one run)",
        NUMBER,
        f"{published / 2:.0f} to {2 * published}",
        f"{median:.0f}" if np.isfinite(median) else "never",
        spread,
        bool(published / 2 <= median <= 2 * published),
    )


def toy_figure(trained: Mapping[str, Trained]) -> Figure:
    """The seeds of lowest, middle and highest final parallelogram share."""
    runs, trajectories = trained[TOY][:2]
    ranked = runs.sort_values(["final_parallelogram_share", "seed"])
    three = ranked.iloc[[0, len(ranked) // 2, -1]]
    shown = {"parallelogram_share": False, "predicted_accuracy": False}
    return plot.curves(trajectories, three, shown)


def compare_flow(trained: Mapping[str, Trained]) -> list[Finding]:
    """Effective loss of one random representation at step 0 and 1000: 100 of ours."""
    losses = np.array([flow_losses(seed, 1000) for seed in range(100)])
    known = ((0, 398.0), (1000, 0.032))
    return [
        _within_draws(f"effective loss at step {step}", published, ours)
        for (step, published), ours in zip(known, losses.T, strict=True)
    ]


def flow_losses(seed: int, n_steps: int) -> tuple[float, float]:
    """Effective loss before and after gradient steps of 1e-3, all pairs known.

    As in the authors' code: the sum over the 70 parallelograms of squared errors (not
    their mean over Z_0), of representations uniform within 1/2 and standardised.
    """
    rows = liu.equations(liu.all_pairs(10), 10)
    e = np.random.default_rng(seed).uniform(-0.5, 0.5, 10)
    e = (e - e.mean()) / e.std(ddof=1)
    first = float(np.sum((rows @ e) ** 2))
    for _ in range(n_steps):
        e = e + 1e-3 * len(rows) * liu.effective_flow(e, rows)
    return first, float(np.sum((rows @ e) ** 2))


def _within_draws(quantity: str, published: float, values: Floats) -> Finding:
    low, high = np.quantile(values, [0.05, 0.95])
    return Finding(
        quantity,
        f"{published:g} (one draw)",
        NUMBER,
        "within 90% of ours",
        f"{np.median(values):.3g}",
        f"{low:.3g} to {high:.3g}",
        bool(low <= published <= high),
    )


def compare_grid(trained: Mapping[str, Trained]) -> list[Finding]:
    """Agreement of the cells with the published ones, and of seeds with each other."""
    (drawn,) = phases_by_seed(trained[GRID_DRAWN].runs)
    grids, published = phases_by_seed(trained[GRID].runs), published_phases()
    each = [float(np.mean(grid == published)) for grid in grids]
    pairs = [float(np.mean(a == b)) for a, b in combinations(grids, 2)]
    agreed, between = float(np.mean(drawn == published)), float(np.mean(pairs))
    return [
        Finding(
            "cells of 100 with the published phase, the authors' draw",
            "one run a cell, one seed",
            NUMBER,
            ">= 70%",
            f"{agreed:.0%}",
            "",
            agreed >= 0.7,
        ),
        _grokking_rows(drawn),
        Finding(
            "cells with the published phase, one of our seeds",
            f"{between:.0%} between two of our seeds",
            OWN,
            "not below that by more than 10 points",
            f"{np.mean(each):.0%}",
            f"{min(each):.0%} to {max(each):.0%}",
            bool(np.mean(each) >= between - 0.1),
        ),
    ]


def published_phases() -> Names:
    return np.array([[PHASES[letter] for letter in row] for row in PUBLISHED_GRID])


def phases_by_seed(runs: pd.DataFrame) -> list[Names]:
    """[10, 10] phases of each seed, in the order of `PUBLISHED_GRID`."""
    grids = []
    for _, seed_runs in runs.groupby("seed"):
        table = seed_runs.pivot(
            index="learning_rate", columns="embedding_learning_rate", values="phase"
        )
        table = table.sort_index(ascending=False).sort_index(axis=1)
        grids.append(table.to_numpy(dtype=str))
    return grids


def majority(grids: list[Names]) -> tuple[Names, Floats]:
    """Phase of more than half of the seeds ("" where none), share of the commonest."""
    names = np.full(grids[0].shape, "", dtype=object)
    share = np.zeros(grids[0].shape)
    for place in np.ndindex(names.shape):
        name, count = Counter(str(grid[place]) for grid in grids).most_common(1)[0]
        share[place] = count / len(grids)
        names[place] = name if share[place] > 0.5 else ""
    return names.astype(str), share


def _grokking_rows(common: Names) -> Finding:
    rows = 1 + np.flatnonzero((common == "grokking").any(axis=1))
    low, high = GROKKING_ROWS
    return Finding(
        "rows with grokking, from the top, the authors' draw",
        "8 and 9 (decoder learning rates 4.6e-5, 2.2e-5)",
        NUMBER,
        f"some, and only within {low} to {high}",
        ", ".join(map(str, rows)) or "none",
        "",
        bool(len(rows) and rows.min() >= low and rows.max() <= high),
    )


def grid_figure(trained: Mapping[str, Trained]) -> Figure:
    """Published and ours side by side, and where our seeds agree."""
    runs = trained[GRID].runs
    (drawn,), grids = phases_by_seed(trained[GRID_DRAWN].runs), phases_by_seed(runs)
    _, share = majority(grids)
    rates = np.sort(runs["learning_rate"].unique())[::-1]
    columns = np.sort(runs["embedding_learning_rate"].unique())
    return plot.phase_grids(
        {
            "published": published_phases(),
            "ours, the authors' draw": drawn,
            **{f"ours, seed {i}": grid for i, grid in enumerate(grids)},
        },
        share,
        (rates.tolist(), columns.tolist()),
        ("learning rate of the decoder", "learning rate of the representation"),
    )


SETTING = (
    "p = 10, 45 of 55 pairs, 1-D embeddings, tanh 1-200-200-30, mse to templates, "
    "adamw without decay, "
)
TOY_MISS = (
    "the published run is one seed, not the typical one. From the authors' own draw at "
    "that seed (58) the engine gives its three steps. The same setting written in "
    "PyTorch gives, over seeds 0 to 34: 24 of 35 reach RQI > 0.95, and 10 of 35 all "
    "three in order by step 2500 (ours, seeds 0 to 39: 22 and 9 of 40, median RQI step "
    "780). From our initial weights PyTorch's losses are ours to 3e-5 over 512 steps. "
    "Decay 0.01 (PyTorch's default) instead of 0: 3 of 9 seeds reach both, with either."
)
REPRODUCTIONS: dict[str, Reproduction] = {
    "liu-effective-loss": Reproduction(
        reference="Liu et al. (arXiv 2205.10343), Sec. 3.2 and code",
        claim="Gradient descent on the effective loss puts random representations on "
        "a line within about 1000 steps.",
        setting="p = 10, all 70 parallelograms, step 1e-3",
        compare=compare_flow,
        cpu_s=6,
        explained="398 is an unusual draw: above 99% of 2e5 of ours. From the weights "
        "that PyTorch draws at the authors' seed 58 the same functions give 397.9 at "
        "step 0 (theirs, after one step of training: 397.8) and 0.036 at step 1000.",
    ),
    "liu-toy": Reproduction(
        reference="Liu et al. (arXiv 2205.10343), default run",
        claim="Embeddings find a line before the decoder fits the training pairs, and "
        "the test pairs follow.",
        setting=SETTING + "learning rates 1e-3 (embeddings), 1e-4 (decoder)",
        compare=compare_toy,
        cpu_s=11,
        explained=TOY_MISS,
        sweeps=(TOY_DRAWN, TOY),
        criteria=dataclasses.replace(AS_CODED, last_step=5_000),
        figure=toy_figure,
    ),
    "liu-grid-5a": Reproduction(
        reference="Liu et al. (arXiv 2205.10343), Fig. 5a",
        claim="Comprehension, grokking, memorization and confusion over the learning "
        "rates of decoder and representation.",
        setting=SETTING + "1e4 steps",
        compare=compare_grid,
        cpu_s=484,
        explained="with other draws than the authors' the embeddings often get stuck "
        "and nothing generalises in the slow rows, so seeds differ from the published "
        "grid, and from one another.",
        sweeps=(GRID_DRAWN, GRID),
        criteria=AS_CODED,
        figure=grid_figure,
    ),
}
