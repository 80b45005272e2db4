"""The generated tables of README and docs, each from code or committed results."""

from __future__ import annotations

from collections.abc import Callable

import known_networks as known
import numpy as np
import pandas as pd
from comparison_tables import COMPARISON_TABLES
from conftest import ROOT
from edge_tables import EDGE_TABLES
from law_tables import LAW_TABLES
from precision_tables import PRECISION_TABLES
from surface_tables import SURFACE_TABLES
from system_tables import SYSTEM_TABLES
from table_format import markdown, number, spread, stored
from theory_tables import THEORY_TABLES

from grokmap import store
from grokmap.analysis import leads
from grokmap.analysis.series import values_at
from grokmap.analysis.spikes import first_spikes
from grokmap.cli import comparisons
from grokmap.models import ALPHA_CONVENTIONS
from grokmap.order_parameters import HEALTH, ORDER_PARAMETERS
from grokmap.order_parameters.table import GROUP, OF_TEACHER, PLAIN_ADDITION, Known
from grokmap.plan import sweep_schema
from grokmap.reproduce.finding import Finding
from grokmap.reproduce.table import REPRODUCTIONS
from grokmap.result.order_parameters import compared


def order_parameter_names() -> str:
    tells = [f"`{n}`" for n, entry in ORDER_PARAMETERS.items() if entry.tells]
    rest = [f"`{n}`" for n in ORDER_PARAMETERS if f"`{n}`" not in tells]
    always = ", ".join(f"`{name}`" for name in HEALTH)
    link = "docs/order-parameters.md#ranks-and-outliers-by-architecture"
    return (
        "In a network of one quadratic layer, tell memorising from grokked networks: "
        f"{', '.join(tells)}. Do not there ([deeper ones]({link}) differ in ranks and "
        f"outliers), or have no such task yet: {', '.join(rest)}.\n"
        f"Always recorded: {always}."
    )


DEFINED_ON = {
    None: "any task",
    GROUP: "group tasks",
    OF_TEACHER: "tasks with a teacher",
    PLAIN_ADDITION: "embeddings on plain addition",
}


def definitions() -> str:
    head = ["name", "symbol", "meaning", "range", "cost", "defined on", "reference"]
    rows = []
    for name, entry in ORDER_PARAMETERS.items():
        symbol = entry.symbol.replace("|", r"\|")
        low, high = (f"{x:.3g}".replace("inf", "∞") for x in entry.bounds)
        tasks = DEFINED_ON[entry.tasks]
        cells = [f"`{name}`", f"${symbol}$", entry.meaning, f"{low} to {high}"]
        rows.append([*cells, entry.cost, tasks, entry.reference])
    return markdown(head, rows)


def known_worth() -> str:
    addition, multiplication = known.RESULTS
    head = ["", *Known._fields, "at 2 t_grok", "grokked, a b mod p", "tells"]
    rows = []
    for name, values in known.measured().items():
        own = values.groupby(["task", "kind"])["value"]
        cells = [spread(own.get_group((addition, kind))) for kind in Known._fields]
        cells.append(spread(known.at_twice_t_grok(name, stored("order-parameters"))))
        cells.append(spread(own.get_group((multiplication, "grokked"))))
        entry = ORDER_PARAMETERS[name].known
        assert entry is not None
        rows.append([f"`{name}`", *cells, "yes" if entry.tells else "no"])
    return markdown(head, rows)


def first_movers() -> str:
    runs, trajectories = stored("quickstart-reference")
    moves = leads.summary(trajectories, runs, compared())
    head = ["", "t_half / t_grok", "quartiles", "runs", "at t_mem", "at the end", "AUC"]
    rows = []
    for row in moves.to_dict("records"):
        half, low, high = (
            f"{1 / row[key]:.2f}" for key in ("lead", "lead_q75", "lead_q25")
        )
        cells = [f"`{row['quantity']}`", half, f"{low} to {high}", str(row["n_runs"])]
        ends = [number(row["before"]), number(row["after"]), f"{row['auc']:.2f}"]
        rows.append([*cells, *ends])
    return markdown(head, rows).replace("nan to nan", "-").replace("nan", "-")


