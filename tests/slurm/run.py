"""A sweep in 24 shards by `grokmap submit --on slurm`, under losses: `make test-slurm`.

A real Slurm of this machine, a controller and two nodes. One shard is preempted by
USR1, one job is cancelled, `submit` itself is killed and started again, and one node is
lost with all that runs on it; later it is back. Prints figures as JSON; ends with
an error unless the tables are bitwise those of the sweep that one process trained.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS)]

from shard_sweeps import TEXT, assert_same, tables  # noqa: E402

from grokmap.submit import Job, queue  # noqa: E402
from grokmap.submit.driver import progress_of  # noqa: E402

SHARDS, NODES = 24, 2
LONG = TEXT.replace("3000", "400000")
ASKS = ("--time", "30m", "--partition", "main", "--checkpoint", "1s")


class Running(NamedTuple):
    """A job at work: its name and number in Slurm, its node and its shard."""

    name: str
    number: str
    node: str
    shard: int


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "s.toml").write_text(LONG)
        os.environ |= {
            "JAX_COMPILATION_CACHE_DIR": str(folder / "cache"),
            "PYTHONPATH": str(TESTS.parent),
            "SLURM_CONF": str(folder / "slurm/slurm.conf"),
        }
        began = time.monotonic()
        command("sweep", folder, "--out", "whole").wait()
        whole = time.monotonic() - began
        start_slurm(folder / "slurm")
        try:
            figures = under_losses(folder)
        finally:
            stop_slurm(folder / "slurm")
        print(json.dumps(figures | {"unsharded_seconds": round(whole)}, indent=1))


def command(name: str, folder: Path, *options: str) -> subprocess.Popen[bytes]:
    """`grokmap NAME s.toml ...`; what it says is added to a file."""
    words = [sys.executable, "-m", "grokmap", name, "s.toml", *options]
    with open(folder / f"{name}.err", "ab") as said:
        return subprocess.Popen(words, cwd=folder, stdout=said, stderr=said)


def submit(folder: Path) -> subprocess.Popen[bytes]:
    options = ("--on", "slurm", "--shards", str(SHARDS), "--out", "cut", *ASKS)
    return command("submit", folder, *options)


def under_losses(folder: Path) -> dict[str, object]:
    """Runs the sweep in shards, disturbs it four times, and compares."""
    path, began = folder / "cut", time.monotonic()
    driver = submit(folder)
    hit = stopped(path, set(), "scancel", "--signal=USR1")
    say(f"preempted shard {hit.shard} on {hit.node}")
    cancelled = stopped(path, {hit.shard}, "scancel")
    say(f"cancelled shard {cancelled.shard} on {cancelled.node}")
    spared = {hit.shard, cancelled.shard}
    at_work(path, spared)
    driver.kill()
    driver.wait()
    driver = submit(folder)
    say("killed submit, and started it again")
    lost = at_work(path, spared, "n2")
    lose_node(folder / "slurm", "n2")
    say(f"killed n2, with shard {lost.shard}")
    told = folder / "submit.err"
    wait_for(lambda: f"shard {lost.shard}/{SHARDS}: died" in told.read_text())
    run("slurmd", "-N", "n2", "-f", str(folder / "slurm/slurm.conf"))
    code = driver.wait(1200)
    text = told.read_text()
    print(text, file=sys.stderr)
    assert code == 0, f"exit code {code}"
    seconds = time.monotonic() - began
    return compared(path, folder / "whole", text) | {"seconds": round(seconds)}


def compared(path: Path, whole: Path, said: str) -> dict[str, object]:
    """Figures of the sweep in shards, once it is bitwise the other."""
    assert_same(path, whole)
    planned, trajectories, _ = tables(whole)
    ids = planned["run_id"]
    stored = tables(path)[1]
    again = stored.duplicated(["run_id", "step"])
    return {
        "shards": SHARDS,
        "runs": len(ids),
        "lost": len(set(ids) - set(stored["run_id"])),
        "duplicated": int(again.sum()),
        "records": len(trajectories),
        "jobs": len(queue.noted(path, SHARDS)),
        "stopped_and_went_on": said.count("stopped; it goes on"),
        "died_and_went_on": said.count("; it goes on") - said.count("stopped; it"),
    }


def at_work(path: Path, spared: set[int], node: str = "") -> Running:
    """Waits for a job whose shard has kept something of a run that it trains."""
    job, found = Job(path, (), SHARDS), list[Running]()

    def look() -> bool:
        known = queue.noted(path, SHARDS)
        for line in run("squeue", "-hr", "-t", "R", "-o", "%i %A %N").splitlines():
            name, number, where = line.split()
            shard = known[name][0] if name in known else 0
            wanted = shard and shard not in spared and node in ("", where)
            if wanted and progress_of(job, shard)[1] > 0:
                found.append(Running(name, number, where, shard))
        return bool(found)

    wait_for(look)
    return found[0]


def stopped(path: Path, spared: set[int], *words: str) -> Running:
    """Signals a job at work by `words`, and sees that it stopped in good order; one
    that was over before the signal came does not count, and another is taken."""
    over = set(spared)
    while True:
        job = at_work(path, over)
        run(*words, job.name)
        codes: dict[str, int] = {}

        def ended(name: str = job.name, codes: dict[str, int] = codes) -> bool:
            for folder in (path / "shards").glob(f"{queue.PREFIX}*"):
                codes |= queue.exit_codes(folder)
            return name in codes

        wait_for(ended)
        if codes[job.name] == 75:
            return job
        assert codes[job.name] == 0, codes
        over.add(job.shard)


def start_slurm(folder: Path) -> None:
    folder.mkdir()
    script = Path(__file__).parent / "start_local.sh"
    environment = {**os.environ, "DIR": str(folder), "K": str(NODES)}
    subprocess.run([script], env=environment, check=True, timeout=300)


def stop_slurm(folder: Path) -> None:
    for job in run("squeue", "-hr", "-o", "%i").split():
        run("scancel", job)
    time.sleep(2)
    for node in range(1, NODES + 1):
        lose_node(folder, f"n{node}")
    kill(folder / "slurmctld.pid", signal.SIGTERM)
    time.sleep(2)


def lose_node(folder: Path, node: str) -> None:
    """Kills the daemon of a node, and whatever it has started."""
    kill(folder / f"slurmd-{node}.pid", signal.SIGKILL)
    numbers = run("squeue", "-hr", "-t", "R,CG", "-w", node, "-o", "%A").split()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and belongs(entry, node, numbers):
            end(int(entry.name), signal.SIGKILL)


def belongs(process: Path, node: str, numbers: list[str]) -> bool:
    """Whether a process is of this Slurm, and a shard on a node or what watches one."""
    try:
        environment = (process / "environ").read_bytes().split(b"\0")
        words = (process / "cmdline").read_bytes()
    except OSError:
        return False
    if f"SLURM_CONF={os.environ['SLURM_CONF']}".encode() not in environment:
        return False
    of_steps = [f"slurmstepd: [{number}.".encode() for number in numbers]
    return f"SLURMD_NODENAME={node}".encode() in environment or any(
        words.startswith(start) for start in of_steps
    )


def kill(pid_file: Path, number: int) -> None:
    if pid_file.is_file():
        end(int(pid_file.read_text()), number)


def end(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    return done.stdout


def wait_for(condition: Callable[[], bool], seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.5)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
