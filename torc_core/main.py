"""The program `torc`: versions are told at once, everything else inside of one error boundary."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from torc_core import __version__


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
    plain = next((word for word in words if not word.startswith("-")), None)
    asks = {*words} & {"--help", "-h", "--version", "-V"}
    named = plain is not None and words and not words[0].startswith("-")
    return main(
        words if asks & {"--version", "-V"} else ["server", *([] if named or asks else ["run"]), *words]
    )


def slurm_job_runner() -> int:
    """Run `torc-slurm-job-runner`: the same program, with a command that people do not type."""
    words = sys.argv[1:]
    return main(words if {*words} & {"--version", "-V"} else ["slurm-job-runner", *words])


def _tell_version(*, verbose: bool) -> None:
    print(f"torc {__version__}")
    if verbose:
        import platform
        import sqlite3

        print(f"Python {platform.python_version()}\nSQLite {sqlite3.sqlite_version}")
