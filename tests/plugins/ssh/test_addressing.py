"""Where workers are told the server is (`remote.md` RW50, RW51)."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest

from torc_core.errors import UsageError
from torc_core.runner.place import boot_id
from torc_ssh.commands.addressing import Way, address, candidates, through
from torc_ssh.commands.calling import HostTrouble
from torc_terminal.serving import best, completed, means_itself

LOCAL = "http://localhost:8080/torc-service/v1"
FAR = "http://lab7.example.com:8080/torc-service/v1"
REACHED = {"ok": True, "version": "1"}
REFUSED = {"ok": False, "kind": "timed_out", "text": "connection timed out (firewall?)"}


@pytest.mark.parametrize(
    "url",
    [
        LOCAL, "http://127.0.0.1:80/x", "http://127.3.2.1/x", "http://[::1]:8080/x", "http://0.0.0.0:1/x",
        "http://LOCALHOST/x", "unix:///run/torc.sock",
    ],
)  # fmt: skip
def test_addresses_that_mean_each_host_itself(url: str) -> None:
    assert means_itself(url)


def test_other_addresses_do_not() -> None:
    assert not means_itself(FAR)
    assert not means_itself("http://10.1.2.3:8080/torc-service/v1")


def test_never_names_what_to_do_instead() -> None:
    with pytest.raises(
        UsageError,
        match=r"means each worker itself; use --worker-url http://<this host>:8080/torc-service/v1 \(",
    ):
        address(LOCAL, None, "never").way("w1", "another", REACHED)


def test_somebody_who_listens_on_the_port_of_another_host_is_not_taken_for_the_server() -> None:
    assert address(LOCAL, None, "auto").way("w1", "another", REACHED) is Way.TUNNEL


def test_localhost_is_fine_on_this_very_host() -> None:
    assert address(LOCAL, None, "never").way("w1", boot_id(), REACHED) is Way.DIRECT


def test_what_is_not_reached_is_led_or_told() -> None:
    assert address(FAR, None, "auto").way("w1", "another", REACHED) is Way.DIRECT
    assert address(FAR, None, "auto").way("w1", "another", REFUSED) is Way.TUNNEL
    assert address(FAR, None, "always").way("w1", "another", REACHED) is Way.TUNNEL
    with pytest.raises(
        HostTrouble, match=rf"w1 cannot reach {FAR}: connection timed out \(firewall\?\)"
    ) as caught:
        address(FAR, None, "never").way("w1", "another", REFUSED)
    assert "--worker-url" in str(caught.value.hint)


def test_an_address_for_workers_is_completed_and_checked() -> None:
    assert address(LOCAL, "http://lab7:8080", "auto").url == "http://lab7:8080/torc-service/v1"
    with pytest.raises(UsageError, match="is no address"):
        address(LOCAL, "lab7:8080", "auto")
    assert completed("https://h/torc-service/v1/") == "https://h/torc-service/v1"
    assert through(LOCAL, 4711) == "http://127.0.0.1:4711/torc-service/v1"
    assert best([LOCAL, FAR, "http://10.1.2.3/x"]) == FAR
    assert best([LOCAL]) == LOCAL


def test_an_address_of_several_cards_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    card = [SimpleNamespace(family=socket.AF_INET, address="10.0.0.5")]
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"eth0": card, "tun0": card})

    assert [*candidates()].count("10.0.0.5") == 1
