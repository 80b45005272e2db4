"""Where training ends, and what comes before: states, solutions, double descent.

The comparisons load jax, for which the list of reproductions does not wait.
"""

from __future__ import annotations

from grokmap.reproduce.reproduction import Reproduction, later

REPRODUCTIONS: dict[str, Reproduction] = {
    "double-descent": Reproduction(
        reference="Hastie, Montanari, Rosset, Tibshirani (arXiv 1903.08560); Nakkiran "
        "et al. (arXiv 1912.02292)",
        claim="Under label noise the test loss has a peak where the training set is "
        "just fitted, over examples and over neurons, and falls twice in time.",
        setting="linear teacher, noise 1/2; linear student, d = 40, n = 10 to 160, 24 "
        "seeds; relu, d = 10, n = 100, N = 2 to 128, alpha = 0 and 1, 6 seeds",
        compare=later("double_descent", "compare"),
        cpu_s=45,
        sweeps=("descent-examples", "descent-width"),
        explained="In time test losses fall once and rise. Tried: heavy-ball momentum, "
        "under which up to 4 of 6 runs of a width fall twice, by its overshoot in the "
        "first steps; and inputs of two sizes, for which the closed form does fall "
        "twice (`tests/test_theory_ridgeless.py`): here all inputs are of one size.",
        figure=later("double_descent", "figure"),
    ),
    "free-energy": Reproduction(
        reference="the survey (2026), on the effective free energy",
        claim="F = L + lambda |theta|^2 has a memorising and a generalising minimum, "
        "which change their order where grokking begins and ends.",
        setting="p = 11, quadratic, N = 32, 85% and 55% of the pairs, lambda = 0.01 to "
        "0.16, 6 seeds; states by L-BFGS in float64",
        compare=later("free_energy", "compare"),
        cpu_s=100,
        sweeps=("free-energy",),
        explained="From either state one comes to minima of nearly one F, which "
        "generalise or not by lambda and the share of the pairs. Tried: two train "
        "fractions, six weight decays, and the engine's descent in place of L-BFGS, "
        "under which the memorised state groks as well.",
        figure=later("free_energy", "figure"),
    ),
    "solutions": Reproduction(
        reference="the survey (2026), on the structure of the loss landscape",
        claim="Modular addition has O(p^2) memorising solutions, and O(p) generalising "
        "ones, of one frequency each.",
        setting="p = 11, quadratic, N = 32, one split, 64 networks by L-BFGS in "
        "float64; 40% of the pairs at lambda = 0, 85% at 0.01",
        compare=later("solutions", "compare"),
        explained="All 64 memorising networks answer differently: the bound from below "
        "is that of 64 unlike ones, and p^2 equally likely ones would have repeated "
        "some 17 times. Every generalising network uses all five frequencies. Tried: "
        "85% of the pairs for minima of the loss, which then generalise. Why "
        "memorising networks agree more than by chance was not found out.",
        cpu_s=65,
    ),
}
