"""Networks at equilibrium, of Rubin, Seroussi and Ringel (docs/systems/rubin.md).

The comparisons load jax, for which the list of reproductions does not wait.
"""

from __future__ import annotations

from grokmap.reproduce.reproduction import Reproduction, later

REFERENCE = "Rubin, Seroussi, Ringel (arXiv 2310.03789)"
REPRODUCTIONS: dict[str, Reproduction] = {
    "rubin-teacher": Reproduction(
        reference=f"{REFERENCE}, teacher-student",
        claim="Overlaps of neurons with the teacher follow exp(-S): one Gaussian at "
        "much noise, a mixture below a level of it.",
        setting="d = 30, n = 600, N = 100 (50, 200) at the u and n / (sigma^2 N) of "
        "their d = 150, n = 3000, N = 700; Langevin chains from cold and hot starts, 6 "
        "training sets",
        compare=later("rubin_teacher", "compare"),
        cpu_s=420,
        sweeps=(
            *("rubin-teacher-0.3", "rubin-teacher-0.19", "rubin-teacher-0.15"),
            *("rubin-teacher-0.11", "rubin-teacher-0.075"),
            *("rubin-teacher-narrow", "rubin-teacher-wide"),
            "rubin-teacher-examples",
        ),
        explained="Neurons seldom cross between the wells. In one of the training sets "
        "that miss at sigma^2 = 0.075, 9000 steps in place of 2500 take R-hat of the "
        "cubic part from 1.13 to 1.03, its mean from -0.0669 to -0.0668. The distance "
        "is that of the training set and not of N: at N = 100 and 200 the three sets "
        "have the same ones, of 0.02, 0.05 and 0.16, and four times as many examples "
        "take their mixture from 0.066 to 0.026.",
        figure=later("rubin_teacher", "figure"),
    ),
    "rubin-phases": Reproduction(
        reference=f"{REFERENCE}, teacher-student",
        claim="As the noise falls, one Gaussian at 0 is followed by a mixture with two "
        "wells beyond, and that by these wells alone.",
        setting="d = 150, n = 3000, N = 700, sigma_w^2 = 0.5, sigma_a^2 = 8/N; the "
        "theory, closed here",
        compare=later("rubin_phases", "compare"),
        cpu_s=15,
        explained="0 is no peak below the last level, but the theory, closed, leaves "
        "most neurons near it: a share of 4 / d of them puts out an f of order 1, at "
        "any d that was tried (the last row).",
        figure=later("rubin_phases", "figure"),
    ),
    "rubin-bias": Reproduction(
        reference=f"{REFERENCE}, on broken reflection",
        claim="A weak bias makes one of the two wells at w.w* = +-Phi deeper.",
        setting="d = 30, n = 600, N = 100, trained biases under the prior of the "
        "weights; 3 training sets of 4 Langevin chains",
        compare=later("rubin_teacher", "compare_bias"),
        cpu_s=60,
        explained="(a, w, b) to (-a, -w, b) takes f(x) to -f(-x), and the teacher is "
        "odd: both wells weigh the same whatever the biases. A teacher with an even "
        "part was not tried.",
        sweeps=("rubin-teacher-bias",),
    ),
    "rubin-samples": Reproduction(
        reference=f"{REFERENCE}, sample complexity",
        claim="Networks learn the cubic part of the teacher from n ~ d examples, a "
        "Gaussian process from n ~ d^3.",
        setting="d = 15 and 45, n = 20 d, N = 100; 3 training sets of 4 Langevin "
        "chains, and kernel regression on the same",
        compare=later("rubin_samples", "compare"),
        cpu_s=90,
        explained="The closed theory itself gives an exponent of 1.74 between these d, "
        "and 1.99 from d = 45 to 90 (posterior.examples_needed of its cubic part): "
        "that of large d is not reached at 15.",
        sweeps=("rubin-teacher-d15", "rubin-teacher-d45"),
    ),
    "rubin-modular-samples": Reproduction(
        reference=f"{REFERENCE}, modular addition",
        claim="Neurons are Gaussian at much noise; below a level their law becomes a "
        "mixture, of neurons that hold one frequency beside the others.",
        setting="p = 11, N = 400 (800), quadratic neurons, a Gaussian prior, "
        "4 N v s^2 = 0.02; 6 Langevin chains from cold and hot starts at each noise",
        compare=later("rubin_modular", "compare"),
        cpu_s=240,
        sweeps=(
            *("rubin-modular-0.2", "rubin-modular-0.1", "rubin-modular-0.05"),
            *("rubin-modular-0.035", "rubin-modular-0.025", "rubin-modular-0.014"),
            "rubin-modular-wide",
        ),
        explained="The law takes neurons as independent. In the mixture three of them "
        "hold each frequency, nearly always, and cancel what each puts out beside the "
        "target: in two more chains, of a program apart from this one, the square of "
        "their sum there is about a quarter of the sum of their squares. So each pays "
        "less for its own output than alone, and more specialise. At the same noise N "
        "= 800 is before the mixture, and what is left is the law's. Its chains are "
        "slow: 4000 steps gave an R-hat of 1.16, 10000 one of 1.11 and the same share "
        "left.",
        figure=later("rubin_modular", "figure"),
    ),
    "rubin-sextic-samples": Reproduction(
        reference=f"{REFERENCE}, modular addition with gamma",
        claim="With a prior of sixth order, neurons are Gaussian at much noise and a "
        "mixture below the noise at which both wells of an action are as deep.",
        setting="p = 7, N = 400, quadratic neurons, gamma = 3/16; 6 Langevin chains "
        "from cold and hot starts at each noise",
        compare=later("rubin_sextic", "compare"),
        cpu_s=215,
        sweeps=tuple(
            f"rubin-sextic-{noise}" for noise in ("0.0014", "0.0012", "0.001", "0.0008")
        ),
        explained="The published levels need a u twice that derived here, which the "
        "onset of the networks contradicts. There neurons seldom cross: two longer "
        "chains, 720 relaxation times in place of 190, have 2.6 and 1.6 neurons in the "
        "well and 0.982 and 0.984 left, so that it is no matter of time; the number "
        "goes up fourfold within 5% of sigma^2. Neurons in the well are further out "
        "than in the law, and fewer. They cancel what each puts out on functions of m "
        "- l, of which the square of the sum is 0.19 of the sum of squares at 0.0008: "
        "with a fifth of that in q, the law's means are 16.3 and 17.0. Steps half as "
        "long moved the networks' mean at 0.001 from 17.3 to 17.1. Level and law "
        "differ by p: the law's onset is at 1.06, 1.01 and 0.98 times the level at p = "
        "7, 11, 17.",
        figure=later("rubin_sextic", "figure"),
    ),
}
