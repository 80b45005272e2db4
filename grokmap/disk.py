"""The only functions that touch the disk.

A root is a folder that the user named. It may be a link, or lie below one. Nothing
inside it that is a link is ever written through, changed, renamed or removed: what lies
below a root is reached folder by folder through open descriptors, so that no link which
somebody lays meanwhile is followed either. Only regular files are read, and none that
is larger than its reader allows.

While a root is held (`hold`), all that is written below it follows its descriptor, to
wherever the folder is moved.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from grokmap.errors import ResultError

if os.name != "posix":
    raise ImportError("grokmap runs on Linux and macOS; on Windows, use it under WSL")

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LOG = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
# Some network and user-space file systems know no such call for a file or a folder.
_NO_SUCH_CALL = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
MOST_TAKEN = 2**36  # bytes of a file that is taken whole
LINK = "a link; nothing inside a folder is written or removed through links"
SPECIAL = "a pipe, socket or device, not a regular file"


class Held(NamedTuple):
    """An open root; `token` is in the names of files that are being written below it,
    so that those of a killed process are known for what they are."""

    handle: int
    token: str


_held: dict[str, Held] = {}


@contextmanager
def hold(root: Path, handle: int, token: str) -> Iterator[None]:
    """Writes below `root` go through `handle` from now on."""
    key = os.path.abspath(root)
    _held[key] = Held(handle, token)
    try:
        yield
    finally:
        del _held[key]


def is_gone(root: Path) -> bool:
    """Whether a root that is held was moved, deleted or replaced."""
    held = _held.get(os.path.abspath(root))
    if held is None:
        return False
    try:
        return not os.path.samestat(os.stat(root), os.fstat(held.handle))
    except OSError:
        return True


def make_root(root: Path) -> None:
    """Makes a folder that the user named, and those above it.

    Raises:
      ResultError: it cannot be made.
    """
    try:
        os.makedirs(root, exist_ok=True)
    except OSError as error:
        raise ResultError(f"{root}: cannot be written: {reason(error)}") from None


@contextmanager
def folder(root: Path, inside: Sequence[str] = (), make: bool = False) -> Iterator[int]:
    """A descriptor of a folder below `root`, with no link on the way from it.

    Raises:
      OSError: it cannot be opened. ResultError: there is a link on the way.
    """
    held = _held.get(os.path.abspath(root))
    handle = os.dup(held.handle) if held else os.open(root, _FOLDER)
    here = root
    try:
        for part in inside:
            here = here / part
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=handle)
            refuse_link(handle, part, here)
            inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=handle)
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


def refuse_link(handle: int, name: str, shown: Path) -> None:
    """Raises ResultError where `name` in an open folder is a link."""
    if kind_of(handle, name) == stat.S_IFLNK:
        raise ResultError(f"{shown}: {LINK}")


def kind_of(handle: int, name: str) -> int | None:
    """`stat.S_IFREG`, `S_IFLNK`, ... of a name in an open folder; None: not there."""
    try:
        status = os.stat(name, dir_fd=handle, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return stat.S_IFMT(status.st_mode)


def write_file(root: Path, name: str, data: bytes) -> Path:
    """Writes root/name so that its name only ever shows a whole file; returns it.

    Folders between are made; `root` has to exist. Permissions follow the umask.

    Raises:
      ResultError: it cannot be written, or is or lies behind a link, or is no file.
    """
    file = root / name
    *inside, last = PurePosixPath(name).parts
    try:
        with folder(root, inside, make=True) as handle:
            refuse_link(handle, last, file)
            if kind_of(handle, last) not in (None, stat.S_IFREG):
                raise ResultError(f"{file}: not a regular file, so not replaced")
            temporary = _temporary(root)
            try:
                _write(os.open(temporary, _NEW, 0o666, dir_fd=handle), data)
                os.replace(temporary, last, src_dir_fd=handle, dst_dir_fd=handle)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=handle)
                raise
            _sync(handle)
    except OSError as error:
        raise ResultError(f"{file}: cannot be written: {reason(error)}") from None
    return file


def write_first(root: Path, name: str, data: bytes) -> bool:
    """Writes root/name unless something of that name is there; whether it was written.

    Of several processes or machines that try, one succeeds; raises as `write_file`.
    """
    file = root / name
    *inside, last = PurePosixPath(name).parts
    try:
        with folder(root, inside, make=True) as handle:
            temporary = _temporary(root)
            try:
                _write(os.open(temporary, _NEW, 0o666, dir_fd=handle), data)
                os.link(temporary, last, src_dir_fd=handle, dst_dir_fd=handle)
            except FileExistsError:
                return False
            finally:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=handle)
            _sync(handle)
    except OSError as error:
        raise ResultError(f"{file}: cannot be written: {reason(error)}") from None
    return True


def take_file(root: Path, name: str, source: Path, link: bool) -> Path:
    """Gives root/name the bytes of `source`, a regular file that nobody changes.

    link: as another name of the same file, if both are on one file system that can.

    Raises:
      ResultError: as `write_file`. OSError: `source` cannot be read.
    """
    if link and stat.S_ISREG(os.lstat(source).st_mode):
        *inside, last = PurePosixPath(name).parts
        with suppress(OSError), folder(root, inside, make=True) as handle:
            refuse_link(handle, last, root / name)
            temporary = _temporary(root)
            os.link(source, temporary, dst_dir_fd=handle, follow_symlinks=False)
            try:
                os.replace(temporary, last, src_dir_fd=handle, dst_dir_fd=handle)
                # Of two names of one file, replacing does nothing.
            finally:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=handle)
            _sync(handle)
            return root / name
    with opened(source, MOST_TAKEN) as content:
        return write_file(root, name, content.read())


def open_log(root: Path, name: str) -> int:
    """A descriptor of root/name that what is written is added to. Close it.

    Raises:
      ResultError: it cannot be written, or is or lies behind a link.
    """
    *inside, last = PurePosixPath(name).parts
    make_root(root)
    try:
        with folder(root, inside, make=True) as handle:
            return os.open(last, _LOG, 0o666, dir_fd=handle)
    except OSError as error:
        why = reason(error)
        raise ResultError(f"{root / name}: cannot be written: {why}") from None


def _temporary(root: Path) -> str:
    held = _held.get(os.path.abspath(root))
    return f".{held.token if held else 'grokmap'}-{secrets.token_hex(6)}.tmp"


def _write(handle: int, data: bytes) -> None:
    with os.fdopen(handle, "wb", buffering=0) as file:
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]
        _sync(handle)


def _sync(handle: int) -> None:
    """Raises OSError where the disk could not keep what was written."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SUCH_CALL:
            raise


