"""Which file systems are shared over a network, where a shared-memory WAL would corrupt a database."""

from __future__ import annotations

import os
from pathlib import Path

NETWORK = {
    "afs", "beegfs", "ceph", "cifs", "fhgfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4",
    "ocfs2", "panfs", "pvfs2", "smb", "smb2", "smb3", "smbfs", "virtiofs", "9p",
}  # fmt: skip
"""Type names as they stand in `/proc/mounts`; FUSE types start with `fuse` and count too (`promises.md` Q8)."""


def network_type(path: Path, mounts: Path = Path("/proc/mounts")) -> str | None:
    """The type of the network file system that a path lies (or will lie) on; None: a local one, or not known."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    return shared(os.path.realpath(path), lines)


def shared(path: str, mounts: list[str]) -> str | None:
    """The same for a real path and the lines of a mount table; the longest mount point that holds it decides."""
    best, kind = "", ""
    for line in mounts:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = _plain(fields[1])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind if kind in NETWORK or kind.split(".")[0] in ("fuse", "fuseblk") else None


def _plain(point: str) -> str:
    """Undo the octal escapes of the mount table, proc(5)."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(code, character)
    return point
