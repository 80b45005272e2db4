"""Colours and fonts of every figure.

Colours are from Okabe and Ito's palette, told apart by every common colour vision.
"""

from __future__ import annotations

from typing import Any

COLOURS = {
    "no-learning": "#999999",
    "memorize-only": "#E69F00",
    "grok": "#0072B2",
    "confusion": "#999999",
    "memorization": "#E69F00",
    "grokking": "#0072B2",
    "comprehension": "#009E73",
}
GENERALISED = ("grok", "grokking", "comprehension")
STYLE: Any = {
    "font.size": 8,
    "axes.linewidth": 0.6,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "hatch.linewidth": 0.5,
    "pdf.fonttype": 42,  # text stays text in the PDF
    "svg.fonttype": "none",
    "figure.dpi": 150,
    "savefig.dpi": 200,
}
