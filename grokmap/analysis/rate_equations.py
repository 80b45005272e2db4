"""Rate equations of signal and noise (survey, Eq. 8), fitted to records of runs.

    dS/dt = g_S(S, N) - r S,    dN/dt = g_N(S, N) - r N

in steps, r a run's decay rate, S and N the roots of the energies E_S and E_N, which
weight decay alone shrinks as exp(-r t). The survey leaves g open: each of `FORMS` is
a sum of coefficients times functions of its own amplitude and the other one, so that
least squares on the increments between records finds them at once,

    S_{i+1} - S_i + r (integral of S) = sum_k c_k (integral of b_k(S, N)),

integrals by trapezes, each row over S_i. On the clock "steps" the coefficients are the
same at all weight decays, on "decay" they are in decay times, r c_k.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.integrate import solve_ivp

from grokmap.analysis.series import log_time
from grokmap.arrays import Floats

SIGNAL, NOISE = "signal_energy", "noise_energy"
CLOCKS = ("steps", "decay")
Basis = Callable[[Floats, Floats], list[Floats]]


def _ones(x: Floats) -> Floats:
    return np.ones_like(x)


# g of one amplitude x, y the other: what its coefficients multiply.
FORMS: dict[str, Basis] = {
    "decay alone": lambda x, y: [],
    "constant": lambda x, y: [_ones(x)],
    "proportional": lambda x, y: [x],
    "saturating": lambda x, y: [x, x**2],
    "crosswise": lambda x, y: [x, x * y],
    "linear": lambda x, y: [_ones(x), x, y],
    "quadratic": lambda x, y: [_ones(x), x, y, x**2, x * y, y**2],
}
LARGEST = 1e3  # times the first amplitude: a solution that leaves for infinity ends


class Path(NamedTuple):
    """Amplitudes of one run: steps [k], values [k, 2] of S and N, its r and times."""

    run_id: str
    step: Floats
    values: Floats
    rate: float
    t_mem: float
    t_grok: float


class Fit(NamedTuple):
    """Coefficients of g_S and g_N of one form, on one clock."""

    form: str
    clock: str
    signal: Floats
    noise: Floats

    def velocity(self, state: Floats, rate: float) -> Floats:
        """[2] d(S, N)/dt per step."""
        scale = rate if self.clock == "decay" else 1.0
        x, y = np.maximum(state, 0.0)
        gains = [
            scale * float(np.dot(c, FORMS[self.form](*pair))) if len(c) else 0.0
            for c, pair in ((self.signal, (x, y)), (self.noise, (y, x)))
        ]
        return np.array(gains) - rate * state


def paths(trajectories: pd.DataFrame, runs: pd.DataFrame) -> Iterator[Path]:
    """The amplitudes of each run that memorised, in order of `runs`."""
    known = trajectories.dropna(subset=[SIGNAL, NOISE]).sort_values("step")
    parts = dict(iter(known.groupby("run_id")))
    for run in runs.dropna(subset=["t_mem"]).itertuples():
        part = parts[str(run.run_id)]
        values = np.sqrt(part[[SIGNAL, NOISE]].to_numpy(np.float64))
        t_grok = np.nan if pd.isna(run.t_grok) else float(run.t_grok)
        yield Path(
            str(run.run_id),
            part["step"].to_numpy(np.float64),
            values,
            float(run.decay_rate),
            float(run.t_mem),
            t_grok,
        )


def between(path: Path, start: float, end: float) -> Path:
    """Its records from one step to another."""
    inside = (path.step >= start) & (path.step <= end)
    return path._replace(step=path.step[inside], values=path.values[inside])


def fit(known: Sequence[Path], form: str, clock: str) -> Fit:
    """Coefficients by least squares over the increments of all paths."""
    return Fit(form, clock, *(_coefficients(known, form, clock, i) for i in (0, 1)))


def _coefficients(known: Sequence[Path], form: str, clock: str, which: int) -> Floats:
    rows, gained = [], []
    for path in known:
        x, y = path.values[:, which], path.values[:, 1 - which]
        width = np.diff(path.step)
        scale = path.rate if clock == "decay" else 1.0
        columns = [scale * _integrals(b, width) / x[:-1] for b in FORMS[form](x, y)]
        rows.append(np.array(columns).reshape(-1, len(width)).T)
        gained.append((np.diff(x) + path.rate * _integrals(x, width)) / x[:-1])
    matrix = np.concatenate(rows)
    if not matrix.shape[1]:
        return np.empty(0)
    size = np.linalg.norm(matrix, axis=0)  # columns differ in units
    size = np.where(size > 0, size, 1.0)
    found = np.linalg.lstsq(matrix / size, np.concatenate(gained), rcond=None)[0]
    return np.asarray(found / size)


def _integrals(values: Floats, width: Floats) -> Floats:
    """Over each interval between records, by the trapezoidal rule."""
    return width * (values[1:] + values[:-1]) / 2


def solve(
    equations: Fit, path: Path, start: float, end: float
) -> tuple[Floats, Floats]:
    """(steps, values [k, 2]) from the path's state at `start`, evenly in log time.

    A solution that runs away ends before `end`.
    """
    first = state_at(path, start)
    steps = np.geomspace(start, end, 200)

    def away(_: float, state: Floats) -> float:
        return float(LARGEST * first.max() - np.abs(state).max())

    away.terminal = True  # type: ignore[attr-defined]
    found = solve_ivp(
        lambda _, state: equations.velocity(state, path.rate),
        (start, end),
        first,
        t_eval=steps,
        events=away,
        rtol=1e-5,
        atol=1e-8,
    )
    return found.t, np.maximum(found.y.T, 1e-12)


def state_at(path: Path, step: float) -> Floats:
    """[2] its amplitudes at a step, between records linear in log time."""
    return np.array(
        [np.interp(log_time(step), log_time(path.step), v) for v in path.values.T]
    )


def error(equations: Fit, path: Path) -> float:
    """Root mean square of ln(predicted / recorded) of S and N, from t_mem to the end;
    records that a solution does not reach count as a factor `LARGEST`."""
    late = between(path, path.t_mem, np.inf)
    steps, values = solve(equations, path, path.t_mem, float(path.step[-1]))
    logs = [
        np.interp(log_time(late.step), log_time(steps), np.log(v), right=np.nan)
        for v in values.T
    ]
    gap = np.array(logs).T - np.log(late.values)
    return float(np.sqrt(np.mean(np.nan_to_num(gap, nan=np.log(LARGEST)) ** 2)))


def ratio_at_grok(known: Sequence[Path]) -> float:
    """Geometric mean of E_S / E_N at t_grok."""
    ratios = [2 * np.log(_ratio(state_at(p, p.t_grok))) for p in known]
    return float(np.exp(np.mean(ratios)))


def _ratio(state: Floats) -> float:
    return float(state[0] / state[1])


def predicted_t_grok(
    equations: Fit, path: Path, threshold: float, longest: float
) -> float:
    """The step at which E_S / E_N, from its value at t_mem on, passes a threshold; NaN
    where it has not by `longest` steps."""
    steps, values = solve(equations, path, path.t_mem, longest)
    passed = (values[:, 0] / values[:, 1]) ** 2 >= threshold
    return float(steps[passed.argmax()]) if passed.any() else float("nan")
