"""The generated tables of docs/laws.md."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
from conftest import ROOT
from table_format import markdown, number, stored

import grokmap
from grokmap.analysis import early_stopping, forecast, laws
from grokmap.analysis import stopping_rules as rules
from grokmap.analysis.laws.comparison import ratios_of, spreads
from grokmap.analysis.series import values_at
from grokmap.analysis.systems import ALL
from grokmap.plot.rules import rule_words
from grokmap.result.early_stopping import best_warnings
from grokmap.spec import weight_decay_at


def law_name(law: str, clock: str) -> str:
    return f"{law} + t_mem" if clock == laws.T_MEM else law


def laws_of_widths() -> str:
    """AIC above the best, of every law by the better of its clocks in each scope."""
    table = pd.read_parquet(ROOT / "results/widths/laws.parquet")
    scopes = {"all": "all widths"}
    scopes |= {f"width={n}": f"N = {n}" for n in (64, 128, 256)}
    head = ["law", "t_grok - t_0", *scopes.values()]
    rows = []
    for law in laws.LAWS:
        cells = []
        for scope in scopes:
            both = table[(table["scope"] == scope) & (table["law"] == law)]
            own = both.loc[both["aic"].idxmin()]
            mark = "" if own["clock"] == laws.T_MEM else " (start)"
            cells.append(f"{own['delta_aic']:.0f}{mark}")
        rows.append([law, f"`{own['formula']}`", *cells])
    return markdown(head, rows)


def laws_of_the_quickstart() -> str:
    table = pd.read_parquet(ROOT / "results/quickstart-reference/laws.parquet")
    head = ["law", "constants", "AIC - best", "held out", "sigma", "spread (80%)"]
    rows = []
    for row in table.drop_duplicates("law").itertuples():
        errors = json.loads(row.errors)
        constants = [
            f"{name} = {value:.3g}" + (f" ± {errors[name]:.1g}" if errors[name] else "")
            for name, value in json.loads(row.constants).items()
        ]
        cells = [law_name(row.law, row.clock), ", ".join(constants)]
        cells += [f"{row.delta_aic:.0f}", f"{row.held_out:.2f}", f"{row.sigma:.2f}"]
        rows.append([*cells, f"{row.spread:.2f} ({row.spread_80:.2f})"])
    return markdown(head, rows)


COLLAPSES = {
    "t_grok r": ("kinetic", laws.START, "0"),
    "(t_grok - t_mem) r": ("kinetic", laws.T_MEM, "0"),
    "(t_grok - t_mem) r / ln(theta_mem / theta_c)": (
        "weight-norm", laws.T_MEM, "1 a width",
    ),
    "(t_grok - t_mem) r / (c + k ln(K) / L)": ("log-scale-free", laws.T_MEM, "1"),
    "(t_grok - t_mem) / (r - r_c)^-nu": ("power-rate", laws.T_MEM, "2"),
    "(t_grok - t_mem) (r / C + kappa_N r / lambda)": (
        "two-rates", laws.T_MEM, "1 a width",
    ),
}  # fmt: skip


def collapse() -> str:
    """Spread of the runs and, behind the stroke, of the cells' medians."""
    runs, trajectories = stored("widths")
    table = laws.memorised(trajectories, runs)
    groups = {"all": [64, 128, 256], "128, 256": [128, 256]}
    groups |= {str(n): [n] for n in (64, 128, 256)}
    rows = []
    for title, (name, clock, constants) in COLLAPSES.items():
        cells = []
        for widths in groups.values():
            own = table[table["width"].isin(widths)]
            data = laws.data_of(own, clock)
            law = laws.LAWS[name]
            ratios = ratios_of(law, laws.fit(law, data), data)
            found = spreads(ratios, own[own["grokked"]])
            cells.append(f"{found['spread']:.3g} / {found['cell_spread']:.3g}")
        rows.append([f"`{title}`", constants, *cells])
    return markdown(["", "constants", *(f"N: {g}" for g in groups)], rows)


def interpolation() -> str:
    """The loss a width is left with, and what t_grok then does with lambda."""
    runs, trajectories = stored("widths")
    grok = runs[(runs["phase"] == "grok") & (runs["t_grok"] > runs["t_mem"])]
    times = grok[["t_mem", "t_grok"]].astype(float)
    grok = grok.assign(middle=np.sqrt(times["t_mem"] * times["t_grok"]))
    grok["loss"] = values_at(trajectories, grok, "train_loss", "middle")
    delay = times["t_grok"] - times["t_mem"]
    grok["flow"] = delay * grok["decay_rate"] / grok["weight_decay"]
    rows = []
    for width, own in grok.groupby("width"):
        low = own[own["weight_decay"] == own["weight_decay"].min()]
        slopes = [log_slope(own, column) for column in ("loss", "flow")]
        loss = number(low["loss"].median())
        rows.append([f"{width}", loss, *(f"{x:.2f}" for x in slopes)])
    head = ["N", "loss at smallest lambda"]
    return markdown([*head, "loss ~ lambda^x", "delay ~ lambda^x"], rows)