def rqi_of_memorising() -> str:
    """How far rqi gets in the quickstart's memorize-only runs, and what they are."""
    runs, trajectories = stored("quickstart-reference")
    memorise = runs[runs["phase"] == "memorize-only"]
    highest = trajectories.groupby("run_id")["rqi"].max()
    memorise = memorise.assign(highest=memorise["run_id"].map(highest).to_numpy())
    chance = 1 / runs["modulus"].iloc[0]
    head = ["final test accuracy", "runs", "censored", "highest rqi", "rqi < 0.1"]
    rows = []
    edges = [0, 2 * chance, 0.3, 0.6, 0.95]
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        own = memorise[memorise["final_test_accuracy"].between(low, high, "left")]
        counts = [len(own), int(own["censored"].sum())]
        small = int((own["highest"] < 0.1).sum())
        top = number(own["highest"].max())
        cells = [f"{low:.2g} to {high:.2g}", *map(str, counts), top, str(small)]
        rows.append(cells)
    return markdown(head, rows)


def laziness() -> str:
    centred, plain = stored("laziness"), stored("quickstart-reference")
    slowest = plain[0]["weight_decay"].min()
    plain = (plain[0][plain[0]["weight_decay"] == slowest], plain[1])
    columns = [drift_by_alpha(*result) for result in (centred, plain)]
    width = int(centred[0]["width"].iloc[0])
    head = ["alpha", "f - f_0 at t_mem", "times N^(2 alpha)", "f at t_mem"]
    rows = [
        [
            f"{alpha:.1f}",
            f"{drift:.2e}",
            f"{drift * width ** (2 * alpha):.4f}",
            f"{columns[1][alpha]:.3f}",
        ]
        for alpha, drift in columns[0].items()
    ]
    return markdown(head, rows)


def drift_by_alpha(runs: pd.DataFrame, trajectories: pd.DataFrame) -> pd.Series:
    """Median ntk_drift at t_mem over the seeds of each alpha."""
    drift = values_at(trajectories, runs, "ntk_drift", "t_mem")
    return runs.assign(drift=drift).groupby("alpha")["drift"].median()


# The survey's list of what happens at t_grok (P parameters, N neurons).
CLAIMS = {
    "rqi": "from about 0 to about 1",
    "effective_rank": "drops from O(√P) to O(1)",
    "participation_ratio": "drops from O(N) to O(1)",
    "kernel_alignment": "jumps from O(1/P) to O(1)",
    "snr": "crosses 1",
}


def survey_claims() -> str:
    runs, trajectories = stored("survey2026")
    moves = leads.summary(trajectories, runs, compared()).set_index("quantity")
    head = ["", "the survey", "at step 0", "at t_mem", "at the end", "t_half / t_grok"]
    rows = []
    for name, claim in CLAIMS.items():
        start = trajectories.loc[trajectories["step"] == 0, name].median()
        row = moves.loc[name]
        half = row["t_half_over_t_grok"]
        ends = [number(x) for x in (start, row["before"], row["after"])]
        rows.append(
            [f"`{name}`", claim, *ends, "-" if np.isnan(half) else f"{half:.2f}"]
        )
    return markdown(head, rows)


RANKS = {
    "effective_rank": "effective rank",
    "effective_rank_roy_vetterli": "Roy and Vetterli's",
    "bulk_outliers": "outliers",
    "motion_rank": "rank of W - W_0",
    "motion_outliers": "outliers of W - W_0",
    "participation_ratio": "participation ratio",
}
# Folders of results/ and what their networks are called, by depth where it is read.
ARCHITECTURES = {
    ("ranks-quadratic", 0): "one layer, quadratic",
    ("ranks", 1): "one layer, relu",
    ("ranks", 3): "three layers, relu",
    ("ranks", 0): "transformer",
}


def ranks() -> str:
    """Medians over seeds at step 2, t_mem, t_grok and the end, network by network."""
    rows = []
    for (folder, depth), name in ARCHITECTURES.items():
        runs, trajectories = stored(folder)
        runs = runs.assign(start=2, depth=runs.get("depth", 0))
        for decay, own in runs[runs["depth"] == depth].groupby("weight_decay"):
            if (own["phase"] == "no-learning").all():
                continue
            grokked = int((own["phase"] == "grok").sum())
            end = own["final_test_accuracy"].median()
            cells = [name, number(decay), f"{grokked} of {len(own)}", f"{end:.2f}"]
            rows.append([*cells, *(_path(trajectories, own, each) for each in RANKS)])
    head = ["", "lambda", "grok", "test accuracy", *RANKS.values()]
    return markdown(head, rows)


