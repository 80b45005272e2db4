"""Links that work both in the repository and on the site.

Pages link to other files of the repository by their relative paths. On the site, a file
that a page shows is that page, a figure is copied, and of other files, which the site
does not have, the words remain.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# Files outside docs/ that a page of the site includes.
SHOWN = {
    "README.md": "overview.md",
    "benchmarks/README.md": "benchmarks.md",
    "results/README.md": "result-folders.md",
    "CHANGELOG.md": "changelog.md",
}
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)#:\s]+)(#[^)\s]*)?\)")


def relinked(text: str, folder: Path, page: Path) -> str:
    """A Markdown text with its relative links as they have to be on a page of the site.

    folder: that links are relative to. page: the folder of the page that has the text.
    """

    def replace(match: re.Match[str]) -> str:
        picture, words, path, anchor = match.groups()
        target = Path(os.path.normpath(folder / path))
        shown = SHOWN.get(_in_repository(target))
        target = DOCS / shown if shown else target
        if not picture and not target.is_relative_to(DOCS):
            return words
        return f"{picture}[{words}]({os.path.relpath(target, page)}{anchor or ''})"

    return LINK.sub(replace, text)


def _in_repository(path: Path) -> str:
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""


def _relink_page(app: Any, name: str, source: list[str]) -> None:
    folder = Path(app.env.doc2path(name)).parent  # of a notebook the text of its JSON
    source[0] = relinked(source[0], folder, folder)


def _relink_included(app: Any, path: Path, parent: str, source: list[str]) -> None:
    file = Path(os.path.normpath(DOCS / path))
    source[0] = relinked(source[0], file.parent, DOCS)  # all such pages stand there


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", _relink_page)
    app.connect("include-read", _relink_included)
    return {"parallel_read_safe": True}
