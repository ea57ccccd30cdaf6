"""Words that go over the wire and words that users read: markers of answers, causes of failures, settings."""

from __future__ import annotations

import errno
import re
import socket
from typing import Any

import pytest
from paramiko import SSHException

from torc_core.config import Config
from torc_core.errors import InvalidConfig
from torc_ssh import framing
from torc_ssh.commands.adding import to_try
from torc_ssh.commands.lines import process_text, size_text
from torc_ssh.connection import causes, open_connector
from torc_ssh.connection.program.telling import cause_of, new_keys
from torc_ssh.settings import RemoteSettings, remote_settings
from torc_ssh.trouble import Lost, Unreachable


def test_an_answer_is_found_behind_noise() -> None:
    marker = framing.new_marker()

    assert framing.answer(b"Welcome!\nno newline" + framing.frame(marker) + b"{}\n", marker) == b"{}\n"


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        (b"", "no answer"),
        (b"sh: torc: not found\n", "no answer, but 'sh: torc: not found'"),
        (b"a\n\xff\n", "no answer, but '\ufffd'"),
    ],
)
def test_what_is_no_answer_is_shown(printed: bytes, told: str) -> None:
    with pytest.raises(framing.NoAnswer) as raised:
        framing.answer(printed, framing.new_marker())

    assert str(raised.value) == told


def test_markers_are_never_the_same() -> None:
    assert framing.new_marker() != framing.new_marker()


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_stream_is_freed_of_noise_wherever_it_is_cut(size: int) -> None:
    marker = framing.new_marker()
    whole = b"noise\n" + framing.frame(marker) + b"answer" * 9
    unframed = framing.Unframed(marker)

    found = b"".join(unframed.feed(whole[at : at + size]) for at in range(0, len(whole), size))
    unframed.end()

    assert found == b"answer" * 9


def test_a_stream_of_noise_is_given_up() -> None:
    unframed = framing.Unframed(framing.new_marker())
    with pytest.raises(framing.NoAnswer):
        for _ in range(20):
            unframed.feed(bytes(100_000))
    with pytest.raises(framing.NoAnswer):
        framing.Unframed(framing.new_marker()).end()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "Connection refused"),
        (TimeoutError(), "Connection timed out after 30 s"),
        (OSError(errno.ETIMEDOUT, "x"), "Connection timed out after 30 s"),
        (socket.gaierror(-2, "Name or service not known"), "Could not resolve hostname"),
        (OSError(errno.ENETUNREACH, "x"), "Network is unreachable"),
        (OSError(errno.EHOSTUNREACH, "x"), "No route to host"),
        (ConnectionResetError(errno.ECONNRESET, "x"), "Server closed the connection (MaxStartups?)"),
        (OSError(errno.EACCES, "Permission denied"), "Permission denied"),
    ],
)  # fmt: skip
def test_a_socket_says_why(error: OSError, told: str) -> None:
    assert causes.of_socket(error, 30) == told


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (None, "Server closed the connection (MaxStartups?)"),
        (EOFError(), "Server closed the connection (MaxStartups?)"),
        (SSHException("Error reading SSH protocol banner"), "Server closed the connection (MaxStartups?)"),
        (SSHException("Error reading SSH protocol bannertimed out"), "Connection timed out after 30 s"),
        (SSHException('Indecipherable protocol version "HTTP"'), "it does not speak SSH"),
        (SSHException("no acceptable\nciphers"), "no acceptable ciphers"),
    ],
)  # fmt: skip
def test_a_handshake_says_why(error: Exception | None, told: str) -> None:
    assert causes.of_handshake(error, 30) == told


KEX = "kex_exchange_identification: Connection closed by remote host\r\n"
UNKNOWN = "Connection closed by UNKNOWN port 65535\r\n"
SAID = [
    ("ssh: connect to host h port 22: Connection refused\r\n", "Connection refused"),
    ("ssh: connect to host h port 22: Connection timed out\r\n", "Connection timed out after 30 s"),
    ("Connection timed out during banner exchange\r\n", "Connection timed out after 30 s"),
    ("ssh: Could not resolve hostname h: Name or service not known\r\n", "Could not resolve hostname"),
    ("ssh: connect to host h port 22: Network is unreachable\r\n", "Network is unreachable"),
    ("ssh: connect to host h port 22: No route to host\r\n", "No route to host"),
    ("*** banner ***\r\nalice@h: Permission denied (publickey,password).\r\n", "Permission denied (publickey,password)"),
    (KEX, "Server closed the connection (MaxStartups?)"),
    ("Connection reset by 10.0.0.1 port 22\r\n", "Server closed the connection (MaxStartups?)"),
    ("", "Server closed the connection (MaxStartups?)"),
    (
        "@@@@@\r\nOffending ED25519 key in /etc/known_hosts:12\r\nHost key verification failed.\r\n",
        "Host key verification failed (key changed; known_hosts line 12: /etc/known_hosts)",
    ),
    (
        "No ED25519 host key is known for h and you have requested strict checking.\r\nHost key verification failed.\r\n",
        "Host key verification failed (key not known, and StrictHostKeyChecking is yes)",
    ),
    ("Bad owner or permissions on /x/config\r\n", "Bad owner or permissions on /x/config"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "told"), SAID, ids=range(len(SAID)))
