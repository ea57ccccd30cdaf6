"""Older spellings of commands: they mean the same, and say so in the debug log (`cli.md` §8)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from importlib import import_module

from torc_core.given import Answer

LOG = logging.getLogger(__name__)

SPELLINGS = {
    "workflows_create": ("torc_cli.create:create", "torc workflows create", "torc create"),
    "workflows_run": ("torc_cli.run:run", "torc workflows run", "torc run"),
    "workflows_status": ("torc_cli.status:status", "torc workflows status", "torc status"),
    "workflows_cancel": ("torc_cli.cancel:cancel", "torc workflows cancel", "torc cancel"),
    "workflows_delete": ("torc_cli.delete:delete", "torc workflows delete", "torc delete"),
    "initialize": ("torc_cli.passes:initialize", "torc initialize", "torc workflows initialize"),
    "reinitialize": ("torc_cli.passes:reinitialize", "torc reinitialize", "torc workflows reinitialize"),
}
"""By name in this module: the command itself, the older spelling, the present one."""


def __getattr__(name: str) -> Callable[..., Answer]:
    """An older spelling as a command; only the module that it needs is imported."""
    if name not in SPELLINGS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    target, old, new = SPELLINGS[name]
    module, _, function = target.partition(":")
    command: Callable[..., Answer] = getattr(import_module(module), function)

    @wraps(command)
    def same(*args: object, **options: object) -> Answer:
        LOG.debug("older spelling: '%s' is now '%s'", old, new)
        return command(*args, **options)

    return same
