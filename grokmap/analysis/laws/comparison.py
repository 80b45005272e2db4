"""Laws side by side: AIC, held-out cells, and how far each collapses the times."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd

from grokmap.analysis.laws.data import (
    START,
    T_MEM,
    Data,
    data_of,
    part_of,
)
from grokmap.analysis.laws.fitting import Fit, fit, log_likelihoods, standard_errors
from grokmap.analysis.laws.table import FLOOR, LAWS, Law, applies
from grokmap.analysis.systems import ALL
from grokmap.arrays import Bools, Floats
from grokmap.errors import ResultError

FOLDS = 5
EACH = "each"  # every system with constants of its own
FEWEST = 8  # grokked runs from which laws are compared


def compare(table: pd.DataFrame, known: Mapping[str, Law] = LAWS) -> pd.DataFrame:
    """Every law fitted to the runs of every system together, and of each alone.

    Args:
      table: `memorised`; known: the laws, by name.

    Returns:
      One row for each scope (`all`; each system; `each`, the systems' fits taken
      together), law and clock (t_0 = 0: `start`, or `t_mem`): formula, source; n_runs,
      n_grokked, n_parameters (sigma counts), log_likelihood, aic = 2 n_parameters - 2
      log_likelihood, delta_aic over the scope's best, held_out (log-likelihood a run of
      cells (alpha, lambda) left out, in FOLDS folds), sigma (of log time); constants
      and errors (JSON; errors from the curvature of the likelihood, null where it has
      none); spread and spread_80 of (t_grok - t_0) over the law, by run and by cell
      (see `spreads`). Those that predict cells left out best come first. Laws that do
      not apply to all runs of a scope have no row there.

    Raises:
      ResultError: fewer than FEWEST runs grokked.
    """
    if table["grokked"].sum() < FEWEST:
        raise ResultError(
            f"{table['grokked'].sum()} runs grokked after they memorised; laws are "
            f"compared from {FEWEST} on"
        )
    systems = sorted(table["system"].unique())
    enough = fitted_alone(table)
    scopes = {ALL: table} | {name: table[table["system"] == name] for name in enough}
    parts = [_scope(scope, rows, known) for scope, rows in scopes.items()]
    if enough and enough == systems:
        parts.append(_each(pd.concat(parts[1:]), table, systems))
    ranked = pd.concat([_ranked(part) for part in parts], ignore_index=True)
    return ranked.drop(columns="ratios")


def fitted_alone(table: pd.DataFrame) -> list[str]:
    """Of `memorised`: the systems with FEWEST grokked runs, if there are several."""
    if table["system"].nunique() < 2:
        return []
    counts = table["grokked"].groupby(table["system"]).sum()
    return sorted(counts.index[counts >= FEWEST])


def _ranked(rows: pd.DataFrame) -> pd.DataFrame:
    """With delta_aic, in the order of held_out."""
    rows = rows.assign(delta_aic=rows["aic"] - rows["aic"].min())
    return rows.sort_values("held_out", ascending=False, kind="stable")


def _scope(scope: str, table: pd.DataFrame, known: Mapping[str, Law]) -> pd.DataFrame:
    rows = []
    for clock in (START, T_MEM):
        data = data_of(table, clock)
        cell = table.groupby(["alpha", "weight_decay"]).ngroup().to_numpy()
        for name, law in known.items():
            if not applies(law, data):
                continue
            best = fit(law, data)
            row = {"scope": scope, "law": name, "clock": clock, "formula": law.formula}
            rows.append(row | _measures(law, best, data, cell, table))
    return pd.DataFrame(rows)


def _measures(
    law: Law, best: Fit, data: Data, cell: Floats, table: pd.DataFrame
) -> dict[str, object]:
    k, grokked = len(best.p), data["grokked"]
    ratios = ratios_of(law, best, data)
    constants, errors = constants_of(law, best, data)
    return {
        "source": law.source,
        "n_runs": len(grokked),
        "n_grokked": int(grokked.sum()),
        "n_parameters": k,
        "log_likelihood": best.log_likelihood,
        "aic": 2 * k - 2 * best.log_likelihood,
        "held_out": float(held_out(law, best, data, cell).mean()),
        "sigma": float(np.exp(best.p[-1])),
        "constants": json.dumps(constants),
        "errors": json.dumps(errors),
        **spreads(ratios, table[grokked]),
        "ratios": ratios,
    }


def ratios_of(law: Law, best: Fit, data: Data) -> Floats:
    """[grokked runs] measured over fitted delay; infinite where none was predicted."""
    time = law.time(best.p[:-1], data)
    predicted = np.where(time * data["r"] > FLOOR, time, 0.0)
    with np.errstate(divide="ignore"):
        return ((data["time"] - data["t_0"]) / predicted)[data["grokked"]]


def held_out(law: Law, best: Fit, data: Data, cell: Floats) -> Floats:
    """[runs] log-likelihoods, each from a fit without the run's fold of cells.

    Cells are assigned to FOLDS folds in turn; each fit starts from the fit to all.
    """
    values = np.zeros(len(cell))
    for k in range(FOLDS):
        out: Bools = cell % FOLDS == k
        if not out.any():
            continue
        rest = part_of(data, ~out)
        p = fit(law, rest, [best.p.tolist()]).p if rest["grokked"].any() else best.p
        values[out] = log_likelihoods(law, p, part_of(data, out))
    return values


def constants_of(
    law: Law, best: Fit, data: Data
) -> tuple[dict[str, float], dict[str, float | None]]:
    """A law's constants and their standard errors, by name and system."""
    names = []
    for name in law.names:
        if name.endswith("_N"):
            one = data["groups"] == 1
            names += [name[:-2] if one else f"{name[:-2]} {s}" for s in data["systems"]]
        else:
            names.append(name)
    errors = standard_errors(law, best, data)
    values, bars = {}, {}
    for i, name in enumerate(names):
        plain = name in law.plain
        value = best.p[i] if plain else np.exp(np.clip(best.p[i], -700, 700))
        bar = errors[i] if plain else value * errors[i]
        values[name] = float(f"{value:.6g}")
        # A constant that diverged to 0 or infinity has no error.
        known = np.isfinite(bar) and (plain or abs(best.p[i]) < 20)
        bars[name] = float(f"{bar:.3g}") if known else None
    return values, bars


