"""Is grokking one phenomenon? Tasks times networks, by one optimizer: when does each
grok, how does t_grok go with weight decay and train fraction, and which order
parameters tell. An open question of the survey (2026)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.special import chdtrc, stdtrit

from grokmap import plot
from grokmap.analysis import leads
from grokmap.analysis.exponents import exponents
from grokmap.analysis.statistics import auc
from grokmap.classify import GROK, MEMORIZE_ONLY, Criteria
from grokmap.reproduce.finding import OWN, WORDS, Finding
from grokmap.reproduce.reproduction import Reproduction
from grokmap.reproduce.trained import Trained

PARTS = (
    *("one-layer", "two-layers", "transformer", "reals", "reals-two"),
    *("digits", "digits-two", "s5"),
)
SLOW = "universality-slow"
SWEEPS = (*(f"universality-{part}" for part in PARTS), SLOW)
# 95% of the test digits is more than 200 examples teach, delay or no delay.
CRITERIA = Criteria(name="universality", test_bar=0.9)
AXES = ("weight_decay", "train_fraction")
# Set before the runs, from pilots of one seed or two.
SHARE, EXPONENT_WITHIN, FACTOR, LEVEL = 0.5, 0.2, 3.0, 0.05
CYCLIC = ("modular_addition", "modular_multiplication")
LEAST_P = 1e-12  # below it, p is as small as one likes to believe
TELLS, FEWEST = 0.95, 6  # area under the curve; runs on either side
LAYERS = {1.0: "one layer", 2.0: "two layers"}


class System(NamedTuple):
    """Runs of one task and one network, and what they say.

    powers: of `analysis.exponents`, by axis; rate: quartiles of t_grok r; tells: order
    parameters, and the side that grokked networks are on: 1 above, -1 below; asked: how
    many of them could be asked, since both phases have FEWEST runs.
    """

    task: str
    network: str
    runs: pd.DataFrame
    powers: pd.DataFrame
    tells: Mapping[str, int]
    asked: tuple[str, ...]

    @property
    def grokked(self) -> pd.DataFrame:
        return self.runs[self.runs["phase"] == GROK]

    @property
    def groks(self) -> bool:
        return len(self.grokked) >= SHARE * len(self.runs)

    @property
    def times(self) -> pd.Series:
        """t_grok r, in decay times."""
        grokked = self.grokked
        return grokked["t_grok"].astype(float) * grokked["decay_rate"]

    @property
    def has_exponents(self) -> bool:
        return bool(self.powers["low"].notna().all())


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Each system, and what they have in common."""
    systems = systems_of(trained)
    return [
        *(of_system(system) for system in systems),
        *(one_exponent(systems, axis) for axis in AXES),
        *one_group(systems),
        one_time(systems),
        *tell_everywhere(systems),
        *(slow(trained[SLOW].runs) if SLOW in trained else []),
    ]


def systems_of(trained: Mapping[str, Trained]) -> list[System]:
    """In the order of the sweeps and, in each, of task and network."""
    return [
        _system(task, network, runs, one.trajectories)
        for name, one in trained.items()
        if name != SLOW
        for (task, network), runs in one.runs.groupby(
            [one.runs["task"], one.runs.apply(network_of, axis=1)], sort=False
        )
    ]


def network_of(run: pd.Series) -> str:
    """In words, such as "one layer, relu"."""
    if run["model"] == "transformer":
        return "transformer"
    return f"{LAYERS[float(run['depth'])]}, {run['activation']}"


def _system(
    task: str, network: str, runs: pd.DataFrame, trajectories: pd.DataFrame
) -> System:
    own = trajectories[trajectories["run_id"].isin(runs["run_id"])]
    recorded = [
        name for name in str(runs["order_parameters"].iloc[0]).split(",") if name
    ]
    found = {name: told(own, runs, name) for name in recorded}
    asked = {name: side for name, side in found.items() if side is not None}
    tells = {name: side for name, side in asked.items() if side}
    return System(task, network, runs, exponents(runs, AXES), tells, tuple(asked))


def told(trajectories: pd.DataFrame, runs: pd.DataFrame, name: str) -> int | None:
    """Whether a quantity tells grokked networks: 1 above, -1 below, 0 not.

    Twice: last values of grokked runs against those of runs that memorised, which
    differ in weight decay, fraction and seed; and against the same runs at t_mem, which
    differ in time. None where either has fewer than FEWEST runs.
    """
    moves = leads.transitions(trajectories, runs, {name: False})
    final, phase = runs[f"final_{name}"].astype(float), runs["phase"]
    after = final[phase == GROK].dropna().to_numpy()
    others = (
        final[phase == MEMORIZE_ONLY].dropna().to_numpy(),
        moves["before"].dropna().to_numpy(),
    )
    if min(len(after), *(len(values) for values in others)) < FEWEST:
        return None
    areas = [auc(after, values) for values in others]
    return int(min(areas) >= TELLS) - int(max(areas) <= 1 - TELLS)


