"""Proves that files can be written where the user wants them, before anything is stored."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from torc_core.errors import UsageError
from torc_core.model import Node


def folder(path: str, option: str) -> None:
    """Make a folder, readable by its owner alone, if it is not there.

    Raises
    ------
    UsageError
        If it cannot be made or not be written to; the message names the option that chooses another.
    """
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        reason = (error.strerror or "error").lower()
        raise UsageError(
            f"cannot write to '{os.path.abspath(path)}': {reason}; choose another with {option}"
        ) from error


def log_file(path: str) -> None:
    """Open a log for appending, and close it.

    Raises
    ------
    UsageError
        If that is not possible.
    """
    try:
        with open(path, "ab"):
            pass
    except OSError as error:
        raise UsageError(
            f"cannot write the job log '{path}': {(error.strerror or 'error').lower()}"
        ) from error


def registered(path: str) -> Callable[[Node], None]:
    """Adds to a JSON file, or makes one, as which node a runner was registered."""

    def write(node: Node) -> None:
        about: dict[str, object] = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                about = json.load(file)
        about |= {"node_id": node.id, "epoch": node.epoch}
        part = f"{path}.{node.pid}"
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as file:
            json.dump(about, file)
        os.replace(part, path)

    return write