def spikes() -> str:
    """When outliers of W and of W - W_0 stay, in the runs of the table of ranks."""
    rows = []
    for (folder, depth), name in ARCHITECTURES.items():
        runs, trajectories = stored(folder)
        runs = runs.assign(depth=runs.get("depth", 0))
        for decay, own in runs[runs["depth"] == depth].groupby("weight_decay"):
            if (own["phase"] == "no-learning").all():
                continue
            cells = [name, number(decay)]
            for column in ("bulk_outliers", "motion_outliers"):
                first = first_spikes(trajectories, own, column).dropna()
                cells += [f"{len(first)} of {len(own)}", _whole(first)]
            rows.append(
                [*cells, *(_whole(own[k].dropna()) for k in ("t_mem", "t_grok"))]
            )
    columns = ["spike of W", "step", "spike of W - W_0", "step", "t_mem", "t_grok"]
    return markdown(["", "lambda", *columns], rows)


def _whole(steps: pd.Series) -> str:
    """Lowest to highest step."""
    if steps.empty:
        return "-"
    low, high = int(steps.min()), int(steps.max())
    return str(low) if low == high else f"{low} to {high}"


def _path(trajectories: pd.DataFrame, runs: pd.DataFrame, name: str) -> str:
    moments = ("start", "t_mem", "t_grok", "n_steps")
    medians = [values_at(trajectories, runs, name, when).median() for when in moments]
    return ", ".join("-" if np.isnan(x) else f"{x:.0f}" for x in medians)


def keys() -> str:
    properties = sweep_schema()["properties"]
    rows = []
    for key, entry in properties.items():
        if key != "axes":
            default = entry.get("default", "required")
            if isinstance(default, list):
                default = default[0] if default else None
            meaning = entry["description"]
            rows.append([f"`{key}`", meaning, _values(entry), str(default)])
    return markdown(["key", "meaning", "values", "default"], rows).replace("None", "-")


def _values(entry: dict) -> str:
    if "enum" in entry or "enum" in entry.get("items", {}):
        return ", ".join(entry.get("enum") or entry["items"]["enum"])
    kind = next((x for x in entry.get("anyOf", [entry]) if "type" in x), {})
    words = {"minimum": "≥", "exclusiveMinimum": ">"}
    words |= {"maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {kind[k]:g}" for k, sign in words.items() if k in kind]
    return ", ".join([kind.get("type", ""), *bounds])


def conventions() -> str:
    rows = []
    for name, entry in ALPHA_CONVENTIONS.items():
        kind = "a factor, above 0" if entry.multiplies else "an exponent of N, 0 to 2"
        rows.append([f"`{name}`", entry.formula, kind])
    return markdown(["convention", "f", "alpha"], rows)


def survey_times() -> str:
    runs = stored("survey2026")[0].sort_values("seed")
    published = "published (one seed, logged every 100 steps)"
    rows = [[published, "200", "14600", "73"]]
    for run in runs.itertuples():
        mem = f"{run.t_mem} ± {run.t_mem_resolution}"
        grok = f"{run.t_grok} ± {run.t_grok_resolution}"
        rows.append([f"seed {run.seed}", mem, grok, f"{run.delay_ratio:.0f}"])
    return markdown(["", "t_mem", "t_grok", "t_grok / t_mem"], rows)


def kept_findings() -> dict[str, list[Finding]]:
    """The committed findings of each reproduction that was run."""
    folder = ROOT / "results/reproduce"
    kept = {name: store.read_comparison(folder / name) for name in REPRODUCTIONS}
    return {
        name: [Finding(*(row[key] for key in Finding._fields)) for row in k["findings"]]
        for name, k in kept.items()
        if k is not None
    }


def reproductions() -> str:
    head = ["name", "published in", "claim", "setting", "cost", "verdict"]
    kept, rows = kept_findings(), []
    for name, entry in REPRODUCTIONS.items():
        cells = [f"`{name}`", entry.reference, entry.claim, entry.setting]
        cells += [comparisons.cost_text(entry), comparisons.verdict(kept.get(name))]
        rows.append(cells)
    counts = comparisons.totals_text(kept)
    return f"{counts}.\n\n{markdown(head, rows)}"


