"""A day on a GPU: all that only a card can tell, in one command that goes on.

    python benchmarks/gpu_day.py [--minutes 25]      (`make gpu-day`)
    python benchmarks/gpu_day.py --short             (a CPU will do; a minute)

Measures the parts below in this order, each in a process of its own, and keeps what is
measured in benchmarks/results/gpu-day/, a JSON file a part (`gpu_kept.py`). The same
command again goes on with what is missing and tries again what failed; to measure a
part once more, delete its file. Each part has a share of the minutes, and what one
leaves goes to those after it. Some time before its end a part begins nothing more, at
its end its process is ended; what it has measured stays. Needs jax for the card,
grokmap's other dependencies and, for the comparison, PyTorch; no network. grokmap
itself need not be installed.

Exit codes: 0 all was measured; 75 time was over, the same command goes on; 3 something
failed or disagrees with the CPU; 2 no GPU, or another one than before.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import gpu_kept

HERE = Path(__file__).parent
ROOT = HERE.parent
SCRIPT = HERE / "gpu_parts.py"
# Minutes of each part when there are 25.
MINUTES = {
    "correctness": 4.5,  # the smoke sweep against a CPU's, and the same command again
    "ceilings": 1.0,  # products and copies of this card
    "rates": 7.0,  # run-steps/s by case, precision, lanes and kernel
    "pytorch": 1.5,  # a PyTorch loop on this card
    "costs": 2.5,  # records, refilling, compiling, and the model of a step
    "memory": 2.5,  # lanes as compiled against memory taken
    "precisions": 2.0,  # labels of the smoke sweep
    "sweep": 4.0,  # as much of sweeps/alpha-lambda.toml as fits
}
# After this share of a part's time, or this many seconds before its end, nothing is
# begun any more; then its process is told to end, and so many seconds later ended.
BEGIN, RESERVE, GRACE = 0.8, 60.0, 30.0
LEAST = 10.0  # seconds that a part needs to be begun
OVER = ("done", "disagrees")
SAME = ("device", "n_devices", "jax", "short")  # of a day that goes on with another
EXIT_USAGE, EXIT_FAILED, EXIT_PARTIAL = 2, 3, 75


class Options(NamedTuple):
    """minutes: of all parts; short: the version for a CPU; folder: of the kept files;
    results: of what is trained; parts: their minutes of 25, in order."""

    minutes: float
    short: bool
    folder: Path
    results: Path
    parts: dict[str, float]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    ending = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, _interrupt) for number in ending}
    try:
        return run(options)
    except KeyboardInterrupt:
        _say("stopped; the same command goes on")
        return EXIT_PARTIAL
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _options(arguments: Sequence[str] | None) -> Options:
    own = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    own.add_argument("--minutes", type=float, default=25.0, help="of the whole [25]")
    own.add_argument("--short", action="store_true", help="tiny cases; a CPU will do")
    own.add_argument("--out", type=Path, help="[benchmarks/results/gpu-day]")
    own.add_argument("--results", type=Path, help="of the sweep [results/gpu-day]")
    own.add_argument("--parts", help=f"comma-separated, of {', '.join(MINUTES)} [all]")
    given = own.parse_args(arguments)
    names = given.parts.split(",") if given.parts else list(MINUTES)
    unknown = [name for name in names if name not in MINUTES]
    if unknown:
        own.error(f"--parts: {unknown[0]!r} is not one of {', '.join(MINUTES)}")
    if given.minutes <= 0:
        own.error("--minutes: more than 0")
    tried = ROOT / "results/gpu-day-short"
    out, results = HERE / "results/gpu-day", ROOT / "results/gpu-day"
    if given.short:
        out, results = tried / "kept", tried / "results"
    return Options(
        given.minutes,
        given.short,
        (given.out or out).resolve(),
        (given.results or results).resolve(),
        {name: MINUTES[name] for name in MINUTES if name in names},
    )


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _say(line: str) -> None:
    print(f"gpu-day: {line}", file=sys.stderr, flush=True)


def run(options: Options) -> int:
    """All parts that are not done; returns the exit code."""
    end = time.time() + 60 * options.minutes
    day = datetime.now(UTC).isoformat(timespec="microseconds")
    problem = _begin(options)
    if problem:
        _say(problem)
        return EXIT_USAGE
    for name in options.parts:
        if _state(options, name) in OVER:
            _say(f"{name}: {_state(options, name)} before")
            continue
        seconds = allotted(options, name, end - time.time())
        if seconds < LEAST:
            document = gpu_kept.read(options.folder, name)
            document["skipped"] = f"{day}: no time was left"
            gpu_kept.write(options.folder, document)
        else:
            _run_part(options, name, day, time.time() + seconds)
        _say(line(gpu_kept.read(options.folder, name)))
    return exit_code([_state(options, name) for name in options.parts])


def _state(options: Options, name: str) -> str:
    return gpu_kept.status(gpu_kept.read(options.folder, name))


def allotted(options: Options, name: str, left: float) -> float:
    """Seconds for a part of those left: its share among those that are yet to come."""
    names = list(options.parts)
    to_come = [
        options.parts[other]
        for other in names[names.index(name) :]
        if _state(options, other) not in OVER
    ]
    return left * options.parts[name] / sum(to_come)


def exit_code(statuses: Sequence[str]) -> int:
    if {"failed", "disagrees"} & set(statuses):
        return EXIT_FAILED
    return 0 if set(statuses) <= {"done"} else EXIT_PARTIAL


def line(document: dict[str, Any]) -> str:
    """What is kept of a part, in a line."""
    outcomes = [row["outcome"] for row in document["rows"]]
    counts = ", ".join(f"{outcomes.count(x)} {x}" for x in dict.fromkeys(outcomes))
    wanted, state = document["wanted"], gpu_kept.status(document)
    why = document.get("skipped") or document.get("crash", {}).get("why", "")
    text = f"{document['part']}: {state}; of {wanted or '?'}: {counts or 'none'}"
    return f"{text} ({why})" if why else text


def _begin(options: Options) -> str:
    """Keeps the conditions of this day; why it cannot be begun, or nothing."""
    done = _process("conditions", {}, 180.0)
    if done.code:
        return f"grokmap cannot start here (exit code {done.code}):\n{done.output}"
    conditions = json.loads(done.output.strip().splitlines()[-1])
    conditions["jax"] = conditions["versions"]["jax"]
    conditions["short"] = options.short
    if conditions["backend"] != "gpu" and not options.short:
        return (
            f"jax finds no GPU here but {conditions['device']!r}: install jax[cuda13], "
            "or try --short, which a CPU can do"
        )
    file = options.folder / "conditions.json"
    before = json.loads(file.read_text()) if file.exists() else conditions
    for key in SAME:
        if before[key] != conditions[key]:
            return (
                f"{options.folder} was measured with {key} {before[key]!r}, here it is "
                f"{conditions[key]!r}; give another --out (and --results)"
            )
    gpu_kept.write(options.folder, {"part": "conditions", **conditions})
    _say(f"{conditions['device']}, jax {conditions['jax']}, into {options.folder}")
    return ""


def _run_part(options: Options, name: str, day: str, end: float) -> None:
    """A part until all of it is measured or its time is over.

    A measurement that ends the process has failed; the others go on in a new one.
    """
    while (left := end - time.time()) > LEAST:
        told = {
            "folder": str(options.folder),
            "results": str(options.results),
            "short": options.short,
            "day": day,
            "deadline": time.time() + max(BEGIN * left, left - RESERVE),
        }
        done = _process(name, told, left)
        if not done.code:
            return
        why = f"ended after {left:.0f} s" if done.late else f"exit code {done.code}"
        ended = {"why": why, "traceback": done.output}
        if not gpu_kept.add_end(options.folder, name, ended, done.late, day):
            return


class Ended(NamedTuple):
    """A process that is over: exit code (negative: of a signal), the end of its output,
    and whether it was ended since it was late."""

    code: int
    output: str
    late: bool


def _process(part: str, told: dict[str, Any], seconds: float) -> Ended:
    """Runs `gpu_parts.py` for a part, for so many seconds at most."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, str(SCRIPT), part, json.dumps(told)]
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            late = not _wait(process, seconds)
        finally:
            _end(process)
        output.seek(0)
        return Ended(process.returncode, output.read()[-4000:], late)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and those that it has started, if it has not ended."""
    for number, seconds in ((signal.SIGTERM, GRACE), (signal.SIGKILL, None)):
        if process.poll() is None:
            os.killpg(process.pid, number)
            _wait(process, seconds) if seconds else process.wait()


if __name__ == "__main__":
    sys.exit(main())
