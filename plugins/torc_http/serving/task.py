"""One answer: the WSGI call with what our application needs to know, and errors in the form of the API."""

from __future__ import annotations

import logging
import os
from typing import Any

from waitress.channel import ClientDisconnected
from waitress.task import ErrorTask, Task, WSGITask

from torc_http.serving.handover import Hold
from torc_http.serving.identity import without_identity
from torc_http.serving.refusals import JSON, refusal, status_line

log = logging.getLogger(__name__)

REQUEST_ID = "X-Request-Id"

PROXY_MARKS = (
    "FORWARDED", "X_FORWARDED_FOR", "X_FORWARDED_HOST", "X_REAL_IP", "VIA", "X_PROXYCONTEXTPATH",
)  # fmt: skip
"""Headers of a request whose connection belongs to a proxy and not to its sender (K6)."""

TOGETHER = 65_536
"""Bytes of a body that travel in one packet with their head."""


class Answer(Task):
    """What all answers have in common."""

    wrote_header: bool

    def __init__(self, channel: Any, request: Any) -> None:
        super().__init__(channel, request)
        self.request_id = os.urandom(8).hex()

    def write(self, data: bytes) -> None:
        if not self.complete:
            raise RuntimeError("start_response was not called before the body was written")
        head = b""
        if not self.wrote_header:
            head = self.build_response_header()
            self.wrote_header = True
        body = self._framed(data) if data else b""
        if len(body) <= TOGETHER:
            self.channel.write_soon(head + body)
        else:
            self.channel.write_soon(head)
            self.channel.write_soon(body)

    def finish(self) -> None:
        if self.request.command == "HEAD":
            self.chunked_response = False
        super().finish()

    def build_response_header(self) -> bytes:
        if self.channel.server.closing:
            self.set_close_on_finish()
        if not any(name.lower() == "x-request-id" for name, _ in self.response_headers):
            self.response_headers.append((REQUEST_ID, self.request_id))
        return bytes(super().build_response_header())

    def _framed(self, data: bytes) -> bytes:
        if not self.has_body or self.request.command == "HEAD":
            self.content_bytes_written += len(data)
            return b""
        if self.chunked_response:
            return b"%X\r\n%s\r\n" % (len(data), data)
        if self.content_length is not None:
            data = data[: self.content_length - self.content_bytes_written]
            self.content_bytes_written += len(data)
        return data

    def refuse(self, status: int, message: str, **details: object) -> None:
        """Answer with an error, and end the connection: nobody knows what its sender still sends."""
        body = refusal(status, message, **details)
        self.status = status_line(status)
        self.complete = True
        self.response_headers = [("Content-Type", JSON)]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.content_bytes_written = 0
        self.channel.linger = True
        self.write(body)


class Refusal(Answer, ErrorTask):
    """What the transport answers by itself."""

    def execute(self) -> None:
        self.refuse(self.request.error.code, self.request.error.body)


class Request(Answer, WSGITask):
    """A request that the application answers, now or later."""

    def __init__(self, channel: Any, request: Any) -> None:
        super().__init__(channel, request)
        self.hold = Hold(channel.server.handover, channel, request, self.request_id)

    def execute(self) -> None:
        try:
            super().execute()
        except ClientDisconnected:
            self.hold.withdraw()
            raise
        except Exception:
            # A bug of the application: its sender is told where to look, and nothing else happens.
            about = self.request.command, self.request.path
            log.exception("request failed request_id=%s method=%s path=%s", self.request_id, *about)
            self._failed()
        if self.hold.taken:
            self.complete = self.wrote_header = self.close_on_finish = True

    def _failed(self) -> None:
        self.channel.server.service.counts["failed"] += 1
        if not self.hold.withdraw() or self.wrote_header:
            self.close_on_finish = True
            return
        message = "an internal error; the log of the server has it under this request_id"
        self.refuse(500, message, request_id=self.request_id)

    def finish(self) -> None:
        if not self.hold.taken:
            super().finish()

    def write(self, data: bytes) -> None:
        if self.hold.taken:
            self.content_bytes_written += len(data)
        else:
            super().write(data)

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] | None = self.environ
        if environ is None:
            environ = super().get_environment()
            peer = self.channel.peer
            if any(mark in self.request.headers for mark in PROXY_MARKS):
                peer = without_identity(peer, "proxied")
            environ["torc.peer"] = peer
            environ["torc.hold"] = self.hold
            environ["torc.request_id"] = self.request_id
            environ["torc.service"] = self.channel.server.service
            environ["wsgi.url_scheme"] = "https" if peer.kind == "tls" else "http"
        return environ
