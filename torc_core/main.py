"""The program `torc`: versions are told at once, everything else inside of one error boundary."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from torc_core import API_VERSION, __version__


def main(words: Sequence[str] | None = None) -> int:
    """Run `torc` with these words, by default those of the process; the exit code (`cli.md` §1.4)."""
    words = sys.argv[1:] if words is None else words
    # PERF: answered before anything is imported (C23): prompts and module systems ask for it.
    if words and {*words} <= {"--version", "-V", "--verbose", "-v"} and {*words} & {"--version", "-V"}:
        _tell_version(verbose=bool({*words} & {"--verbose", "-v"}))
        return 0

    # PERF: a start makes objects that stay; looking for garbage among them takes a tenth of its time.
    gc.disable()
    from torc_core.boundary import Boundary

    with Boundary(words) as boundary:
        from torc_core.program import run

        boundary.exit_code = run(words, boundary)
    gc.unfreeze()
    gc.enable()
    return boundary.exit_code


def server() -> int:
    """Run `torc-server`: the same program, which begins with `torc server`, or `torc server run`."""
    words = sys.argv[1:]
    if {*words} & {"--version", "-V"}:
        return main(words)
    named = _has_command(words) or {*words} & {"--help", "-h"}
    return main(["server", *([] if named else ["run"]), *words])


def _has_command(words: Sequence[str]) -> bool:
    """Whether a command is named: the first word that belongs to no global option before it is none."""
    from torc_core.options import BY_NAME

    place = 0
    while place < len(words) and words[place].startswith("-"):
        name, equals, _ = words[place].partition("=")
        if name not in BY_NAME:
            return False
        place += 2 if BY_NAME[name].value and not equals else 1
    return place < len(words)


def slurm_job_runner() -> int:
    """Run `torc-slurm-job-runner`: the same program, with a command that people do not type."""
    words = sys.argv[1:]
    return main(words if {*words} & {"--version", "-V"} else ["slurm-job-runner", *words])


def _tell_version(*, verbose: bool) -> None:
    print(f"torc {__version__}")
    if verbose:
        import platform
        import sqlite3

        print(f"API {API_VERSION}\nPython {platform.python_version()}\nSQLite {sqlite3.sqlite_version}")
