"""Tables of the pages on edges of the grok wedge: where, how sharp, of what order."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
from conftest import ROOT
from scipy import stats
from table_format import markdown, number, spread, stored

from grokmap import store
from grokmap.analysis import boundaries as wedge
from grokmap.analysis import hysteresis, transition_order
from grokmap.analysis.series import values_at
from grokmap.classify import classify, read_criteria
from grokmap.result import Result
from grokmap.result.boundaries import at_half_budget, summary

SCALING_WORDS = {
    "half": "λ at P(grok) = 1/2",
    "half_exponent": "d ln λ_half / d ln N",
    "slope_exponent": "d ln slope / d ln N",
    "p_crossing": "crossing of P(grok)",
    "binder_crossing": "crossing of U",
    "collapse_s": "collapse, S",
    "collapse_x_c": "collapse, λ_c",
    "collapse_nu": "collapse, ν",
    "t_factor": "t_grok r, over the largest N's",
    "t_rescaled": "the same at equal λ / λ_half",
    "t_correction": "c of t_N = t_∞ (1 + c/N)",
}


def finite_size_scaling() -> str:
    found = pd.read_parquet(ROOT / "results/finite-size/scaling.parquet")
    found = found[(found["name"] != "t_correction") | found["x"].isna()]
    rows = []
    for name, words in SCALING_WORDS.items():
        for row in found[found["name"] == name].to_dict("records"):
            sizes = [f"{row[k]:g}" for k in ("size", "next_size") if row[k] == row[k]]
            place = f"N = {'/'.join(sizes)}" if sizes else "all N"
            place += f", λ = {row['x']:.3g}" if row["x"] == row["x"] else ""
            value, low, high = (f"{row[k]:.3g}" for k in ("value", "low", "high"))
            interval = f"{low} to {high}" if "nan" not in (low, high) else "-"
            if name == "binder_crossing" and interval != "-":
                interval = f"bracket: {interval}"
            value = value.replace("nan", "none")
            rows.append([words, place, value, interval, row["note"]])
    return markdown(["", "at", "value", "95%", "note"], rows)


def loops() -> pd.DataFrame:
    return pd.read_parquet(ROOT / "results/hysteresis/hysteresis.parquet")


ENDS = ("_low", "_high")
RAMP = ["weight_decay", "ramp_factor"]


def ramp_name(row: dict) -> str:
    return f"{row['weight_decay']:g} to {row['weight_decay'] * row['ramp_factor']:g}"


def loop_trends() -> str:
    head = ["lambda", "area at the slowest", "b", "95%", "A0", "95%", "the loop"]
    rows = []
    for row in hysteresis.trends(loops(), RAMP).to_dict("records"):
        back = "none fell" if row["falls"] == 0 else f"{row['returns']:.0%}"
        cells = [number(row["area"])]
        for name in ("exponent", "offset"):
            value, low, high = (f"{row[name + end]:.2f}" for end in ("", *ENDS))
            cells += [value, f"{low} to {high}"]
        rows.append([ramp_name(row), *cells, row["limit"], back])
    return markdown([*head, "came back"], rows)


def loop_rates() -> str:
    """Area, and where the test accuracy passes 1/2 upwards and downwards."""
    rates = hysteresis.by_rate(loops(), RAMP)
    families = [own for _, own in rates.groupby(RAMP)]
    names = [ramp_name(own.iloc[0].to_dict()) for own in families]
    rows = []
    for steps in sorted(rates["ramp_steps"].unique()):
        cells = []
        for own in families:
            row = own[own["ramp_steps"] == steps].iloc[0]
            places = [number(row[k]) for k in ("up_rise", "up_fall")]
            cells.append(f"{row['area']:.2f} ({places[0]}, {places[1]})")
        rows.append([f"{steps:.0f}", *cells])
    return markdown(["steps up", *names], rows)


def loop_ranks() -> str:
    """What is left of networks at the slowest ramp, medians over the seeds."""
    runs, trajectories = stored("hysteresis")
    own = runs[runs["ramp_steps"] == runs["ramp_steps"].max()]
    quantities = ("effective_rank", "train_accuracy", "test_accuracy")
    at_top = {
        name: values_at(trajectories, own.assign(top=own["ramp_steps"]), name, "top")
        for name in quantities
    }
    rows = []
    for _, family in own.groupby(RAMP):
        pairs = [
            f"{number(at_top[n][family.index].median())}, "
            f"{number(family[f'final_{n}'].median())}"
            for n in quantities
        ]
        rows.append([ramp_name(family.iloc[0].to_dict()), *pairs])
    return markdown(["lambda", *(f"`{name}`" for name in quantities)], rows)


def finite_size(name: str) -> pd.DataFrame:
    return pd.read_parquet(ROOT / f"results/finite-size/{name}.parquet")


def boundary_cells() -> str:
    return _boundary_cells(
        finite_size("transition"),
        ("test_accuracy", "train_accuracy", "rqi"),
        ("weight_decay", "lambda half-way"),
    )


def fraction_cells() -> str:
    return _boundary_cells(
        fractions("transition-train_fraction"),
        ("test_accuracy", "test_loss", "function_snr"),
        ("train_fraction", "fraction half-way"),
    )


def fractions(name: str) -> pd.DataFrame:
    return pd.read_parquet(ROOT / f"results/fractions/{name}.parquet")


def fraction_phases() -> str:
    """Runs that grok, and how many more are undecided, by train fraction and width."""
    runs = pd.read_parquet(ROOT / "results/fractions/runs.parquet")
    widths = sorted(runs["width"].unique())
    rows = []
    for fraction, own in runs.groupby("train_fraction"):
        cells = []
        for width in widths:
            seeds = own[own["width"] == width]
            grokked = int((seeds["phase"] == "grok").sum())
            middle = seeds["final_test_accuracy"].median()
            open_ = int(seeds["censored"].sum())
            cells.append(f"{grokked}, {open_} undecided; {middle:.2f}")
        rows.append([f"{fraction:g}", *cells])
    return markdown(["train fraction", *(f"N = {n}" for n in widths)], rows)


def fraction_evidence() -> str:
    found = fractions("transition-evidence-train_fraction")
    return _evidence(found, ("test_accuracy", "test_loss", "function_snr"))


def _boundary_cells(
    cells: pd.DataFrame, quantities: tuple[str, ...], axis: tuple[str, str]
) -> str:
    x, words = axis
    rows = []
    for name in quantities:
        own = cells[cells["quantity"] == name]
        for width, of_width in own.groupby("width"):
            if not of_width["at_boundary"].any():
                continue
            row = of_width[of_width["at_boundary"]].iloc[0]
            inside = of_width[
                of_width["progress"].between(*transition_order.TRANSITION)
            ]
            values = [f"{row[x]:.3g}", f"{row['mean']:.2f}"]
            values += [f"{row['dip']:.3f}", f"{row['p_dip']:.2g}", f"{row['gap']:.2f}"]
            lowest = inside["binder"].min()
            values.append("-" if np.isnan(lowest) else f"{lowest:.2f}")
            rows.append([f"`{name}`", str(width), *values])
    head = ["", "N", words, "mean", "dip", "p", "gap", "lowest U"]
    return markdown(head, rows)


def rqi_modes() -> str:
    """Seeds whose first layer has one direction left, where nearest to half of them.

    On the way to the lambda with the most: beyond, layers that never learned have many.
    """
    runs = stored("finite-size")[0]
    rows = []
    for width, of_width in runs.groupby("width"):
        one = of_width["final_effective_rank"] < 1.5
        share = one.groupby(of_width["weight_decay"]).mean()
        place = (share.loc[: share.idxmax()] - 0.5).abs().idxmin()
        own = of_width[of_width["weight_decay"] == place]
        values = [own[mask[own.index]]["final_rqi"].tolist() for mask in (one, ~one)]
        counts = [f"{len(v)}: {spread(v)}" for v in values]
        rows.append([str(width), f"{place:.3g}", *counts])
    head = ["N", "lambda", "rank below 1.5, seeds: rqi", "others, seeds: rqi"]
    return markdown(head, rows)


def order_evidence() -> str:
    found = finite_size("transition-evidence-hysteresis")
    return _evidence(found, ("test_accuracy", "rqi"))


def _evidence(found: pd.DataFrame, quantities: tuple[str, ...]) -> str:
    own = found[found["quantity"].isin(quantities)]
    rows = [
        [f"`{r.quantity}`", r.evidence, r.supports, r.why] for r in own.itertuples()
    ]
    return markdown(["", "evidence", "supports", "why"], rows)


def order_verdicts() -> str:
    found = finite_size("transition-evidence-hysteresis")
    rows = []
    for name, own in found.groupby("quantity", sort=False):
        own_rows = [transition_order.Evidence(*r) for r in own.to_numpy().tolist()]
        rows.append([f"`{name}`", transition_order.verdict(own_rows)[1]])
    return markdown(["", "verdict"], rows)


def found_coverage() -> dict:
    return json.loads((ROOT / "benchmarks/results/coverage.json").read_text())


def coverage() -> str:
    document = found_coverage()
    table = pd.DataFrame(document["complete"])
    widths = sorted(table["width"].unique())
    rows = []
    for (cells, seeds), own in table.groupby(["cells", "seeds"]):
        shares = own.set_index("width")["covered"]
        shown = [f"{shares[w]:.1%}" for w in widths]
        rows.append([f"posterior, {cells} cells, seeds: {seeds}", *shown])
    other = pd.DataFrame(document["resampled"])
    shares = other.set_index("width")["covered"]
    name = f"resampled runs, {other['cells'][0]} cells, seeds: {other['seeds'][0]}"
    rows.append([name, *(f"{shares[w]:.1%}" for w in widths)])
    return markdown(["", *(f"width {w:g}" for w in widths)], rows)


def plateau_coverage() -> str:
    table = pd.DataFrame(found_coverage()["plateaus"])
    heights = sorted(table["height"].unique(), reverse=True)
    rows = []
    for (cells, seeds), group in table.groupby(["cells", "seeds"]):
        shares = group.set_index("height")["covered"]
        shown = [f"{shares[h]:.1%}" for h in heights]
        rows.append([f"{cells} cells, seeds: {seeds}", *shown])
    return markdown(["", *(f"plateau {h:g}" for h in heights)], rows)


def censored_coverage() -> str:
    rows = [
        [
            f"{row['budget']:g}",
            f"{row['covered']:.1%} of {row['n_measured']}",
            "-" if row["held"] is None else f"{row['held']:.1%} of {row['n_bounds']}",
        ]
        for row in found_coverage()["censored"]
    ]
    return markdown(["steps", "measured edges covered", "bounds that hold"], rows)


def interval_coverage() -> str:
    file = ROOT / "benchmarks/results/interval_coverage.json"
    table = pd.DataFrame(json.loads(file.read_text())["rows"])
    seeds = sorted(table["seeds"].unique())
    rows = []
    for name, own in table.groupby("interval", sort=False):
        shares = own.set_index("seeds")["covered"]
        cells = ["-" if np.isnan(shares[n]) else f"{shares[n]:.1%}" for n in seeds]
        rows.append([str(name), *cells])
    return markdown(["", *(f"{n} seeds" for n in seeds)], rows)


def settled() -> str:
    table = _settled("settled")
    whole = table.groupby("horizon", as_index=False).sum(numeric_only=True)
    return _settled_table(pd.concat([table, whole.assign(system="all")]))


def settled_elsewhere() -> str:
    return _settled_table(_settled("settled-fractions"))


def _settled(name: str) -> pd.DataFrame:
    document = json.loads((ROOT / f"benchmarks/results/{name}.json").read_text())
    return pd.DataFrame(document["rows"])


def _settled_table(table: pd.DataFrame) -> str:
    cells = []
    for row in table.sort_values("horizon", kind="stable").to_dict("records"):
        judged = row["grokked"] + row["decided"]
        wrong = row["grokked_changed"] + row["decided_changed"]
        cells.append(
            [
                *(str(row[k]) if k == "system" else f"{row[k]:g}" for k in OF_LABELS),
                f"{row['followed_changed'] / row['runs']:.1%}",
                f"{wrong / judged:.2%}" if judged else "-",
            ]
        )
    return markdown(
        [
            *("decay times", "system", "runs", "grokked", "lost", "followed"),
            *("changed", "settled", "changed", "partial", "changed"),
            *("changed by the horizon alone", "changed of decided labels"),
        ],
        cells,
    )


OF_LABELS = (
    *("horizon", "system", "runs", "grokked", "grokked_lost"),
    *("followed", "followed_changed", "decided", "decided_changed"),
    *("partial", "partial_changed"),
)


def gpu_kernels() -> str:
    document = json.loads((ROOT / "benchmarks/results/gpu_kernels.json").read_text())
    rows = [
        [
            f"{row['fraction']:g}",
            f"`{row['kernel']}`",
            "no" if row["kernel"] == "gather" else "yes",
            f"{row['flops_over_nNp']:.1f} n N p",
            f"{row['flops'] / 1e9:.2f}",
            f"{row['bytes'] / 2**20:.0f}",
            f"{row['temporary_bytes'] / 2**20:.1f}",
            f"{1e6 * row['modelled_seconds']:.0f}",
        ]
        for row in document["rows"]
    ]
    head = [
        "train fraction",
        "first layer",
        "deterministic",
        "flops (compiled)",
        "GFLOP",
    ]
    head += ["MiB moved (compiled)", "MiB of temporaries (compiled)", "us (modelled)"]
    return markdown(head, rows)


def gpu_designs() -> str:
    document = json.loads((ROOT / "benchmarks/results/gpu_designs.json").read_text())
    by_design: dict[str, list[str]] = {}
    for row in document["rows"]:
        by_design.setdefault(row["design"], []).extend(
            [
                f"{row['flops_over_nNp']:.1f} n N p",
                f"{row['bytes'] / 2**20:.0f}",
                f"{row['temporary_bytes'] / 2**20:.1f}",
                f"{1e6 * row['modelled_seconds']:.0f}",
            ]
        )
    fractions = dict.fromkeys(row["fraction"] for row in document["rows"])
    names = ("flops (compiled)", "MiB (compiled)", "temporaries (compiled)")
    heads = [f"{n}, {f:g}" for f in fractions for n in (*names, "us (modelled)")]
    rows = [[design, *cells] for design, cells in by_design.items()]
    return markdown(["sums of the first layer's gradient by", *heads], rows)


def gpu_schedule() -> str:
    document = json.loads((ROOT / "benchmarks/results/gpu_schedule.json").read_text())
    costs = ("dense", "cheap", "expensive")
    rows = [
        [
            str(row["lanes"]),
            str(row["measured_at_once"]),
            *(f"{row['made_over_due'][cost]:.2f}" for cost in costs),
            f"{row['all_lanes_over_due']:.1f}",
            f"{row['busy']:.1%}",
            f"{row['modelled_record_share']:.1%}",
        ]
        for row in document["rows"]
    ]
    head = ["lanes", "measured at once"]
    head += [f"measured over due, {cost} (simulated)" for cost in costs]
    head += ["if all lanes were measured (simulated)", "busy lane-steps (simulated)"]
    return markdown([*head, "share of records (modelled)"], rows)


def labelled(name: str, criteria: str) -> pd.DataFrame:
    path = ROOT / "results" / name
    trajectories, _ = store.read_trajectories(path, store.LABELS_READ)
    return classify(trajectories, store.read_plan(path), read_criteria(criteria))


WITHIN = str(ROOT / "sweeps/criteria/within-6000.toml")
SETTINGS = {
    "dense, 6,000 steps": ("dense", WITHIN),
    "quickstart, 12 decay times": ("quickstart-reference", "default"),
}


def shown(edge: dict) -> str:
    if edge["status"] == wedge.MEASURED:
        return f"{edge['estimate']:.2g} ({edge['low']:.2g} to {edge['high']:.2g})"
    for end, sign in (("high", "<"), ("low", ">")):
        if np.isfinite(edge[end]):
            return f"{sign} {edge[end]:.2g}, {edge['status']}"
    return edge["status"]


def half_budget() -> str:
    rows = []
    for words, (name, criteria) in SETTINGS.items():
        path = ROOT / "results" / name
        half = at_half_budget(Result(path), read_criteria(criteria))
        full = labelled(name, criteria)
        moved = wedge.shifts(wedge.boundaries(full), wedge.boundaries(half), True)
        by_edge = summary(moved, True).set_index("edge")
        cells = []
        for edge in (wedge.MIN, wedge.MAX):
            if edge not in by_edge.index:
                cells.append("not measured")
                continue
            row = by_edge.loc[edge]
            spread = f"{row['least']:.2f} to {row['most']:.2f}"
            cells.append(f"{row['shift']:.2f} ({spread}, {row['n_rows']:.0f} rows)")
        for runs in (full, half):
            closing = wedge.critical(runs).set_index("edge").loc[wedge.MAX]
            cells.append(shown(closing.to_dict()))
        rows.append([words, *cells])
    head = ["", "lambda_min moves by", "lambda_max moves by", "alpha_c", "at half"]
    return markdown(head, rows)


def quickstart_edges() -> str:
    table = wedge.boundaries(labelled("quickstart-reference", "default"))
    rows = [
        [f"{alpha:g}", *map(shown, own.to_dict("records"))]
        for alpha, own in table.groupby("alpha")
    ]
    return markdown(["alpha", "lambda_min", "lambda_max"], rows)


def alpha_beyond() -> str:
    """Far into the lazy regime: how many grok, after how many decay times."""
    runs = pd.read_parquet(ROOT / "results/alpha-beyond" / store.RUNS)
    decays = sorted(runs["weight_decay"].unique())
    rows = []
    for alpha, of_alpha in runs.groupby("alpha"):
        cells = []
        for decay in decays:
            own = of_alpha[of_alpha["weight_decay"] == decay]
            times = (own["t_grok"].astype(float) * own["decay_rate"]).dropna()
            after = f"; {number(times.median())} ({spread(times)})" * bool(len(times))
            open_ = int((own["censored"] & own["t_grok"].isna()).sum())
            left = f"; {open_} undecided" * bool(open_)
            cells.append(f"{len(times)} of {len(own)}{after}{left}")
        rows.append([f"{alpha:g}", *cells])
    return markdown(["alpha", *(f"lambda {decay:g}" for decay in decays)], rows)


def alpha_beyond_edges() -> str:
    runs = pd.read_parquet(ROOT / "results/alpha-beyond" / store.RUNS)
    rows = [
        [f"{alpha:g}", *map(shown, own.to_dict("records"))]
        for alpha, own in wedge.boundaries(runs).groupby("alpha")
    ]
    closing = wedge.critical(runs).set_index("edge").loc[wedge.MAX].to_dict()
    rows.append(["alpha_c", "", shown(closing)])
    return markdown(["alpha", "lambda_min", "lambda_max"], rows)


def edge_exponent(runs: pd.DataFrame) -> tuple[int, float, float, float]:
    """Rows, and the exponent of lambda_max in K = N^alpha with its 95% interval, of a
    line through the logarithms of the measured edges."""
    edges = wedge.boundaries(runs)
    edges = edges[(edges["edge"] == wedge.MAX) & (edges["status"] == wedge.MEASURED)]
    x = edges["alpha"].to_numpy() * np.log(runs["width"].iloc[0])
    fit = stats.linregress(x, np.log(edges["estimate"]))
    half = stats.t.ppf(0.975, len(x) - 2) * fit.stderr
    return len(x), fit.slope, fit.slope - half, fit.slope + half


def edges_over_laziness() -> str:
    widths = pd.read_parquet(ROOT / "results/widths" / store.RUNS)
    planes = [
        ("dense", labelled("dense", WITHIN)),
        ("refined", labelled("refined", WITHIN)),
        ("quickstart-reference", labelled("quickstart-reference", "default")),
        *(("widths", own) for _, own in widths.groupby("width")),
    ]
    rows = []
    for name, runs in planes:
        n, value, low, high = edge_exponent(runs)
        where = f"`results/{name}`, p = {runs['modulus'].iloc[0]}"
        measured = f"{value:.2f} ({low:.2f} to {high:.2f})"
        rows.append([where, f"{runs['width'].iloc[0]}", f"{n}", "2/3", measured])
    return markdown(["result", "N", "rows", "predicted", "measured (95%)"], rows)


def label_sensitivity() -> str:
    cells = pd.read_parquet(ROOT / "results/quickstart-reference/uncertainty.parquet")
    names = [n for n in cells if n.startswith("changed_")]
    shares = {
        n: (cells[n] * cells["n_runs"]).sum() / cells["n_runs"].sum() for n in names
    }
    rows = [[f"`{n.removeprefix('changed_')}`", f"{v:.1%}"] for n, v in shares.items()]
    return markdown(["rules", "relabelled"], rows)


def refined_against_dense() -> str:
    """Runs and precision of the dense grid and of refinement, by number of seeds."""
    dense, truth = labelled("dense", WITHIN), None
    settings = {
        "dense, two seeds": dense,
        "refined, two seeds": labelled("refined", WITHIN),
        "dense, one seed": dense[dense["seed"] == 0],
        "refined, one seed": labelled("refined-one-seed", WITHIN),
    }
    rows, before = [], 0
    for words, runs in settings.items():
        table = wedge.boundaries(runs)
        truth = table if truth is None else truth
        half, off = precision(table), distance(table, truth)
        closing = wedge.critical(runs).set_index("edge").loc[wedge.MAX].to_dict()
        spread = f"{half.median():.3f}, {half.max():.3f}"
        away = f"{np.median(off):.3f}, {off.max():.3f}"
        fewer = f" ({before / len(runs):.1f}x fewer)" if "refined" in words else ""
        rows.append([words, f"{len(runs)}{fewer}", spread, away, shown(closing)])
        before = len(runs)
    head = ["", "runs", "half-width (decades): median, largest", "off", "alpha_c"]
    return markdown(head, rows)


def refined_over() -> str:
    """Edges over several axes against those of dense grids."""
    rows, before = [], 0
    for row in json.loads((ROOT / "benchmarks/results/surface.json").read_text()):
        steps, what = row["run_steps"], row["what"]
        if what == "dense, in rows":
            before = steps
        fewer = f" ({before / steps:.1f}x fewer)" if "refined" in what else ""
        off = ", ".join(f"{row[key]:.3f}" for key in ("median", "mean", "ninth"))
        rows.append(
            [
                f"{row['case']}: {what.split(',')[0] if 'refined' in what else what}",
                f"{row['runs'] or '-'}",
                f"{steps:.2g}{fewer}" if steps else "-",
                off,
                f"{row['within']:.0%}",
                f"{row['missed']} of {row['edges']}",
                "none" if row["half"] is None else f"{row['half']:.2f}",
            ]
        )
    head = ["", "runs", "run-steps", "off: median, mean, 90%", "within 0.1"]
    return markdown([*head, "missed", "half-width"], rows)


def precision(table: pd.DataFrame) -> pd.Series:
    """Half-widths of the measured edges, in decades."""
    known = table[table["status"] == wedge.MEASURED]
    return np.log10(known["high"] / known["low"]) / 2


def distance(table: pd.DataFrame, truth: pd.DataFrame) -> np.ndarray:
    """How far edges are from those of `truth` at its rows, in decades."""
    found = []
    for edge in (wedge.MIN, wedge.MAX):
        own, other = (
            t[(t["edge"] == edge) & (t["status"] == wedge.MEASURED)]
            for t in (table, truth)
        )
        inside = other[other["alpha"].between(own["alpha"].min(), own["alpha"].max())]
        line = np.interp(inside["alpha"], own["alpha"], np.log10(own["estimate"]))
        found.append(np.abs(line - np.log10(inside["estimate"])))
    return np.concatenate(found)


EDGE_TABLES: dict[tuple[str, str], Callable[[], str]] = {
    ("docs/boundaries.md", "coverage"): coverage,
    ("docs/boundaries.md", "plateau coverage"): plateau_coverage,
    ("docs/boundaries.md", "censored coverage"): censored_coverage,
    ("docs/labels.md", "settled"): settled,
    ("docs/engine.md", "gpu kernels"): gpu_kernels,
    ("docs/engine.md", "gpu schedule"): gpu_schedule,
    ("docs/engine.md", "gpu designs"): gpu_designs,
    ("docs/labels.md", "settled elsewhere"): settled_elsewhere,
    ("docs/statistics.md", "interval coverage"): interval_coverage,
    ("docs/boundaries.md", "half of the budget"): half_budget,
    ("docs/boundaries.md", "quickstart edges"): quickstart_edges,
    ("docs/boundaries.md", "alpha beyond"): alpha_beyond,
    ("docs/boundaries.md", "alpha beyond edges"): alpha_beyond_edges,
    ("docs/boundaries.md", "sensitivity"): label_sensitivity,
    ("docs/theory.md", "edges over laziness"): edges_over_laziness,
    ("docs/boundaries.md", "refined"): refined_against_dense,
    ("docs/boundaries.md", "refined over"): refined_over,
    ("docs/scaling.md", "finite-size scaling"): finite_size_scaling,
    ("docs/transition.md", "loop trends"): loop_trends,
    ("docs/transition.md", "loop rates"): loop_rates,
    ("docs/transition.md", "loop ranks"): loop_ranks,
    ("docs/transition.md", "boundary cells"): boundary_cells,
    ("docs/transition.md", "evidence"): order_evidence,
    ("docs/transition.md", "rqi modes"): rqi_modes,
    ("docs/transition.md", "fraction phases"): fraction_phases,
    ("docs/transition.md", "fraction cells"): fraction_cells,
    ("docs/transition.md", "fraction evidence"): fraction_evidence,
    ("docs/transition.md", "verdicts"): order_verdicts,
}
