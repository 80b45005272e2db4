"""Times of an mlp on embeddings at nine settings: Truong et al. (arXiv 2606.13753).

They log on a geometric grid of steps and take first crossings of 99% (training) and 90%
(test); medians over 20 seeds, from their published records.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.classify import Criteria
from grokmap.reproduce.finding import NUMBER, Finding, spread
from grokmap.reproduce.reproduction import Reproduction
from grokmap.reproduce.trained import Trained

CRITERIA = Criteria(name="truong", train_bar=0.99, test_bar=0.90, sustained=False)
TOLERANCE = 0.15  # of each median
# (learning rate, weight decay) -> medians of t_mem and t_grok in steps.
PUBLISHED = {
    (3e-3, 3.0): (80, 425),
    (3e-3, 1.0): (69, 1003),
    (3e-3, 0.3): (65, 2887),
    (1e-3, 3.0): (189, 988),
    (1e-3, 1.0): (162, 2594),
    (1e-3, 0.3): (152, 7818),
    (3e-4, 3.0): (552, 3070),
    (3e-4, 1.0): (466, 6810),
    (3e-4, 0.3): (445, 19306),
}
FAST = ("truong-fast", "truong-middle", "truong-slow")
ALL = ("truong-all",)


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """t_mem and t_grok of every setting that was trained, beside the published."""
    runs = _runs(trained)
    return [
        _median(group[f"{name}_first"].astype(float), name, rate, decay)
        for (rate, decay), group in runs.groupby(["learning_rate", "weight_decay"])
        for name in ("t_mem", "t_grok")
    ]


def _runs(trained: Mapping[str, Trained]) -> pd.DataFrame:
    return pd.concat([one.runs for one in trained.values()], ignore_index=True)


def _median(times: pd.Series, name: str, rate: float, decay: float) -> Finding:
    published = PUBLISHED[rate, decay][name == "t_grok"]
    middle = float(times.fillna(np.inf).median())  # one that is never is late
    return Finding(
        f"{name}, steps, median of {len(times)} seeds, learning rate {rate:g}, "
        f"weight decay {decay:g}",
        str(published),
        NUMBER,
        f"± {TOLERANCE:.0%}",
        f"{middle:.0f}",
        spread(times),
        abs(middle - published) <= TOLERANCE * published,
    )


def figure(trained: Mapping[str, Trained]) -> Figure:
    """One seed at each weight decay, at the largest learning rate."""
    records = pd.concat([one.trajectories for one in trained.values()])
    runs = _runs(trained)
    runs = runs[runs["learning_rate"] == runs["learning_rate"].max()]
    runs = runs[runs["seed"] == runs["seed"].min()]
    return plot.curves(records[records["run_id"].isin(runs["run_id"])], runs)


SETTING = (
    "p = 59, 50%, embeddings of 128 side by side, 256 gelu neurons, cross-entropy, "
    "full batch, AdamW; first crossings of 99% and 90%"
)
REPRODUCTIONS: dict[str, Reproduction] = {
    "truong-times": Reproduction(
        reference="Truong et al. (arXiv 2606.13753), published records",
        claim="Median t_mem and t_grok at six of nine learning rates and decays, "
        "the quickest, are those of the authors' 20 seeds.",
        setting=f"{SETTING}; 8 seeds",
        compare=compare,
        cpu_s=800,
        sweeps=FAST,
        criteria=CRITERIA,
        figure=figure,
    ),
    "truong-times-all": Reproduction(
        reference="Truong et al. (arXiv 2606.13753), published records",
        claim="The same at all nine, with as many seeds as theirs.",
        setting=f"{SETTING}; 20 seeds",
        compare=compare,
        cpu_s=8000,
        gpu_s=300,
        gpu=True,
        sweeps=ALL,
        criteria=CRITERIA,
        figure=figure,
    ),
}