def log_slope(runs: pd.DataFrame, column: str) -> float:
    """Exponent of lambda within the rows of one alpha and seed."""
    logs = np.log(runs[["weight_decay", column]])
    logs -= logs.groupby([runs["alpha"], runs["seed"]]).transform("mean")
    x, y = logs["weight_decay"], logs[column]
    return float((x * y).sum() / (x * x).sum())


def pure_decay() -> str:
    runs, trajectories = stored("widths")
    decay = laws.pure_decay(laws.memorised(trajectories, runs))
    rows = []
    for width, own in decay.groupby("width"):
        fell = own["ratio"].dropna()
        cells = [str(len(own)), str(len(fell)), number(own["decays"].median())]
        ratio = [number(fell.median()), number(fell.min())] if len(fell) else ["-"] * 2
        rows.append([str(width), *cells, *ratio])
    head = ["N", "grokked runs", "norm fell in", "delay r", "over ln(norm ratio)"]
    return markdown([*head, "smallest"], rows)


SCORED = ("widths", "quickstart-reference")


def forecast_score() -> str:
    head = ["result", "cut at", "runs", "80% interval holds", "± binomial", "error"]
    rows = []
    for name in SCORED:
        path = ROOT / "results" / name / "forecast-score.parquet"
        for row in forecast.score(pd.read_parquet(path)).itertuples():
            spread = math.sqrt(0.8 * 0.2 / row.n_runs)
            cells = [name, row.cut, str(row.n_runs), f"{row.coverage:.0%}"]
            cells += [f"{spread:.0%}", f"{row.error:.2f}", f"{row.baseline_error:.2f}"]
            rows.append([*cells, f"{row.width_log2:.2f}"])
    return markdown([*head, "baseline's error", "interval's width"], rows)


def early_stopping_losses() -> str:
    head = ["result", "k", "grokking runs stopped too early", "accuracy they lost"]
    rows = []
    for name in SCORED:
        table = pd.read_parquet(ROOT / "results" / name / "early-stopping.parquet")
        table = table[table["system"] == ALL] if "system" in table else table
        own = {phase: rows for phase, rows in table.groupby("phase")}
        still = own["memorize-only"].set_index("patience")["lost_final"]
        for row in own["grok"].itertuples():
            band = f"[{row.lost_final_q25:.2f}, {row.lost_final_q75:.2f}]"
            cells = [name, f"{row.patience:g}", f"{row.missed:.0%} of {row.n_runs}"]
            lost = f"{row.lost_final:.2f} {band}"
            rows.append([*cells, lost, f"{abs(still[row.patience]):.2f}"])
    return markdown([*head, "memorize-only runs lost"], rows)


def patience_in_decay_times() -> str:
    """Share of the grokking runs stopped too early, and what they lost."""
    patience = [1, 2, 3, 4, 6]
    rows = []
    for name in SCORED:
        runs, trajectories = stored(name)
        own = early_stopping.memorised(runs)
        table = early_stopping.losses(trajectories, own, patience, "decay-times")
        grok = table[table["phase"] == "grok"]
        cells = [f"{row.missed:.0%}, {row.lost_final:.2f}" for row in grok.itertuples()]
        left = [f"{still_to_grok(own, k):.1%}" for k in (3, 4)]
        rows.append([name, *cells, *left])
    head = ["result", *(f"k = {k}" for k in patience)]
    return markdown([*head, "not yet, k = 3", "k = 4"], rows)


def still_to_grok(runs: pd.DataFrame, k: float) -> float:
    """Kaplan and Meier's share of the memorised that grok later than k decay times
    after t_mem, were none censored."""
    own = runs[~runs["stalled"] & (runs["decay_rate"] > 0)]
    grokked = (own["phase"] == "grok").to_numpy()
    end = own["t_grok"].where(grokked, own["n_steps"])
    decays = ((end - own["t_mem"]) * own["decay_rate"]).to_numpy()
    steps = decays[grokked & (decays <= k)]
    return float(np.prod([1 - 1 / (decays >= step).sum() for step in steps]))


def early_stopping_warnings() -> str:
    rows = []
    for name in SCORED:
        path = ROOT / "results" / name / "early-stopping-warnings.parquet"
        best = best_warnings(pd.read_parquet(path))
        at = best[best["patience"].isin([1, 4, 16])]
        for quantity, own in at.groupby("quantity", sort=False):
            values = [
                f"{row.unmatched:.2f}, {row.shown:.2f} ({row.n_pairs_censored})"
                for row in own.itertuples()
            ]
            sides = f"{own['n_later'].max()}, {own['n_censored'].max()}"
            rows.append([name, f"`{quantity}`", sides, *values])
    head = ["result", "value at the stop", "grok later, censored"]
    return markdown([*head, "k = 1", "k = 4", "k = 16"], rows)


