"""`grokmap phase-diagram` and `curves`: load, draw, save, name the files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.classify import read_criteria
from grokmap.cli.results import find_run, load_runs
from grokmap.errors import ResultError, SpecError

FORMATS = ("png", "pdf", "svg")


def draw_phase_diagram(
    path: Path, x: str, y: str, criteria: str, formats: str, out: Path | None
) -> None:
    kinds = _formats(formats)
    runs, _ = load_runs(path, read_criteria(criteria))
    figure = plot.phase_diagram(runs, x, y)
    name = "phase-diagram"
    if (x, y) != ("weight_decay", "alpha"):
        name += f"-{x}-{y}"
    if criteria != "default":
        name += f"-{Path(criteria).stem}"
    _save(figure, out or path / "figures" / name, kinds)


def draw_curves(
    path: Path, wanted: list[str], criteria: str, formats: str, out: Path | None
) -> None:
    kinds = _formats(formats)
    rules = read_criteria(criteria)
    ids = [find_run(path, prefix) for prefix in wanted]
    runs, _ = load_runs(path, rules)
    chosen = _chosen(runs, ids) if ids else _one_per_phase(runs, rules.phases)
    _, trajectories = load_runs(path, rules, None, chosen["run_id"].tolist())
    names = chosen["order_parameters"].iloc[0].split(",")
    figure = plot.curves(trajectories, chosen, names)
    name = "-".join(["curves", *wanted[:3]])
    if criteria != "default":
        name += f"-{Path(criteria).stem}"
    _save(figure, out or path / "figures" / name, kinds)


def _chosen(runs: pd.DataFrame, ids: list[str]) -> pd.DataFrame:
    missing = [name for name in ids if name not in set(runs["run_id"])]
    if missing:
        raise ResultError(f"run {missing[0]} is planned, but not done yet")
    return runs.set_index("run_id", drop=False).loc[ids]


def _one_per_phase(runs: pd.DataFrame, phases: tuple[str, ...]) -> pd.DataFrame:
    """The run in the middle of each phase, by decay rate."""
    rows = []
    for phase in dict.fromkeys(phases):
        own = runs[runs["phase"] == phase].sort_values(["decay_rate", "run_id"])
        if len(own):
            rows.append(own.iloc[[len(own) // 2]])
    return pd.concat(rows)


def _formats(text: str) -> list[str]:
    """Suffixes of a comma-separated list.

    Raises:
      SpecError: one that is not known.
    """
    kinds = [kind.strip().lower() for kind in text.split(",")]
    for kind in kinds:
        if kind not in FORMATS:
            raise SpecError(f"--format {kind!r}; known: {', '.join(FORMATS)}")
    return kinds


def _save(figure: Figure, path: Path, kinds: list[str]) -> None:
    if path.suffix.removeprefix(".") in FORMATS:
        path = path.with_suffix("")
    if path.name in ("", "..") or path.is_dir():
        raise SpecError(f"--out {path}: a folder; name the figure, without suffix")
    for kind in kinds:
        file = path.with_name(f"{path.name}.{kind}")
        # No dates: the same table then gives the same file.
        metadata = {"png": {"Software": None}, "pdf": {"CreationDate": None}}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(file, metadata=metadata.get(kind, {"Date": None}))
        except OSError as error:
            raise ResultError(f"{file}: cannot be written: {error.strerror}") from None
        print(file)
