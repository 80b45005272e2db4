"""Names as people know them from elsewhere are offered; messages name the kind."""

from __future__ import annotations

from typing import Any

import pytest
from test_spec import GOOD, problems

from grokmap.order_parameters import HEALTH
from grokmap.plan import NAMES
from grokmap.spec.names import CALLED, meant
from grokmap.spec.sweep import KEYS

ROOMS = {**NAMES, "key": KEYS, "recorded": HEALTH}


@pytest.mark.parametrize(
    ("override", "offer"),
    [
        *(("loss=CE", "cross_entropy"), ("loss=xent", "cross_entropy")),
        *(("loss=nll", "cross_entropy"), ("loss=softmax", "cross_entropy")),
        *(("loss=Cross-Entropy", "cross_entropy"), ("loss=MSE", "mse")),
        *(("loss=l2", "mse"), ("loss=squared", "mse"), ("loss=BCE", "logistic")),
        *(("optimizer=AdamW", "adamw"), ("optimizer=adam_w", "adamw")),
        *(
            ("optimizer=SGD", "gd"),
            ("optimizer=Adam", "adam"),
            ("optimizer=Muon", "muon"),
        ),
        *(
            ("task=addition", "modular_addition"),
            ("task=S5-composition", "s5_composition"),
        ),
        *(("task=Modular Division", "modular_division"), ("task=mnist", "digits")),
        *(("activation=ReLU", "relu"), ("activation=x^2", "quadratic")),
        *(
            ("model=MLP", "mlp"),
            ("model=two-layer", "two_layer"),
            ("model=GPT", "transformer"),
        ),
        *(("precision=fp32", "float32"), ("alpha_convention=Kumar", "output_scale")),
        *(("order_parameters=RQI", "rqi"), ("order_parameters=hessian", "hessian_top")),
        *(
            ("lr=0.1", "learning_rate"),
            ("wd=0.1", "weight_decay"),
            ("lambda=1", "weight_decay"),
        ),
        *(
            ("eta=1", "learning_rate"),
            ("frac=0.5", "train_fraction"),
            ("p=7", "modulus"),
        ),
        *(
            ("train_frac=0.5", "train_fraction"),
            ("steps=9", "n_steps"),
            ("N=8", "width"),
        ),
        *(
            ("epochs=9", "n_epochs"),
            ("hidden=8", "width"),
            ("Weight-Decay=1", "weight_decay"),
        ),
    ],
)
def test_a_name_from_elsewhere_is_offered_not_taken(
    read: Any, override: str, offer: str
) -> None:
    (line,) = (p for p in problems(read, GOOD, override) if "did you mean" in p)
    assert repr(offer) in line.split("did you mean")[1]


@pytest.mark.parametrize("key", NAMES)
def test_an_unknown_name_is_told_with_its_kind(read: Any, key: str) -> None:
    kind = "order parameter" if key == "order_parameters" else key.replace("_", " ")
    found = problems(read, GOOD, f"{key}=Qqqq")
    assert any(f": unknown {kind} 'Qqqq'; known: " in line for line in found)


def test_what_is_called_otherwise_exists_and_is_not_a_name_itself() -> None:
    for name, words in CALLED.items():
        rooms = [room for room in ROOMS.values() if name in room]
        assert rooms, name
        for word in words.split():
            for room in rooms:
                # A name is never offered in place of what exists.
                assert name in meant(word, room)


def test_a_name_that_exists_means_itself() -> None:
    for room in ROOMS.values():
        for name in room:
            spelled = (name, name.upper(), name.replace("_", "-"), f" {name}")
            assert all(meant(word, room) == (name,) for word in spelled)
