"""A store that tells plugins what it has committed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torc_core.protocols import Listening, Store

if TYPE_CHECKING:
    from pluggy import HookCaller

    from torc_core.model import Event

log = logging.getLogger(__name__)


def observed(store: Store, hook: HookCaller) -> Store:
    """The same store, which calls `torc_events` after each commit if any plugin implements it.

    A store of another process is left alone: its events are told where they are committed.
    """
    listeners = hook.get_hookimpls()
    if listeners and isinstance(store, Listening):

        def tell(events: Sequence[Event]) -> None:
            for listener in listeners:
                try:
                    listener.function(**dict.fromkeys(listener.argnames, events))
                except Exception:  # an observer must not stop the work, whatever it does
                    log.exception("observer failed plugin=%s events=%d", listener.plugin_name, len(events))

        store.listen(tell)
    return store
