"""Other starts for the same examples: `chain`, `initial_scale`, `embedding_scale`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import trajectories

from grokmap.engine.lane import examples_of
from grokmap.engine.restored import started
from grokmap.errors import SpecError
from grokmap.plan import read_sweep
from grokmap.plan.expansion import expand
from grokmap.spec import Sweep


def sweep_of(**axes: Any) -> Sweep:
    return read_sweep(
        {
            **{"name": "starts", "task": "cubic_teacher", "model": "two_layer"},
            **{"activation": "erf", "n_inputs": 6, "n_examples": 60, "width": 32},
            **{"optimizer": "langevin", "temperature": 1e-3, "learning_rate": 0.01},
            **{"alpha": 0.5, "weight_decay": 1e-3, "train_fraction": 0.6},
            **{"n_steps": 40, "order_parameters": [], "axes": axes},
        }
    )


def starts(**axes: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """The first layer and the targets of each run at step 0."""
    runs = list(expand(sweep_of(**axes)))
    lanes = [(run, started(run)) for run in runs]
    return [
        (np.asarray(lane.params["first"]), np.asarray(examples_of(run.system, lane)[2]))
        for run, lane in lanes
    ]


@pytest.mark.slow
def test_chains_share_their_examples_and_nothing_else() -> None:
    (plain, targets), *others = starts(chain=[0, 1, 2])
    for first, answers in others:
        np.testing.assert_array_equal(answers, targets)
        assert abs(np.corrcoef(first.ravel(), plain.ravel())[0, 1]) < 0.3
    assert not np.allclose(others[0][0], others[1][0])
    # The examples are those of the seed, which without a chain sets everything.
    assert not np.allclose(starts(seed=[1])[0][1], targets)
    np.testing.assert_array_equal(starts()[0][0], plain)


def test_the_initial_scale_multiplies_the_initial_weights() -> None:
    (plain, targets), (scaled, answers) = starts(initial_scale=[1, 3])
    np.testing.assert_allclose(scaled, 3 * plain, rtol=1e-6)
    np.testing.assert_array_equal(answers, targets)


EMBEDDED: dict[str, Any] = {
    **{"name": "starts", "task": "modular_addition", "model": "transformer"},
    **{"modulus": 5, "embedding": 8, "width": 8, "activation": "relu"},
    **{"alpha_convention": "standard", "alpha": 1.0, "weight_decay": 0.0},
    **{"train_fraction": 0.5, "learning_rate": 0.01, "n_steps": 1},
}


@pytest.mark.slow
def test_the_embedding_scale_multiplies_embeddings_and_places_alone() -> None:
    keys = EMBEDDED
    runs = expand(read_sweep({**keys, "axes": {"embedding_scale": [1, 3]}}))
    plain, scaled = (started(run).params for run in runs)
    changed = {k for k in plain if not np.array_equal(plain[k], scaled[k])}
    assert changed == {"embedding", "position"}
    for name in changed:
        np.testing.assert_allclose(scaled[name], 3 * plain[name], rtol=1e-6)


def test_a_model_without_embeddings_has_no_scale_of_them() -> None:
    with pytest.raises(SpecError, match="embedding_scale: model 'two_layer' has no"):
        read_sweep({**EMBEDDED, "model": "two_layer", "embedding_scale": 2.0})


@pytest.mark.slow
def test_the_noise_of_the_steps_is_the_chains_own() -> None:
    table = trajectories(sweep_of(initial_scale=[1e-6, 2e-6], chain=[1, 2]))
    norms = table.groupby("run_id")["weight_norm"]
    assert norms.first().max() < 1e-4  # all that moves is noise
    # Two starts of one chain have noise of their own, as two chains have.
    assert norms.last().min() > 0.1 and norms.last().nunique() == 4
