"""Variables, signals and streams around the program, in processes of their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import matplotlib as mpl
import pandas as pd
import pytest
from conftest import CACHE, ROOT, TINY_SYSTEM, mostly_slow

from grokmap import plot, store
from grokmap.engine import devices
from grokmap.process import environment, signals, streams
from grokmap.result import Result

QUICKSTART = ROOT / "results/quickstart-reference"
TINY = f"""{TINY_SYSTEM}weight_decay = 1e-3
order_parameters = []
"""
# Each of these changed the numbers of a run, failed it, or ended the program at once.
HOSTILE = {
    "JAX_ENABLE_X64": "1",
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_RANDOM_SEED_OFFSET": "7",
    "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_DISABLE_JIT": "1",
    "JAX_DEBUG_NANS": "1",
    "JAX_NO_TRACING": "1",
    "JAX_CHECK_TRACER_LEAKS": "1",
    "JAX_TRANSFER_GUARD": "disallow",
    "JAX_NUM_CPU_DEVICES": "3",
    "JAX_LOG_COMPILES": "maybe",
    "FLAX_FIX_RNG_SEPARATOR": "true",
    "EAGER_CONSTANT_FOLDING": "1",
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true --no_such_flag=1",
}


def environ(**more: str) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JAX_COMPILATION_CACHE_DIR": CACHE.name,
        **more,
    }


def program(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "grokmap", *arguments]


def ran(
    folder: Path, *arguments: str, env: dict[str, str] | None = None, shell: str = ""
) -> subprocess.CompletedProcess[bytes]:
    """The program run to its end; shell: redirections, as a shell has them."""
    redirected = ["bash", "-c", f'"$@" {shell}', "bash"]
    return subprocess.run(
        [*redirected, *program(*arguments)],
        cwd=folder,
        env=environ(**(env or {})),
        capture_output=True,
        timeout=120,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path


def records(result: Path) -> pd.DataFrame:
    return store.read_trajectories(result)[0]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The trajectories of tiny.toml in an environment that sets nothing."""
    folder = tmp_path_factory.mktemp("clean")
    (folder / "tiny.toml").write_text(TINY)
    done = ran(folder, "sweep", "tiny.toml")
    assert done.returncode == 0, done.stderr.decode()
    return records(folder / "results/tiny")


def test_every_switch_of_jax_is_kept_from_it() -> None:
    names = {name.upper() for name in jax.config.values}
    assert {n for n in names if not environment.is_ignored(n)} == (
        names & set(environment.KEPT)
    )
    assert environment.is_ignored("JAX_OF_A_LATER_VERSION")
    assert not environment.is_ignored("CUDA_VISIBLE_DEVICES")


def test_numbers_do_not_depend_on_the_environment(
    folder: Path, expected: pd.DataFrame
) -> None:
    done = ran(folder, "sweep", "tiny.toml", env=HOSTILE)
    assert done.returncode == 0, done.stderr.decode()
    (line,) = [x for x in done.stderr.decode().splitlines() if "no effect" in x]
    assert all(name in line for name in HOSTILE)
    pd.testing.assert_frame_equal(
        records(folder / "results/tiny"), expected, check_exact=True
    )
    doctor = ran(folder, "doctor", env=HOSTILE).stdout.decode()
    for name, value in HOSTILE.items():
        assert f"no effect    {name}={value!r}" in doctor
    assert "fixed        jax_threefry_partitionable = True" in doctor
    provenance = (folder / "results/tiny/provenance.json").read_text()
    assert '"JAX_ENABLE_X64": "1"' in provenance
    assert '"jax_default_prng_impl": "threefry2x32"' in provenance


def test_what_numbers_depend_on_is_set_whatever_jax_was_told() -> None:
    before = devices.pinned()
    jax.config.update("jax_default_prng_impl", "rbg")
    jax.config.update("jax_threefry_partitionable", False)
    assert devices.pinned() != before
    devices.prepare()
    assert devices.pinned() == before == devices.PINNED


@pytest.mark.parametrize(
    ("name", "value", "command"),
    [
        ("JAX_PLATFORMS", "cuda", ["sweep", "tiny.toml"]),
        ("JAX_PLATFORMS", "cpuu", ["doctor", "--json"]),
        ("JAX_PLATFORM_NAME", "no such", ["reproduce", "levi-theory"]),
    ],
)
def test_devices_that_are_not_there_are_one_line(
    folder: Path, name: str, value: str, command: list[str]
) -> None:
    if value == "cuda" and devices.platform() != "cpu":
        pytest.skip("there is such a device")
    done = ran(folder, *command, env={name: value})
    assert done.returncode == 2 and done.stdout == b""
    (line,) = done.stderr.decode().splitlines()
    assert f"{name}='{value}'" in line and "unset it" in line
    assert not (folder / "results").exists()


