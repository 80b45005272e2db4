"""Signal and noise along runs (survey, Eq. 8 and 14), and what rate equations foretell.

The survey leaves the gains of its rate equations open. Here they are fitted in several
forms, each judged on weight decays that it has not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.analysis import forecast, rate_equations
from grokmap.analysis.rate_equations import CLOCKS, FORMS, Fit, Path
from grokmap.analysis.statistics import student_interval
from grokmap.arrays import Floats
from grokmap.reproduce.finding import OWN, WORDS, Finding
from grokmap.reproduce.signal_modes import FACTOR, of_definitions, ratios_of
from grokmap.reproduce.trained import Trained

SWEEP = "signal-noise"
# Set after a trial with two seeds and a first look at all.
MUCH_LESS, RATE_WITHIN, FIT_WITHIN = 3.0, 0.25, 0.1
SHOWN = "quadratic"  # form of g in the figure
LETTERS = 6.5  # points, of the figure: a small file
NEVER = 10.0  # log2 error of a forecast that says never


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """The four definitions, the stages of the survey, and the rate equations."""
    one = trained[SWEEP]
    known = [p for p in rate_equations.paths(one.trajectories, one.runs)]
    known = [p for p in known if np.isfinite(p.t_grok)]
    seed = one.runs.set_index("run_id")["seed"]
    return [
        *of_definitions(ratios_of(one)),
        *of_stages(known, seed),
        *of_forms(known),
        *of_forecasts(known, one),
    ]


# ---- the stages


def of_stages(known: Sequence[Path], seed: pd.Series) -> list[Finding]:
    """What the survey says of S and N before t_mem, and from there to t_grok."""
    rows = pd.DataFrame([_stages(path) for path in known])
    by_seed = rows.groupby([seed[path.run_id] for path in known]).mean()
    mean = by_seed.mean()
    holds = {
        "noise_gain": mean["noise_gain"] > 0,
        "signal_gain": 0 < MUCH_LESS * mean["signal_gain"] <= mean["noise_gain"],
        "noise_rate": abs(mean["noise_rate"] - 1) <= RATE_WITHIN,
        "signal_grown": mean["signal_grown"] > 1,
    }
    stages = [
        _stage(by_seed[name].to_numpy(), *STAGES[name], holds=bool(holds[name]))
        for name in STAGES
    ]
    return [*stages, _threshold(known)]


# By name: what it is, what the survey says, the tolerance.
STAGES = {
    "noise_gain": ("gain of N up to t_mem, over N at step 0", "> 0, large", "> 0"),
    "signal_gain": (
        "gain of S up to t_mem, over S at step 0",
        "> 0, much below that of N",
        f"> 0, <= that of N / {MUCH_LESS:g}",
    ),
    "noise_rate": (
        "rate at which E_N decays from t_mem to t_grok, over 2 r",
        "1: under weight decay",
        f"± {RATE_WITHIN:g}",
    ),
    "signal_grown": ("E_S at t_grok over E_S at t_mem", "> 1", "> 1"),
}


def _stage(
    values: Floats, what: str, said: str, tolerance: str, holds: bool
) -> Finding:
    mean, low, high = student_interval(values)
    ends = f"95%: {low:.3g} to {high:.3g}, {len(values)} seeds"
    return Finding(what, said, WORDS, tolerance, f"{mean:.3g}", ends, holds)


def _threshold(known: Sequence[Path]) -> Finding:
    """E_S / E_N at t_grok, and how far it depends on weight decay."""
    at = [rate_equations.ratio_at_grok(paths) for _, paths in folds(known)]
    mean = rate_equations.ratio_at_grok(known)
    return Finding(
        "E_S / E_N at t_grok, of each neuron's strongest frequency",
        "1",
        WORDS,
        f"within a factor {FACTOR:g}",
        f"{mean:.3g}",
        f"{min(at):.3g} to {max(at):.3g} over weight decays",
        bool(1 / FACTOR <= mean <= FACTOR),
    )


def _stages(path: Path) -> dict[str, float]:
    """Growth and gains; of gains what decay has taken is added again."""
    at = [rate_equations.state_at(path, s) for s in (0, path.t_mem, path.t_grok)]
    early = rate_equations.between(path, 0, path.t_mem)
    lost = path.rate * np.trapezoid(early.values, early.step, axis=0)
    gain = (early.values[-1] - at[0] + lost) / at[0]
    decayed = -2 * np.log(at[2][1] / at[1][1]) / (path.t_grok - path.t_mem)
    return {
        "noise_gain": float(gain[1]),
        "signal_gain": float(gain[0]),
        "noise_rate": float(decayed / (2 * path.rate)),
        "signal_grown": float((at[2][0] / at[1][0]) ** 2),
    }


# ---- the equations


def folds(known: Sequence[Path]) -> list[tuple[list[Path], list[Path]]]:
    """(others, left out) for each weight decay."""
    rates = sorted({path.rate for path in known})
    return [
        ([p for p in known if p.rate != rate], [p for p in known if p.rate == rate])
        for rate in rates
    ]


def fitted(paths: Sequence[Path], form: str, clock: str) -> Fit:
    """On records from t_mem on."""
    late = [rate_equations.between(p, p.t_mem, np.inf) for p in paths]
    return rate_equations.fit(late, form, clock)


def of_forms(known: Sequence[Path]) -> list[Finding]:
    """Out-of-sample error of each form on both clocks."""
    findings = []
    for form in FORMS:
        errors = {clock: _error(known, form, clock) for clock in CLOCKS}
        best = min(errors, key=lambda clock: errors[clock])
        words = ", ".join(f"{k}: {v:.3f}" for k, v in errors.items())
        findings.append(
            Finding(
                f"ln of S and N from t_mem on, unseen weight decays; g {form}",
                "0",
                OWN,
                f"rms error <= {FIT_WITHIN:g}",
                f"{errors[best]:.3f}",
                words,
                errors[best] <= FIT_WITHIN,
            )
        )
    return findings


def _error(known: Sequence[Path], form: str, clock: str) -> float:
    """Median over runs, each predicted from runs of other weight decays."""
    errors = [
        rate_equations.error(equations, path)
        for others, out in folds(known)
        for equations in [fitted(others, form, clock)]
        for path in out
    ]
    return float(np.median(errors))


def of_forecasts(known: Sequence[Path], trained: Trained) -> list[Finding]:
    """Median errors of t_grok, predicted at t_mem, by each method."""
    errors = forecasts_of(known, trained)
    law = float(errors["C / r"].median())
    best = min(FORMS, key=lambda form: errors[form].median())
    findings = [
        _forecast(f"Eq. 8, g {best} (the best of {len(FORMS)})", errors[best], law),
        _forecast(
            "Eq. 8, g fitted to the run's own records up to t_mem", errors["own"], law
        ),
    ]
    findings.append(_forecast("analogues of other cells", errors["analogues"], law))
    return findings


def _forecast(method: str, errors: pd.Series, law: float) -> Finding:
    known = errors.dropna()
    never = int((known >= NEVER).sum())
    middle = float(known.median())
    return Finding(
        f"error of t_grok from t_mem on, log2, by {method}",
        f"{law:.3f} (C / r, C of other weight decays)",
        OWN,
        "less than that",
        "never" if middle >= NEVER else f"{middle:.3f}",
        f"{never} of {len(known)} never" if never else f"{len(known)} runs",
        middle < law,
    )


def forecasts_of(known: Sequence[Path], trained: Trained) -> pd.DataFrame:
    """|log2(predicted / t_grok)| of each run by method; NEVER: it says never.

    C / r: the geometric mean of the others' t_grok r. A form of g: the better clock of
    the others' own errors. own: the form "saturating", fitted to the run alone.
    """
    rows = []
    for others, out in folds(known):
        typical = np.exp(np.mean([np.log(p.t_grok * p.rate) for p in others]))
        bar = rate_equations.ratio_at_grok(others)
        fits = {form: _better(others, form) for form in FORMS}
        for path in out:
            early = rate_equations.between(path, 0, path.t_mem)
            own = rate_equations.fit([early], "saturating", "steps")
            found = {form: _log2(fit, path, bar) for form, fit in fits.items()}
            law = abs(np.log2(typical / path.rate / path.t_grok))
            more = {"C / r": law, "own": _log2(own, path, bar)}
            rows.append({"run_id": path.run_id} | found | more)
    table = pd.DataFrame(rows)
    return table.assign(analogues=table["run_id"].map(by_analogues(trained)))


def _better(paths: Sequence[Path], form: str) -> Fit:
    fits = [fitted(paths, form, clock) for clock in CLOCKS]
    errors = [np.median([rate_equations.error(f, p) for p in paths]) for f in fits]
    return fits[int(np.argmin(errors))]


def _log2(equations: Fit, path: Path, bar: float) -> float:
    longest = 20 / path.rate
    found = rate_equations.predicted_t_grok(equations, path, bar, longest)
    return abs(np.log2(found / path.t_grok)) if np.isfinite(found) else NEVER


def by_analogues(trained: Trained) -> dict[str, float]:
    """|log2 error| of `analysis.forecast` just after t_mem, by run id."""
    runs = forecast.candidates(trained.runs)
    looks = [
        np.array([1.05 * t]) if g else np.empty(0)
        for t, g in zip(runs["t_mem"], runs["grokked"], strict=True)
    ]
    records = trained.trajectories
    known = forecast.states(records, runs, forecast.calibrating_looks(runs))
    table = forecast.forecasts(known, forecast.states(records, runs, looks), runs)
    rows = runs.iloc[table["run"]]
    error = np.abs(np.log2(table["t_grok_median"].to_numpy() / rows["t_grok"]))
    return dict(zip(rows["run_id"], error, strict=True))


def figure(trained: Mapping[str, Trained]) -> Figure:
    """One seed at two weight decays, each with equations fitted to all others."""
    one = trained[SWEEP]
    known = [p for p in rate_equations.paths(one.trajectories, one.runs)]
    decay = one.runs.set_index("run_id")["weight_decay"]
    parted = folds([p for p in known if np.isfinite(p.t_grok)])
    panels = []
    for others, out in (parted[0], parted[-1]):
        path = out[0]
        end = float(path.step[-1])
        said = rate_equations.solve(_better(others, SHOWN), path, path.t_mem, end)
        panels.append(
            plot.EnergyPanel(
                f"λ = {decay[path.run_id]:.3g}",
                path.step,
                path.values**2,
                said[0],
                said[1] ** 2,
                (path.t_mem, path.t_grok),
            )
        )
    return plot.energy_panels(panels, plot.Look(2.8, LETTERS))