def remove(root: Path, name: str) -> None:
    """Removes the file root/name; the caller has read in it that it is ours.

    Raises:
      ResultError: it cannot be removed, or lies behind a link.
    """
    *inside, last = PurePosixPath(name).parts
    try:
        with folder(root, inside) as handle:
            refuse_link(handle, last, root / name)
            os.unlink(last, dir_fd=handle)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ResultError(
            f"{root / name}: cannot be removed: {reason(error)}"
        ) from None


def rename(root: Path, name: str, new: str) -> str:
    """Gives root/name another name in its folder; returns that, with a number where
    `new` is taken.

    Raises:
      ResultError: it cannot be renamed, or is or lies behind a link.
    """
    *inside, last = PurePosixPath(name).parts
    try:
        with folder(root, inside) as handle:
            refuse_link(handle, last, root / name)
            free, number = new, 1
            while kind_of(handle, free) is not None:
                free, number = f"{new}-{number}", number + 1
            os.replace(last, free, src_dir_fd=handle, dst_dir_fd=handle)
            return free
    except OSError as error:
        raise ResultError(
            f"{root / name}: cannot be renamed: {reason(error)}"
        ) from None


def remove_leftovers(root: Path, folders: Sequence[str]) -> None:
    """Removes what killed holders of `root` had not finished writing. Hold it."""
    held = _held[os.path.abspath(root)]
    for inside in folders:
        with (
            suppress(FileNotFoundError, NotADirectoryError),
            folder(root, PurePosixPath(inside).parts) as handle,
        ):
            for name in os.listdir(handle):
                if name.startswith(f".{held.token}-") and name.endswith(".tmp"):
                    with suppress(OSError):
                        os.unlink(name, dir_fd=handle)


