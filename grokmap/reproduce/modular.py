"""Modular addition and permutations: the survey, Doshi, Nanda, Power, Lyu.

All but the survey's run want a GPU; what they compare is tested on made-up tables.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from grokmap.reproduce.finding import NUMBER, WORDS, Finding, median, spread
from grokmap.reproduce.reproduction import Reproduction
from grokmap.reproduce.trained import Trained

INVERTED = 0.95  # test accuracy from which a network has seen through the noise


def survey_run(trained: Mapping[str, Trained]) -> list[Finding]:
    """t_mem and t_grok of the survey's one run."""
    runs = trained["survey-run"].runs
    t_mem, t_grok = (runs[k].astype(float) for k in ("t_mem", "t_grok"))
    return [
        _within("t_mem", "200 (one seed)", t_mem, 100, 400),
        _within("t_grok", "14600 (one seed)", t_grok, 14_600 / 1.5, 14_600 * 1.5),
    ]


def _within(
    name: str, published: str, values: pd.Series, low: float, high: float
) -> Finding:
    """Whether the median of steps lies in a range; one that is never is late."""
    middle = float(values.fillna(np.inf).median())
    return Finding(
        f"{name}, steps, median over seeds",
        published,
        NUMBER,
        f"{low:.0f} to {high:.0f}",
        f"{middle:.0f}",
        spread(values),
        low <= middle <= high,
    )


def doshi_noise(trained: Mapping[str, Trained]) -> list[Finding]:
    """Training accuracy where noisy labels are unlearned, and where that happens."""
    runs = trained["doshi-noise"].runs
    seen = runs[runs["final_test_accuracy"] >= INVERTED]
    inverted = seen[seen["final_train_accuracy"] < 0.99]
    by_decay = (
        inverted.groupby("weight_decay").size()
        / seen.groupby("weight_decay").size().astype(float)
    ).fillna(0.0)
    gap = inverted["final_train_accuracy"] - (1 - inverted["label_noise"])
    full = gap[inverted["weight_decay"] > 0]
    peak = runs["peak_test_accuracy"] >= INVERTED
    forgot = peak & (runs["final_test_accuracy"] < 0.5 * runs["peak_test_accuracy"])
    shares = ", ".join(f"{by_decay.get(k, 0.0):.2f}" for k in (0, 5, 15))
    rising = [by_decay.get(k, 0.0) for k in (0, 5, 15)]
    return [
        Finding(
            "training accuracy less 1 - xi, where test accuracy >= 0.95 and decay > 0",
            "0 (full inversion)",
            NUMBER,
            "median ± 0.03",
            f"{full.median():.3f}" if len(full) else "nowhere",
            spread(full),
            bool(len(full) and abs(full.median()) <= 0.03),
        ),
        Finding(
            "share inverted of what generalises, at decay 0, 5, 15",
            "grows with decay",
            WORDS,
            "no fall, and more at 15 than at 0",
            shares,
            "",
            rising == sorted(rising) and rising[-1] > rising[0],
        ),
        Finding(
            "runs that generalise and forget at decay 20",
            "some (forgetting)",
            WORDS,
            "more than at decay 0",
            f"{int(forgot[runs['weight_decay'] == 20].sum())} against "
            f"{int(forgot[runs['weight_decay'] == 0].sum())}",
            "",
            bool(
                forgot[runs["weight_decay"] == 20].sum()
                > forgot[runs["weight_decay"] == 0].sum()
            ),
        ),
    ]


def nanda_transformer(trained: Mapping[str, Trained]) -> list[Finding]:
    """Memorisation, then generalisation, and what the key frequencies carry."""
    runs = trained["nanda-transformer"].runs
    ratio = runs["delay_ratio"].astype(float)
    restricted = runs["final_restricted_loss"].astype(float)
    excluded = runs["final_excluded_loss"].astype(float)
    uniform = float(np.log(113))
    return [
        Finding(
            "t_grok / t_mem",
            "three phases: memorisation, circuit formation, clean-up (by eye)",
            WORDS,
            ">= 3 in every run",
            f"{median(ratio):.3g}",
            spread(ratio),
            bool((ratio >= 3).all()),
        ),
        Finding(
            "restricted loss at the end (uniform: ln 113 = 4.73)",
            "small: key frequencies are enough",
            WORDS,
            "< 0.1 in every run",
            f"{median(restricted):.3g}",
            spread(restricted),
            bool((restricted < 0.1).all()),
        ),
        Finding(
            "excluded loss at the end",
            "large: nothing is left without them",
            WORDS,
            f"> {uniform / 2:.2f} in every run",
            f"{median(excluded):.3g}",
            spread(excluded),
            bool((excluded > uniform / 2).all()),
        ),
    ]


