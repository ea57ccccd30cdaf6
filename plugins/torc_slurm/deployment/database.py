"""Checks of the database file: where it lies, who has it, how it is (`slurm.md` §13.4)."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from torc_core.model.resources import MIB, memory_text
from torc_slurm.deployment import seeing
from torc_slurm.deployment.checks import Check, Grade, fail, ok, warn
from torc_slurm.deployment.server import Patient

LOCAL = frozenset(
    {
        "ext2",
        "ext3",
        "ext4",
        "xfs",
        "btrfs",
        "tmpfs",
        "zfs",
        "f2fs",
        "overlay",
        "reiserfs",
        "jfs",
        "apfs",
        "hfs",
    }
)
SLOW = frozenset({"lustre", "gpfs", "beegfs", "fhgfs", "panfs", "ceph", "gfs2", "ocfs2", "glusterfs"})
WRONG = frozenset({"nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afs", "ncpfs", "9p", "virtiofs"})
SAFE_SQLITE = (3, 51, 3)
LARGE_WAL = 256 * MIB
BACKUP_AGE = 86_400.0
ADVICE = (
    "scratch is fast and shared but may be purged: back it up (torc-server backup /projects/$USER/torc_backup.db); "
    "a disk of the server's own host is the fastest, with --backup-dir"
)


def checked(patient: Patient, *, active: bool) -> Iterable[Check]:
    """All checks of the database; `active`: a workflow is unfinished."""
    if patient.database is None:
        for id in ("db-fs", "db-lock", "db-health"):
            yield ok(
                id,
                "the database is not known here; look on the server's host, or name it: torc doctor --database FILE",
            )
    elif not os.path.exists(patient.database):
        yield file_system(patient.database)
        for id in ("db-lock", "db-health"):
            yield ok(id, f"there is no database '{patient.database}' yet")
    else:
        yield file_system(patient.database)
        yield lock(patient, patient.database)
        yield health(patient.database)
    yield backup(patient, active=active)


def file_system(path: Path, mounts: Path = Path("/proc/mounts")) -> Check:
    """What the database lies on."""
    id = "db-fs"
    folder = next((one for one in (path.parent, *path.parent.parents) if os.path.exists(one)), Path("/"))
    found = seeing.mount_of(folder, mounts)
    if found is None:
        return ok(id, "the file system is not known here", str(folder))
    kind, point = found
    told = f"'{path}' lies on {kind} ({point})"
    if kind in WRONG or kind.startswith("fuse.sshfs"):
        return fail(
            id, f"{told}: locks and shared memory do not work there as a database needs them",
            "torc-server run --database /scratch/$USER/torc.db", ADVICE,
        )  # fmt: skip
    if kind in SLOW or kind.startswith("fuse"):
        return warn(id, f"{told}: it works, in a slower mode, and only one server may use it", None, ADVICE)
    return ok(id, told)


def lock(patient: Patient, path: Path) -> Check:
    """Whether exactly one process has the database."""
    id, owner = "db-lock", seeing.owner_of(path)
    holders = seeing.lockers(path.with_name(f"{path.name}.lock"))
    said = [
        log for log in patient.logs if any("database is locked" in line for line in seeing.tail(log, 500))
    ]
    names = ", ".join(f"{seeing.name_of(pid)} (pid {pid})" for pid in holders if pid > 0)
    if owner.there and owner.lives is False:
        return warn(
            id, f"the owner file is that of process {owner.pid}, which has ended; the next command removes it",
            "torc doctor --fix", str(owner.path),
        )  # fmt: skip
    if owner.there and not owner.here:
        return ok(id, f"the database is served by process {owner.pid} on {owner.told.get('host')}")
    if len(holders) > 1:
        return fail(
            id, f"{len(holders)} processes hold the database", "keep one of them: torc-server stop", names
        )
    if said:
        return warn(
            id, "a log has 'database is locked'",
            "run one server only, on a local disk; torc-server run --completion-check-interval-secs 60", str(said[-1]),
        )  # fmt: skip
    return ok(id, f"the database is held by {names}" if names else "nobody holds the database")


def health(path: Path) -> Check:
    """Whether the file is whole."""
    id = "db-health"
    wal = path.with_name(f"{path.name}-wal")
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2)
        ) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return fail(
            id,
            f"'{path}' cannot be read: {error}",
            f"torc-server backup DEST --verify, or take a backup of '{path}'",
        )
    if found != "ok":
        return fail(id, f"'{path}' is damaged: {found}", "stop the server, and go on with a backup")
    size = wal.stat().st_size if wal.exists() else 0
    release = sqlite3.sqlite_version
    if size > LARGE_WAL:
        return warn(
            id,
            f"the write-ahead log has {memory_text(size)}",
            "end programs that read the database all the time",
        )
    if sqlite3.sqlite_version_info < SAFE_SQLITE:
        return warn(
            id, f"the file is whole; SQLite {release} is older than 3.51.3, which mended a rare defect of its log",
            "use a Python with a newer SQLite; torc writes through one connection, which avoids the defect",
        )  # fmt: skip
    return ok(id, f"the file is whole (SQLite {release})")


def backup(patient: Patient, *, active: bool) -> Check:
    """Whether there is a backup of today while something is at stake."""
    id, folder = "backup", patient.config.server.backup_dir
    if folder is None:
        if not active:
            return ok(id, "no backups are configured, and no workflow is unfinished")
        return warn(
            id, "workflows are unfinished, and no backups are configured",
            "torc-server run --backup-dir /projects/$USER/torc --backup-every 6h",
        )  # fmt: skip
    path = Path(folder).expanduser()
    copies = sorted(path.glob("*.db*"), key=lambda one: one.stat().st_mtime) if path.is_dir() else []
    if not copies:
        return (warn if active else ok)(id, f"there is no backup in '{path}' yet")
    age = time.time() - copies[-1].stat().st_mtime
    told = f"the newest backup is {age / 3_600:.1f} h old"
    if active and age > BACKUP_AGE:
        return warn(id, told, f"torc-server backup {path}", str(copies[-1]))
    return ok(id, told, str(copies[-1]))


def fixed(patient: Patient, checks: Sequence[Check]) -> list[str]:
    """Mend what can be mended without harm: stale owner files, open modes, long logs; what was done, in sentences."""
    done = []
    owner = patient.owner
    if owner is not None and owner.there and owner.lives is False:
        owner.path.unlink(missing_ok=True)
        done.append(f"removed the stale owner file '{owner.path}'")
    if patient.database is not None:
        for name in ("", "-wal", "-shm", ".lock", ".server.json"):
            path = patient.database.with_name(f"{patient.database.name}{name}")
            if path.exists() and path.stat().st_uid == os.geteuid() and path.stat().st_mode & 0o077:
                path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)
                done.append(f"took the rights of others from '{path}'")
    for log in patient.logs:
        if log.stat().st_size > 10 * MIB and not any(
            one.grade is Grade.OK and one.id == "server-up" for one in checks
        ):
            log.replace(log.with_suffix(".log.1"))
            done.append(f"put '{log}' aside as '{log.with_suffix('.log.1').name}'")
    return done
