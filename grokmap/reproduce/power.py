"""How many examples generalising needs: Power et al. (arXiv 2201.02177), Fig. 2.

Both panels show the best validation accuracy within 100,000 steps against the train
fraction, means over three seeds: of optimizers on S5, and of operations under AdamW.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import pandas as pd

from grokmap.reproduce.finding import NUMBER, WORDS, Finding
from grokmap.reproduce.reproduction import Reproduction
from grokmap.reproduce.trained import Trained

OPTIMIZERS, OPERATIONS = "power-optimizers", "power-operations"
LEARNED = 0.95  # mean best accuracy from which a fraction is enough
HALF = 0.6  # "more than halving", with the spacing of the fractions
# An operation symmetric in its operands, and the closely related one that is not.
PAIRS = (
    ("modular_addition", "modular_subtraction"),
    ("modular_quadratic", "modular_quadratic_skew"),
)
NEVER = "modular_cubic_skew"  # x^3 + x y^2 + y


def needed(runs: pd.DataFrame, by: list[str]) -> dict[Hashable, float]:
    """Smallest train fraction from which on the best test accuracy, a mean over seeds,
    is `LEARNED` or more; inf: none. By the values of the columns `by`."""
    found = {}
    for key, group in runs.groupby(by):
        best = group.groupby("train_fraction")["peak_test_accuracy"].mean()
        enough = best[::-1].ge(LEARNED).cummin()  # of it and all larger
        fractions = enough.index[enough.to_numpy(bool)]
        found[key] = float(min(fractions, default=np.inf))
    return found


def optimizers(trained: Mapping[str, Trained]) -> list[Finding]:
    """What weight decay and dropout save of the examples of S5."""
    found = needed(trained[OPTIMIZERS].runs, ["weight_decay", "dropout"])
    plain, decayed = found[0.0, 0.0], found[1.0, 0.0]
    silenced = found[0.0, 0.1]
    ratio = decayed / plain if np.isfinite(decayed) else np.nan
    return [
        Finding(
            "fraction of S5 needed with weight decay 1, over that with Adam alone",
            "more than halved",
            NUMBER,
            f"<= {HALF:g}",
            f"{ratio:.2f}",
            f"{decayed:g} and {plain:g}",
            bool(ratio <= HALF),
        ),
        Finding(
            "fraction of S5 needed with dropout 0.1, without weight decay",
            "less than with Adam alone, more than with weight decay",
            WORDS,
            "between the two, ends included",
            f"{silenced:g}",
            f"{decayed:g} and {plain:g}",
            bool(decayed <= silenced <= plain),
        ),
    ]


def operations(trained: Mapping[str, Trained]) -> list[Finding]:
    """Which operations need more examples, and the one that is never learned."""
    found = needed(trained[OPERATIONS].runs, ["task"])
    by_task = {key[0] if isinstance(key, tuple) else key: f for key, f in found.items()}
    return [
        *(_pair(by_task, *pair) for pair in PAIRS),
        Finding(
            f"fraction needed of {NEVER}",
            "no fraction up to 0.95 is enough",
            WORDS,
            "none on the grid",
            f"{by_task[NEVER]:g}",
            "",
            bool(np.isinf(by_task[NEVER])),
        ),
    ]


def _pair(found: Mapping[Hashable, float], symmetric: str, other: str) -> Finding:
    return Finding(
        f"fraction needed of {symmetric}, and of {other}",
        "less for the symmetric one",
        WORDS,
        "no more, and some fraction is enough",
        f"{found[symmetric]:g} and {found[other]:g}",
        "",
        bool(found[symmetric] <= found[other] and np.isfinite(found[symmetric])),
    )


REPRODUCTIONS: dict[str, Reproduction] = {
    OPTIMIZERS: Reproduction(
        reference="Power et al. (arXiv 2201.02177), Fig. 2, left",
        claim="Weight decay more than halves the examples of S5 that generalising "
        "needs, dropout saves fewer.",
        setting="S5, fractions 0.2 to 0.9, two blocks, batches of 512, Adam 1e-3 and "
        "AdamW with decay 1, with and without dropout 0.1 in the last mlp, 3 seeds",
        compare=optimizers,
        cpu_s=3_000_000,
        gpu_s=10_000,
        gpu=True,
        sweeps=(OPTIMIZERS,),
    ),
    OPERATIONS: Reproduction(
        reference="Power et al. (arXiv 2201.02177), Fig. 2, right",
        claim="Operations symmetric in their operands need fewer examples than closely "
        "related ones, and x^3 + x y^2 + y is never learned.",
        setting="nine operations mod 97 and in S5, fractions 0.2 to 0.9, two blocks, "
        "batches of 512, AdamW 1e-3, decay 1, 3 seeds",
        compare=operations,
        cpu_s=6_000_000,
        gpu_s=20_000,
        gpu=True,
        sweeps=(OPERATIONS,),
    ),
}
