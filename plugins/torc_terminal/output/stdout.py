"""Text on standard output, whatever its encoding."""

from __future__ import annotations

import sys


def write(text: str) -> None:
    """Write to standard output; what its encoding lacks is written as escapes."""
    stream = sys.stdout
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
