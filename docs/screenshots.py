"""Takes the screenshots in docs/images of the site that `make docs` has made.

    python docs/screenshots.py [CHROMIUM]

CHROMIUM: the browser's program (default: chromium). Colours are reduced to 64, so that
a picture stays below 120 kB.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).parent
PAGES = ("index", "tutorial", "gallery", "commands")
SIZE = (1100, 760)
COLOURS, MOST_BYTES = 64, 120_000


def take(page: str, browser: str, folder: Path) -> Path:
    """A page of the site as the browser shows it, in a file of the folder."""
    file = folder / f"{page}.png"
    options = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
        f"--window-size={SIZE[0]},{SIZE[1]}",
        f"--screenshot={file}",
    ]
    address = (DOCS / f"_build/html/{page}.html").as_uri()
    subprocess.run([browser, *options, address], check=True, capture_output=True)
    return file


def main(browser: str = "chromium") -> None:
    with tempfile.TemporaryDirectory() as folder:
        for page in PAGES:
            shot = Image.open(take(page, browser, Path(folder))).convert("RGB")
            kept = DOCS / f"images/site-{page}.png"
            kept.parent.mkdir(exist_ok=True)
            shot.quantize(COLOURS).save(kept, optimize=True)
            if kept.stat().st_size > MOST_BYTES:
                sys.exit(f"{kept}: {kept.stat().st_size} bytes, more than {MOST_BYTES}")


if __name__ == "__main__":
    main(*sys.argv[1:])