RULED = ("early-stopping", "quickstart-reference", "widths", "ranks")


def stopping_rules() -> str:
    """Share of steps saved, and of grokking runs stopped too early, by result."""
    cells: dict[str, list[str]] = {}
    counts = []
    for i, name in enumerate(RULED):
        table = scored_rules(name)
        first = table.iloc[0]
        counts.append(f"{name}: {first['n_grok']} of {first['n_runs']} grok")
        for row in table.itertuples():
            shares = f"{row.saved:.0%}, {row.missed:.0%}"
            cells.setdefault(rule_words(row.rule), ["-"] * len(RULED))[i] = shares
    rows = [[rule, *values] for rule, values in cells.items()]
    return markdown(["rule", *counts], rows)


def scored_rules(name: str) -> pd.DataFrame:
    """Of all systems of a result, as kept; computed where that is quick."""
    path = ROOT / "results" / name / "early-stopping-rules.parquet"
    kept = path.exists()
    table = (
        pd.read_parquet(path) if kept else grokmap.open(path.parent).stopping_rules()
    )
    return table[table["system"] == ALL]


def standstills() -> str:
    """The longest standstill of test accuracy, over the delay."""
    rows = []
    for name in RULED:
        runs, trajectories = stored(name)
        own = early_stopping.memorised(runs)
        found = rules.standstills(trajectories, own)
        low, middle, high = np.quantile(found, [0.25, 0.5, 0.75])
        rows.append([name, str(len(found)), f"{middle:.2f} [{low:.2f}, {high:.2f}]"])
    return markdown(["result", "runs that grok", "longest standstill / delay"], rows)


def ramps_in_decay_times() -> str:
    """Integral of r dt until test accuracy passes 1/2, on slow ramps from 0.001."""
    runs, trajectories = stored("hysteresis")
    runs = runs[(runs["weight_decay"] == 0.001) & (runs["ramp_steps"] >= 4000)]
    high = trajectories[trajectories["test_accuracy"] >= 0.5]
    first = high.groupby("run_id")["step"].min()
    found = runs.assign(first=runs["run_id"].map(first)).dropna(subset="first")
    times = [decay_times(run) for run in found.itertuples()]
    groups = found.assign(times=times).groupby(["ramp_factor", "ramp_steps"])["times"]
    table = groups.quantile([0.25, 0.5, 0.75]).unstack()
    rows = [
        [f"0.001 to {0.001 * factor:g}", f"{steps:.0f}", f"{q[0.5]:.2f}"]
        + [f"{q[0.25]:.2f} to {q[0.75]:.2f}"]
        for (factor, steps), q in table.iterrows()
    ]
    return markdown(["lambda", "steps up", "decay times", "quartiles"], rows)


def decay_times(run: Any) -> float:
    """Of a ramped run up to its step `first`: r goes with lambda."""
    decay = weight_decay_at(np.arange(run.first), run)
    return float(np.sum(run.decay_rate * decay / run.weight_decay))


def late_groks() -> str:
    """How many of the seeds of one cell have grokked by when."""
    runs = pd.read_parquet(ROOT / "results/early-stopping/runs.parquet")
    at = (runs["t_grok"] * runs["decay_rate"]).astype(float)
    times = (6.0, 12.0, 18.0, 24.0, 36.0, 60.0)
    counts = [str(int((at <= time).sum())) for time in times]
    return markdown(
        ["decay times", *(f"{time:g}" for time in times)],
        [[f"grokked, of {len(runs)}", *counts]],
    )


LAW_TABLES = {
    ("docs/laws.md", "laws of widths"): laws_of_widths,
    ("docs/laws.md", "laws of the quickstart"): laws_of_the_quickstart,
    ("docs/laws.md", "collapse"): collapse,
    ("docs/laws.md", "interpolation"): interpolation,
    ("docs/laws.md", "pure decay"): pure_decay,
    ("docs/laws.md", "forecast"): forecast_score,
    ("docs/laws.md", "early stopping"): early_stopping_losses,
    ("docs/laws.md", "decay times"): patience_in_decay_times,
    ("docs/laws.md", "warnings"): early_stopping_warnings,
    ("docs/laws.md", "late groks"): late_groks,
    ("docs/laws.md", "stopping rules"): stopping_rules,
    ("docs/laws.md", "standstills"): standstills,
    ("docs/laws.md", "ramps in decay times"): ramps_in_decay_times,
}
