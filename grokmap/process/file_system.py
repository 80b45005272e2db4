"""Whether a folder lies on a file system that several machines share."""

from __future__ import annotations

import os
import re
from pathlib import Path

# Types of /proc/self/mountinfo whose files other machines may write; "fuse." before
# some of them. "autofs" stands where one of these will be mounted.
SHARED = (
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "virtiofs", "autofs"),
    *("lustre", "gpfs", "beegfs", "ceph", "glusterfs", "orangefs", "pvfs2", "wekafs"),
    *("panfs", "gfs2", "ocfs2", "sshfs", "s3fs", "gcsfuse", "juicefs", "quobyte"),
)
MOUNTS = Path("/proc/self/mountinfo")


def type_of(folder: Path, mounts: Path | None = None) -> str:
    """The type of the file system that a folder lies on, or will; "" if not known.

    The folder need not exist. Linux says it in a table of mounts; elsewhere nothing is
    known.
    """
    try:
        text = (mounts or MOUNTS).read_text(errors="surrogateescape")
        here = os.path.realpath(folder)
    except (OSError, ValueError):
        return ""
    best, kind = "", ""
    for line in text.splitlines():
        before, dash, after = line.partition(" - ")
        words, types = before.split(" "), after.split(" ")
        if not dash or len(words) < 5:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), words[4])
        # Of two mounts on one place the later one is seen.
        if _is_below(here, point) and len(point) >= len(best):
            best, kind = point, types[0]
    return kind


def is_shared(folder: Path, mounts: Path | None = None) -> bool:
    """Whether other machines may write there; False where it is not known."""
    return type_of(folder, mounts).removeprefix("fuse.") in SHARED


def _is_below(path: str, point: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")
