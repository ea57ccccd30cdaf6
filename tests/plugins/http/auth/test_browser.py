"""Pages of other servers stay out."""

from __future__ import annotations

import socket

import pytest

from torc_core.store.principal import EVERYTHING, Principal
from torc_core.testing.plugin import SetClock
from torc_http.auth.browser import PAGES, OwnNames, foreign_page, host_of
from torc_http.auth.signin import SignIns, cookie_of, set_cookie

OWNER = Principal(kind="owner", name="alice", rights=EVERYTHING)


@pytest.fixture
def names() -> OwnNames:
    return OwnNames(["torc.example.org"], addresses=lambda: ["10.1.2.3", "fe80::1%eth0", "2001:db8::1"])


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "localhost:8080", "LOCALHOST:1", "127.0.0.1:9999", "127.9.9.9", "[::1]:8080", "[::1]", "10.1.2.3:1",
        "[2001:db8::1]:80", "[fe80::1]:80", "torc.example.org:8080", "torc.example.org.", "localhost.:80",
        "[::ffff:127.0.0.1]:80", socket.gethostname(),
    ],
)  # fmt: skip
def test_our_own_names_are_known_whatever_the_port(names: OwnNames, host: str) -> None:
    assert names.has(host)


@pytest.mark.parametrize(
    "host",
    [
        "", "evil.example", "localhost.evil.example", "evil.example:8080", "10.1.2.4", "[2001:db8::2]", "0.0.0.0", "127.0.0.1.nip.io",
        "127.1", "2130706433", "0x7f000001", "localhost@evil.example", "evil.example#localhost", "localhost:80:80", "[::]", "loc alhost",
    ],
)  # fmt: skip
def test_other_names_are_foreign(names: OwnNames, host: str) -> None:
    assert not names.has(host)


def test_a_host_is_cut_from_its_port() -> None:
    assert [host_of(one) for one in ("A:1", "[::1]:2", "a.", "::1")] == ["a", "::1", "a", "::1"]


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({}, True),
        ({"HTTP_ORIGIN": "http://kl3:8080"}, True),
        ({"HTTP_ORIGIN": "http://KL3:8080"}, True),
        ({"HTTP_ORIGIN": "https://kl3:8080"}, False),
        ({"HTTP_ORIGIN": "http://kl3:8081"}, False),
        ({"HTTP_ORIGIN": "http://kl3"}, False),
        ({"HTTP_ORIGIN": "null"}, False),
        ({"HTTP_ORIGIN": ""}, False),
        ({"HTTP_ORIGIN": "http://evil.example"}, False),
        ({"HTTP_SEC_FETCH_SITE": "same-origin"}, True),
        ({"HTTP_SEC_FETCH_SITE": "none", "HTTP_SEC_FETCH_MODE": "navigate"}, True),
        ({"HTTP_SEC_FETCH_SITE": "none", "HTTP_SEC_FETCH_MODE": "no-cors"}, False),
        ({"HTTP_SEC_FETCH_SITE": "same-site", "HTTP_SEC_FETCH_MODE": "navigate"}, False),
        ({"HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_SEC_FETCH_MODE": "navigate"}, False),
        ({"HTTP_SEC_FETCH_SITE": "Same-Origin"}, False),
    ],
)
def test_only_requests_of_our_own_pages_pass(headers: dict[str, str], ours: bool) -> None:
    environ = {"HTTP_HOST": "kl3:8080", "wsgi.url_scheme": "http", **headers}

    assert (foreign_page(environ) is None) == ours


def test_pages_may_load_nothing_of_others() -> None:
    assert "default-src 'self'" in PAGES["Content-Security-Policy"]
    assert "unsafe" not in PAGES["Content-Security-Policy"]


def test_a_code_is_good_once_and_for_a_minute(clock: SetClock) -> None:
    sign_ins = SignIns(clock)
    code, late = sign_ins.code(OWNER), sign_ins.code(OWNER)

    cookie = sign_ins.cookie(code)

    assert cookie
    assert sign_ins.principal(cookie) is OWNER
    assert sign_ins.cookie(code) is None
    clock.move(60)
    assert sign_ins.cookie(late) is None


def test_a_cookie_lasts_twelve_hours_or_until_one_signs_out(clock: SetClock) -> None:
    sign_ins = SignIns(clock)
    one, other = (sign_ins.cookie(sign_ins.code(OWNER)) or "" for _ in range(2))

    sign_ins.sign_out(one)

    assert sign_ins.principal(one) is None
    assert sign_ins.principal(other) is OWNER
    clock.move(12 * 3600)
    assert sign_ins.principal(other) is None


@pytest.mark.parametrize("text", ["", "x", "é", "\udcff", "a" * 10_000])
def test_what_nobody_was_given_is_no_cookie_and_no_code(clock: SetClock, text: str) -> None:
    assert SignIns(clock).principal(text) is None
    assert SignIns(clock).cookie(text) is None


def test_cookies_of_two_ports_do_not_meet() -> None:
    header = "torc_8080=a; other=x; torc_8081=b"

    assert [cookie_of(header, port) for port in (8080, 8081, 8082)] == ["a", "b", None]
    assert set_cookie(8080, "a", secure=True) == (
        "torc_8080=a; HttpOnly; SameSite=Strict; Path=/; Max-Age=43200; Secure"
    )