def findings() -> str:
    rows, notes = [], []
    for name, own in kept_findings().items():
        rows += [[f"`{name}`", *comparisons.cells(finding)] for finding in own]
        why = comparisons.explanation(REPRODUCTIONS[name], own)
        notes += [f"\n`{name}` misses: {why}"] * bool(why)
    table = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    return "\n".join([markdown(["", *comparisons.HEAD], table), *notes])


def findings_of(name: str) -> Callable[[], str]:
    """The committed findings of one reproduction."""

    def table() -> str:
        own = kept_findings().get(name, [])
        rows = [comparisons.cells(finding) for finding in own]
        rows = [[cell.replace("|", r"\|") for cell in row] for row in rows]
        return markdown(list(comparisons.HEAD), rows)

    return table


TABLES: dict[tuple[str, str], Callable[[], str]] = {
    ("README.md", "order parameters"): order_parameter_names,
    ("docs/sweep-files.md", "keys"): keys,
    ("docs/sweep-files.md", "conventions"): conventions,
    ("docs/reproductions.md", "reproductions"): reproductions,
    ("docs/reproductions.md", "findings"): findings,
    ("docs/reproductions.md", "survey2026"): survey_times,
    ("docs/theory.md", "mean-field width"): findings_of("mean-field-width"),
    ("docs/theory.md", "mean-field laziness"): findings_of("mean-field-laziness"),
    ("docs/theory.md", "mean-field condensation"): findings_of(
        "mean-field-condensation"
    ),
    ("docs/theory.md", "mean-field fixed points"): findings_of(
        "mean-field-fixed-points"
    ),
    ("docs/theory.md", "mean-field quadratic ends"): findings_of(
        "mean-field-quadratic-ends"
    ),
    ("docs/escapes.md", "escapes of a neuron"): findings_of("kramers-escape"),
    ("docs/escapes.md", "order at a temperature"): findings_of("equilibrium-order"),
    ("docs/theory.md", "mup transfer"): findings_of("mup-transfer"),
    ("docs/theory.md", "mup depth"): findings_of("mup-depth"),
    ("docs/spectra.md", "architectures"): spikes,
    ("docs/spectra.md", "spikes"): findings_of("spikes"),
    ("docs/spectra.md", "signal and noise"): findings_of("signal-noise"),
    ("docs/spectra.md", "goldilocks"): findings_of("goldilocks-zone"),
    ("docs/systems/rubin.md", "rubin samples"): findings_of("rubin-samples"),
    ("docs/systems/rubin.md", "rubin sextic samples"): findings_of(
        "rubin-sextic-samples"
    ),
    ("docs/systems/rubin.md", "rubin modular samples"): findings_of(
        "rubin-modular-samples"
    ),
    ("docs/double-descent.md", "findings"): findings_of("double-descent"),
    ("docs/free-energy.md", "free energy"): findings_of("free-energy"),
    ("docs/free-energy.md", "solutions"): findings_of("solutions"),
    ("docs/systems/field.md", "truong times"): findings_of("truong-times"),
    ("docs/systems/field.md", "truong clamp"): findings_of("truong-clamp"),
    ("docs/systems/field.md", "truong transformer"): findings_of("truong-transformer"),
    ("docs/systems/field.md", "pracher plane"): findings_of("pracher-plane"),
    ("docs/universality.md", "universality"): findings_of("universality"),
    ("docs/systems/modular.md", "gromov trained"): findings_of("gromov-trained"),
    ("docs/order-parameters.md", "definitions"): definitions,
    ("docs/order-parameters.md", "known networks"): known_worth,
    ("docs/order-parameters.md", "first movers"): first_movers,
    ("docs/order-parameters.md", "rqi"): rqi_of_memorising,
    ("docs/order-parameters.md", "ranks"): ranks,
    ("docs/order-parameters.md", "laziness"): laziness,
    ("docs/order-parameters.md", "survey"): survey_claims,
    **EDGE_TABLES,
    **SURFACE_TABLES,
    **LAW_TABLES,
    **SYSTEM_TABLES,
    **THEORY_TABLES,
    **COMPARISON_TABLES,
    **PRECISION_TABLES,
}
