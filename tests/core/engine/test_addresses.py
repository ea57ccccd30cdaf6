"""Addresses of remote workers: read, brought into one form, once per host."""

from __future__ import annotations

import pytest

from torc_core.engine.addresses import check_once, parse
from torc_core.errors import Invalid


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("n1", "n1"),
        ("N1.Example.ORG", "n1.example.org"),
        ("ann@N1:2222", "ann@n1:2222"),
        ("host$@n1", None),
        ("svc$@n1", None),
        ("10.0.0.1:22", "10.0.0.1:22"),
        ("2001:db8::1", "[2001:db8::1]"),
        ("2001:0db8:0:0::1", "[2001:db8::1]"),
        ("2001:db8::1:2222", "[2001:db8::1:2222]"),
        ("ann@[2001:DB8::1]:2222", "ann@[2001:db8::1]:2222"),
        ("[fe80::1%eth0]", "[fe80::1%eth0]"),
    ],
)
def test_an_address_has_one_form(text: str, shown: str | None) -> None:
    assert parse(text).text == (shown or text)
    assert parse(parse(text).text) == parse(text)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "host"), ("-oProxyCommand=x", "host"), ("n1-", "host"), ("n 1", "host"), ("n1\n", "host"), ("n1;rm", "host"),
        ("a b@n1", "user"), ("@n1", "user"), ("-a@n1", "user"), ("a@b@n1", "user"),
        ("n1:", "port"), ("n1:0", "port"), ("n1:65536", "port"), ("n1:22a", "port"), ("n1:-1", "port"), ("n1:\u0661", "port"),
        ("[::1", "address"), ("[n1]:22", "address"), ("[::1]22", "address"), ("1::2::3", "host"),
        ("[fe80::1%eth/0]", "host"), ("x" * 254, "host"),
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_the_part_that_is_wrong(text: str, part: str) -> None:
    with pytest.raises(Invalid, match=f"invalid {part}"):
        parse(text)


def test_a_host_is_there_once() -> None:
    known = ["ann@n1:22", "[2001:db8::1]"]

    assert check_once(parse("n2"), known)
    assert not check_once(parse("ann@N1:22"), known)
    with pytest.raises(Invalid, match=r"same host as '\[2001:db8::1\]'"):
        check_once(parse("bob@[2001:db8:0::1]:22"), known)
