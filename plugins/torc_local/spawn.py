"""Starts the processes of jobs with the vfork-like primitive of the platform. Only the standard library is imported.

The usual start costs one system call for us: the child opens its own output files, which must not exist yet.
Whatever goes wrong there is sorted out afterwards, slowly.
"""

from __future__ import annotations

import errno
import os
import signal
import sys

from torc_local.command import (
    LONGEST,
    Program,
    as_bash_leaves_it,
    by_bash,
    by_file,
    direct,
    encoded,
    find,
    text_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW
MODE = 0o600
ENCODING = (sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())
"""What `os.fsencode` does, which is a function more for each of a dozen words of each job."""
EXPENDABLE = 500
"""What is added to the `oom_score_adj` of jobs, so that the kernel prefers them when it has to kill for memory."""
OPEN, DUP = os.POSIX_SPAWN_OPEN, os.POSIX_SPAWN_DUP2


class NotStarted(Exception):
    """a job could not be started; the text is the reason that is reported"""


class Busy(Exception):
    """the system has no room for another process just now"""


class Work:
    """A task as it travels to the guardian; the arguments are those of `Task`."""

    __slots__ = (
        "command",
        "cwd",
        "daemons",
        "env",
        "files",
        "job",
        "lease",
        "line",
        "mark",
        "memory",
        "script",
        "stderr",
        "stdout",
    )

    def __init__(
        self,
        job: int,
        command: str,
        script: str | None,
        env: dict[str, str],
        cwd: str,
        stdout: str | None,
        stderr: str | None,
        files: str,
        mark: str,
        daemons: bool,
        line: int,
        memory: int = 0,
        lease: str = "",
    ) -> None:
        self.job = job
        self.command = command
        self.script = script
        self.env = env
        self.cwd = cwd
        self.stdout = stdout
        self.stderr = stderr
        self.files = files
        self.mark = mark
        self.daemons = daemons
        self.line = line
        self.memory = memory
        self.lease = lease


def make(fields: tuple[Any, ...]) -> Work:
    """A task from what has travelled."""
    return Work(*fields)


class Spawner:
    """Starts processes that have `base` as the common part of their environment."""

    def __init__(self, base: dict[bytes, bytes]) -> None:
        self._base = base
        self._plain = base
        self._bash = find(b"bash", base.get(b"PATH", b"")) or b"/bin/bash"
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._reset = [
            one
            for one in signal.valid_signals()
            if one not in (signal.SIGKILL, signal.SIGSTOP) and signal.getsignal(one) is signal.SIG_IGN
        ]
        self._cwd = ""
        self._programs: dict[tuple[bytes, bytes], bytes | None] = {}
        self._is_expendable = False
        self._own_score, self._jobs_score = b"0", b"0"
        self._scored = self._score()
        for fd in map(int, os.listdir("/dev/fd")):
            # What was inherited from whoever started the runner is not for its jobs.
            if fd > 2:
                try:
                    os.set_inheritable(fd, False)
                except OSError:
                    continue

    def expendable(self, *, yes: bool) -> None:
        """Take the score of jobs, which they inherit, or our own again."""
        if self._scored is not None and yes is not self._is_expendable:
            # PERF: one descriptor kept open, one write for a batch; through each job's own file it was 20 µs a job.
            os.write(self._scored, self._jobs_score if yes else self._own_score)
            self._is_expendable = yes

    def look_again(self) -> None:
        """Work has come, perhaps for a program that was put into a PATH by what ended before it came."""
        self._programs.clear()

    def spawn(self, work: Work) -> int:
        """Start a job; the pid of its main process, which leads a session of its own.

        Call `expendable(yes=False)` after a batch.

        Raises
        ------
        NotStarted
            If it cannot be started.
        Busy
            If it is worth trying again.
        """
        if work.cwd != self._cwd or not os.path.isdir(work.cwd):
            try:
                os.chdir(work.cwd)
            except (OSError, ValueError) as error:
                self._cwd = ""
                raise NotStarted(f"spawn_failed: {_name(error)}") from error
            self._cwd = work.cwd
            self._plain = as_bash_leaves_it(self._base)
        try:
            own = {name.encode(*ENCODING): value.encode(*ENCODING) for name, value in work.env.items()}
        except UnicodeEncodeError:
            own = {encoded(name): encoded(value) for name, value in work.env.items()}
        text = text_of(work.command, work.script)
        program = direct(text, self._base, own, self._programs)
        if program is None:
            program = self._shell(text, work)
        try:
            return self._execute(program, own, self._files(work))
        except (OSError, ValueError):
            return self._carefully(program, text, own, work)

    def _score(self) -> int | None:
        """The file for our `oom_score_adj`; None where the kernel has none, or does not let us lower it again."""
        try:
            fd = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            own = int(os.read(fd, 16))
            self._own_score, self._jobs_score = b"%d" % own, b"%d" % min(1000, own + EXPENDABLE)
            os.write(fd, self._jobs_score)
            os.write(fd, self._own_score)
        except (OSError, ValueError):
            os.close(fd)
            return None
        return fd

    def _shell(self, text: str, work: Work) -> Program:
        if len(text) <= LONGEST // 4 or len(encoded(text)) <= LONGEST:
            return by_bash(self._bash, text)
        path = f"{work.files}.sh"
        try:
            with open(_create(path, 0o700), "wb") as file:
                file.write(encoded(text))
        except OSError as error:
            raise NotStarted(f"output_unwritable: {_name(error)}") from error
        return by_file(self._bash, path)

    def _execute(self, program: Program, own: dict[bytes, bytes], files: list[tuple[object, ...]]) -> int:
        if program.direct:
            env = self._plain | own
            env[b"_"] = program.path
        else:
            env = self._base | own
        self.expendable(yes=True)
        return os.posix_spawn(
            program.path,
            program.argv,
            env,
            file_actions=files,
            setsid=True,
            setsigmask=(),
            setsigdef=self._reset,
        )

    def _files(self, work: Work) -> list[tuple[object, ...]]:
        """What the child does to its descriptors; it creates its output files itself."""
        null = self._null
        actions: list[tuple[object, ...]] = [(DUP, null, 0)]
        actions.append((OPEN, 1, work.stdout, CREATE, MODE) if work.stdout else (DUP, null, 1))
        if work.stderr is None:
            actions.append((DUP, null, 2))
        elif work.stderr == work.stdout:
            actions.append((DUP, 1, 2))
        else:
            actions.append((OPEN, 2, work.stderr, CREATE, MODE))
        return actions

    def _carefully(self, program: Program, text: str, own: dict[bytes, bytes], work: Work) -> int:
        """Start a job that could not be started in one go: an old file in the way, or not a program."""
        opened: list[int] = []
        try:
            for path in dict.fromkeys((work.stdout, work.stderr)):
                opened.append(_create(path, MODE) if path else self._null)
            out, err = opened[0], opened[-1]
            actions: list[tuple[object, ...]] = [(DUP, self._null, 0), (DUP, out, 1), (DUP, err, 2)]
            programs = [program, by_bash(self._bash, text)] if program.direct else [program]
            for one in programs:
                try:
                    return self._execute(one, own, actions)
                except ValueError as error:
                    raise NotStarted("spawn_failed: EINVAL") from error
                except OSError as error:
                    if error.errno in (errno.EAGAIN, errno.ENOMEM):
                        raise Busy(_name(error)) from error
                    if one is programs[-1] or error.errno == errno.E2BIG:
                        raise NotStarted(f"spawn_failed: {_name(error)}") from error
            raise AssertionError("unreachable: the last program returns or raises")
        except OSError as error:
            raise NotStarted(f"output_unwritable: {_name(error)}") from error
        except ValueError as error:
            raise NotStarted("spawn_failed: EINVAL") from error
        finally:
            for fd in opened:
                if fd != self._null:
                    os.close(fd)


def _create(path: str, mode: int) -> int:
    """Create a file; what is there already, a link for instance, is kept as `.1` and never followed.

    An empty file is what a start that failed in the middle has left, and is replaced.
    """
    try:
        return os.open(path, CREATE | os.O_CLOEXEC, mode)
    except FileExistsError:
        there = os.lstat(path)
        if there.st_size == 0 and there.st_mode & 0o170000 == 0o100000:
            os.unlink(path)
        else:
            os.rename(path, f"{path}.1")
        return os.open(path, CREATE | os.O_CLOEXEC, mode)


def _name(error: Exception) -> str:
    number = getattr(error, "errno", None)
    return errno.errorcode.get(number, str(number)) if number else "EINVAL"
