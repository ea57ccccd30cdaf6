"""Files that tell later how it was on a node: what Slurm had told the runner, and what the kernel said."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from fnmatch import fnmatchcase

from torc_core.runner.log import log

SECRET = ("*TOKEN*", "*SECRET*", "*PASSW*", "*JWT*", "*CRED*", "*_KEY", "*KEY_*")
BEFORE = 3_600.0
"""Seconds before the start of the runner from which on the kernel's log is kept."""
MOST = 8 * 1024**2
_AT = re.compile(r"\[\s*(\d+(?:\.\d+)?)\]")


def keep_environment(path: str, environ: Mapping[str, str]) -> None:
    """Write down the `SLURM_*` of this process, without what might be a secret."""
    lines = [
        f"{name}={value!r}\n" if "\n" in value else f"{name}={value}\n"
        for name, value in sorted(environ.items())
        if name.startswith("SLURM") and not any(fnmatchcase(name, one) for one in SECRET)
    ]
    _write(path, "".join(lines))


def keep_kernel_log(path: str, lasted: float) -> None:
    """Write down what the kernel has said since an hour before this runner began, if it lets us read it.

    Parameters
    ----------
    lasted
        Seconds since this runner began.
    """
    try:
        done = subprocess.run(
            ["dmesg"], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=5,
            check=False,
        )  # fmt: skip
        with open("/proc/uptime", encoding="ascii") as file:
            begin = float(file.read().split()[0]) - lasted - BEFORE
    except (OSError, ValueError, IndexError, subprocess.SubprocessError) as error:
        log.info("kernel_log_not_kept why=%s", error)
        return
    if done.returncode != 0:
        log.info("kernel_log_not_kept why=%s", done.stderr.strip()[:200])
        return
    if lines := since(done.stdout, begin):
        _write(path, lines[-MOST:])


def since(text: str, begin: float) -> str:
    """The lines of a kernel log from a time on, seconds since boot; a line without a time goes with the one before."""
    kept, wanted = [], False
    for line in text.splitlines(keepends=True):
        found = _AT.match(line)
        wanted = wanted if found is None else float(found[1]) >= begin
        if wanted:
            kept.append(line)
    return "".join(kept)


def _write(path: str, text: str) -> None:
    flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
    except OSError as error:
        log.warning("record_not_written path=%s why=%s", path, error)