def power_s5(trained: Mapping[str, Trained]) -> list[Finding]:
    """How much longer S5 takes with one percent fewer examples."""
    runs = trained["power-s5"].runs
    medians = runs.assign(t=runs["t_grok"].astype(float).fillna(np.inf))
    medians = medians.groupby("train_fraction")["t"].median()
    known = medians[np.isfinite(medians)]
    slope = (
        -np.polyfit(known.index.to_numpy(float), np.log(known), 1)[0] / 100
        if len(known) > 2
        else np.nan
    )
    longer = float(np.exp(slope) - 1)
    return [
        Finding(
            "longer median t_grok with one percent fewer examples",
            "40 to 50%",
            NUMBER,
            "20 to 80%",
            f"{100 * longer:.0f}%" if np.isfinite(longer) else "too few cells grok",
            f"{len(known)} of {len(medians)} fractions",
            bool(0.2 <= longer <= 0.8),
        )
    ]


def lyu_modular(trained: Mapping[str, Trained]) -> list[Finding]:
    """How much later the test accuracy jumps."""
    ratio = trained["lyu-modular"].runs["delay_ratio"].astype(float)
    return [
        Finding(
            "t_grok / t_mem",
            "about 10",
            NUMBER,
            "3 to 30 in every run",
            f"{median(ratio):.3g}",
            spread(ratio),
            bool(ratio.between(3, 30).all()),
        )
    ]


REPRODUCTIONS: dict[str, Reproduction] = {
    "survey-run": Reproduction(
        reference="Grokking as a Phase Transition in Neural Networks (2026)",
        claim="At alpha = 0 and weight decay 1 the survey's network memorises at step "
        "200 and groks at step 14,600.",
        setting="p = 97, N = 512, 30%, relu, cross-entropy, adamw 1e-3, its own code's "
        "parameterisation",
        compare=survey_run,
        cpu_s=1900,
        gpu_s=300,
        sweeps=("survey-run",),
    ),
    "doshi-noise": Reproduction(
        reference="Doshi, Das, He, Gromov (arXiv 2310.13061)",
        claim="Weight decay turns coexistence with label noise into inversion, where "
        "noisy labels are unlearned; too much of it forgets.",
        setting="p = 97, N = 500, quadratic, mse, adamw 0.01, decay 0, 5, 15, 20",
        compare=doshi_noise,
        cpu_s=33_000,
        gpu_s=600,
        gpu=True,
        sweeps=("doshi-noise",),
    ),
    "nanda-transformer": Reproduction(
        reference="Nanda et al. (arXiv 2301.05217)",
        claim="A transformer memorises, then forms a circuit of a few frequencies that "
        "carries all of its logits.",
        setting="p = 113, d = 128, 4 heads, 30%, adamw, decay 1, full batch",
        compare=nanda_transformer,
        cpu_s=15_000,
        gpu_s=400,
        gpu=True,
        sweeps=("nanda-transformer",),
    ),
    "power-s5": Reproduction(
        reference="Power et al. (arXiv 2201.02177)",
        claim="Near the threshold each percent of the examples less takes S5 40 to 50% "
        "longer.",
        setting="S5, 26 to 30%, one-layer transformer, batches of 512, adamw, decay 1",
        compare=power_s5,
        cpu_s=300_000,
        gpu_s=7200,
        gpu=True,
        sweeps=("power-s5",),
    ),
    "lyu-modular": Reproduction(
        reference="Lyu et al. (arXiv 2311.18817), modular addition",
        claim="A relu network of large initial weights learns the test set about ten "
        "times later than the training set.",
        setting="p = 97, N = 1024, 40%, gd, decay 1e-4, large centred start",
        compare=lyu_modular,
        cpu_s=45_000,
        gpu_s=3600,
        gpu=True,
        sweeps=("lyu-modular",),
    ),
}
