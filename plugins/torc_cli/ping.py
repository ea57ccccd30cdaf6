"""`torc ping`: whether the store, or the server before it, answers."""

from __future__ import annotations

from torc_core.given import Given
from torc_terminal.output.answer import Report, refuse_csv


def ping(*, session: Given) -> Report:
    """Ask the server, or the database, whether it answers, and how fast."""
    from torc_core import __version__
    from torc_core.model import Query, Workflow
    from torc_core.protocols import Hello
    from torc_terminal.distance import distant

    refuse_csv(session)
    store = session.store()
    far = distant(store)
    begun = session.clock.monotonic()
    if far is None:
        store.find(Workflow, Query(limit=1))
        hello = Hello(version=__version__)
        url = session.config.store_url
    else:
        url = far.url
        begun = session.clock.monotonic()
        hello = far.hello()
    latency = round((session.clock.monotonic() - begun) * 1000, 3)
    api = f", API {hello.api_version}" if hello.api_version else ""
    return Report(
        schema="torc.ping/1",
        data={
            "status": "ok",
            "url": url,
            "version": hello.version,
            "api_version": hello.api_version,
            "latency_ms": latency,
        },
        text=f"{url} answers in {latency:.1f} ms: torc {hello.version}{api}",
    )
