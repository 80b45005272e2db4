"""Initial weights as PyTorch draws them, so that a published run can be run again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from grokmap.spec import System
from grokmap.tasks import Shape

Floats32 = npt.NDArray[np.float32]


class Uniform:
    """The numbers of torch.rand on a CPU after torch.manual_seed(seed), float32.

    24 bits of each output of the Mersenne twister, seeded as numpy's legacy generator.
    """

    def __init__(self, seed: int) -> None:
        self._twister = np.random.RandomState(seed)._bit_generator

    def draw(self, *shape: int) -> Floats32:
        """The next numbers in [0, 1), row by row."""
        bits = self._twister.random_raw(int(np.prod(shape))) & 0xFFFFFF
        return (bits.astype(np.float32) * np.float32(2.0**-24)).reshape(shape)

    def within(self, bound: float, *shape: int) -> Floats32:
        """The next numbers, uniform within bound."""
        single = np.float32(bound)
        return self.draw(*shape) * (2 * single) - single


def embedding_mlp_weights(system: System, shape: Shape) -> dict[str, Floats32]:
    """The arrays of `EmbeddingMlp`, drawn as the code of Liu et al. does.

    (arXiv 2205.10343, toy/train_add.py of their repository): embeddings first, then
    weights [fan_out, fan_in] and biases of one nn.Linear after the other.
    """
    uniform = Uniform(system.published_seed)
    half = np.float32(0.5)
    arrays = {"embedding": uniform.draw(shape.n_tokens, system.embedding) - half}
    names = ["first", *(f"hidden_{i}" for i in range(2, system.depth + 1)), "readout"]
    fan_in = system.embedding
    for name in names:
        fan_out = shape.n_outputs if name == "readout" else system.width
        weights = uniform.within(fan_in**-0.5, fan_out, fan_in)
        arrays[name] = weights if name == "readout" else weights.T
        arrays[f"{name}_bias"] = uniform.within(fan_in**-0.5, fan_out)
        fan_in = fan_out
    return arrays
