"""Trains in shards what is missing of a folder that a session holds."""

from __future__ import annotations

from collections.abc import Callable

from grokmap.session.folder import rounds_in
from grokmap.session.merge import unite_shards
from grokmap.session.session import Session
from grokmap.submit.driver import drive
from grokmap.submit.job import Engine, Job


def in_shards(
    engine: Callable[[Job], Engine], of: int, say: Callable[[str], None]
) -> Callable[[Session], None]:
    """What trains in `of` shards at most by an engine, and unites them."""

    def train(session: Session) -> None:
        path = session.path.absolute()
        n_runs = len(rounds_in(path, session.sweep)[0])
        job = Job(path, (str(path),), min(of, n_runs))
        code = drive(job, engine(job), say, session.stop)
        unite_shards(session.path, say)
        if session.stop.code is None and code:
            session.stop.code = code

    return train
