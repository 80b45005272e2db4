"""A sweep as another program calls it, which has settings of jax of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from grokmap.engine.devices import prepared
from grokmap.engine.execute import Progress
from grokmap.process import signals
from grokmap.result.refine import Wanted
from grokmap.session import refine as rounds
from grokmap.session.counts import Counts
from grokmap.session.display import Display
from grokmap.session.folder import resolve
from grokmap.session.session import Options, open_session, train_missing
from grokmap.session.shard import refuse_shard, refuse_waiting
from grokmap.spec.shipped import sweep_file


def train(
    spec: str | Path | Mapping[str, Any],
    overrides: Sequence[str] | Mapping[str, Any],
    out: str | Path | None,
    options: Options,
    on_progress: Callable[[Counts], None] | None,
) -> Path:
    """Trains what is missing; the result folder. See `grokmap.sweep`."""
    listener = Display() if on_progress is None else Told(on_progress)
    with prepared():
        path, sweep = resolve(
            _source(spec),
            _texts(overrides),
            None if out is None else Path(out),
            extend=options.extend,
            in_shards=options.shard is not None,
            say=listener.say,
        )
        refuse_shard(path)
        if options.shard is None:
            refuse_waiting(path)
        with open_session(path, sweep, options, listener) as session:
            train_missing(session)
    if session.code == signals.EXIT_INTERRUPTED:
        raise KeyboardInterrupt
    return session.path


def refine(
    path: Path,
    wanted: Wanted,
    time_budget: float,
    on_progress: Callable[[Counts], None] | None,
) -> None:
    """Trains where the edges are uncertain. See `Result.refine`."""
    listener = Display() if on_progress is None else Told(on_progress)
    with prepared():
        _, sweep = resolve(path, say=listener.say)
        options = Options(time_budget=time_budget)
        refined = rounds.refine(path, sweep, wanted, options, listener)
    if refined.session.code == signals.EXIT_INTERRUPTED:
        raise KeyboardInterrupt
    if refined.why:
        listener.say(f"{refined.why}{refined.known}")


class Told(Counts):
    """Counts that are passed to a function after each chunk, and at the end."""

    def __init__(self, on_progress: Callable[[Counts], None]) -> None:
        super().__init__()
        self._tell = on_progress

    def progress(self, progress: Progress) -> None:
        super().progress(progress)
        self._tell(self)

    def end(self) -> None:
        self._tell(self)


def _source(spec: str | Path | Mapping[str, Any]) -> Path | str | Mapping[str, Any]:
    """What `read_sweep` reads: a shipped sweep by its file; other texts as they are."""
    if isinstance(spec, str) and not ("\n" in spec or "=" in spec):
        return sweep_file(Path(spec))
    return spec


def _texts(overrides: Sequence[str] | Mapping[str, Any]) -> list[str]:
    """Overrides as they are typed: key=value."""
    if not isinstance(overrides, Mapping):
        return [overrides] if isinstance(overrides, str) else list(overrides)
    return [f"{key}={_text(value)}" for key, value in overrides.items()]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ",".join(map(_text, value))
    return str(value) if isinstance(value, (str, os.PathLike)) else repr(value)
