"""How many memorising and generalising solutions there are, and how alike they are.

Of many networks on one training set, from initial weights of their own: minima of the
loss alone on few pairs, which memorise, and minima of F on many pairs and at a weight
decay at which they generalise (`free_energy`, L-BFGS in float64). The survey counts
O(p^2) of the first and O(p) of the second, one for each frequency.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from grokmap.analysis import solutions
from grokmap.analysis.solutions import Layers
from grokmap.analysis.statistics import student_interval
from grokmap.arrays import Floats
from grokmap.engine.mean_field import start_of
from grokmap.reproduce.finding import OWN, WORDS, Finding
from grokmap.reproduce.states import Examples, minima, outputs
from grokmap.reproduce.trained import Trained
from grokmap.spec import Control, Run, System
from grokmap.theory.mean_field import Neurons

MODULUS, NEURONS, NETWORKS = 11, 32, 64
# With more pairs, minima of the loss alone generalise, too.
FRACTIONS = {"memorising": 0.4, "generalising": 0.85}
DECAYS = {"memorising": 0.0, "generalising": 0.01}
MOST = {"memorising": 500, "generalising": 2000}  # iterations
PAIRS = 12  # of networks, each in one pair, whose overlap is taken
USED = 0.5  # of an even share of the weights, from which a frequency counts as used
# Set before the runs; the fraction of memorising ones was 0.85 in a first, where minima
# of the loss generalised.
LEARNED, FACTOR = 0.99, 3.0


class Found(NamedTuple):
    """n networks at a minimum.

    networks: [n] their weights; accuracy: [n, 2] on training and other examples;
    predictions: [n, m] classes of the latter; gradient: [n] norm of F's.
    """

    networks: list[Layers]
    accuracy: Floats
    predictions: Floats
    gradient: Floats


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Counts by what networks answer and by their frequencies; overlaps."""
    random, found = networks()
    null = pairs_of(random)
    memory, rule = found["memorising"], found["generalising"]
    return [
        *(_learned(name, one) for name, one in found.items()),
        _memorising(memory),
        _generalising(rule),
        _frequencies(rule),
        *(_agreement(name, one) for name, one in found.items()),
        *(_overlap(name, one.networks, null) for name, one in found.items()),
        _symmetric(rule, random),
    ]


def networks() -> tuple[list[Layers], dict[str, Found]]:
    """The initial networks, and where they end by name of `DECAYS`."""
    sets = {name: training_set(fraction) for name, fraction in FRACTIONS.items()}
    with jax.enable_x64(True):
        starts = Neurons(
            *(np.stack(x) for x in zip(*map(drawn, range(NETWORKS)), strict=True))
        )
        found = {
            name: _found(starts, examples, name) for name, examples in sets.items()
        }
    return layers(starts), found


def drawn(seed: int) -> Neurons:
    """A network of independent weights N(0, 1), as the engine draws its own."""
    rng = np.random.default_rng(seed)
    shapes = (NEURONS, MODULUS), (NEURONS, 2 * MODULUS)
    return Neurons(*(rng.standard_normal(shape) for shape in shapes))


def training_set(fraction: float) -> Examples:
    """Of one network: the engine's split of seed 0."""
    system = System(
        task="modular_addition", model="two_layer", modulus=MODULUS, width=NEURONS,
        activation="quadratic", loss="mse", optimizer="gd",
    )  # fmt: skip
    control = Control(
        alpha=0.0, weight_decay=0.0, train_fraction=fraction, learning_rate=0.1
    )
    problem = start_of(Run("", system, control, 0), np.float64).problem
    n = problem.n_train
    share = (np.arange(len(problem.y)) < n) / n
    return Examples(problem.x, problem.y, share)


def layers(neurons: Neurons) -> list[Layers]:
    return [Layers(*map(np.asarray, pair)) for pair in zip(*neurons, strict=True)]


def _found(starts: Neurons, examples: Examples, name: str) -> Found:
    many = Examples(*(np.stack([part] * NETWORKS) for part in examples))
    neurons, _, gradient = minima(starts, many, DECAYS[name], MOST[name])
    f = jax.vmap(outputs, (0, None))(neurons, jnp.asarray(examples.x))
    answers = np.asarray(f).argmax(axis=2)
    right, train = answers == examples.y.argmax(axis=1), examples.share > 0
    accuracy = np.stack([right[:, train].mean(axis=1), right[:, ~train].mean(axis=1)])
    return Found(layers(neurons), accuracy.T, answers[:, ~train], np.asarray(gradient))


def _learned(name: str, found: Found) -> Finding:
    train, test = found.accuracy.T
    share = float(np.mean(train >= LEARNED))
    return Finding(
        f"share of {name} minima ({FRACTIONS[name]:.0%} of the pairs, lambda = "
        f"{DECAYS[name]:g}) that fit the training set",
        "1",
        OWN,
        f">= {LEARNED:g}",
        f"{share:.2f}",
        f"test accuracy {test.min():.2f} to {test.max():.2f}, |gradient| <= "
        f"{found.gradient.max():.0e}",
        share >= LEARNED,
    )