@pytest.mark.parametrize(
    "cache", mostly_slow(["/proc/no/such", "tiny.toml", "\udcff", "s3://a"], ["\udcff"])
)
def test_a_compile_cache_that_cannot_be_costs_nothing_but_time(
    folder: Path, cache: str, expected: pd.DataFrame
) -> None:
    env = {"JAX_COMPILATION_CACHE_DIR": cache}
    done = ran(folder, "sweep", "tiny.toml", env=env)
    assert done.returncode == 0, done.stderr.decode()
    pd.testing.assert_frame_equal(records(folder / "results/tiny"), expected)


def result_of(folder: Path) -> str:
    shutil.copytree(QUICKSTART, folder / "q")
    return "q"


# What a shell does with the streams, the exit code, and what stderr then says.
LOST = {
    "full": (">/dev/full", 2, "No space left on device; output is lost"),
    "closed": (">&-", 2, "closed; output is lost"),
    "left": ("| head -c 0; exit ${PIPESTATUS[0]}", 141, ""),
    "no errors": ("2>&-", 0, ""),
    "neither": (">/dev/full 2>/dev/full", 2, ""),
}


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize(
    "command", mostly_slow(["status", "show", "--help"], ["--help"])
)
def test_output_that_is_lost_makes_the_exit_code(
    folder: Path, command: str, lost: str
) -> None:
    shell, code, said = LOST[lost]
    own = {"status": ["status", result_of(folder)], "--help": ["--help"]}
    own["show"] = ["show", "q", str(store.read_plan(QUICKSTART)["run_id"][0])]
    done = ran(folder, *own[command], shell=shell)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr and b"Exception" not in done.stderr
    assert done.stderr.decode().strip().endswith(said)
    assert (b"output is lost" in done.stderr) == (said != "")


@pytest.mark.parametrize("lost", mostly_slow(LOST, ["neither"]))
def test_a_sweep_is_trained_and_saved_without_its_streams(
    folder: Path, lost: str, expected: pd.DataFrame
) -> None:
    shell, code, said = LOST[lost]
    done = ran(folder, "sweep", "tiny.toml", "--json", shell=shell)
    assert done.returncode == code and b"Traceback" not in done.stderr
    assert done.stderr.decode().strip().endswith(said)
    pd.testing.assert_frame_equal(records(folder / "results/tiny"), expected)
    assert (folder / "results/tiny/runs.parquet").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16"])
