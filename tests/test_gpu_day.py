"""`make gpu-day`: what is kept, and what goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

import grokmap
from grokmap.models import KERNELS
from grokmap.plan import PRECISIONS

BENCHMARKS = ROOT / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import gpu_day  # noqa: E402
import gpu_kept  # noqa: E402
import gpu_parts  # noqa: E402
from gpu_kept import Absent, Measurement, measure_all, read, status  # noqa: E402
from gpu_table import SECTIONS  # noqa: E402

# Parts that need no jax: what each does is what its name in `BEHAVE` says.
STUB = f"""
import json, os, sys, time
sys.path.insert(0, {str(BENCHMARKS)!r})
from pathlib import Path
from gpu_kept import Measurement, measure_all
part, told = sys.argv[1], json.loads(sys.argv[2])
if part == "conditions":
    facts = dict(device=os.environ.get("STUB_DEVICE", "card"), backend="gpu")
    print(json.dumps(dict(facts, n_devices=1, versions=dict(jax="1"), commit="c")))
    sys.exit()
def fine():
    return dict(value=1)
def raises():
    raise RuntimeError("out of luck")
def dies():
    os._exit(7)
def waits():
    time.sleep(60)
behave = json.loads(os.environ["STUB_BEHAVE"]).get(part, ["fine"] * 2)
if behave == "broken":
    raise ImportError("no such module")
ways = [Measurement(dict(number=i), globals()[w]) for i, w in enumerate(behave)]
measure_all(Path(told["folder"]), part, ways, dict(commit="c"), told["day"],
            lambda: time.time() > told["deadline"])
"""


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a day of stubs into tmp_path/kept: (behaviours by part, options) -> exit."""
    script = tmp_path / "stub.py"
    script.write_text(STUB)
    monkeypatch.setattr(gpu_day, "SCRIPT", script)
    monkeypatch.setattr(gpu_day, "GRACE", 1.0)
    monkeypatch.setattr(gpu_day, "LEAST", 0.2)

    def run(behave: dict[str, Any], *options: str) -> int:
        monkeypatch.setenv("STUB_BEHAVE", json.dumps(behave))
        return gpu_day.main(["--out", str(tmp_path / "kept"), *options])

    return run


def kept(tmp_path: Path, part: str) -> dict[str, Any]:
    return read(tmp_path / "kept", part)


def outcomes(tmp_path: Path, part: str) -> dict[int, str]:
    rows = kept(tmp_path, part)["rows"]
    return {row["of"]["number"]: row["outcome"] for row in rows}


def test_a_failing_part_does_not_stop_the_others(
    stub: Callable[..., int], tmp_path: Path
) -> None:
    behave = {
        "correctness": ["fine", "raises", "fine"],
        "ceilings": "broken",
        "rates": ["fine", "dies", "fine"],
    }
    assert stub(behave) == 3
    assert outcomes(tmp_path, "correctness") == {
        0: "measured",
        1: "failed",
        2: "measured",
    }
    (failed,) = (
        r for r in kept(tmp_path, "correctness")["rows"] if r["of"]["number"] == 1
    )
    assert failed["why"] == "out of luck" and "in raises" in failed["traceback"]
    assert (
        "ImportError: no such module"
        in kept(tmp_path, "ceilings")["crash"]["traceback"]
    )
    # What ends the process fails; the others are measured in another one.
    assert outcomes(tmp_path, "rates") == {0: "measured", 1: "failed", 2: "measured"}
    assert all(
        status(kept(tmp_path, part)) == "done" for part in list(gpu_day.MINUTES)[3:]
    )
    # The next day tries again what failed, and nothing else.
    before = kept(tmp_path, "rates")["rows"]
    assert stub({"rates": ["fine"] * 3}) == 0
    after = kept(tmp_path, "rates")["rows"]
    assert [r for r in after if r["of"]["number"] != 1] == [
        r for r in before if r["of"]["number"] != 1
    ]
    assert "crash" not in kept(tmp_path, "ceilings")


def test_a_part_that_takes_too_long_is_ended_and_kept(
    stub: Callable[..., int], tmp_path: Path
) -> None:
    parts = "correctness,rates"
    behave = {"correctness": ["fine", "waits", "fine"]}
    # Two fifths of it for the first part.
    code = stub(behave, "--minutes", str(8 / 60), "--parts", parts)
    assert code == 75
    assert outcomes(tmp_path, "correctness") == {0: "measured", 1: "late"}
    assert status(kept(tmp_path, "correctness")) == "partial"
    assert status(kept(tmp_path, "rates")) == "done"
    assert stub({"correctness": ["fine"] * 3}, "--parts", parts) == 0
    # What was late comes last.
    assert list(outcomes(tmp_path, "correctness")) == [0, 2, 1]


def test_a_part_without_time_is_skipped_and_said_so(
    stub: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stub({}, "--minutes", "0.0001") == 75
    assert "no time was left" in kept(tmp_path, "sweep")["skipped"]
    assert "rates: not measured" in capsys.readouterr().err
    assert stub({}) == 0
    assert kept(tmp_path, "sweep")["skipped"] == ""


def test_another_card_is_refused(
    stub: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert stub({}, "--parts", "ceilings") == 0
    monkeypatch.setenv("STUB_DEVICE", "other")
    assert stub({}, "--parts", "ceilings") == 2
    assert "measured with device 'card', here it is 'other'" in capsys.readouterr().err


def test_a_killed_day_goes_on(stub: Callable[..., int], tmp_path: Path) -> None:
    script, out = str(tmp_path / "stub.py"), str(tmp_path / "kept")
    code = (
        f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r}); import gpu_day;"
        f"from pathlib import Path; gpu_day.SCRIPT = Path({script!r});"
        f"sys.exit(gpu_day.main(['--out', {out!r}]))"
    )
    behave = json.dumps({"ceilings": ["fine", "waits"]})
    environment = {**os.environ, "STUB_BEHAVE": behave}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    wait_for(lambda: kept(tmp_path, "ceilings").get("now") == {"number": 1})
    process.kill()
    process.wait()
    first = (tmp_path / "kept/correctness.json").read_bytes()
    assert stub({}) == 0
    assert (tmp_path / "kept/correctness.json").read_bytes() == first
    assert outcomes(tmp_path, "ceilings") == {0: "measured", 1: "measured"}


