"""What a guardian does for a runner that has died: it writes down how jobs ended, and has that delivered.

Only the standard library is imported, and of that what is large only when it is needed: the guardian has to stay small.
"""

from __future__ import annotations

import os
import time

from torc_local.spawn import Work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCHEMA = "torc.spool/1"
REASON = "runner_died"
TRIES, TRY_AGAIN = 4, 5.0
"""How often it is tried to deliver, and the seconds in between; what is left then, the next runner delivers."""
MODE = 0o600


class Will:
    """Which jobs are whose, and how those ended of which the store may not know.

    Parameters
    ----------
    paths
        The file to write, and the same where that cannot be written.
    about
        What it says besides: whose results it has.
    deliver
        The command that tells the store.
    terminated
        How the model writes that a job was terminated.
    """

    def __init__(
        self, paths: list[str], about: dict[str, Any], deliver: list[str], terminated: dict[str, Any]
    ) -> None:
        self._paths = [path for path in paths if path]
        self._about = about
        self._deliver = deliver
        self._terminated = terminated
        self._held: dict[int, tuple[str, str]] = {}
        self._ended: dict[int, tuple[Any, ...]] = {}
        self._never: list[tuple[int, int, str]] = []

    def started(self, work: Work) -> None:
        """This one is being started."""
        if work.lease:
            self._held[work.job] = work.mark, work.lease

    def ended(self, job: int, code: int, seconds: float, peak: int, cpu: float) -> None:
        """This one has ended; the store does not know yet."""
        held = self._held.pop(job, None)
        if held is not None:
            self._ended[job] = (*held, code, seconds, peak, cpu, time.time_ns() // 1_000_000)

    def known(self, jobs: list[int]) -> None:
        """The store knows how these ended."""
        for job in jobs:
            self._ended.pop(job, None)

    def never(self, works: list[Work]) -> None:
        """These were started on record, and will never be."""
        for work in works:
            self._held.pop(work.job, None)
            if work.lease:
                self._never.append((work.job, int(work.mark.rsplit(".", 1)[1]), work.lease))

    def carry_out(self) -> None:
        """Write all of it down, and have it delivered; what cannot be written is lost."""
        import json

        text = json.dumps(
            {
                "schema": SCHEMA,
                **self._about,
                "last": True,
                "give_back": [list(one) for one in self._never],
                "endings": [self._ending(job, *one) for job, one in self._ended.items()],
            }
        )
        for path in self._paths:
            try:
                _write(path, text.encode("ascii"))
            except OSError:
                continue
            self._send(path)
            return

    def _ending(
        self, job: int, mark: str, lease: str, code: int, seconds: float, peak: int, cpu: float, at: int
    ) -> dict[str, Any]:
        """An end, as the model writes it."""
        _, run, attempt = mark.rsplit(".", 2)
        share = 100 * cpu / seconds if seconds > 0 else None
        return {
            "@": "Ending", "job": job, "run_id": int(run), "attempt_id": int(attempt), "lease": lease,
            "status": self._terminated, "return_code": code, "reason": REASON, "exec_minutes": seconds / 60,
            "completed_at": at, "node": self._about["node_id"],
            "usage": {"@": "JobUsage", "peak_memory_bytes": peak * 1024, "avg_cpu_percent": share},
        }  # fmt: skip

    def _send(self, path: str) -> None:
        null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)]
        for tried in range(TRIES):
            if tried:
                time.sleep(TRY_AGAIN)
            try:
                pid = os.posix_spawnp(self._deliver[0], self._deliver, os.environ, file_actions=null)
                os.waitpid(pid, 0)
            except OSError:
                continue
            if not os.path.exists(path):
                return


def _write(path: str, text: bytes) -> None:
    """Write a file into a folder of our own, whole or not at all."""
    folder, name = os.path.split(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    above = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(above).st_uid != os.geteuid():
            raise PermissionError(1, "not our own folder")
        part = f"{name}.part"
        try:
            _fill(part, text, above)
            os.rename(part, name, src_dir_fd=above, dst_dir_fd=above)
        except OSError:
            os.unlink(part, dir_fd=above)
            raise
        os.fsync(above)
    finally:
        os.close(above)


def _fill(name: str, text: bytes, folder: int) -> None:
    flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(name, flags, MODE, dir_fd=folder)
    try:
        while text:
            text = text[os.write(file, text) :]
        os.fsync(file)
    finally:
        os.close(file)
