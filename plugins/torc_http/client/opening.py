"""How a server is found and spoken to: from an address to a store."""

from __future__ import annotations

import logging
import ssl
from typing import cast
from urllib.parse import SplitResult, urlsplit

from torc_core.config.credentials import Credentials
from torc_core.errors import BadValue, Unavailable
from torc_core.protocols import Clock, Store
from torc_http.auth.signing import pinned, signer
from torc_http.client.line import Line, place_of
from torc_http.client.settings import HttpStoreSettings
from torc_http.client.store import HttpStore
from torc_http.routes import BASE

log = logging.getLogger(__name__)


def opened(url: str, settings: HttpStoreSettings, clock: Clock, credentials: Credentials) -> Store:
    """A store for the server of an address, which is there; nothing is asked of it yet."""
    split = urlsplit(url)
    pin = pinned(split, credentials)
    line = Line(place_of(split, _prefix(split), _tls(split, credentials, pin), pin))
    line.reach()
    try:
        shown = signer(split, credentials, line, clock)
    except BaseException:
        line.close()
        raise
    store = HttpStore(
        line,
        shown,
        settings.answer_timeout,
        check_version=credentials.check_version,
        key_folder=credentials.key_folder,
    )
    return cast("Store", store)


def _prefix(url: SplitResult) -> str:
    """What stands before every path; a bare host gets the base path."""
    path = "" if url.scheme == "unix" else url.path.rstrip("/")
    if path.endswith(BASE):
        return path
    if path and not path.startswith("/t/"):
        raise BadValue(
            f"the address '{url.geturl()}' does not end with {BASE}; write {url.scheme}://{url.netloc}{BASE}"
        )
    if url.scheme != "unix":
        log.info("the address '%s' was completed with %s", url.geturl(), BASE)
    return path + BASE


def _tls(url: SplitResult, credentials: Credentials, pin: str | None) -> ssl.SSLContext | None:
    if url.scheme != "https":
        return None
    try:
        context = ssl.create_default_context(cafile=credentials.ca_cert)
    except OSError as error:
        raise Unavailable(
            f"the certificates in '{credentials.ca_cert}' cannot be read: {error.strerror}"
        ) from error
    if credentials.insecure or pin is not None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
