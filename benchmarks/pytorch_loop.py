"""The PyTorch loop that grokmap is measured against: one process, one run.

    python benchmarks/pytorch_loop.py '{"modulus": 23, "width": 128, ...}'

The same network, data, loss, optimizer and evaluations as grokmap's (`training.py` says
which), written as the public grokking codes are: full batch, autograd, torch.optim.
`first_layer`: "one_hot" multiplies one-hot inputs with a matrix, as the survey's code
and most of the others do; "embedding" looks rows up, which is faster on large tables.
`device`: "cpu" (default) or "cuda"; `steps`, or `seconds` of them, about. Prints steps
per second.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

WARM_UP = 3


def network(p: int, width: int, setting: str, first_layer: str) -> Any:
    """(parameters, logits of the pairs a, b)."""
    generator = torch.Generator(torch.get_default_device()).manual_seed(0)
    survey = setting == "survey"
    stds = ((2 * p) ** -0.5, width**-0.5) if survey else (1.0, 1.0)
    first = (stds[0] * torch.randn(2 * p, width, generator=generator)).requires_grad_()
    readout = (stds[1] * torch.randn(p, width, generator=generator)).requires_grad_()
    if survey:
        first_bias = torch.zeros(width, requires_grad=True)
        readout_bias = torch.zeros(p, requires_grad=True)

    def hidden(a: torch.Tensor, b: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        if first_layer == "one_hot":
            return x @ first
        return functional.embedding(a, first) + functional.embedding(p + b, first)

    def logits(a: torch.Tensor, b: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        if survey:
            h = torch.relu(hidden(a, b, x) + first_bias)
            return functional.linear(h, readout, readout_bias)
        return functional.linear(hidden(a, b, x).square(), readout) / width

    weights = [first, readout]
    return weights + ([first_bias, readout_bias] if survey else []), logits


def training(options: dict[str, Any]) -> tuple[Callable[[], None], Callable[[], Any]]:
    """(one step, one evaluation) of a fresh run."""
    p, width = options["modulus"], options["width"]
    weights, logits = network(p, width, options["setting"], options["first_layer"])
    a, b = (
        x.reshape(-1) for x in torch.meshgrid(*[torch.arange(p)] * 2, indexing="ij")
    )
    label = (a + b) % p
    one_hot = functional.one_hot(label, p).float()
    x = torch.cat([functional.one_hot(a, p), functional.one_hot(b, p)], 1).float()
    generator = torch.Generator(torch.get_default_device()).manual_seed(1)
    order = torch.randperm(p * p, generator=generator)
    n_train = round(options["train_fraction"] * p * p)
    split = [[t[rows] for t in (a, b, x, label, one_hot)]
             for rows in (order[:n_train], order[n_train:])]  # fmt: skip
    if options["setting"] == "survey":
        optimizer = torch.optim.AdamW(weights, lr=1e-3, weight_decay=1.0, fused=True)
    else:
        optimizer = torch.optim.SGD(
            weights, lr=0.05 * width, momentum=0.9, weight_decay=1e-3 / width
        )

    def loss(outputs: torch.Tensor, label: Any, one_hot: Any) -> torch.Tensor:
        if options["setting"] == "survey":
            return functional.cross_entropy(outputs, label)
        return (outputs - one_hot).square().sum() / len(outputs)

    def step() -> None:
        own_a, own_b, own_x, own_label, own_target = split[0]
        optimizer.zero_grad()
        loss(logits(own_a, own_b, own_x), own_label, own_target).backward()
        optimizer.step()

    def evaluate() -> Any:
        with torch.no_grad():
            found = []
            for own_a, own_b, own_x, own_label, own_target in split:
                outputs = logits(own_a, own_b, own_x)
                right = (outputs.argmax(1) == own_label).float().mean()
                found += [loss(outputs, own_label, own_target).item(), right.item()]
            return found

    return step, evaluate


def steps_per_second(options: dict[str, Any]) -> float:
    step, evaluate = training(options)
    for _ in range(WARM_UP):
        step()
    evaluate()  # waits for the device, as does each below
    steps, started = 0, time.perf_counter()
    while steps < options.get("steps", math.inf):
        step()
        steps += 1
        if steps % options["interval"] == 0:
            evaluate()
            if time.perf_counter() - started > options.get("seconds", math.inf):
                break
    return steps / (time.perf_counter() - started)


def main() -> None:
    options = json.loads(sys.argv[1])
    torch.set_num_threads(options["threads"])
    torch.set_default_device(options.get("device", "cpu"))
    print(steps_per_second(options))


if __name__ == "__main__":
    main()