def of_system(system: System) -> Finding:
    """One row of the table. An exponent without interval decides nothing."""
    powers = system.powers.set_index("axis")
    exponent = powers.loc["weight_decay", "exponent"]
    known = system.has_exponents
    holds = system.groks and known and abs(exponent - 1) <= EXPONENT_WITHIN
    return Finding(
        f"{system.task}, {system.network}",
        "groks, t_grok ~ 1 / lambda",
        WORDS,
        f"half of the runs; exponent 1 ± {EXPONENT_WITHIN}",
        _words(system),
        f"tell: {', '.join(system.tells) or 'none'}" if system.asked else "",
        bool(holds),
    )


def _words(system: System) -> str:
    grokked = system.grokked
    count = f"{len(grokked)} of {len(system.runs)} grok"
    if grokked.empty:
        best = system.runs["peak_test_accuracy"].median()
        return f"{count}, median of the best test accuracies {best:.2f}"
    delay = (grokked["t_grok"] / grokked["t_mem"].clip(lower=1)).astype(float).median()
    low, middle, high = system.times.quantile([0.25, 0.5, 0.75])
    words = [
        count,
        f"t_grok / t_mem {delay:.3g}",
        f"t_grok r {middle:.2g} ({low:.2g} to {high:.2g})",
    ]
    if system.has_exponents:
        names = ("lambda", "fraction")
        rows = system.powers[["exponent", "low", "high"]].to_numpy()
        words += [
            f"{name}^{-nu:.2f} ({-high:.2f} to {-low:.2f})"
            for name, (nu, low, high) in zip(names, rows, strict=True)
        ]
    return ", ".join(words)


def one_exponent(systems: Sequence[System], axis: str) -> Finding:
    """Whether one exponent would do for all systems that have one: two of them or more,
    not too different."""
    known = [s.powers.set_index("axis").loc[axis] for s in systems if s.has_exponents]
    p = homogeneity(pd.DataFrame(known)) if len(known) > 1 else np.nan
    ends = [-float(row["exponent"]) for row in known]
    return Finding(
        f"exponent of t_grok in {axis}, over {len(known)} systems that have one",
        "the same in all",
        WORDS,
        f"p >= {LEVEL} of homogeneity",
        _p_words(p) if len(known) > 1 else "not asked: too few grok in some seed",
        f"{min(ends):.2f} to {max(ends):.2f}" if ends else "",
        p >= LEVEL,
    )


def _p_words(p: float) -> str:
    return f"p = {p:.2g}" if p >= LEAST_P else f"p < {LEAST_P:g}"


def one_group(systems: Sequence[System]) -> list[Finding]:
    """Whether sums and products have one exponent in each network: but for 0, their
    tables are those of cyclic groups of p and p - 1 elements."""
    networks = dict.fromkeys(s.network for s in systems if s.task in CYCLIC)
    return [
        _one_group([s for s in systems if s.task in CYCLIC and s.network == n], axis)
        for n in networks
        for axis in AXES
    ]


def _one_group(systems: Sequence[System], axis: str) -> Finding:
    found = one_exponent(systems, axis)
    what = f"exponent of t_grok in {axis}, a + b and a b, {systems[0].network}"
    return found._replace(quantity=what, source=OWN)


def slow(runs: pd.DataFrame) -> list[Finding]:
    """The exponent in lambda at each train fraction alone, where t_grok is far from
    t_mem. Asked after the planes had shown exponents from 0 to 1.5."""
    return [
        _slow(float(str(f)), of_one) for f, of_one in runs.groupby("train_fraction")
    ]


def _slow(fraction: float, runs: pd.DataFrame) -> Finding:
    (power,) = exponents(runs, ["weight_decay"]).itertuples()
    middle = runs.groupby("weight_decay")["t_grok"].median()
    return Finding(
        f"exponent of t_grok in lambda, train fraction {fraction:g} alone, "
        "modular_addition, one layer, quadratic, slow decay",
        "-1",
        WORDS,
        f"± {EXPONENT_WITHIN}",
        f"{-power.exponent:.2f}",
        f"95%: {-power.high:.2f} to {-power.low:.2f}; t_grok {middle.min():.0f} to "
        f"{middle.max():.0f}",
        bool(abs(power.exponent - 1) <= EXPONENT_WITHIN),
    )


