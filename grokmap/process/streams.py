"""Standard streams that may be closed, full, left by their reader, or ASCII only.

A command goes on without them, since a sweep's results are in its files. What stderr
loses is lost; what stdout loses makes the exit code, when the command is over.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import time
from typing import Any, TextIO

EXIT_LOST, EXIT_READER_LEFT = 2, 141  # 141: as of a program that SIGPIPE ended


class Guarded(io.RawIOBase):
    """Writes to a stream's file until that fails; keeps the error, drops the rest."""

    def __init__(self, stream: TextIO | None) -> None:
        self.error: OSError | None = None
        if stream is None:
            self.error = OSError(errno.EBADF, "closed")
        else:
            self._file: Any = getattr(stream.buffer, "raw", stream.buffer)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self.error is None and bool(self._file.isatty())

    def fileno(self) -> int:
        if self.error is not None:
            raise io.UnsupportedOperation("fileno")
        return int(self._file.fileno())

    def write(self, data: Any) -> int:
        while self.error is None:
            try:
                written = self._file.write(data)
            except OSError as error:
                self.error = error
            else:
                if written is not None:
                    return int(written)
                time.sleep(0.01)  # a pipe that does not block is full for now
        return len(data)


def guard() -> Guarded:
    """Guards stdout and stderr from here on; returns stdout's guard.

    What a stream's encoding has no letters for is written as escapes.
    """
    _fill_descriptors()
    output = Guarded(sys.stdout)
    sys.stdout = _text(output, sys.stdout)
    sys.stderr = _text(Guarded(sys.stderr), sys.stderr)
    return output


def _text(guarded: Guarded, like: Any) -> TextIO:
    # Unbuffered (PYTHONUNBUFFERED) is by line here: what is said is seen at once.
    by_line = like is not None and (like.line_buffering or like.write_through)
    return io.TextIOWrapper(
        io.BufferedWriter(guarded),
        encoding=like.encoding if like else "utf-8",
        errors="backslashreplace",
        line_buffering=by_line,
        write_through=like.write_through if like else False,
    )


def _fill_descriptors() -> None:
    """Opens what was closed of 0, 1 and 2, or the next file would get that number and
    the messages of any library with it."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def exit_code(code: int, output: Guarded) -> int:
    """A command's exit code, or why its output is not whole."""
    sys.stdout.flush()
    if output.error is None or code:
        return code
    if output.error.errno == errno.EPIPE:
        return EXIT_READER_LEFT
    sys.stderr.write(f"grokmap: stdout: {output.error.strerror}; output is lost\n")
    return EXIT_LOST