def test_letters_that_an_encoding_lacks_are_escaped(
    folder: Path, encoding: str
) -> None:
    env = {"PYTHONIOENCODING": encoding, "LC_ALL": "C"}
    odd = os.fsdecode(b"\xff\xce\xbb")
    for command in (["sweep", "--help"], ["status", odd], ["boundaries", "q"]):
        result = folder / "q"
        done = ran(folder, *command, env=env)
        assert done.returncode in (0, 2) and b"Traceback" not in done.stderr
        assert not result.exists()
    done = ran(folder, "boundaries", result_of(folder), env=env)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_is_said_is_seen_at_once(folder: Path, unbuffered: str) -> None:
    code = """
import os, sys
from grokmap.process import streams
streams.guard()
print("said", file=sys.stderr)
os._exit(0)
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True)
    assert said.stderr == b"said\n"


def test_a_stream_that_does_not_block_is_waited_for() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    with open(write, "w") as stream:
        guarded = streams.Guarded(stream)
        while stream.buffer.raw.write(b"x" * 65536) is not None:  # type: ignore[attr-defined]
            pass
        # Full: nothing is written until someone reads.
        os.read(read, 65536)
        assert guarded.write(b"y") == 1 and guarded.error is None
        os.close(read)
        assert guarded.write(b"y") == 1 and isinstance(guarded.error, BrokenPipeError)
        assert guarded.write(b"y") == 1


def started(folder: Path, *arguments: str, shell: str = "") -> subprocess.Popen[bytes]:
    """The program as a shell starts it that ran these commands before."""
    return subprocess.Popen(
        ["bash", "-c", f'{shell}\nexec "$@"', "bash", *program(*arguments)],
        cwd=folder,
        env=environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


LONG = ("sweep", "tiny.toml", "-s", "n_steps=100000000")
ORDERLY = ["SIGUSR1", "SIGUSR2", "SIGHUP", "SIGXCPU"]


def in_training(folder: Path, shell: str = "") -> subprocess.Popen[bytes]:
    process = started(folder, *LONG, shell=shell)
    wait_for(lambda: (folder / "results/tiny/plan.parquet").exists())
    time.sleep(0.5)
    return process


@pytest.mark.parametrize("name", mostly_slow(ORDERLY, ["SIGUSR1"]))
def test_every_ending_signal_stops_a_sweep_in_good_order(
    folder: Path, name: str
) -> None:
    process = in_training(folder)
    # XCPU comes again every second: that is no demand to stop at once.
    for _ in range(1 + (name == "SIGXCPU")):
        process.send_signal(getattr(signal, name))
        time.sleep(0.05)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 75, err
    assert err.count(b"stopping after this chunk") == 1 and b"Traceback" not in err
    assert (folder / "results/tiny/runs.parquet").is_file()


@pytest.mark.slow
def test_a_signal_that_was_ignored_stays_ignored(folder: Path) -> None:
    process = in_training(folder, shell="trap '' HUP")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.terminate()
    _, err = process.communicate(timeout=100)
    assert process.returncode == 75 and err.count(b"stopping") == 1


@pytest.mark.parametrize(
    ("command", "delay", "name", "code"),
    [
        (["phase-diagram", "q", "--out", "x"], 0.3, "SIGINT", 130),
        (["refine", "q"], 0.4, "SIGINT", 130),
        (["reproduce", "levi-theory"], 0.5, "SIGUSR1", 75),
        (["sweep", "tiny.toml"], 0.6, "SIGTERM", 75),
    ],
)
def test_a_signal_while_loading_ends_the_program_at_once(
    folder: Path, command: list[str], delay: float, name: str, code: int
) -> None:
    result_of(folder)
    process = started(folder, *command)
    time.sleep(delay)
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=100)
    assert process.returncode == code and b"Traceback" not in err, err


def test_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with signals.handled(signals.end_at_once):
        assert signal.getsignal(signal.SIGTERM) is signals.end_at_once
    assert signal.getsignal(signal.SIGTERM) is before


RC = """
font.size: 30
savefig.dpi: 37
savefig.bbox: tight
axes.facecolor: red
text.usetex: True
no.such.key: 3
"""


@pytest.mark.slow
@pytest.mark.parametrize("rc", [RC, "\udcff\udcfe\0"])
def test_figures_do_not_depend_on_matplotlibrc(folder: Path, rc: str) -> None:
    def drawn(**env: str) -> list[bytes]:
        options = ("--format", "png,pdf", "--out", "x")
        done = ran(folder, "phase-diagram", str(QUICKSTART), *options, env=env)
        assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
        assert done.stdout.decode().split() == ["x.png", "x.pdf"]
        return [(folder / f"x.{kind}").read_bytes() for kind in ("png", "pdf")]

    plain = drawn()
    (folder / "matplotlibrc").write_bytes(os.fsencode(rc))
    assert plain == drawn(
        MPLBACKEND="module://matplotlib_inline.no_such",
        MATPLOTLIBRC=str(folder / "matplotlibrc"),
        HOME="/no/such",
    )


@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_figures_do_not_depend_on_the_style_in_force(kind: str) -> None:
    def drawn() -> bytes:
        figure = Result(QUICKSTART).phase_diagram()
        return plot.figure_bytes(figure, kind)

    plain = drawn()
    hostile = {"font.size": 30, "savefig.dpi": 37, "axes.facecolor": "red"}
    with mpl.rc_context(hostile | {"savefig.bbox": "tight", "svg.hashsalt": "other"}):
        assert drawn() == plain
        assert mpl.rcParams["font.size"] == 30


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_stderr_in_a_file_is_written_line_by_line(
    tmp_path: Path, unbuffered: str
) -> None:
    """Also under PYTHONUNBUFFERED: who reads it would wait, a kill would lose it."""
    text = (
        "import os, sys; from grokmap.process.streams import guard; guard()\n"
        "print('said', file=sys.stderr); os._exit(0)"
    )
    with open(tmp_path / "err", "wb") as said:
        subprocess.run(
            [sys.executable, "-c", text],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stderr=said,
            check=True,
        )
    assert (tmp_path / "err").read_text() == "said\n"
