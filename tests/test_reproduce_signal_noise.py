"""Signal and noise: the definitions on known networks, findings on planted paths."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from grokmap.analysis.rate_equations import Path
from grokmap.reproduce import signal_modes, signal_noise
from grokmap.reproduce.trained import Trained
from grokmap.theory import gromov

P, N = 23, 400


def leaves(first: np.ndarray, readout: np.ndarray) -> dict[str, np.ndarray]:
    return {"first": first, "readout": readout}


def solved(seed: int = 0) -> dict[str, np.ndarray]:
    """Gromov's solution in the engine's layout: first [2p, N], readout [p, N]."""
    w1, w2 = gromov.analytic_weights(P, N, seed)
    return leaves(w1.T, w2)


def drawn(seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return leaves(rng.normal(size=(2 * P, N)), rng.normal(size=(P, N)))


def ratio(name: str, now: dict[str, np.ndarray], last: dict[str, np.ndarray]) -> float:
    first, readout = signal_modes.waves_of(now)
    signal, noise = signal_modes.DEFINITIONS[name](
        first, readout, signal_modes.waves_of(last)[1]
    )
    return signal / max(noise, 1e-12 * signal)


@pytest.mark.parametrize("name", list(signal_modes.DEFINITIONS)[1:])
def test_an_exact_solution_has_no_noise(name: str) -> None:
    assert ratio(name, solved(), solved()) > 1e8


def test_random_networks_have_the_ratio_of_chance() -> None:
    """Of one of K = 11 frequencies 1 / 10; half of it where phases must add up; and
    where the network uses all frequencies there is no noise at all."""
    every, strongest, at_end, phases = signal_modes.DEFINITIONS
    assert ratio(at_end, drawn(), solved()) == pytest.approx(1 / 10, rel=0.1)
    assert ratio(phases, drawn(), solved()) == pytest.approx(1 / 21, rel=0.15)
    # The strongest of 11 sums of four squares (`order_parameters.snr` at p = 23).
    assert ratio(strongest, drawn(), solved()) == pytest.approx(0.28, abs=0.03)
    assert ratio(every, drawn(), solved()) > 5


def test_wrong_phases_are_noise() -> None:
    now, other = solved(0), solved(0)
    other["readout"] = np.roll(other["readout"], 5, axis=0)
    name = list(signal_modes.DEFINITIONS)[-1]
    assert ratio(name, other, now) < 3 < ratio(name, now, now)


def test_the_ratio_passes_one_where_it_was_planted() -> None:
    run = SimpleNamespace(run_id="a", seed=0)
    steps = [0, 16, 64, 256, 1024]
    shares = [0.0, 0.0, 0.2, 0.9, 1.0]  # of the solution, in a random network
    scale = np.linalg.norm(drawn()["first"]) / np.linalg.norm(solved()["first"])
    reached = [
        SimpleNamespace(
            run=run,
            step=step,
            leaves=leaves(
                share * scale * solved()["first"] + (1 - share) * drawn()["first"],
                solved()["readout"],
            ),
        )
        for step, share in zip(steps, shares, strict=True)
    ]
    runs = pd.DataFrame(
        {"run_id": ["a"], "phase": ["grok"], "t_mem": [16.0], "t_grok": [200.0]}
    )
    table = signal_modes.ratios_of(
        Trained(runs, pd.DataFrame(), weights=lambda s: reached)  # type: ignore[arg-type,return-value]
    )
    both = pd.concat([table, table.assign(run_id="b", seed=1)])
    found = {f.quantity: f for f in signal_modes.of_definitions(both)}
    name = list(signal_modes.DEFINITIONS)[2]
    passed = float(found[f"SNR = 1, step over t_grok; {name}"].measured)
    assert 64 / 200 < passed < 256 / 200
    assert found[f"SNR at step 0 and t_mem; {name}"].holds
    every = list(signal_modes.DEFINITIONS)[0]
    assert not found[f"SNR at step 0 and t_mem; {every}"].holds
    assert found[f"SNR = 1, step over t_grok; {every}"].measured == "never"


def planted(rate: float, seed: int, loss: float) -> Path:
    """Noise that gains 1 up to t_mem and decays as exp(-loss r t), signal that grows
    slowly."""
    steps = np.unique(np.geomspace(1, 4 / rate, 300).round())
    steps = np.append(0, steps)
    t_mem, t_grok = 50.0, 2 / rate
    noise = np.where(
        steps < t_mem,
        1 + steps / t_mem,
        2 * np.exp(-loss * rate * (steps - t_mem)),
    )
    signal = 0.3 + 0.1 * steps * rate
    values = np.array([signal, noise]).T * (1 + 0.01 * seed)
    return Path(f"{rate}-{seed}", steps, values, rate, t_mem, t_grok)


@pytest.mark.parametrize(("loss", "holds"), [(1.0, True), (0.1, False)])
def test_stages(loss: float, holds: bool) -> None:
    known = [planted(rate, s, loss) for rate in (1e-3, 2e-3) for s in range(6)]
    seed = pd.Series({p.run_id: int(p.run_id.split("-")[-1]) for p in known})
    found = signal_noise.of_stages(known, seed)
    assert [f.holds for f in found[:4]] == [True, True, holds, True]
    noise = [2 * np.exp(-loss * (2 - 50 * rate)) for rate in (1e-3, 2e-3)]
    ratio = np.exp(np.mean(2 * np.log(0.5 / np.array(noise))))
    assert float(found[4].measured) == pytest.approx(ratio, rel=0.02)
    assert float(found[0].measured) == pytest.approx(1.1, abs=0.05)  # and what decayed
    assert float(found[2].measured) == pytest.approx(loss, rel=0.05)


def test_a_law_is_beaten_only_by_smaller_errors() -> None:
    better = signal_noise._forecast("planted", pd.Series([0.1, 0.2]), 0.2)
    worse = signal_noise._forecast("planted", pd.Series([0.1, 10.0, 10.0]), 0.2)
    assert better.holds and not worse.holds
    assert worse.measured == "never" and worse.spread == "2 of 3 never"
