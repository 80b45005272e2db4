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
from grokmap.reproduce.finding import (
    NUMBER,
    OWN,
    PUBLISHED,
    RECOMPUTED,
    SOURCES,
    WORDS,
    Finding,
)
from grokmap.reproduce.reproduction import Reproduction

HEAD = (
    "quantity",
    "compared with",
    "source",
    "tolerance",
    "measured (spread)",
    "verdict",
)
UNEXPLAINED = "not explained yet"


def cells(finding: Finding) -> list[str]:
    """One row under `HEAD`."""
    spread = f" ({finding.spread})" if finding.spread else ""
    verdict = "holds" if finding.holds else "MISSED"
    measured = f"{finding.measured}{spread}"
    return [*finding[:4], measured, verdict]


def all_hold(findings: Sequence[Finding]) -> bool:
    return all(finding.holds for finding in findings)


def published_only(findings: Sequence[Finding]) -> list[Finding]:
    """The findings that compare with what the authors themselves published."""
    return [finding for finding in findings if finding.source in PUBLISHED]


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
    """How many hold, of how many: reproductions with values that somebody published,
    by those values alone; and findings, by the source of what they compare with."""
    published = [own for own in map(published_only, compared.values()) if own]
    counts = {
        "reproductions": len(published),
        "reproductions_hold": sum(map(all_hold, published)),
    }
    findings = list(itertools.chain.from_iterable(compared.values()))
    for source in SOURCES:
        own = [finding for finding in findings if finding.source == source]
        counts |= {source: len(own), f"{source}_hold": sum(f.holds for f in own)}
    return counts


def totals_text(compared: Mapping[str, Sequence[Finding]]) -> str:
    counts = totals(compared)
    of = {
        k: f"{counts[f'{k}_hold']} of {counts[k]}" for k in ("reproductions", *SOURCES)
    }
    return (
        f"{of['reproductions']} reproductions hold, in all that their authors publish: "
        f"{of[NUMBER]} numbers and {of[WORDS]} statements within tolerance; beside "
        f"them {of[RECOMPUTED]} values recomputed here and {of[OWN]} of this package"
    )


def verdict(findings: Sequence[Finding] | None) -> str:
    """How many findings hold, in a few words; None: the reproduction was not run."""
    if findings is None:
        return "not run"
    published = published_only(findings)
    others = [finding for finding in findings if finding not in published]
    parts = [
        f"{sum(f.holds for f in part)} of {len(part)} {what} within tolerance"
        for part, what in ((published, "published"), (others, "recomputed or own"))
        if part
    ]
    if not published:
        return f"nothing published to compare with; {parts[0]}"
    return "; ".join(["holds" if all_hold(published) else "MISSED", *parts])


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
    findings = [Finding(**row) for row in kept["findings"]]
    facts = {key: kept.get(key) for key in ("ended", "commit", "device", "seconds")}
    return {"verdict": verdict(findings), "holds": all_hold(findings), **facts}


def _last_text(last: Mapping[str, Any] | None) -> str:
    if last is None:
        return verdict(None)
    return shown(str(last.get("problem") or f"{last['verdict']}, {last['ended']}"))
