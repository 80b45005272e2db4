"""One page to click in: phase diagrams of results, and the curves behind each cell.

    from grokmap import report

    report.write([result], "report.html")

The page is one file and loads nothing from elsewhere. `web/` has its HTML, style and
scripts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from grokmap import disk
from grokmap.classify import Criteria
from grokmap.errors import ResultError, SpecError, short
from grokmap.report import page as pages
from grokmap.report import payload as payloads
from grokmap.report.surface import NOWHERE, Over
from grokmap.result.result import Result
from grokmap.spec.names import nearest

__all__ = ["Over", "write"]


def write(
    results: Sequence[Result],
    out: str | Path,
    criteria: str | Criteria = "default",
    show: Sequence[str] | None = None,
    live: float | None = None,
    over: Over = NOWHERE,
) -> Path:
    """Writes a page of one result or several, side by side; returns its file.

    Args:
      results: in their order.
      out: the file. It is replaced as a whole, and nothing else is written.
      criteria: rules that label the runs.
      show: order parameters that have curves (None: all there is room for).
      live: seconds after which an open page loads itself again (None: never).
      over: axes over which the edges of the wedge are placed at once (see
        `grokmap.result.surface`), of each result; the page has sliders for them.

    Raises:
      SpecError: no such criteria, order parameter or axes. ResultError: the file cannot
        be written; no sound result.
    """
    if not results:
        raise SpecError("report: no result given; name one result folder or more")
    file = Path(out)
    known = {name for result in results for name in result.quantities}
    for name in show or ():
        _check(name, known)
    text = pages.page(
        [payloads.payload(each, criteria, show, over) for each in results], live
    )
    return _written(file, text)


def _check(name: str, known: set[str]) -> None:
    if name not in known:
        near = nearest(name, sorted(known))
        raise SpecError(f"--show {short(name)!r}: no order parameter; {near}")


def _written(file: Path, text: str) -> Path:
    if file.name in ("", "..") or (disk.exists(file) and file.is_dir()):
        raise ResultError(f"{file}: a folder; name a file, such as report.html")
    disk.make_root(file.parent)
    return disk.write_file(file.parent, file.name, text.encode("utf-8"))
