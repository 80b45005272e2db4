"""Targets that programs are compiled for, and the model of a card's time."""

from __future__ import annotations

import json
import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT, small_sweep
from precision_tables import RATES

from grokmap import plan
from grokmap.cli.meter import work_of
from grokmap.engine import modelled
from grokmap.engine.compiled import build_program, compile_system
from grokmap.engine.modelled import Cost
from grokmap.engine.settings import choose_settings
from grokmap.engine.target import CARDS, local_target, named_target, product_rate
from grokmap.errors import SpecError
from grokmap.models.lookup import lookup
from grokmap.plan import PRECISIONS


def compiler_for_cards() -> str:
    """Why jax cannot compile for a card here; empty if it can."""
    try:
        named_target("h100")
    except SpecError as error:
        return str(error)
    return ""


NO_COMPILER = compiler_for_cards()


def test_the_local_target_is_what_jax_has() -> None:
    target = local_target()
    assert target.platform == jax.default_backend()
    assert target.n_devices == jax.local_device_count() == target.mesh().size


def test_the_environment_is_left_as_it_was() -> None:
    before = dict(os.environ)
    compiler_for_cards()
    assert dict(os.environ) == before


def test_a_card_that_is_not_known_is_one_line() -> None:
    with pytest.raises(SpecError, match="--target 'h10': no such card; .*h100"):
        named_target("h10")


@pytest.mark.skipif(not NO_COMPILER, reason="jax compiles for cards here")
def test_without_a_compiler_for_cards_the_way_out_is_said(command_line: Any) -> None:
    code, out, err = command_line("sweep", "smoke", "--dry-run", "--target", "h100")
    assert code == 2 and out == ""
    assert "pip install 'grokmap[gpu]', which needs no GPU" in err


def test_a_target_is_for_a_dry_run(command_line: Any) -> None:
    code, _, err = command_line("sweep", "smoke", "--target", "h100")
    assert code == 2 and "goes with --dry-run" in err


def test_the_modelled_time_is_arithmetic_and_traffic() -> None:
    card = CARDS["h100"]
    arithmetic, traffic = Cost(card.flops, 0.0), Cost(0.0, card.bandwidth)
    assert arithmetic.seconds(card, 1) == pytest.approx(1 / 0.75)
    assert traffic.seconds(card, 1) == pytest.approx(1 / 0.9)
    # A launch, and a row of eigenvalues, are shared by the lanes of a group.
    shared = Cost(0.0, 0.0, kernels=10, eigen_rows=97)
    assert shared.seconds(card, 4) == pytest.approx((10 * 2e-6 + 97 * 2e-5) / 4)


@pytest.mark.parametrize("name", [*PRECISIONS])
def test_products_in_parts_take_as_many_products(name: str) -> None:
    rate, products = RATES[name]
    found = product_rate(CARDS["h100"], name)
    assert found == pytest.approx(1e12 * rate / products, rel=1e-3)


def test_a_step_takes_the_products_that_it_needs() -> None:
    """Counted by XLA on this machine: 6 n N p by gather, 14 n N p by one-hots."""
    sweep = small_sweep(modulus=23, width=64)
    runs = plan.plan_runs(sweep)
    system, n = runs[0].run.system, runs[0].n_train
    settings = choose_settings(system, runs)
    for kernel, products in (("gather", 6), ("gather_product", 10), ("one_hot", 14)):
        chosen = settings._replace(kernel=kernel, together=True)
        program = build_program(system, chosen)
        cost = modelled.cost_of(program.step, program, chosen)
        # A CPU counts the [n, N] and [n, p] elementwise parts too.
        assert cost.flops / (n * 64 * 23) == pytest.approx(products, rel=0.25), kernel
        assert cost.bytes > 4 * n * 64


