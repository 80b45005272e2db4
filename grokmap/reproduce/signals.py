"""Spikes, signal and noise along runs: what the survey (2026) takes for the cause.

The comparisons load jax, for which the list of reproductions does not wait.
"""

from __future__ import annotations

from grokmap.reproduce.reproduction import Reproduction, later

REPRODUCTIONS: dict[str, Reproduction] = {
    "spikes": Reproduction(
        reference="the survey (2026), Eq. 17; Baik, Ben Arous, Peche (2005); "
        "Benaych-Georges, Nadakuditi (arXiv 1103.2221)",
        claim="The grokking instant corresponds to the BBP transition: a spike leaves "
        "the bulk of the weights' singular values at t_grok.",
        setting="modular addition p = 23 and parity of 2 of 30; one and three layers "
        "and a transformer, one to four weight decays each, 6 seeds",
        compare=later("spikes", "compare"),
        cpu_s=240,
        sweeps=(
            *("spikes-quadratic", "spikes-parity", "spikes-deep"),
            *("spikes-transformer", "spikes-labels"),
        ),
        figure=later("spikes", "figure"),
    ),
    "signal-noise": Reproduction(
        reference="the survey (2026), Eq. 8 and 14; Nanda et al. (arXiv 2301.05217)",
        claim="Noise is learned first and decays under weight decay, signal grows "
        "slowly, as rate equations with gains say, and generalisation comes when the "
        "signal-to-noise ratio crosses 1.",
        setting="p = 23, N = 128, quadratic, 60% of the pairs, heavy-ball gd, eight "
        "weight decays, 6 seeds; each weight decay predicted from the others",
        compare=later("signal_noise", "compare"),
        cpu_s=100,
        sweeps=("signal-noise",),
        figure=later("signal_noise", "figure"),
    ),
    "goldilocks-zone": Reproduction(
        reference="the survey (2026), Goldilocks zone; Liu et al. (arXiv 2205.10343)",
        claim="Networks grok where memorising is not the minimum of F, where they can "
        "fit, and where signal is learned, but slower than noise.",
        setting="p = 17, N = 64, quadratic, alpha = 0 to 0.6, lambda = 3e-4 to 1, 12 "
        "decay times or 6000 steps, 2 seeds",
        compare=later("goldilocks", "compare"),
        cpu_s=40,
        sweeps=("goldilocks",),
        figure=later("goldilocks", "figure"),
    ),
}
