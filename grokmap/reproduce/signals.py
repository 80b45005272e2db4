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
        cpu_s=220,
        sweeps=(
            *("spikes-quadratic", "spikes-parity", "spikes-deep"),
            *("spikes-transformer", "spikes-labels"),
        ),
        explained="Spikes come early: in the transformer and on parities before t_mem, "
        "at a step that hardly depends on weight decay while t_grok moves by a factor "
        "of four to five, and with random labels at the same step, so they come with "
        "memorising; in three layers between t_mem and t_grok; in quadratic neurons "
        "in two runs of twelve. Their place is missed by 9% since what training adds "
        "is not independent of the initial weights: shuffled over neurons, it stands "
        "where the formula says. Exponents took the place of slopes of t_spike against "
        "t_grok, which two weight decays (three layers) left open.",
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
        cpu_s=75,
        explained="Up to t_mem the energies of both fall, as initial outputs are "
        "unlearned; with center = true, tried at three weight decays, both gain, S by "
        "8% and N by 6%. N does not decay before t_grok: the gradient renews it. Both "
        "move fast just behind t_mem, whatever the decay, and then in decay times, so "
        "that no form of g tried holds on one clock. Where all frequencies are used, "
        "one subspace for all neurons has no noise. The ratio passes 1 before t_grok, "
        "at which it is 1.8 to 2.4.",
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
        cpu_s=35,
        explained="Condition 1 holds in every run that memorises, by a larger factor "
        "the smaller the decay, so it sets no lower edge. That of the plane is the "
        "budget's: of the runs that are decided, all that fit grok. Condition 3 fails "
        "of the weights: initial outputs are unlearned up to t_mem (signal-noise), "
        "and holds of the outputs everywhere. F of grokked runs lies above that of the "
        "rescaled network since runs end soon after t_grok, before they are at rest.",
        sweeps=("goldilocks",),
        figure=later("goldilocks", "figure"),
    ),
}
