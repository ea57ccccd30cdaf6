"""The job log of `--joblog`: one tab-separated line per ended job, in the columns of GNU parallel."""

from __future__ import annotations

import os
from collections.abc import Mapping
from io import FileIO

from torc_core.errors import UsageError
from torc_core.record import record

HEADER = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand"


@record(frozen=True, slots=True, kw_only=True)
class Entry:
    """One ended job.

    Parameters
    ----------
    seq
        Number of the command, from 1.
    start
        Seconds since 1970.
    runtime
        Seconds.
    received
        Bytes of standard output.
    """

    seq: int
    host: str
    start: float
    runtime: float
    received: int
    exitval: int
    signal: int
    command: str

    @property
    def good(self) -> bool:
        """Whether it ended well."""
        return self.exitval == 0 and self.signal == 0

    def __str__(self) -> str:
        return (
            f"{self.seq}\t{self.host}\t{self.start:.3f}\t{self.runtime:.3f}\t0\t{self.received}"
            f"\t{self.exitval}\t{self.signal}\t{escaped(self.command)}"
        )


def exit_and_signal(return_code: int) -> tuple[int, int]:
    """A return code in the two columns of the log: minus a signal number becomes that signal."""
    return (return_code, 0) if return_code >= 0 else (0, -return_code)


def escaped(command: str) -> str:
    """A command on one line: line breaks and tabs are escaped in a word of the shell, so that it can be run again."""
    if "\n" not in command and "\t" not in command:
        return command
    inner = command.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\t", "\\t")
    return f"eval $'{inner}'"


class Joblog:
    """Appends entries to a log, each flushed, so that a kill loses none that was written."""

    def __init__(self, path: str, *, append: bool) -> None:
        """Open the log; without `append` an older one is replaced.

        Raises
        ------
        UsageError
            If it cannot be written.
        """
        try:
            self._file = open(path, "a+b", buffering=0)  # noqa: SIM115
            self._file.truncate(whole_lines(self._file) if append else 0)
            # NOTE: cutting a file off leaves the place in it where it was.
            if not self._file.seek(0, os.SEEK_END):
                self._file.write(f"{HEADER}\n".encode())
        except OSError as error:
            raise UsageError(
                f"cannot write the job log '{path}': {(error.strerror or 'error').lower()}"
            ) from error

    def close(self) -> None:
        """Nothing more is written."""
        self._file.close()

    def write(self, entry: Entry) -> None:
        """Add an entry."""
        self._file.write(f"{entry}\n".encode())


def whole_lines(file: FileIO) -> int:
    """The length of a file up to its last line break: what a kill cut off does not count."""
    file.seek(0)
    size = file.read().rfind(b"\n") + 1
    file.seek(size)
    return size


def read_joblog(path: str) -> Mapping[int, Entry]:
    """The last entry of each command in a log, by its number; a missing file is an empty log.

    A last line that was cut off by a kill is ignored, so that its command runs again.

    Raises
    ------
    UsageError
        If the file is not a job log.
    """
    try:
        with open(path, encoding="utf-8", newline="\n") as file:
            text = file.read()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the job log '{path}': {error}") from error
    if not text:
        return {}
    whole = text[: text.rfind("\n") + 1]
    head, _, rest = whole.partition("\n")
    if head != HEADER:
        raise UsageError(f"'{path}' is not a job log: its first line is not the line of column names")
    entries: dict[int, Entry] = {}
    for number, line in enumerate(rest.split("\n")[:-1], start=2):
        entry = parse_entry(line)
        if entry is None:
            raise UsageError(f"{path}:{number}: this is not a line of a job log")
        entries[entry.seq] = entry
    return entries


def parse_entry(line: str) -> Entry | None:
    """Read one line; None if it is not an entry."""
    cells = line.split("\t", 8)
    if len(cells) != 9:
        return None
    try:
        return Entry(
            seq=int(cells[0]),
            host=cells[1],
            start=float(cells[2]),
            runtime=float(cells[3]),
            received=int(cells[5]),
            exitval=int(cells[6]),
            signal=int(cells[7]),
            command=cells[8],
        )
    except ValueError:
        return None
