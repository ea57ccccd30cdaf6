"""Reads requests: waitress's parser, stricter, with the bound of each route known before its body is read."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import BadRequest, RequestEntityTooLarge, RequestHeaderFieldsTooLarge

from torc_http.serving.settings import PLAIN_BODY, ServingSettings
from torc_http.serving.spool import Spool, SpoolFolder

log = logging.getLogger(__name__)

LONGEST_LENGTH = 18
"""Digits of a Content-Length; what is longer is no number anybody means."""

LONGEST_LINE = 4_096
"""Bytes of what stands between chunks; waitress joins and searches it anew with every packet."""

CHUNKED_AT_ONCE = 4_096
"""PERF: waitress copies what is left after every chunk; ten thousand one-byte chunks in one packet cost 0.1 s."""

FIRST = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ\r\n")
"""What a request may begin with; a TLS hello begins with 0x16."""

NOT_HTTP = (
    "this is no HTTP request; this port speaks plain HTTP, so the address begins with http://, not https://"
)
ENCODINGS = (
    "Transfer-Encoding may be 'chunked' once, in HTTP/1.1 and without Content-Length, and nothing else"
)


class Rules(Adjustments):
    """What waitress calls adjustments, and what it has no word for."""

    def __init__(
        self, settings: ServingSettings, limit_of: Callable[[str, str], int], spool: SpoolFolder
    ) -> None:
        super().__init__(
            asyncore_use_poll=True,
            backlog=1024,
            channel_timeout=int(settings.idle),
            cleanup_interval=5,
            clear_untrusted_proxy_headers=False,
            connection_limit=settings.connections,
            expose_tracebacks=False,
            ident="torc",
            inbuf_overflow=settings.spool_over,
            log_socket_errors=False,
            max_request_body_size=settings.body,
            max_request_header_size=settings.head,
            recv_bytes=65_536,
            threads=settings.threads,
        )
        self.settings = settings
        self.limit_of = limit_of
        self.spool = spool


class BodyRules:
    """The rules of one request whose bound is known; waitress asks them for nothing else."""

    __slots__ = ("inbuf_overflow", "max_request_body_size", "max_request_header_size", "url_scheme")

    def __init__(self, rules: Rules, body: int) -> None:
        self.inbuf_overflow = rules.inbuf_overflow
        self.max_request_header_size = rules.max_request_header_size
        self.max_request_body_size = body + 1  # waitress refuses what is as long
        self.url_scheme = rules.url_scheme


class RequestParser(HTTPRequestParser):
    """One request."""

    command = ""
    completed: bool
    error: Any
    path: str = ""

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self.rules = rules
        self.limit = rules.settings.body
        self.since = time.monotonic()
        self.advanced = (self.since, 0)

    def received(self, data: bytes) -> int:
        """Take bytes; returns how many. Nothing of a refused request is left for another one."""
        if self.completed:
            return 0
        if self.body_rcv is None and (fault := self._early(data)):
            return self._refuse(BadRequest(fault), data)
        if self.chunked:
            data = data[:CHUNKED_AT_ONCE]
        try:
            consumed = int(super().received(data))
        except _Refused as error:
            return self._refuse(error.answer, data)
        except OSError as error:
            return self._refuse(NoRoom(f"the body cannot be kept: {error.strerror}"), data)
        except (ValueError, OverflowError) as error:
            return self._refuse(BadRequest(f"the request cannot be read: {error}"), data)
        if isinstance(self.error, RequestHeaderFieldsTooLarge):
            self.error.body = f"the head of the request is longer than {self.rules.settings.head} bytes"
        elif isinstance(self.error, RequestEntityTooLarge):
            self.error.body = self._too_large()
        if self.chunked and self.error is None and self._chatters():
            self.error = BadRequest("the lines between the chunks of the body are too long")
        if self.error is not None:
            return self._refuse(self.error, data)
        if self.body_rcv is None:
            self.expect_continue = False  # waitress would wait for a body that does not exist
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        if b"\r\n " in header_plus or b"\r\n\t" in header_plus:
            raise ParsingError("a header may not be folded over several lines")
        lines = header_plus.split(b"\r\n")[1:]
        if len(lines) > self.rules.settings.head_fields + 2:
            most = self.rules.settings.head_fields
            raise _Refused(RequestHeaderFieldsTooLarge(f"the request has more than {most} header fields"))
        length = _values(lines, b"content-length")
        encoding = _values(lines, b"transfer-encoding")
        if encoding and (length or [one.lower() for one in encoding] != [b"chunked"]):
            raise ParsingError(ENCODINGS)
        if length and len(length[0]) > LONGEST_LENGTH and length[0].isdigit():
            raise _Refused(RequestEntityTooLarge(self._too_large()))
        super().parse_header(header_plus)
        self._check()
        if self.body_rcv is not None:
            self.body_rcv.buf = Spool(self.rules.inbuf_overflow, self.rules.spool)

    def _check(self) -> None:
        headers: dict[str, str] = self.headers
        if self.version not in {"1.0", "1.1"}:
            raise ParsingError(f"HTTP/{self.version or '0.9'} is not spoken here; use HTTP/1.1")
        if "TRANSFER_ENCODING" in headers:  # waitress takes it out of HTTP/1.1
            raise ParsingError(ENCODINGS)
        if self.version == "1.1" and "HOST" not in headers:
            raise ParsingError("HTTP/1.1 needs a Host header")
        if self.proxy_netloc:
            # RFC 9112 3.2.2: the address in the target rules, so that no check of Host can be led astray.
            headers["HOST"] = self.proxy_netloc
        if any(sign in headers.get("HOST", "") for sign in ", /@\\"):
            raise ParsingError("there has to be one Host header with one name")
        target = self.request_uri
        absolute = self.proxy_scheme in {"http", "https"} and self.proxy_netloc
        if not (target.startswith("/") or absolute or (target == "*" and self.command == "OPTIONS")):
            raise ParsingError(f"the target of {self.command} has to be a path or an http address")
        if absolute and not self.path:
            self.path = "/"
        self.limit = min(self.rules.settings.body, self._limit())
        self.adj = BodyRules(self.rules, self.limit)

    def _limit(self) -> int:
        # NOTE: the path as the application sees it; the parser keeps bytes as Latin-1, as WSGI wants them.
        try:
            return int(self.rules.limit_of(self.command, self.path))
        except Exception:
            # This is the thread of all connections: no mistake of the application may end one of them.
            log.exception("no bound known method=%s path=%s", self.command, self.path)
            return PLAIN_BODY

    def _too_large(self) -> str:
        return f"the body is longer than the {self.limit} bytes that may be sent here"

    def _chatters(self) -> bool:
        receiver = self.body_rcv
        return len(receiver.control_line) > LONGEST_LINE or len(receiver.trailer) > LONGEST_LINE

    def _early(self, data: bytes) -> str | None:
        """What can be said before the head is complete: this never becomes a request."""
        seen: bytes = self.header_plus + data[:256]
        seen = seen.lstrip(b"\r\n")
        if seen and seen[0] not in FIRST:
            return NOT_HTTP
        line, end, _ = seen.partition(b"\n")
        if end and b" HTTP/" not in line:
            return "the first line of a request has to read like 'GET /path HTTP/1.1'"
        return None

    def _refuse(self, error: Any, data: bytes) -> int:
        self.error = error
        self.completed = True
        self.headers_finished = True
        self.expect_continue = False
        self.connection_close = True
        return len(data)


class NoRoom(BadRequest):
    """the disk is full"""

    code = 507
    reason = "Insufficient Storage"


class _Refused(ValueError):
    """a request that is answered with something else than 400"""

    def __init__(self, answer: BadRequest) -> None:
        super().__init__(answer.body)
        self.answer = answer


def _values(lines: list[bytes], name: bytes) -> list[bytes]:
    """The values of a header field, each as it was sent."""
    size = len(name)
    return [
        line[size + 1 :].strip(b" \t")
        for line in lines
        if line[size : size + 1] == b":" and line[:size].lower() == name
    ]
