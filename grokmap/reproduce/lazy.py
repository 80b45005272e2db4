"""The lazy limit (docs/theory.md): what the survey says of it, in trained networks.

`lazy_findings` compares; it loads jax, for which the list of reproductions does not
wait.
"""

from __future__ import annotations

from grokmap.reproduce.reproduction import Reproduction, later

SURVEY = "Grokking as a Phase Transition in Neural Networks (2026)"


REPRODUCTIONS: dict[str, Reproduction] = {
    "lazy-limit": Reproduction(
        reference=f"{SURVEY}, Lemma (NTK-Lazy Equivalence)",
        claim="Wide networks at alpha = 1/2 follow a network linear in its weights, "
        "the nearer the wider.",
        setting="a + b mod 11, 60% of the pairs, quadratic, centred, mse, gd, eta = "
        "0.01, 2000 steps, N = 64 to 2048, 8 seeds; with decay N = 1024",
        compare=later("lazy_findings", "compare_limit"),
        cpu_s=120,
        explained="The gap goes as 1 / (K sqrt(N)): the kernel moves by 1 / K to first "
        "order, of either sign in each neuron, so by 1 / sqrt(N) of that in the mean. "
        "So N^-1 at alpha = 1/2, as measured, and K^-1 at one width; -2, which was "
        "expected before the run, would be the second order. t_mem asks for every one "
        "of 73 examples, and so hangs on the one that is learned last: at N = 2048 the "
        "kernel of infinite width is not near enough to tell when.",
        sweeps=("lazy-width", "lazy-alpha", "lazy-decay"),
        figure=later("lazy_findings", "figure_limit"),
    ),
    "lazy-readout-time": Reproduction(
        reference=f"{SURVEY}, Eq. 18",
        claim="Lazy networks memorise in a time of 1 / (eta |K_0|).",
        setting="a + b mod p, 60% of the pairs, quadratic, centred, mse, gd, N = 512, "
        "alpha = 1/2, 6 seeds; |K_0| the largest eigenvalue of the tangent kernel over "
        "n, as the loss is a mean over n examples",
        compare=later("lazy_findings", "compare_readout"),
        cpu_s=110,
        explained="Times go as 1 / eta and as 1 / |K_0| where the kernel's spectrum "
        "keeps its shape. Where that changes, with p, the norm says little: it is the "
        "eigenvalue of the constant, which is learned first, while every function of "
        "a + b is in the eigenspace of the least one (theory.infinite_width.levels), "
        "which does not grow with n; so t_mem goes about as n / eta.",
        sweeps=("lazy-rate", "lazy-kernel", "lazy-modulus"),
    ),
    "lazy-memorises": Reproduction(
        reference=f"{SURVEY}, definition of the lazy regime",
        claim="A lazy network memorises any training set, and cannot generalise.",
        setting="a + b mod 11 and a linear teacher of 8 inputs, N = 512 and 2048, "
        "alpha = 1/2, centred, mse, gd, 6 and 8 seeds",
        compare=later("lazy_findings", "compare_memorising"),
        cpu_s=30,
        explained="Whether a lazy network generalises is a matter of the task: a "
        "linear teacher has its target where the kernel's eigenvalues are large; "
        "modular addition has it where they are least.",
        sweeps=("lazy-labels", "lazy-width", "lazy-teacher"),
    ),
}
