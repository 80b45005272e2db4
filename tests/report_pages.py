"""Pages of `grokmap report`, read back: what their scripts would unpack."""

from __future__ import annotations

import base64
import gzip
import json
from html.parser import HTMLParser
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grokmap.report.packing import long


class Elements(HTMLParser):
    """All elements of a page, and the texts of its scripts and styles by id or tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._inside: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        is_text = tag in ("script", "style")
        self._inside = (dict(attrs).get("id") or tag) if is_text else None

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[self._inside] = self.texts.get(self._inside, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._inside = None


class Read(NamedTuple):
    """One result of a page: its facts, the columns of its runs, of its curves, and of
    planes of edges over several axes."""

    facts: dict[str, Any]
    table: dict[str, npt.NDArray[Any]]
    curves: dict[str, npt.NDArray[Any]]
    surface: dict[str, npt.NDArray[Any]]

    @property
    def ids(self) -> list[str]:
        text, n = self.facts["ids"], self.facts["planned"]
        size = len(text) // n
        return [text[k * size : (k + 1) * size] for k in range(n)]

    def curve(self, name: str, run: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Steps and values of one run."""
        groups = self.facts["curves"]["groups"]
        k = next(k for k, names in enumerate(groups) if name in names)
        ends = np.cumsum(self.curves[f"{k}:count"].astype(int))
        rows = slice(ends[run] - int(self.curves[f"{k}:count"][run]), ends[run])
        steps = np.cumsum(self.curves[f"{k}:step"][rows])
        return steps, long(np.cumsum(self.curves[f"{k}:{name}"][rows]))


def read(text: str) -> list[Read]:
    texts = Elements(text).texts
    facts = json.loads(texts["facts"])["results"]
    return [
        Read(
            each,
            *(
                unpacked(each["layouts"][part], texts[f"{part}-{k}"])
                for part in ("table", "curves", "surface")
            ),
        )
        for k, each in enumerate(facts)
    ]


def unpacked(layout: list[dict[str, Any]], data: str) -> dict[str, npt.NDArray[Any]]:
    raw = np.frombuffer(gzip.decompress(base64.b64decode(data)), np.uint8)
    found, at = {}, 0
    for entry in layout:
        size = entry["planes"] * entry["length"]
        planes = raw[at : at + size].reshape(entry["planes"], entry["length"])
        found[entry["name"]] = _numbers(entry["kind"], planes)
        at += size
    assert at == len(raw)
    return found


def _numbers(kind: str, planes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if kind == "f":
        return np.ascontiguousarray(planes.T).view(f"<f{len(planes)}")[:, 0]
    weights = 256 ** np.arange(len(planes), dtype=object)
    whole = [int(sum(w * int(b) for w, b in zip(weights, c))) for c in planes.T]  # noqa: B905
    values = np.array(whole, np.int64)
    return (
        np.where(values & 1, -(values >> 1) - 1, values >> 1) if kind == "i" else values
    )
