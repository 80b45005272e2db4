"""Verdicts of reproductions as text, and the list of `grokmap reproduce`; no jax."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grokmap import store
from grokmap.durations import human_time
from grokmap.errors import ResultError, SpecError, short, shown
from grokmap.reproduce import table
from grokmap.reproduce.finding import Finding
from grokmap.reproduce.reproduction import Reproduction

HEAD = ("quantity", "published", "tolerance", "measured (spread)", "verdict")
UNEXPLAINED = "not explained yet"


def cells(finding: Finding) -> list[str]:
    """One row under `HEAD`."""
    spread = f" ({finding.spread})" if finding.spread else ""
    verdict = "holds" if finding.holds else "MISSED"
    measured = f"{finding.measured}{spread}"
    return [*finding[:3], measured, verdict]


def all_hold(findings: Sequence[Finding]) -> bool:
    return all(finding.holds for finding in findings)


def explanation(entry: Reproduction, findings: Sequence[Finding]) -> str:
    """Why findings miss their tolerance; empty where all hold."""
    return "" if all_hold(findings) else entry.explained or UNEXPLAINED


def verdict_text(name: str, entry: Reproduction, findings: Sequence[Finding]) -> str:
    """The table of a reproduction, for a terminal."""
    rows = [list(HEAD), *map(cells, findings)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"{name}: {entry.reference}", f"  {entry.claim}", f"  {entry.setting}"]
    for row in rows:
        padded = (x.ljust(n) for x, n in zip(row, widths, strict=True))
        lines.append(f"  {' | '.join(padded)}".rstrip())
    why = explanation(entry, findings)
    return "\n".join([*lines, *([f"  why it misses: {why}"] if why else [])])


def verdict_markdown(
    name: str, entry: Reproduction, findings: Sequence[Finding]
) -> str:
    """The same as a page of markdown."""
    rows = [list(HEAD), ["---"] * len(HEAD), *map(cells, findings)]
    lines = [" | ".join(x.replace("|", r"\|") for x in row) for row in rows]
    grid = "\n".join(f"| {line} |" for line in lines)
    why = explanation(entry, findings)
    parts = [f"# {name}", f"{entry.reference}. {entry.claim}", entry.setting, grid]
    return "\n\n".join([*parts, *([f"Why it misses: {why}"] if why else [])]) + "\n"


def totals(compared: Mapping[str, Sequence[Finding]]) -> dict[str, int]:
    """How many reproductions and findings hold, of how many."""
    findings = list(itertools.chain.from_iterable(compared.values()))
    return {
        "reproductions": len(compared),
        "reproductions_hold": sum(map(all_hold, compared.values())),
        "findings": len(findings),
        "findings_hold": sum(finding.holds for finding in findings),
    }


def totals_text(compared: Mapping[str, Sequence[Finding]]) -> str:
    counts = totals(compared)
    return (
        f"{counts['reproductions_hold']} of {counts['reproductions']} reproductions "
        f"hold; {counts['findings_hold']} findings of {counts['findings']} within "
        "tolerance"
    )


def verdict(findings: Sequence[Finding] | None) -> str:
    """How many findings hold, in a few words; None: the reproduction was not run."""
    if findings is None:
        return "not run"
    held = sum(finding.holds for finding in findings)
    word = "holds" if held == len(findings) else "MISSED"
    return f"{word}, {held} of {len(findings)} findings within tolerance"


def list_reproductions(out: Path, budget: str | None, as_json: bool) -> None:
    """Prints every reproduction, its cost, and its verdict kept under `out`.

    Raises:
      SpecError: a budget of time, for which there is nothing to run.
    """
    if budget is not None:
        raise SpecError(f"a budget of {short(budget)} for what? Give names or --all")
    rows = [_facts(name, entry, out) for name, entry in table.REPRODUCTIONS.items()]
    if as_json:
        print(json.dumps({"reproductions": rows}, indent=2))
        return
    for row in rows:
        print(f"{row['name']}: {row['reference']}")
        print(f"  {row['claim']}\n  {row['setting']}")
        print(f"  cost: {cost_text(table.REPRODUCTIONS[row['name']])}")
        print(f"  last: {_last_text(row['last'])}")


def cost_text(entry: Reproduction) -> str:
    """What a reproduction costs on CPU and GPU."""
    on_gpu = "not known" if entry.gpu_s is None else f"about {human_time(entry.gpu_s)}"
    need = "; needs a GPU to be practical" if entry.gpu else ""
    return f"{human_time(entry.cpu_s)} on two CPU cores, GPU: {on_gpu}{need}"


def _facts(name: str, entry: Reproduction, out: Path) -> dict[str, Any]:
    given = entry._asdict()
    keys = ("reference", "claim", "setting", "sweeps", "cpu_s", "gpu_s", "gpu")
    last = _last(out / name)
    return {"name": name, **{key: given[key] for key in keys}, "last": last}


def _last(folder: Path) -> dict[str, Any] | None:
    try:
        kept = store.read_comparison(folder)
    except ResultError as error:
        return {"problem": str(error)}
    if kept is None:
        return None
    findings = [Finding(*(row[k] for k in Finding._fields)) for row in kept["findings"]]
    facts = {key: kept.get(key) for key in ("ended", "commit", "device", "seconds")}
    return {"verdict": verdict(findings), "holds": all_hold(findings), **facts}


def _last_text(last: Mapping[str, Any] | None) -> str:
    if last is None:
        return verdict(None)
    return shown(str(last.get("problem") or f"{last['verdict']}, {last['ended']}"))