def test_modelled_seconds_add_up() -> None:
    sweep = small_sweep(seed=(0, 1, 2), n_steps=100)
    runs = plan.plan_runs(sweep)
    step, record = Cost(3e9, 0.0), {"dense": Cost(6e9, 0.0)}
    card = CARDS["a100"]
    work = work_of(runs[0].run.system, runs, weights=0)
    settings = choose_settings(runs[0].run.system, runs)
    found = modelled.seconds(work, step, record, card, settings)
    each = step.seconds(card, 1)
    assert found[0] == pytest.approx(300 * each)
    # With 64 records an octave every step below 128 is one, and step 0.
    made = modelled.MADE_OVER_DUE * 3 * 101
    assert found[1] == pytest.approx(made * 2 * each)


def test_records_are_modelled_as_often_as_the_schedule_measures_them() -> None:
    document = json.loads((ROOT / "benchmarks/results/gpu_schedule.json").read_text())
    made = [row["made_over_due"]["dense"] for row in document["rows"]]
    assert round(max(made), 2) == modelled.MADE_OVER_DUE


@pytest.mark.slow
def test_a_lookup_is_a_gather_and_so_is_its_gradient() -> None:
    rng = np.random.default_rng(0)
    table = jnp.asarray(rng.normal(size=(7, 3)), jnp.float32)
    tokens = jnp.asarray(rng.integers(0, 7, (20, 2)))
    weight = jnp.asarray(rng.normal(size=(20, 2, 3)), jnp.float32)

    def of(rows: Any) -> Any:
        return lambda table: jnp.sum(jnp.sin(rows(table)) * weight)

    ours, plain = of(lambda t: lookup(t, tokens)), of(lambda t: t[tokens])
    np.testing.assert_array_equal(lookup(table, tokens), table[tokens])
    for derivative in (jax.grad, jax.hessian):
        np.testing.assert_allclose(
            derivative(ours)(table), derivative(plain)(table), rtol=1e-5, atol=1e-6
        )
    batched = jax.vmap(jax.grad(ours))(jnp.stack([table, 2 * table]))
    np.testing.assert_allclose(batched[0], jax.grad(plain)(table), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(bool(NO_COMPILER), reason=NO_COMPILER)
@pytest.mark.parametrize("model", ["two_layer", "embedding_mlp", "concatenated_mlp"])
def test_no_step_scatters_on_a_card(model: str) -> None:
    # A transformer compiles only with --xla_gpu_enable_triton_gemm=false (jax 0.10).
    others: dict[str, Any] = {
        "two_layer": {},
        "embedding_mlp": {"depth": 2, "embedding": 8},
        "concatenated_mlp": {"depth": 2, "embedding": 8},
    }[model]
    if model != "two_layer":
        others |= {"alpha_convention": "standard", "alpha": 1.0, "activation": "relu"}
    runs = plan.plan_runs(small_sweep(model=model, **others))
    target = named_target("h100")
    system = runs[0].run.system
    settings = choose_settings(system, runs, lanes=8, target=target)
    text = compile_system(system, settings).chunk.as_text()
    assert " scatter(" not in text


def test_a_system_that_does_not_compile_is_named_and_the_others_are_shown(
    command_line: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grokmap.cli import on_card

    def modelled_or_not(system: Any, *others: Any) -> modelled.Modelled:
        if system.width == 64:
            raise RuntimeError("INTERNAL: no tile\nand more")
        cost = Cost(2e9, 3 * 2.0**20)
        return modelled.Modelled(12, 5e6, cost, {"dense": cost}, 7200.0, 0.25)

    monkeypatch.setattr(on_card, "named_target", lambda card: local_target())
    monkeypatch.setattr(on_card, "modelled", modelled_or_not)
    words = ("sweep", "smoke", "-s", "width=32,64", "--dry-run", "--target", "l4")
    code, out, _ = command_line(*words)
    assert code == 3 and "width 64: does not compile: INTERNAL: no tile\n" in out
    (row,) = (line.split() for line in out.splitlines() if "width 32 " in line)
    assert row[-7:] == ["12", "5", "MB", "2", "3", "2", "25.0%"]
    assert "modelled time 2h00m" in out
    code, out, _ = command_line(*words, "--json")
    event = json.loads(out)
    assert event["event"] == "target" and event["modelled_seconds"] == 7200
    assert "problem" in event["systems"][1]
