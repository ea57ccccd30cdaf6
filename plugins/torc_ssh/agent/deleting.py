"""Removes logs from this host: exactly those that were collected, or a whole output directory (`remote.md` RW32, RW40)."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from torc_core.model import Json
from torc_ssh.agent import places
from torc_ssh.agent.asked import Answered, Asked
from torc_ssh.agent.choosing import FOLDERS
from torc_ssh.agent.looking import State, seen
from torc_ssh.agent.places import MARKER, Lock, Whose


def clear(asked: Asked) -> Answered:
    """Remove files that the other side has, if they are as they were when it got them; then folders without any.

    Answers `cleared`, with the paths that stayed; or `running`: logs of a worker that lives are not taken from it.
    """
    whose = Whose.of(asked)
    lock = Lock(whose)
    try:
        folder = places.output_dir(asked.text("output_dir"))
        runs = _runs(whose, lock, asked.text("output_dir")) or (asked.flag("all") and used(folder))
        if runs and not asked.flag("finished"):
            return {"status": "running"}
        removed, stayed = 0, list[Json]()
        for path, about in asked.mapping("files").items():
            if _remove(folder, path, about):
                removed += 1
            else:
                stayed.append(path)
        _tidy(folder)
        return {"status": "cleared", "removed": removed, "stayed": stayed}
    finally:
        lock.close()


def delete(asked: Asked) -> Answered:
    """Remove an output directory, or with `dry_run` say what would go.

    Answers `deleted`, `would_delete`, `missing`, `running` or `refused`.
    """
    whose, text = Whose.of(asked), asked.text("output_dir")
    folder = places.output_dir(text)
    if reason := unsafe(folder):
        return {"status": "refused", "message": reason, "path": str(folder)}
    if not os.path.lexists(folder):
        return {"status": "missing", "path": str(folder)}
    lock = Lock(whose)
    try:
        if _runs(whose, lock, text) or used(folder):
            return {"status": "running", "path": str(folder)}
        files, size = _measured(folder)
        told: Answered = {"path": str(folder), "files": files, "bytes": size}
        if asked.flag("dry_run"):
            return {"status": "would_delete", **told}
        # NOTE: by descriptors, so that no link that somebody puts there meanwhile leads out of it.
        shutil.rmtree(folder)
        with suppress(OSError):
            places.key_file(whose).unlink()
        return {"status": "deleted", **told}
    except OSError as error:
        return {
            "status": "refused",
            "message": f"cannot remove '{error.filename}': {(error.strerror or 'error').lower()}",
        }
    finally:
        lock.close()


def unsafe(folder: Path) -> str | None:
    """Why a directory must not be removed; None: it may, or is not there."""
    real, home = Path(os.path.realpath(folder)), Path(os.path.realpath(places.home()))
    if real == Path("/") or real == home or real in home.parents:
        return f"'{folder}' is the root, the home or above it; it is not removed"
    if ".." in folder.parts:
        return f"'{folder}' leads upwards; name the directory itself"
    if not os.path.lexists(folder):
        return None
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode):
        return f"'{folder}' is not a directory, or a link to one; it is not removed"
    if about.st_uid != os.getuid():
        return f"'{folder}' belongs to somebody else; it is not removed"
    if os.path.ismount(folder):
        return f"'{folder}' is a mount point; it is not removed"
    if _is_a_home(real):
        return f"'{folder}' is the home of a user; it is not removed"
    marker = folder / MARKER
    if not os.path.lexists(marker) or not stat.S_ISREG(marker.lstat().st_mode):
        return f"'{folder}' has no file {MARKER}, so it is not an output directory of torc; it is not removed"
    return None


def _is_a_home(real: Path) -> bool:
    import pwd

    return any(
        one.pw_dir not in ("", "/") and os.path.realpath(one.pw_dir) == str(real) for one in pwd.getpwall()
    )


def _runs(whose: Whose, lock: Lock, output_dir: str) -> bool:
    """Whether the worker lives; if not, none begins while we hold the lock."""
    state = seen(whose, lock, output_dir).state
    return state in (State.RUNNING, State.STARTING)


def used(folder: Path) -> bool:
    """Whether a worker of any workflow writes there."""
    return any(
        (note := places.note_in(one)) is not None and note.lives for one in folder.glob("torc_worker_*.pid")
    )


def _remove(folder: Path, path: str, about: Json) -> bool:
    """Remove a file that is as it was; whether it was."""
    parts = path.split("/")
    if not path or path.startswith("/") or any(part in ("", ".", "..") for part in parts):
        return False
    opened: list[int] = []
    try:
        opened.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC))
        for part in parts[:-1]:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            opened.append(os.open(part, flags, dir_fd=opened[-1]))
        seen = os.stat(parts[-1], dir_fd=opened[-1], follow_symlinks=False)
        if not stat.S_ISREG(seen.st_mode) or about != [seen.st_size, seen.st_mtime_ns]:
            return False
        os.unlink(parts[-1], dir_fd=opened[-1])
    except OSError:
        return False
    finally:
        for one in opened:
            os.close(one)
    return True


def _tidy(folder: Path) -> None:
    """Remove folders of ours that are empty, and in the end the output directory, if it is one of ours."""
    for name in FOLDERS:
        with suppress(OSError):
            (folder / name).rmdir()
    with suppress(OSError):
        left = os.listdir(folder)
        ours = [one for one in left if one.startswith("torc_worker_") and one.endswith(".pid")]
        if MARKER in left and len(left) == 1 + len(ours) and unsafe(folder) is None:
            for one in (*ours, MARKER):
                (folder / one).unlink()
            folder.rmdir()


def _measured(folder: Path) -> tuple[int, int]:
    """How many files there are, and their bytes."""
    files = size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                size += os.lstat(os.path.join(place, name)).st_size
                files += 1
    return files, size
