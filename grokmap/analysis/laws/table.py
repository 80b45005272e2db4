"""The laws: formulas for t_grok - t_0, each with its source and constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from grokmap.analysis.laws.data import Data
from grokmap.arrays import Floats

FLOOR = 1e-3  # decay times: the least delay a law may predict


class Law(NamedTuple):
    """A law of t_grok - t_0, with t_0 = 0 or t_mem.

    formula, source: in words. names: its parameters; `_N` marks one for each system.
    time: (parameters, data) -> [runs] steps. Parameters are logarithms of positive
    constants but for those in `plain`. start: data -> first guesses. needs: data that
    not every run has, without which the law says nothing.
    """

    formula: str
    source: str
    names: tuple[str, ...]
    time: Callable[[Floats, Data], Floats]
    start: Callable[[Data], list[list[float]]]
    plain: tuple[str, ...] = ()
    needs: str | None = None


def applies(law: Law, data: Data) -> bool:
    return law.needs is None or bool(np.isfinite(data[law.needs]).all())


def _typical(data: Data, x: Floats) -> float:
    """Median of the times of the grokked runs in units of 1/x."""
    delay = np.maximum(data["time"] - data["t_0"], 1.0)
    return float(np.median((delay * x)[data["grokked"]]))


def _exp(p: Any) -> Any:
    """exp, clipped: a parameter diverges where its law reduces to a simpler one."""
    return np.exp(np.clip(p, -600, 600))


def _kinetic(p: Floats, data: Data) -> Floats:
    return _exp(p[0]) / data["r"]


def _weight_norm(p: Floats, data: Data) -> Floats:
    left = np.log(data["norm_mem"]) - p[data["group"]]
    return np.maximum(left, FLOOR) / data["r"]


def _weight_norm_start(data: Data) -> list[list[float]]:
    typical = np.median(np.log(data["norm_mem"])) - _typical(data, data["r"])
    return [[float(typical)] * data["groups"]]


def _log_scale(p: Floats, data: Data) -> Floats:
    slope = p[1] if len(p) > 1 else 1.0
    return np.maximum(p[0] + slope * data["log_scale"], FLOOR) / data["r"]


def _log_rate(p: Floats, data: Data) -> Floats:
    return np.maximum(p[0] - p[1] * np.log(data["r"]), FLOOR) / data["r"]


def _log_rate_start(data: Data) -> list[list[float]]:
    typical, log_rate = _typical(data, data["r"]), np.log(np.median(data["r"]))
    return [[typical + b * log_rate, b] for b in (0.0, 1.0)]


def _two_rates(p: Floats, data: Data) -> Floats:
    rate = data["r"] / _exp(p[0]) + _exp(p[1:])[data["group"]] * data["clock"]
    return 1 / rate


def _two_rates_start(data: Data) -> list[list[float]]:
    typical, flow = (np.log(_typical(data, data[x])) for x in ("r", "clock"))
    return [[typical + a, *[b - flow] * data["groups"]] for a, b in ((0, -3), (1, 0))]


def _in(x: str, shape: Callable[[Floats, Floats], Floats]) -> Any:
    """A law in lambda holds in gradient-flow time, a law in r in steps."""

    def time(p: Floats, data: Data) -> Floats:
        return shape(p, data[x]) / (data["clock"] if x == "lambda" else 1.0)

    return time


def _power(p: Floats, x: Floats) -> Floats:
    away = np.maximum(x - _exp(p[1]), 1e-6 * x)
    return _exp(p[0] - _exp(p[2]) * np.log(away))


def _exponent(p: Floats, x: Floats) -> Floats:
    return _exp(p[0] - _exp(p[1]) * np.log(x))


def _exponential(p: Floats, x: Floats) -> Floats:
    return _exp(p[0] + np.minimum(_exp(p[1]) / x, 300.0))


def _plateau(p: Floats, x: Floats) -> Floats:
    return _exp(p[0]) / np.sqrt(1 + x / _exp(p[1]))


def _starts(x: str, guesses: Callable[[float, float], list[list[float]]]) -> Any:
    """guesses: (log of a typical time, log of the least x of a grokked run)."""

    def start(data: Data) -> list[list[float]]:
        unit = data["clock"] if x == "lambda" else np.ones_like(data["r"])
        least = np.log(data[x][data["grokked"]].min())
        return guesses(np.log(_typical(data, unit)), least)

    return start


def _power_guess(time: float, least: float) -> list[list[float]]:
    # In C / x, C is about a typical time multiplied by a typical x.
    return [[time + least + 1, least + far, 0.0] for far in (-5.0, -0.2)]


def _exponent_guess(time: float, least: float) -> list[list[float]]:
    return [[time + least + 1, 0.0]]


def _exponential_guess(time: float, least: float) -> list[list[float]]:
    return [[time - 1, least], [time, least - 5]]


def _plateau_guess(time: float, least: float) -> list[list[float]]:
    return [[time + 1, least], [time, least + 5]]


def _pair(formula: str, source: str, names: str, shape: Any, guess: Any) -> list[Law]:
    """A published law of lambda, in lambda and in r."""
    return [
        Law(
            formula.format(x=x) + (" lambda/r" if x == "lambda" else ""),
            source,
            tuple(names.format(x=x).split()),
            _in(x, shape),
            _starts(x, guess),
        )
        for x in ("lambda", "r")
    ]


_POWER = _pair(
    "C ({x} - {x}_c)^-nu", "Verma 2605.20441", "C {x}_c nu", _power, _power_guess
)
_EXPONENT = _pair(
    "C {x}^-nu",
    "Pracher 2609.26679: eta lambda^1.07 at fixed t",
    "C nu",
    _exponent,
    _exponent_guess,
)
_EXPONENTIAL = _pair(
    "C exp(c / {x})", "ln t linear in 1/lambda", "C c", _exponential, _exponential_guess
)
_PLATEAU = _pair(
    "C / sqrt(1 + {x}/{x}_0)", "plateau, then -1/2", "C {x}_0", _plateau, _plateau_guess
)
LAWS: dict[str, Law] = {
    "kinetic": Law(
        "C / r",
        "1/(eta lambda): Boursier 2505.20172; Kim 2607.23967, logarithm constant",
        ("C",),
        _kinetic,
        lambda data: [[np.log(_typical(data, data["r"]))]],
    ),
    "weight-norm": Law(
        "ln(theta_mem / theta_c) / r",
        "weight-norm law; Truong 2603.13331",
        ("theta_c_N",),
        _weight_norm,
        _weight_norm_start,
    ),
    "log-scale": Law(
        "(c + ln(K) / L) / r",
        "Lyu 2311.18817",
        ("c",),
        _log_scale,
        lambda data: [[_typical(data, data["r"])]],
        plain=("c",),
        needs="log_scale",
    ),
    "log-scale-free": Law(
        "(c + k ln(K) / L) / r",
        "Lyu 2311.18817, k free",
        ("c", "k"),
        _log_scale,
        lambda data: [[_typical(data, data["r"]), k] for k in (0.0, 1.0)],
        plain=("c", "k"),
        needs="log_scale",
    ),
    "log-rate": Law(
        "(a + b ln(1/r)) / r",
        "Kim 2607.23967: ln(.) / r, linear in ln(1/r)",
        ("a", "b"),
        _log_rate,
        _log_rate_start,
        plain=("a", "b"),
    ),
    "exponent-lambda": _EXPONENT[0],
    "exponent-rate": _EXPONENT[1],
    "power-lambda": _POWER[0],
    "power-rate": _POWER[1],
    "exponential-lambda": _EXPONENTIAL[0],
    "exponential-rate": _EXPONENTIAL[1],
    "plateau-lambda": _PLATEAU[0],
    "plateau-rate": _PLATEAU[1],
    "two-rates": Law(
        "1 / (r / C + kappa_N r / lambda)",
        "this package",
        ("C", "kappa_N"),
        _two_rates,
        _two_rates_start,
    ),
}