def homogeneity(powers: pd.DataFrame) -> float:
    """p of Cochran's Q = sum w (nu - mean)^2 against chi^2, w = 1 / s^2, s the standard
    error that the intervals of `analysis.exponents` were made of."""
    nu, n = powers["exponent"].to_numpy(float), powers["n_seeds"].to_numpy(float)
    error = (powers["high"] - powers["low"]) / (2 * stdtrit(n - 1, 0.975))
    weights = error.to_numpy(float) ** -2
    q = (weights * (nu - (weights * nu).sum() / weights.sum()) ** 2).sum()
    return float(chdtrc(len(nu) - 1, q))


def one_time(systems: Sequence[System]) -> Finding:
    """Whether t_grok is as many decay times everywhere."""
    middle = [float(s.times.median()) for s in systems if s.groks]
    ratio = max(middle) / min(middle) if middle else np.nan
    return Finding(
        f"median t_grok r, largest over smallest of {len(middle)} systems that grok",
        "a few decay times in all",
        WORDS,
        f"<= {FACTOR:g}",
        f"{ratio:.3g}",
        f"{min(middle):.2g} to {max(middle):.2g}" if middle else "",
        bool(ratio <= FACTOR),
    )


def tell_everywhere(systems: Sequence[System]) -> list[Finding]:
    """Of each order parameter: in how many systems it tells, and on which side."""
    names = dict.fromkeys(name for system in systems for name in system.asked)
    return [_everywhere(name, systems) for name in names]


def _everywhere(name: str, systems: Sequence[System]) -> Finding:
    asked = [system for system in systems if name in system.asked]
    above = sum(system.tells.get(name) == 1 for system in asked)
    below = sum(system.tells.get(name) == -1 for system in asked)
    return Finding(
        f"systems in which {name} tells grokked networks from memorising ones",
        "all, on one side",
        OWN,
        f"area >= {TELLS} in both contrasts",
        f"{above} above, {below} below, of {len(asked)}",
        "",
        max(above, below) == len(asked),
    )


def figure(trained: Mapping[str, Trained]) -> Figure:
    """Exponents in lambda and in train fraction of each system."""
    rows = [
        system.powers.assign(task=system.task.replace("_", " "), network=system.network)
        for system in systems_of(trained)
        if system.has_exponents
    ]
    table = pd.concat(rows, ignore_index=True).sort_values("network", kind="stable")
    return plot.exponent_rows(table, expected={"weight_decay": -1.0})


PAPERS = "the survey (2026), open questions; Boursier et al. (arXiv 2505.20172)"
CLAIM = (
    "Grokking is one phenomenon: in whatever task and network t_grok goes as "
    "1 / (eta lambda), with one exponent in the train fraction."
)
REPRODUCTIONS: dict[str, Reproduction] = {
    "universality": Reproduction(
        reference=PAPERS,
        claim=CLAIM,
        setting="four tasks of residues (p = 17), S5, parity, a quadratic teacher, "
        "digits; one layer of quadratic or relu neurons, two of relu neurons, a "
        "transformer; AdamW, PyTorch's initial weights, 3 or 4 weight decays x 3 "
        "fractions x 6 seeds",
        compare=compare,
        cpu_s=1600,
        explained="A power of both axes is no law of the whole plane: at slow decay "
        "sums go as 1 / lambda at fractions 0.6 and 0.7, and at 0.8, where they grok "
        "whatever the decay, not at all. Squares, parities, teachers and digits grok "
        "soon after t_mem or before, so that there is nothing that decay would have to "
        "wait for. Why two layers go as lambda^-1.5 was not looked into. No relu "
        "network and no transformer here groks a^3 + a b.",
        sweeps=SWEEPS,
        criteria=CRITERIA,
        figure=figure,
    ),
    "universality-large": Reproduction(
        reference=PAPERS,
        claim=CLAIM,
        setting="five tasks of residues (p = 59) and S5; one and two layers of 256 "
        "neurons, a transformer of dimension 128; 5 weight decays x 4 fractions x 6 "
        "seeds",
        compare=compare,
        cpu_s=400_000,
        gpu_s=7200,
        gpu=True,
        sweeps=("universality-large", "universality-large-transformer"),
        criteria=CRITERIA,
        figure=figure,
    ),
}
