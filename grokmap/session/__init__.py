"""One call of `grokmap sweep` on a result folder: hold it, train, write, record."""

from grokmap.session.folder import (
    check_folder,
    missing_of,
    planned_in,
    resolve,
)
from grokmap.session.listener import Listener
from grokmap.session.session import (
    EXIT_SOME_FAILED,
    Options,
    Session,
    Stop,
    open_session,
    train_missing,
    write_runs,
)
from grokmap.session.weights import save_weights

__all__ = [
    "EXIT_SOME_FAILED",
    "Listener",
    "Options",
    "Session",
    "Stop",
    "check_folder",
    "missing_of",
    "open_session",
    "planned_in",
    "resolve",
    "save_weights",
    "train_missing",
    "write_runs",
]