def wait_for(condition: Callable[[], bool], seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_time_is_shared_among_what_is_yet_to_come(tmp_path: Path) -> None:
    options = gpu_day.Options(
        1, True, tmp_path, tmp_path, {"a": 1.0, "b": 2.0, "c": 3.0}
    )
    assert gpu_day.allotted(options, "a", 60.0) == pytest.approx(10)
    assert gpu_day.allotted(options, "b", 60.0) == pytest.approx(24)
    done = {"part": "c", "wanted": 1, "rows": [{"of": {}, "outcome": "measured"}]}
    gpu_kept.write(tmp_path, done)
    assert gpu_day.allotted(options, "b", 60.0) == pytest.approx(60)


def test_outcomes_of_measurements(tmp_path: Path) -> None:
    def full() -> dict[str, Any]:
        raise RuntimeError("RESOURCE_EXHAUSTED: 80 GiB")

    def absent() -> dict[str, Any]:
        raise Absent("no torch")

    ways = {
        "measured": lambda: {"value": 1},
        "disagrees": lambda: {"agrees": False},
        "partial": lambda: {"complete": False},
        "too large": full,
        "absent": absent,
    }
    found = [Measurement({"way": name}, way) for name, way in ways.items()]
    measure_all(tmp_path, "part", found, {}, "today", lambda: False)
    rows = read(tmp_path, "part")["rows"]
    assert {row["of"]["way"]: row["outcome"] for row in rows} == {k: k for k in ways}
    again = gpu_kept.to_do(read(tmp_path, "part"), found, "tomorrow")
    assert [measurement.of["way"] for measurement in again] == ["partial"]
    assert gpu_kept.to_do(read(tmp_path, "part"), found, "today") == []


def test_every_part_is_timed_measured_and_shown() -> None:
    assert list(gpu_day.MINUTES) == list(gpu_parts.MEASUREMENTS) == list(SECTIONS)
    assert sum(gpu_day.MINUTES.values()) == pytest.approx(25)


def test_the_whole_day_lists_what_it_measures(tmp_path: Path) -> None:
    gpu_kept.write(tmp_path, {"part": "conditions", "backend": "gpu"})
    day = gpu_parts.Day(tmp_path, tmp_path, False, "today", time.time())
    listed = {name: found(day) for name, found in gpu_parts.MEASUREMENTS.items()}
    for measurements in listed.values():
        texts = [json.dumps(measurement.of) for measurement in measurements]
        assert len(set(texts)) == len(texts) > 0
    ways = [measurement.of for measurement in listed["rates"]]
    assert len({(of["setting"], of["p"], of["N"]) for of in ways}) == 6
    assert {of["kernel"] for of in ways} == set(KERNELS)
    assert {of["precision"] for of in ways} == set(PRECISIONS)
    # What matters most comes first: each case as the engine trains it.
    assert all(of["precision"] == "float32" for of in ways[:6])
    assert {m.of["product"] for m in listed["ceilings"][:-1]} == set(PRECISIONS)


@pytest.mark.slow
def test_the_sweep_goes_on_another_day(tmp_path: Path) -> None:
    day = gpu_parts.Day(tmp_path, tmp_path, True, "today", time.time())
    first = gpu_parts.train_sweep(day, "smoke")
    assert first["done"] == 0 and not first["complete"] and first["phases"] == {}
    later = day._replace(deadline=time.time() + 600)
    found = gpu_parts.train_sweep(later, "smoke")
    assert found["done"] == found["runs"] == 6 and found["complete"]
    assert found["phases"] == {"no-learning": 2, "memorize-only": 2, "grok": 2}


@pytest.mark.slow
def test_a_short_day_on_a_cpu_goes_on_after_a_kill(tmp_path: Path) -> None:
    out, results = tmp_path / "kept", tmp_path / "results"
    words = [sys.executable, str(BENCHMARKS / "gpu_day.py"), "--short"]
    words += ["--out", str(out), "--results", str(results)]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    process = subprocess.Popen(words, env=environment)
    wait_for(lambda: status(read(out, "ceilings")) == "done")
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = {p: (out / f"{p}.json").read_bytes() for p in ("correctness", "ceilings")}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for part, content in first.items():
        assert (out / f"{part}.json").read_bytes() == content
    for part in gpu_day.MINUTES:
        assert status(read(out, part)) == "done", part
    (cpu, again) = (row["found"] for row in read(out, "correctness")["rows"])
    assert cpu["agrees"] and cpu["same_labels"] == 6
    assert again["compiled_again"]["bitwise"] and again["same_programs"]["bitwise"]
    # On a CPU there is no other precision, and every kernel of the table was timed.
    rows = read(out, "rates")["rows"]
    measured = {r["of"]["kernel"] for r in rows if r["outcome"] == "measured"}
    assert measured == set(KERNELS)
    for row in rows:
        if row["outcome"] == "measured":
            assert row["found"]["run_steps_per_s"] > 100
        else:
            assert row["outcome"] == "absent" and row["of"]["precision"] != "float32"
    (found,) = (row["found"] for row in read(out, "sweep")["rows"])
    assert found["complete"] and found["done"] == 6
    assert len(grokmap.open(results / "smoke").runs) == 6
