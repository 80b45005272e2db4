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
        "langevin, T = 0.00035 to 0.0105, prior variance 0.003; 12 chains a ramp; "
        "cells of 96 chains at N = 1, 2, 4, and of 48 at N = 1, 4, 16 and T / N",
        compare=later("order_at_temperature", "compare"),
        cpu_s=180,
        explained="The loop is there at every rate, but chains learn again at random "
        "times, so that no power of the rate fits; at twice the temperature and "
        "prior variance it "
        "shrinks with the rate (b = 0.23, 0.05 to 0.41, 8 chains), and the tool "
        "is undecided as well. The cells were given more chains after a first "
        "look, and a size: with 24 chains Binder's cumulant of the first was not "
        "below 0 by its interval, and at one temperature for N = 1, 2 and 4 the "
        "fluctuations of the second do not shrink, so that the tool said undecided "
        "of both.",
        sweeps=(
            "equilibrium-first-order",
            "equilibrium-continuous",
            "equilibrium-first-order-widths",
            *("equilibrium-continuous-1", "equilibrium-continuous-4"),
            "equilibrium-continuous-16",
        ),
        figure=later("order_at_temperature", "figure"),
    ),
}
