"""Names of axes and quantities as the page shows them, and marks of phases."""

from __future__ import annotations

from grokmap import plot
from grokmap.classify import Criteria
from grokmap.plot.names import AXES, axis_words, quantity_words

# Symbols of `plot.names` as text; a page has no formulas.
SYMBOLS = {
    **{r"\alpha": "α", r"\beta": "β", r"\epsilon": "ε", r"\eta": "η"},
    **{r"\lambda": "λ", r"_{\mathrm{max}}": "max", "_1": "₁", "_2": "₂", "$": ""},
}
# Beside the colour, a mark of its own: nobody has to tell colours apart.
MARKS = ("cross", "bar", "disc", "diamond")


def label(name: str) -> str:
    """A key as words: weight_decay -> weight decay λ, function_snr -> function SNR."""
    words = axis_words(name) if name in AXES else quantity_words(name)
    for symbol, text in SYMBOLS.items():
        words = words.replace(symbol, text)
    return words


def phases(rules: Criteria) -> list[dict[str, object]]:
    """Name, colour, mark of each phase, and whether it is one of generalisation."""
    drawn = plot.phases_of(rules.phases, rules.generalised)
    return [
        {
            "name": name,
            "colour": drawn.colours[name],
            "mark": MARKS[rules.phases.index(name)],
            "grokked": name in drawn.grokked,
        }
        for name in dict.fromkeys(rules.phases)
    ]
