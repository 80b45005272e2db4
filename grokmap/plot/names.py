"""Axes, their values and quantities as they are called beside a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from grokmap.plot.figure import NO_BREAK as NO_BREAK
from grokmap.plot.figure import length
from grokmap.plot.ticks import number

# In words and as a symbol; what is not listed is called by its key, in words.
AXES = {
    "alpha": ("", r"$\alpha$"),
    "weight_decay": ("weight decay", r"$\lambda$"),
    "decay_rate": ("decay rate", "$r$"),
    "train_fraction": ("train fraction", ""),
    "width": ("width", "$N$"),
    "modulus": ("modulus", "$p$"),
    "learning_rate": ("learning rate", r"$\eta$"),
    "momentum": ("momentum", r"$\beta$"),
    "beta1": ("", r"$\beta_1$"),
    "beta2": ("", r"$\beta_2$"),
    "epsilon": ("", r"$\epsilon$"),
    "ramp_factor": ("ramp factor", r"$\lambda_{\mathrm{max}} / \lambda$"),
}
UNITS = {"decay_rate": "per step"}
ALPHA_LABELS = {
    "laziness": r"$\alpha$,  $f = N^{\alpha-1}\Sigma_j\, a_j\,\sigma(w_j\cdot x)$",
    "literal": r"$\alpha$,  $f = N^{-\alpha}\Sigma_j\, a_j\,\sigma(w_j\cdot x)$",
    "output_scale": r"$\alpha$,  $f = (\alpha/N)\Sigma_j\, a_j\,\sigma(w_j\cdot x)$",
    "init_scale": r"$\alpha$ (all initial weights $\times\,\alpha$)",
    "survey_code": r"$\alpha$,  $f = \Sigma_j\, a_j\,\sigma(N^{-\alpha} w_j\cdot x)$",
}
# Values of choices; others are written without underscores.
VALUES = {
    **{"two_layer": "two-layer", "mlp": "MLP", "gd": "GD", "adamw": "AdamW"},
    **{"muon": "Muon", "langevin": "Langevin", "relu": "ReLU", "gelu": "GELU"},
    **{"mse": "MSE", "cross_entropy": "cross-entropy", "mup": "muP"},
}
QUANTITIES = {
    **{"rqi": "RQI", "snr": "SNR", "function_snr": "function SNR", "ipr": "IPR"},
    "effective_rank_roy_vetterli": "effective rank (R.-V.)",
    "ntk_drift": "NTK drift",
    "weight_norm_first": "first-layer norm",
    "weight_norm_readout": "readout norm",
}


def axis_label(axis: str, runs: pd.DataFrame) -> str:
    """An axis as it is called beside a figure."""
    if axis == "alpha":
        conventions = runs["alpha_convention"].unique()
        several = len(conventions) > 1
        return r"$\alpha$" if several else ALPHA_LABELS.get(conventions[0], r"$\alpha$")
    return axis_words(axis)


def fitting_labels(
    axes: Sequence[str], runs: pd.DataFrame, rooms: Sequence[float]
) -> tuple[list[str], list[str]]:
    """The labels of axes in so many letters each, and what is to be said of them below
    the figure: the formula of alpha, where it is longer."""
    labels = [axis_label(axis, runs) for axis in axes]
    notes = []
    for i, (axis, room) in enumerate(zip(axes, rooms, strict=True)):
        if axis == "alpha" and length(labels[i]) > room:
            notes.append(labels[i].replace(",  ", ": "))
            labels[i] = axis_symbol(axis)
    return labels, notes


def axis_words(axis: str) -> str:
    """An axis in words and as a symbol: weight decay, lambda."""
    words, symbol = AXES.get(axis, (in_words(axis), ""))
    unit = f" ({UNITS[axis]})" if axis in UNITS else ""
    return f"{words} {symbol}".strip() + unit


def axis_symbol(axis: str) -> str:
    """An axis as short as it is known: lambda, depth."""
    words, symbol = AXES.get(axis, (in_words(axis), ""))
    return symbol or words


def quantity_words(name: str) -> str:
    """A quantity in words: function SNR, test accuracy."""
    return QUANTITIES.get(name, in_words(name))


def in_words(key: str) -> str:
    return key.replace("_", " ")


def value_words(value: Any) -> str:
    """A value of an axis: three digits of a number, the words of a choice."""
    if isinstance(value, (bool, np.bool_)):
        return str(value).lower()
    if isinstance(value, (int, np.integer)):
        return str(value)
    if isinstance(value, (float, np.floating)):
        return number(float(value))
    return VALUES.get(str(value), in_words(str(value)))


def place_words(place: Mapping[str, Any]) -> str:
    """Where something stands: "N = 64, depth = 2"; axes that are None are not read."""
    parts = (
        f"{axis_symbol(axis)} = {value_words(value)}".replace(" ", NO_BREAK)
        for axis, value in place.items()
        if value is not None
    )
    return ", ".join(parts)


def system_words(system: str) -> str:
    """The same of a system as `analysis.systems` writes it: "width=64, depth=2"."""
    if "=" not in system:
        return system
    parts = (part.partition("=")[::2] for part in system.split(", "))
    return place_words({axis: _plain(value) for axis, value in parts})


def _plain(value: str) -> Any:
    try:
        number = float(value)
    except ValueError:
        return value
    return int(number) if number.is_integer() and abs(number) < 1e15 else number


def by_number(system: str) -> tuple[float, str]:
    """A key to sort systems by: "width=64" stands before "width=128"."""
    value = _plain(system.rpartition("=")[2])
    return (0.0 if isinstance(value, str) else float(value)), system