def names_in(path: Path) -> list[str]:
    """Names in a folder, sorted; none where there is no such folder.

    Raises:
      ResultError: it cannot be listed.
    """
    try:
        return sorted(os.listdir(path))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ResultError(f"{path}: cannot be read: {reason(error)}") from None


def exists(path: Path) -> bool:
    """Whether there is something of that name, also where it may not be looked at.

    Raises:
      ResultError: nothing can have such a name.
    """
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) == errno.EACCES:
            return True
        raise ResultError(f"{path}: {reason(error)}") from None
    return True


def is_writable(path: Path) -> bool:
    """Whether names may be added to a folder."""
    effective = os.access in os.supports_effective_ids
    return os.access(path, os.W_OK | os.X_OK, effective_ids=effective)


@contextmanager
def opened(file: Path, limit: int) -> Iterator[BinaryIO]:
    """A regular file of at most `limit` bytes, for reading.

    Raises:
      OSError: it cannot be read. ValueError: no regular file, or a larger one.
    """
    _regular(os.stat(file), limit)
    # It may have changed since: a pipe would wait for its writer.
    handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as content:
        _regular(os.fstat(handle), limit)
        yield content


def _regular(status: os.stat_result, limit: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(SPECIAL)
    if status.st_size > limit:
        raise ValueError(f"{status.st_size} bytes; at most {limit} are read")


def read_bytes(file: Path, limit: int) -> bytes:
    """All of a regular file; raises as `opened`."""
    with opened(file, limit) as content:
        data = content.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"over {limit} bytes")
    return data


# Strings and comments of TOML; one that does not end takes the rest with it, as it does
# for the parser, which stops there.
_NO_KEYS = re.compile(
    r'"""(?:\\.|[^\\])*?(?:"{3,5}|\Z)|"(?:\\.|[^"\\\n])*"?|'
    r"'''.*?(?:'{3,5}|\Z)|'[^'\n]*'?|#[^\n]*",
    re.DOTALL,
)
_PIECES = str.maketrans(dict.fromkeys(",=[]{}", "\n"))
MAX_KEY_PARTS, MAX_KEYS, MAX_POINTS = 16, 1000, 1_100_000


def read_toml(file: Path, limit: int) -> dict[str, Any]:
    """A TOML file of at most `limit` bytes.

    Raises:
      OSError, RecursionError, ValueError: unreadable, no TOML, or more than any file of
        grokmap holds: the parser takes memory as the square of a key's parts.
    """
    text = read_bytes(file, limit).decode("utf-8-sig")
    bare = _NO_KEYS.sub("s", text)
    parts = 1 + max(piece.count(".") for piece in bare.translate(_PIECES).split("\n"))
    for what, count, most in (
        ("parts of a key", parts, MAX_KEY_PARTS),
        ("keys", bare.count("="), MAX_KEYS),
        ("lists and tables", bare.count("[") + bare.count("{"), MAX_KEYS),
        ("values", bare.count(","), MAX_POINTS),
    ):
        if count > most:
            raise ValueError(f"{count} {what}; at most {most}")
    return tomllib.loads(text)


def reason(error: BaseException) -> str:
    """The first line of an error's own words."""
    text = getattr(error, "strerror", None) or str(error)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__
