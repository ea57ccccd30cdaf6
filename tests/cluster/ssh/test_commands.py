"""Commands on real hosts, by both backends: what they print, how they end, how long they may take."""

from __future__ import annotations

import threading

import pytest
from hosts import SHELLS

from torc_ssh import framing
from torc_ssh.trouble import Overdue

from .conftest import Account


@pytest.mark.parametrize("name", ["beta", "six", "slow", "inner", "noisy", "tight", "w4"])
def test_a_command_runs_to_its_end(account: Account, backend: str, name: str) -> None:
    ran = account.connected(name, backend).run("cat; echo said >&2; exit 3", b"given")

    assert ran.status == 3
    assert ran.stdout.endswith(b"given")
    assert ran.stderr.endswith(b"said\n")


@pytest.mark.parametrize("shell", SHELLS)
def test_an_answer_is_told_from_what_a_login_shell_prints(account: Account, backend: str, shell: str) -> None:
    marker = framing.new_marker()

    ran = account.connected(f"{shell}@noisy", backend).run("exec cat", framing.frame(marker) + b"answer")

    assert framing.answer(ran.stdout, marker) == b"answer"


def test_much_goes_both_ways_at_once(account: Account, backend: str) -> None:
    much = bytes(range(256)) * 20_000

    ran = account.connected("alpha", backend).run("cat", much)

    assert ran.stdout == much


def test_much_on_the_other_stream_does_not_stop_it(account: Account, backend: str) -> None:
    ran = account.connected("alpha", backend).run("head -c 6000000 /dev/zero >&2; echo done")

    assert ran.stdout == b"done\n"
    assert len(ran.stderr) == 6_000_000


def test_a_command_that_reads_nothing_is_given_much(account: Account, backend: str) -> None:
    assert account.connected("alpha", backend).run("exec true", bytes(10_000_000)).status == 0


def test_a_signal_counts_as_255(account: Account, backend: str) -> None:
    assert account.connected("alpha", backend).run("kill -9 $$").status == 255


def test_a_command_that_takes_too_long_is_overdue(account: Account, backend: str) -> None:
    with pytest.raises(Overdue, match=r"^SSH connection failed to alpha: no answer within 0.5 s$"):
        account.connected("alpha", backend).run("exec sleep 60", deadline=0.5)


def test_a_command_that_has_said_all_but_goes_on_is_overdue(account: Account, backend: str) -> None:
    with pytest.raises(Overdue):
        account.connected("alpha", backend).run("exec sleep 60 >&- 2>&-", deadline=0.5)


def test_a_stream_comes_piece_by_piece(account: Account, backend: str) -> None:
    connection = account.connected("alpha", backend)

    with connection.stream("echo one; read line; echo $line; exit 4", b"two\n") as stream:
        pieces = b"".join(iter(stream.read, b""))
        ended = stream.ended()

    assert pieces == b"one\ntwo\n"
    assert ended.status == 4


def test_a_stream_that_is_silent_is_overdue(account: Account, backend: str) -> None:
    with account.connected("alpha", backend).stream("echo one; exec sleep 60", silence=0.5) as stream:
        first = stream.read()
        with pytest.raises(Overdue):
            stream.read()

    assert first == b"one\n"


def test_several_commands_run_at_once(account: Account, backend: str) -> None:
    connection = account.connected("alpha", backend)

    with connection.stream("read line; echo $line", b"") as waiting:
        ran = connection.run("echo other")
        waiting.read()

    assert ran.stdout == b"other\n"


def test_a_host_that_allows_one_session_gets_a_connection_for_each(account: Account, backend: str) -> None:
    connection = account.connected("tight", backend)

    with connection.stream("echo one; exec sleep 60") as first:
        first.read()
        with connection.stream("echo two; exec sleep 60") as second:
            said = second.read()

    assert said == b"two\n"


def test_a_connection_is_shared_by_threads(account: Account) -> None:
    connection = account.connected("alpha")
    said: list[bytes] = []
    threads = [
        threading.Thread(target=lambda number=number: said.append(connection.run(f"echo {number}").stdout))
        for number in range(8)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(said) == [f"{number}\n".encode() for number in range(8)]


def test_the_environment_that_is_configured_is_sent(
    account: Account, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORC_SENT", "one")
    account.configure("Host *\n  SendEnv TORC_SENT\n  SetEnv TORC_SET=two\n")

    assert account.connected("alpha", backend).run("echo $TORC_SENT $TORC_SET").stdout == b"one two\n"


def test_what_the_configuration_wants_besides_does_not_come_between(account: Account, backend: str) -> None:
    account.configure(
        "Host *\n  RemoteCommand echo other\n  RequestTTY force\n  StdinNull yes\n  SessionType none\n  LogLevel QUIET\n"
        "  LocalForward 127.0.0.1:1 localhost:1\n  RemoteForward 22 localhost:1\n  ExitOnForwardFailure yes\n"
        "  ControlMaster auto\n  ControlPath ~/%C\n  PermitLocalCommand yes\n  LocalCommand echo local\n  Tunnel yes\n"
    )

    ran = account.connected("alpha", backend).run("cat", b"well")

    assert (ran.status, ran.stdout, ran.stderr) == (0, b"well", b"")
