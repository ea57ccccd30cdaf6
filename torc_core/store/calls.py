"""What can be asked of a store from outside of its process, and what a repetition does."""

from __future__ import annotations

from torc_core.protocols import Store

CALLS = frozenset(name for name in dir(Store) if not name.startswith("_")) - {"close"}
"""Everything a store can do; it is its owner's to close."""

ONCE = frozenset(
    {
        "add", "add_jobs", "add_user_data", "begin", "change", "changed_jobs", "create", "delete", "import_workflow", "initialize",
        "intend", "move", "rearm_action", "recover", "reinitialize", "remove", "renew", "replan", "reset", "reset_workflow",
        "retry", "set_run", "stop",
    }
)  # fmt: skip
"""Calls whose repetition would do something again, or would be answered otherwise: they carry an idempotency key."""
