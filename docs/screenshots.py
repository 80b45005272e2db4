"""Pictures for docs/images: of `grokmap report`, and of the site that `make docs` made.

    python docs/screenshots.py [NAME ...]

Needs Playwright for Python and a Chromium (Debian's `chromium`). Without a name all.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from grokmap import report
from grokmap.result.result import Result

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs/images"
MOST_BYTES = 120_000
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def page_of(folder: Path, *names: str) -> Path:
    paths = [Path("results") / name for name in names]
    return report.write([Result(path) for path in paths], folder / "page.html")


def click(tab: Any, x: float, y: float) -> None:
    """Clicks the first map, at shares of its width and height."""
    box = tab.locator("svg.map").first.bounding_box()
    tab.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    tab.mouse.move(0, 0)
    tab.wait_for_selector("path.line.front, #detail h2")


def one(tab: Any, folder: Path) -> None:
    """The quickstart, with the runs of a cell in its wedge."""
    open_page(tab, page_of(folder, "quickstart-reference"))
    click(tab, 0.5, 0.6)


def two(tab: Any, folder: Path) -> None:
    """Two results side by side, one phase dimmed."""
    open_page(tab, page_of(folder, "quickstart-reference", "refined"))
    tab.locator("#legend button[data-phase=no-learning]").click()
    click(tab, 0.5, 0.75)


def open_page(tab: Any, file: Path) -> None:
    tab.goto(file.as_uri())
    tab.wait_for_selector("html[data-ready]")


def site(page: str) -> Callable[[Any, Path], None]:
    """A page of the site."""

    def show(tab: Any, folder: Path) -> None:
        tab.goto((ROOT / f"docs/_build/html/{page}.html").as_uri())

    return show


# By name: what to show, and the height of the window in pixels.
PICTURES: dict[str, tuple[Callable[[Any, Path], None], int]] = {
    "report": (one, 1330),
    "report-two": (two, 1010),
    "site-index": (site("index"), 760),
    "site-tutorial": (site("tutorial"), 760),
    "site-gallery": (site("gallery"), 760),
    "site-commands": (site("commands"), 760),
}


def kept(png: bytes, file: Path) -> None:
    """Writes a picture in 256 colours, a third of its size."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(256, Image.Quantize.MAXCOVERAGE).save(file, optimize=True)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        options = {"executable_path": found, "args": ["--no-sandbox"]}
        browser = playwright.chromium.launch(**options)
        for name in sys.argv[1:] or PICTURES:
            show, height = PICTURES[name]
            tab = browser.new_page(viewport={"width": 1100, "height": height})
            show(tab, Path(folder))
            file = IMAGES / f"{name}.png"
            kept(tab.screenshot(), file)
            assert file.stat().st_size < MOST_BYTES, f"{file}: too large"
            tab.close()


if __name__ == "__main__":
    main()