def spreads(ratios: Floats, table: pd.DataFrame) -> dict[str, float]:
    """How far a data collapse is from perfect (1).

    Args:
      ratios: [k] positive; table: [k] rows with system, alpha, weight_decay.

    Returns:
      spread (largest over smallest) and spread_80 (90% over 10% quantile), of the runs
      and, as cell_spread and cell_spread_80, of the cells' medians over seeds.
    """
    keys = ["system", "alpha", "weight_decay"]
    cells = table[keys].assign(ratio=ratios).groupby(keys)["ratio"].median()
    measures = {}
    for prefix, values in (("", ratios), ("cell_", cells.to_numpy())):
        known = np.isfinite(values).all() and values.min() > 0
        low, high = np.quantile(values, [0.1, 0.9]) if known else (0.0, np.inf)
        measures[f"{prefix}spread"] = values.max() / values.min() if known else np.inf
        measures[f"{prefix}spread_80"] = high / low if known else np.inf
    return {k: float(v) for k, v in measures.items()}


def _each(rows: pd.DataFrame, table: pd.DataFrame, systems: list[str]) -> pd.DataFrame:
    """The separate fits of the systems as one: likelihoods and parameters add up."""
    grokked = table[table["grokked"]]
    runs = pd.concat([grokked[grokked["system"] == name] for name in systems])
    combined = []
    for (name, clock), fits in rows.groupby(["law", "clock"], sort=False):
        if len(fits) < len(systems):
            continue
        first = fits.iloc[0]
        n_runs = fits["n_runs"].sum()
        row = {"scope": EACH, "law": name, "clock": clock, "n_runs": n_runs}
        row |= {key: first[key] for key in ("formula", "source")}
        sums = ("n_grokked", "n_parameters", "log_likelihood", "aic")
        row |= {key: fits[key].sum() for key in sums}
        row["held_out"] = (fits["held_out"] * fits["n_runs"]).sum() / n_runs
        ratios = np.concatenate(fits["ratios"].tolist())
        row |= {"sigma": np.nan, "constants": "{}", "errors": "{}", "ratios": ratios}
        combined.append(row | spreads(ratios, runs))
    return pd.DataFrame(combined)


def residuals(table: pd.DataFrame, laws: pd.DataFrame) -> pd.DataFrame:
    """`memorised` once for each law of scope `all`, by its better clock.

    Adds law, clock, delta_aic, predicted (t_grok, steps) and residual = log(time /
    predicted), a lower bound for runs that have not grokked. Best law first.
    """
    best = laws[laws["scope"] == ALL].drop_duplicates("law")
    parts = []
    for row in best.itertuples():
        data = data_of(table, row.clock)
        law = LAWS[row.law]
        predicted = data["t_0"] + law.time(fit(law, data).p[:-1], data)
        part = table.assign(law=row.law, clock=row.clock, delta_aic=row.delta_aic)
        gap = np.log(data["time"] / predicted)
        parts.append(part.assign(predicted=predicted, residual=gap))
    return pd.concat(parts, ignore_index=True)


def pure_decay(table: pd.DataFrame) -> pd.DataFrame:
    """The weight-norm law run by run, with each run's own norms.

    T_g - T_m = (1/r) ln(|theta_Tm| / |theta_Tg|) holds with no free constant if the
    weights do nothing but decay between t_mem and t_grok: a test of that.

    Returns:
      The grokked runs of `memorised` with decays = (t_grok - t_mem) r, log_ratio =
      ln(norm_mem / norm_grok), and ratio = decays / log_ratio: 1 if the law holds,
      null where the norm grew.
    """
    grokked = table[table["grokked"] & (table["time"] > table["t_mem"])]
    decays = (grokked["time"] - grokked["t_mem"]) * grokked["decay_rate"]
    log_ratio = np.log(grokked["norm_mem"] / grokked["norm_grok"])
    ratio = (decays / log_ratio).where(log_ratio > 0)
    return grokked.assign(decays=decays, log_ratio=log_ratio, ratio=ratio)
