"""Text on standard output, whatever its encoding."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from torc_core.errors import Unavailable


@contextmanager
def opened() -> Iterator[TextIO]:
    """Standard output, flushed at the end.

    Raises
    ------
    Unavailable
        If it cannot be written, as where the disk is full that it goes to.
    """
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # NOTE: the interpreter flushes once more at exit, and would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise Unavailable(f"the output cannot be written: {(error.strerror or 'error').lower()}") from error


def write(text: str) -> None:
    """Write to standard output; what its encoding lacks is written as escapes.

    Raises as `opened` does.
    """
    with opened() as stream:
        encoding = stream.encoding or "utf-8"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
