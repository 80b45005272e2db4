"""Networks at a temperature: escapes over a barrier, and the order of transitions.

The comparisons load jax, for which the list of reproductions does not wait.
"""

from __future__ import annotations

from grokmap.reproduce.reproduction import Reproduction, later

REPRODUCTIONS: dict[str, Reproduction] = {
    "kramers-escape": Reproduction(
        reference="the survey (2026), its Eq. 9, after Kramers, Physica 7, 284 (1940)",
        claim="The time to leave a memorising state is exp(barrier / T), and the "
        "barrier grows with the number of parameters.",
        setting="one quadratic neuron, d = 4, six examples of y = s^2, langevin, "
        "lambda = 0.1, 64 chains at each of five temperatures, barrier / T = 4 to 8",
        compare=later("kramers", "compare"),
        cpu_s=170,
        explained="What misses is the survey on the number of parameters. With "
        "two neurons, searched in the same way, the lowest saddle out of a "
        "memorising minimum is lower by a factor of 14, not higher; probably "
        "the second neuron, which is dead there, grows. More neurons were not "
        "tried.",
        figure=later("kramers", "figure"),
    ),
    "equilibrium-order": Reproduction(
        reference="Ziyin, Ueda (arXiv 2205.12510), on the degree of a network, at a "
        "temperature",
        claim="Where the noise of a posterior rises and falls, a neuron of degree 3 "
        "goes through a first-order transition and one of degree 2 through a "
        "continuous one.",
        setting="a (w.x)^2 on y = s^2 and a w.x on y = s, d = 4, 64 examples, "
        "langevin, T = 0.00035 to 0.0105, prior variance 0.003; 12 chains a ramp, 24 "
        "a cell, N = 1, 2, 4",
        compare=later("order_at_temperature", "compare"),
        cpu_s=110,
        explained="The loop is there at every rate, but chains learn again at random "
        "times, so that no power of the rate fits; at twice the temperature and "
        "prior variance it "
        "shrinks with the rate (b = 0.23, 0.05 to 0.41, 8 chains), and the tool "
        "is undecided as well. Of the cells, the modes say first order; "
        "Binder's cumulant is negative, but not beyond its interval, with 24 "
        "chains; and the gap shrinks a little (k = 0.12; 0.17 on a coarser grid "
        "with twice the steps), which counted as evidence of a continuous "
        "transition before this. The continuous neuron's fluctuations do not "
        "shrink from N = 1 to 4: one kind of evidence of two.",
        sweeps=(
            "equilibrium-first-order",
            "equilibrium-continuous",
            "equilibrium-first-order-widths",
            "equilibrium-continuous-widths",
        ),
        figure=later("order_at_temperature", "figure"),
    ),
}
