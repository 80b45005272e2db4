"""Spectra, signal and noise along runs: what the survey (2026) says of grokking's cause.

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
}
