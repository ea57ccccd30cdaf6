"""The user's newest workflows, as shells complete them: a small file, so that nothing has to be asked for (`cli.md` §4.10)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from torc_terminal.output.cells import plain, shortened

MOST = 200
LONGEST_NAME = 60


def place(environ: Mapping[str, str]) -> Path:
    """Where the file is: a line for each workflow, id and name."""
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "torc" / "workflows"


def remember(environ: Mapping[str, str], workflows: Iterable[tuple[int, str]], *, only: bool = False) -> None:
    """Put workflows at the beginning of the file; `only`: forget all others. Where it cannot be written nothing is lost."""
    path = place(environ)
    with suppress(OSError, UnicodeError):
        lines = {str(id): f"{id}\t{shortened(plain(name), LONGEST_NAME)}\n" for id, name in workflows}
        if not only and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
                lines.setdefault(line.partition("\t")[0], line)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(list(lines.values())[:MOST])
        part.replace(path)