def _memorising(found: Found) -> Finding:
    """Distinct answers on the pairs not trained on."""
    counted = solutions.classes([tuple(row) for row in found.predictions])
    expected = MODULUS**2
    return Finding(
        "memorising solutions, told apart by their answers on other pairs",
        f"O(p^2) = {expected}",
        WORDS,
        f"Chao1 within a factor {FACTOR:g}",
        f">= {counted.chao:.0f} (Chao1)",
        f"{counted.seen} unlike ones among {len(found.predictions)} networks",
        bool(expected / FACTOR <= counted.chao <= expected * FACTOR),
    )


def _generalising(found: Found) -> Finding:
    """Distinct sets of frequencies among those that answer rightly."""
    right = found.accuracy[:, 1] == 1
    sets = [used(net) for net, good in zip(found.networks, right, strict=True) if good]
    counted = solutions.classes(sets)
    return Finding(
        "generalising solutions, told apart by the frequencies they use",
        f"O(p), one frequency each: {MODULUS // 2}",
        WORDS,
        f"Chao1 within a factor {FACTOR:g}",
        f"{counted.chao:.0f} (Chao1)",
        f"{counted.seen} seen among {len(sets)} networks that answer all pairs rightly",
        bool(MODULUS // 2 / FACTOR <= counted.chao <= MODULUS // 2 * FACTOR),
    )


def used(network: Layers) -> tuple[int, ...]:
    """Frequencies with at least USED of an even share of the weights."""
    shares = solutions.frequency_shares(network)
    return tuple((np.flatnonzero(shares >= USED / len(shares)) + 1).tolist())


def _frequencies(found: Found) -> Finding:
    counts = np.array([len(used(network)) for network in found.networks])
    return Finding(
        "frequencies that a generalising network uses",
        "1",
        WORDS,
        "in most networks",
        f"{np.median(counts):g} (median)",
        f"{counts.min()} to {counts.max()} of {MODULUS // 2}",
        bool(np.median(counts) == 1),
    )


def _agreement(name: str, found: Found) -> Finding:
    """Whether two networks answer alike where they were not trained."""
    own = disjoint(found.predictions)
    mean, low, high = student_interval(own)
    expected = "1" if name == "generalising" else f"chance, 1/p = {1 / MODULUS:.2f}"
    holds = low >= 0.95 if name == "generalising" else low <= 1 / MODULUS <= high
    return Finding(
        f"agreement of two {name} networks on other pairs",
        expected,
        OWN,
        "95% interval above 0.95" if name == "generalising" else "in the 95% interval",
        f"{mean:.3f}",
        f"95%: {low:.3f} to {high:.3f}, {len(own)} pairs of networks",
        bool(holds),
    )


def disjoint(predictions: Floats) -> Floats:
    """[n / 2] agreement of pairs of networks of which each is in one."""
    same: Floats = np.mean(predictions[::2] == predictions[1::2], axis=1)
    return same


def pairs_of(networks: list[Layers]) -> Floats:
    """[n / 2] overlaps of such pairs."""
    return np.array(
        [
            solutions.overlap(one, other)
            for one, other in zip(networks[::2], networks[1::2], strict=True)
        ]
    )


def _overlap(name: str, own: list[Layers], null: Floats) -> Finding:
    """Of neurons, matched, against that of networks that were not trained."""
    mean, low, high = student_interval(pairs_of(own))
    base = student_interval(null)
    return Finding(
        f"overlap of two {name} networks, neurons matched",
        f"{base[0]:.3f} of untrained ones (95%: {base[1]:.3f} to {base[2]:.3f})",
        OWN,
        "95% interval above that of untrained ones",
        f"{mean:.3f}",
        f"95%: {low:.3f} to {high:.3f}",
        bool(low > base[2]),
    )


def _symmetric(found: Found, random: list[Layers]) -> Finding:
    """The same up to the names of the tokens."""
    own, null = (
        student_interval(
            np.array([solutions.overlap_up_to_symmetry(a, b) for a, b in pairs])
        )
        for pairs in (
            list(zip(nets[::2], nets[1::2], strict=True))[:PAIRS]
            for nets in (found.networks, random)
        )
    )
    return Finding(
        "the same of generalising networks, up to the symmetries of addition",
        f"{null[0]:.3f} of untrained ones (95%: {null[1]:.3f} to {null[2]:.3f})",
        OWN,
        "95% interval above that of untrained ones",
        f"{own[0]:.3f}",
        f"95%: {own[1]:.3f} to {own[2]:.3f}, {PAIRS} pairs",
        bool(own[1] > null[2]),
    )