def test_the_program_says_why(said: str, told: str) -> None:
    assert cause_of(said, 30, ()) == told


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (f"ssh: connect to host bastion port 22: Connection refused\r\n{KEX}{UNKNOWN}", "Jump host bastion: Connection refused"),
        (f"alice@bastion: Permission denied (publickey).\r\n{KEX}{UNKNOWN}", "Jump host bastion: Permission denied (publickey)"),
        (
            f"channel 0: open failed: connect failed: Connection refused\r\nstdio forwarding failed\r\n{KEX}{UNKNOWN}",
            "Connection refused (seen from jump host bastion)",
        ),
        (
            f"channel 0: open failed: administratively prohibited: open failed\r\nstdio forwarding failed\r\n{KEX}{UNKNOWN}",
            "Jump host bastion: it does not allow forwarding",
        ),
        ("alice@h: Permission denied (publickey).\r\n", "Permission denied (publickey)"),
    ],
)  # fmt: skip
def test_the_program_says_which_host_failed(said: str, told: str) -> None:
    assert cause_of(said, 30, ("gate", "bastion")) == told


def test_the_program_says_which_keys_it_took() -> None:
    said = "Warning: Permanently added '[h]:2222' (ED25519) to the list of known hosts.\r\n"

    assert new_keys(said) == [("[h]:2222", "ED25519")]


def test_errors_carry_their_parts() -> None:
    error = Lost("worker1", "connection lost (no sign of life for 60 s)")

    assert isinstance(error, Unreachable)
    assert error.exit_code == 1
    assert error.details == {"host": "worker1", "cause": "connection lost (no sign of life for 60 s)"}


def configured(**values: Any) -> Config:
    return Config.load(
        environ={f"TORC_CLIENT__REMOTE__{name.upper()}": str(value) for name, value in values.items()}
    )


def test_settings_come_from_the_configuration() -> None:
    assert remote_settings(configured()) == RemoteSettings()
    assert remote_settings(
        configured(backend="openssh", connect_timeout_secs=5, ssh_config="~/c")
    ) == RemoteSettings(backend="openssh", connect_timeout_secs=5, ssh_config="~/c")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("max_parallel_ssh", 0, "client.remote.max_parallel_ssh is 0; it has to be 1-256"),
        ("max_parallel_ssh", 257, "client.remote.max_parallel_ssh is 257; it has to be 1-256"),
        ("connect_timeout_secs", 0, "client.remote.connect_timeout_secs is 0; it has to be 1 second or more"),
        (
            "command_timeout_secs",
            -1,
            "client.remote.command_timeout_secs is -1; it has to be 1 second or more",
        ),
    ],
)
def test_numbers_out_of_range_are_told(name: str, value: int, told: str) -> None:
    with pytest.raises(InvalidConfig) as raised:
        remote_settings(configured(**{name: value}))

    assert str(raised.value) == told


@pytest.mark.parametrize(("name", "value"), [("backend", "putty"), ("reverse_tunnel", "maybe")])
def test_words_that_are_not_known_are_told(name: str, value: str) -> None:
    with pytest.raises(InvalidConfig, match=value):
        remote_settings(configured(**{name: value}))


def test_a_program_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(InvalidConfig, match="there is no program 'ssh' on the path"):
        open_connector(RemoteSettings(backend="openssh"), print)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (979, "979 bytes"),
        (2_345, "2.3 kB"),
        (3_200_000, "3.2 MB"),
        (5 * 10**12, "5000.0 GB"),
    ],
)
def test_sizes_of_files_are_written_as_people_say_them(size: int, text: str) -> None:
    assert size_text(size) == text


def test_a_process_that_has_not_said_who_it_is_is_not_made_up() -> None:
    assert process_text(4711) == " (PID 4711)"
    assert re.fullmatch(r" \(PID 4711, since \d\d:\d\d\)", process_text(4711, 1_700_000_000.5))
    assert process_text(None, 1_700_000_000.5) == ""


@pytest.mark.parametrize(
    ("worker", "command"),
    [
        ("node1", "ssh node1 true"),
        ("admin@10.0.0.5:2222", "ssh -p 2222 admin@10.0.0.5 true"),
        ("[2001:db8::1]:22", "ssh -p 22 2001:db8::1 true"),
    ],
)
def test_what_to_try_is_a_command_that_ssh_understands(worker: str, command: str) -> None:
    assert to_try(worker) == f"try: {command}"
