"""The front that speaks TLS."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPSConnection
from typing import Any

import pytest

from tests.waiting import SOON, until
from torc_core.errors import BadValue
from torc_http.serving import tls
from torc_http.serving.certificate import Certificate, given_certificate, own_certificate
from torc_http.serving.listening import listen
from torc_http.serving.tls import TlsFront


@pytest.fixture
def certificate(tmp_path) -> Certificate:
    return own_certificate(tmp_path / "torc.db", ["localhost", "127.0.0.1", "::1"])


@pytest.fixture
def front(served, certificate) -> Iterator[TlsFront]:
    listening = listen(port=0, unix=False)
    front = TlsFront(served.service.adopt, listening.sockets, certificate)
    front.port = listening.port  # type: ignore[attr-defined]
    front.start()
    yield front
    front.close()


def trusting(certificate: Certificate) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate.certificate))


def test_the_certificate_is_made_once_and_for_its_owner_only(tmp_path, certificate) -> None:
    again = own_certificate(tmp_path / "torc.db", ["other"])

    assert again == certificate
    assert {one.name: one.stat().st_mode & 0o777 for one in tmp_path.glob("torc.db.tls-*")} == {
        "torc.db.tls-cert.pem": 0o600,
        "torc.db.tls-key.pem": 0o600,
    }


def test_the_fingerprint_is_what_clients_see(front, certificate) -> None:
    context = trusting(certificate)
    with context.wrap_socket(
        socket.create_connection(("127.0.0.1", front.port)), server_hostname="localhost"
    ) as client:
        shown = client.getpeercert(binary_form=True)

    assert hashlib.sha256(shown).hexdigest() == certificate.fingerprint


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_requests_come_through_and_have_no_identity(front, certificate, host) -> None:
    client = HTTPSConnection(host, front.port, context=trusting(certificate), timeout=SOON)
    told = []
    for body in (None, b"x" * 3_000_000):
        client.request("POST" if body else "GET", "/x", body)
        told.append(json.loads(client.getresponse().read()))
    client.close()

    assert [one["length"] for one in told] == [0, 3_000_000]
    assert {(one["peer"]["kind"], one["peer"]["uid"], one["scheme"]) for one in told} == {
        ("tls", None, "https")
    }
    assert {one["peer"]["why"] for one in told} == {"proxied"}


def test_large_answers_and_late_ones_come_through(front, served, certificate) -> None:
    context = trusting(certificate)
    large = HTTPSConnection("localhost", front.port, context=context, timeout=SOON)
    large.request("GET", "/large")
    size = len(large.getresponse().read())
    large.close()
    late = HTTPSConnection("localhost", front.port, context=context, timeout=SOON)
    late.request("GET", "/held")
    assert served.eventually(lambda: served.site.held)
    served.site.held[0].answer(200, (("Content-Type", "application/json"),), b"1")
    answer = late.getresponse()

    assert size == 30_000_000
    assert answer.read() == b"1"
    late.close()
    assert served.eventually(lambda: front.connections == 0)


def test_who_hangs_up_on_a_held_request_is_noticed(front, served, certificate) -> None:
    client = HTTPSConnection("localhost", front.port, context=trusting(certificate), timeout=SOON)
    client.request("GET", "/held")
    assert served.eventually(lambda: served.site.held)
    client.close()

    assert served.eventually(lambda: served.site.gone == served.site.held)


def test_plain_requests_and_noise_hinder_nobody(front, certificate) -> None:
    with ExitStack() as stack:
        for data in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", os.urandom(500), b"\x16\x03\x01", b""):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", front.port)))
            one.sendall(data)
        began = time.monotonic()
        client = HTTPSConnection("localhost", front.port, context=trusting(certificate), timeout=SOON)
        client.request("GET", "/x")

        assert client.getresponse().status == 200
        assert time.monotonic() - began < 15
        client.close()


def test_who_is_lost_without_a_word_is_cut_after_a_while(
    served, certificate, far_away, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "LOST", 2.0)
    listening = listen(far_away.here, port=0, unix=False)
    front = TlsFront(served.service.adopt, listening.sockets, certificate)
    front.start()
    with trusting(certificate).wrap_socket(
        far_away.connect(listening.port), server_hostname="localhost"
    ) as reader:
        reader.sendall(b"GET /stream? HTTP/1.1\r\nHost: a\r\n\r\n")
        assert served.eventually(lambda: served.site.streams)

        far_away.lose()
        served.site.streams[0].send(b": are you there?\n\n")

        assert served.eventually(lambda: served.site.gone == served.site.streams)
    front.close()


class Full(socket.socket):
    """A socket that listens while no descriptor is left for those who come, until there is room."""

    has_room = False
    tries = 0

    def accept(self) -> tuple[socket.socket, Any]:
        self.tries += 1
        if not self.has_room:
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_who_comes_while_no_descriptor_is_left_is_served_when_there_is_one(served, certificate) -> None:
    listener = Full()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    port = listener.getsockname()[1]
    front = TlsFront(served.service.adopt, [listener], certificate)
    front.start()
    client = HTTPSConnection("localhost", port, context=trusting(certificate), timeout=SOON)
    with ThreadPoolExecutor(1) as pool:
        connected = pool.submit(client.connect)
        until(lambda: listener.tries)
        time.sleep(0.3)
        tries, listener.has_room = listener.tries, True
        connected.result(SOON)
    client.close()
    front.close()

    assert tries < 3


def test_a_key_that_others_may_read_is_refused(certificate) -> None:
    certificate.key.chmod(0o644)

    with pytest.raises(BadValue, match="is open to others; run 'chmod 600"):
        given_certificate(certificate.certificate, certificate.key)


def test_what_is_no_certificate_is_refused(tmp_path) -> None:
    (tmp_path / "a.pem").write_text("nonsense")

    with pytest.raises(BadValue, match="holds no certificate"):
        given_certificate(tmp_path / "a.pem", tmp_path / "a.pem")
    with pytest.raises(BadValue, match="cannot be read"):
        given_certificate(tmp_path / "none.pem", tmp_path / "none.pem")
