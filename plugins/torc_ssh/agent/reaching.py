"""Whether a server is reached from this host, and why not (`remote.md` RW51)."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from urllib.parse import urlsplit

from torc_ssh.agent.asked import Answered

PATIENCE = 5.0
"""Seconds for each question."""


def reach(url: str) -> Answered:
    """Ask `/ping` and `/version`; `kind` and `text` say what is wrong, `version` who answers."""
    split = urlsplit(url)
    try:
        host, port = split.hostname, split.port
    except ValueError:
        return _no("address", "invalid address")
    if not host or split.scheme not in ("http", "https"):
        return _no("address", "invalid address")
    connection: http.client.HTTPConnection
    if split.scheme == "https":
        # NOTE: this asks only whether somebody is there; the worker checks the certificate as it is told to.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    try:
        status, _ = _asked(connection, f"{split.path}/ping")
        if status == 200:
            status, body = _asked(connection, f"{split.path}/version")
            return _judged(status, body)
        return _judged(status, b"")
    except TimeoutError:
        return _no("timed_out", "connection timed out (firewall?)")
    except ConnectionRefusedError:
        return _no("refused", "connection refused")
    except socket.gaierror:
        return _no("name", f"the name '{host}' is not known there")
    except ssl.SSLError as error:
        return _no("tls", f"TLS: {error.reason or error}")
    except http.client.HTTPException:
        return _no("wrong_service", "what answers there is not a torc server")
    except OSError as error:
        return _no("network", (error.strerror or str(error)).lower())
    finally:
        connection.close()


def _asked(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path, headers={"Accept": "application/json"})
    found = connection.getresponse()
    return found.status, found.read(65_536)


def _judged(status: int, body: bytes) -> Answered:
    if status in (401, 403):
        return _no("unauthorized", f"answer {status}: a proxy, or another service, asks for a password")
    try:
        told = json.loads(body) if status == 200 else None
    except ValueError:
        told = None
    if isinstance(told, str):
        return {"ok": True, "version": told}
    if isinstance(told, dict) and "version" in told:
        return {"ok": True, "version": str(told["version"])}
    return _no("wrong_service", f"what answers there is not a torc server (status {status})")


def _no(kind: str, text: str) -> Answered:
    return {"ok": False, "kind": kind, "text": text}
