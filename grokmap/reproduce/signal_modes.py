"""What is signal in the first layer of a network that adds modulo p: four answers.

The survey (Eq. 14) projects on the subspace "spanned by the ground-truth features (e.g.
the relevant Fourier modes)". Before training all frequencies are as good, so which are
relevant can be told at the end of a run only, for all neurons alike or for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from grokmap.analysis.statistics import student_interval
from grokmap.arrays import Floats
from grokmap.classify import GROK
from grokmap.reproduce.finding import WORDS, Finding
from grokmap.reproduce.trained import END, Trained

STEPS = (0, *(round(2 ** (k / 2)) for k in range(8, 24)), END)  # weights are looked at
KEY_POWER = 0.95  # as in `order_parameters.spectra`
FACTOR = 1.25  # set after a first look at the runs

Waves = npt.NDArray[np.complex128]
Modes = Callable[[Waves, Waves, Waves], tuple[float, float]]


def waves_of(leaves: Mapping[str, Floats]) -> tuple[Waves, Waves]:
    """(first [2, K, N], readout [K, N]): complex amplitudes at the frequencies 1..K of
    an odd modulus, of each neuron's u, v and readout weights."""
    first = np.asarray(leaves["first"], np.float64)
    rows = first.reshape(2, len(first) // 2, -1)
    readout = np.asarray(leaves["readout"], np.float64)
    return np.fft.rfft(rows, axis=1)[:, 1:], np.fft.rfft(readout, axis=0)[1:]


def _power(first: Waves) -> Floats:
    """[K, N] of u and v together."""
    return np.sum(np.abs(first) ** 2, axis=0)


def _parted(power: Floats, chosen: Floats) -> tuple[float, float]:
    signal = float(np.sum(power * chosen))
    return signal, float(np.sum(power)) - signal


def _one_each(power: Floats) -> Floats:
    """[K, N] 1 at each neuron's strongest frequency."""
    return (np.arange(len(power))[:, None] == power.argmax(axis=0)).astype(float)


def keys(first: Waves, readout: Waves, last: Waves) -> tuple[float, float]:
    """One subspace for all neurons: the fewest frequencies that carry 95% of the
    readout's power at the end of the run."""
    carried = np.sum(np.abs(last) ** 2, axis=1)
    order = np.argsort(-carried)
    before = np.cumsum(carried[order]) - carried[order]
    chosen = np.zeros((len(carried), 1))
    chosen[order[before < KEY_POWER * carried.sum()]] = 1.0
    return _parted(_power(first), chosen)


def strongest(first: Waves, readout: Waves, last: Waves) -> tuple[float, float]:
    """Of each neuron its strongest frequency now: `order_parameters.snr`."""
    return _parted(_power(first), _one_each(_power(first)))


def at_end(first: Waves, readout: Waves, last: Waves) -> tuple[float, float]:
    """Of each neuron the frequency at which its readout is strongest at the end."""
    return _parted(_power(first), _one_each(np.abs(last) ** 2))


def waves(first: Waves, readout: Waves, last: Waves) -> tuple[float, float]:
    """Of that the share (1 + cos(phi_u + phi_v - phi_readout)) / 2: a half for random
    phases, all of it in Gromov's solution (arXiv 2301.02679)."""
    phase = np.angle(first[0]) + np.angle(first[1]) - np.angle(readout)
    return _parted(_power(first), _one_each(np.abs(last) ** 2) * _half(phase))


def _half(phase: Floats) -> Floats:
    return (1 + np.cos(phase)) / 2


DEFINITIONS: dict[str, Modes] = {
    "the readout's frequencies, of all neurons alike": keys,
    "each neuron's strongest frequency": strongest,
    "each neuron's frequency at the end": at_end,
    "the same where phases add up": waves,
}


def ratios_of(trained: Trained) -> pd.DataFrame:
    """run_id, seed, t_mem, t_grok, step, definition, ratio E_S / E_N, at STEPS."""
    runs = trained.runs.set_index("run_id")
    reached = trained.weights(STEPS)
    last = {one.run.run_id: one for one in reached}  # the last of each run is its end
    ends = {run_id: waves_of(one.leaves)[1] for run_id, one in last.items()}
    rows = []
    for one in reached:
        run_id = one.run.run_id
        if one.step > last[run_id].step or runs["phase"][run_id] != GROK:
            continue
        parts = waves_of(one.leaves)
        for name, modes in DEFINITIONS.items():
            signal, noise = modes(*parts, ends[run_id])
            ratio = signal / max(noise, 1e-12 * signal)
            rows.append((run_id, one.run.seed, one.step, name, ratio))
    names = ["run_id", "seed", "step", "definition", "ratio"]
    table = pd.DataFrame(rows, columns=names)
    times = runs[["t_mem", "t_grok"]].astype(float)
    return table.join(times, on="run_id")


def of_definitions(table: pd.DataFrame) -> list[Finding]:
    """Of each: the ratio at the start and at t_mem, and when it passes 1."""
    findings = []
    for name in DEFINITIONS:
        own = table[table["definition"] == name]
        rows = [_passing(part) for _, part in own.groupby("run_id")]
        found = pd.DataFrame(rows, columns=["seed", "start", "memorised", "passed"])
        start, memorised = found["start"].median(), found["memorised"].median()
        below = bool(max(found["start"].max(), found["memorised"].max()) < 1)
        words = f"{start:.2g}, {memorised:.2g}"
        what = f"SNR at step 0 and t_mem; {name}"
        findings.append(Finding(what, "< 1", WORDS, "every run", words, "", below))
        passed = np.log(found["passed"]).groupby(found["seed"]).mean()
        findings.append(_ratio(f"SNR = 1, step over t_grok; {name}", passed.to_numpy()))
    return findings


def _passing(run: pd.DataFrame) -> tuple[float, float, float, float]:
    """(seed, ratio at the first record, ratio at t_mem, step at which it passes 1 from
    below over t_grok; NaN: never)."""
    run = run.sort_values("step")
    log_step = np.log(np.maximum(run["step"].to_numpy(float), 0.5))
    logs = np.log(run["ratio"].to_numpy(float))
    t_mem, t_grok = run["t_mem"].iloc[0], run["t_grok"].iloc[0]
    memorised = float(np.exp(np.interp(np.log(t_mem), log_step, logs)))
    up = np.flatnonzero((logs[:-1] < 0) & (logs[1:] >= 0))
    passed = np.nan
    if len(up):
        i = up[0]
        at = np.interp(0.0, logs[i : i + 2], log_step[i : i + 2])
        passed = float(np.exp(at) / t_grok)
    return float(run["seed"].iloc[0]), float(run["ratio"].iloc[0]), memorised, passed


def _ratio(quantity: str, logs: Floats) -> Finding:
    """exp of the mean over seeds, beside 1."""
    known = logs[np.isfinite(logs)]
    if len(known) < 2:
        nothing = f"{len(known)} of {len(logs)} seeds"
        return Finding(quantity, "1", WORDS, f"x {FACTOR:g}", "never", nothing, False)
    mean, low, high = np.exp(student_interval(known))
    return Finding(
        quantity,
        "1",
        WORDS,
        f"within a factor {FACTOR:g}",
        f"{mean:.3g}",
        f"95%: {low:.3g} to {high:.3g}, {len(known)} seeds",
        bool(1 / FACTOR <= mean <= FACTOR),
    )
