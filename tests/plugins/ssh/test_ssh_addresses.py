"""Lists of workers: every row of `remote.md` RW1, forty lines that are wrong, and all mistakes told at once."""

from __future__ import annotations

import pytest

from torc_core.engine.addresses import Address
from torc_core.errors import BadValue
from torc_ssh.addresses import Worker, given_workers, read_workers

EXAMPLE = """\
# Lines starting with # are comments
# Format: [user@]hostname[:port]

# Simple hostname
worker1.example.com

# With username
alice@worker2.example.com

# With custom SSH port
admin@192.168.1.10:2222

# IPv4 address
10.0.0.5

# IPv6 address (must be in brackets for port specification)
[2001:db8::1]
[::1]:2222
"""

ROWS = [
    ("worker1.example.com", None, "worker1.example.com", None, "worker1.example.com"),
    ("alice@worker2.example.com", "alice", "worker2.example.com", None, "alice@worker2.example.com"),
    ("admin@192.168.1.10:2222", "admin", "192.168.1.10", 2222, "admin@192.168.1.10:2222"),
    ("10.0.0.5", None, "10.0.0.5", None, "10.0.0.5"),
    ("[2001:db8::1]", None, "2001:db8::1", None, "[2001:db8::1]"),
    ("[::1]:2222", None, "::1", 2222, "[::1]:2222"),
    ("bob@[fe80::1]:22", "bob", "fe80::1", 22, "bob@[fe80::1]:22"),
    ("2001:db8::1", None, "2001:db8::1", None, "[2001:db8::1]"),
    ("[2001:DB8:0:0:0:0:0:1]", None, "2001:db8::1", None, "[2001:db8::1]"),
    ("fe80::1%eth0", None, "fe80::1%eth0", None, "[fe80::1%eth0]"),
    ("Worker1.Example.COM", None, "worker1.example.com", None, "worker1.example.com"),
    ("svc$@host", "svc$", "host", None, "svc$@host"),
    ("_x.y-z@a_b-c.d", "_x.y-z", "a_b-c.d", None, "_x.y-z@a_b-c.d"),
    ("  h  # the last one", None, "h", None, "h"),
    ("h:1", None, "h", 1, "h:1"),
    ("h:65535", None, "h", 65535, "h:65535"),
]

WRONG = [
    ("node7:99999", "invalid port '99999' in 'node7:99999' (1-65535)"),
    ("node7:0", "invalid port '0' in 'node7:0' (1-65535)"),
    ("node7:", "invalid port '' in 'node7:' (1-65535)"),
    ("node7:ssh", "invalid port 'ssh' in 'node7:ssh' (1-65535)"),
    ("node7:-1", "invalid port '-1' in 'node7:-1' (1-65535)"),
    ("node7:22x", "invalid port '22x' in 'node7:22x' (1-65535)"),
    ("node7:\u0662\u0662", "invalid port"),
    ("[::1]:", "invalid port '' in '[::1]:' (1-65535)"),
    ("[::1]:70000", "invalid port '70000' in '[::1]:70000' (1-65535)"),
    ("[::1", "invalid address '[::1'; write IPv6 as [address] or [address]:port"),
    ("[::1]22", "invalid address '[::1]22'"),
    ("[worker]", "invalid address '[worker]'"),
    ("[]", "invalid address '[]'"),
    ("[::g]", "invalid host '::g' in '[::g]'"),
    ("1:2:3", "invalid host '1:2:3' in '1:2:3'"),
    ("::1%", "invalid host '::1%' in '::1%'"),
    ("::1%a/b", "invalid host '::1%a/b' in '::1%a/b'"),
    ("@host", "invalid user '' in '@host'"),
    ("1alice@host", "invalid user '1alice' in '1alice@host'"),
    ("-o@host", "invalid user '-o' in '-o@host'"),
    ("al ice@host", "'ice@host' after 'al' is not understood; write one host per line"),
    ("a;b@host", "invalid user 'a;b' in 'a;b@host'"),
    ("a@b@host", "invalid user 'a@b' in 'a@b@host'"),
    ("$(touch x)@host", "'x)@host' after '$(touch' is not understood"),
    ("alice@", "invalid host '' in 'alice@'"),
    (":22", "invalid host '' in ':22'"),
    ("-oProxyCommand=x", "invalid host '-oProxyCommand=x' in '-oProxyCommand=x'"),
    ("-host", "invalid host '-host' in '-host'"),
    ("host-", "invalid host 'host-' in 'host-'"),
    (".host", "invalid host '.host' in '.host'"),
    ("host.", "invalid host 'host.' in 'host.'"),
    ("ho st", "'st' after 'ho' is not understood; write one host per line"),
    ("host;reboot", "invalid host 'host;reboot' in 'host;reboot'"),
    ("host|x", "invalid host 'host|x' in 'host|x'"),
    ("host`x`", "invalid host 'host`x`' in 'host`x`'"),
    ("host$(x)", "invalid host 'host$(x)' in 'host$(x)'"),
    ("host/x", "invalid host 'host/x' in 'host/x'"),
    ("host\x00x", "invalid host 'host\\x00x' in 'host\\x00x'"),
    ("host\x1b[31m", "invalid host 'host\\x1b[31m' in 'host\\x1b[31m'"),
    ("h\u00f6st", "invalid host 'h\u00f6st' in 'h\u00f6st'"),
    ("ssh://host", "invalid port '//host' in 'ssh://host' (1-65535)"),
    ("*", "invalid host '*' in '*'"),
    ("a" * 254, "invalid host"),
    ("h label=", "'label=' after 'h' is not understood; write one host per line"),
    ("h label=a label=b", "'label=b' after 'h' is not understood; write one host per line"),
    ("a,b", "invalid host 'a,b' in 'a,b'"),
]


def test_the_example_is_read() -> None:
    found = read_workers(EXAMPLE, "workers.txt")

    assert [one.address.text for one in found.workers] == [
        "worker1.example.com", "alice@worker2.example.com", "admin@192.168.1.10:2222", "10.0.0.5", "[2001:db8::1]",
        "[::1]:2222",
    ]  # fmt: skip
    assert found.notes == ()


@pytest.mark.parametrize(("line", "user", "host", "port", "text"), ROWS)
def test_an_address_is_read(line: str, user: str | None, host: str, port: int | None, text: str) -> None:
    (worker,) = read_workers(line, "w").workers

    assert worker.address == Address(user=user, host=host, port=port)
    assert worker.address.text == text


@pytest.mark.parametrize(("line", "told"), WRONG, ids=range(len(WRONG)))
def test_a_line_that_is_wrong_is_told_with_its_number(line: str, told: str) -> None:
    with pytest.raises(BadValue) as raised:
        read_workers(f"# workers\n\n{line}\n", "workers.txt")

    assert str(raised.value).startswith(f"workers.txt:3: {told}")
    assert raised.value.exit_code == 2


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(BadValue) as raised:
        read_workers("a\nb:0\nA\n-c\n\nalice@a:3\n", "w.txt")

    assert str(raised.value).splitlines() == [
        "w.txt:2: invalid port '0' in 'b:0' (1-65535)",
        "w.txt:3: duplicate host 'a' (first on line 1)",
        "w.txt:4: invalid host '-c' in '-c'",
        "w.txt:6: duplicate host 'a' (first on line 1)",
    ]
    assert raised.value.details["problems"] == str(raised.value).splitlines()


@pytest.mark.parametrize("other", ["worker1", "WORKER1", "bob@worker1", "worker1:2222"])
def test_a_host_stands_there_once(other: str) -> None:
    with pytest.raises(BadValue, match=r"^workers.txt:3: duplicate host 'worker1' \(first on line 1\)$"):
        read_workers(f"worker1\n\n{other}", "workers.txt")


def test_one_ipv6_address_is_one_however_it_is_written() -> None:
    with pytest.raises(BadValue, match="duplicate host '2001:db8::1'"):
        read_workers("[2001:db8::1]\n2001:DB8:0::1\n", "w")


@pytest.mark.parametrize("text", ["\ufeffa\r\nb\r\n", "a\n\tb", "  a\n\n\n#\n b # c\n"])
def test_what_editors_do_to_files_is_no_matter(text: str) -> None:
    assert [one.address.host for one in read_workers(text, "w").workers] == ["a", "b"]


def test_nothing_but_a_newline_ends_a_line() -> None:
    with pytest.raises(BadValue, match=r"^w:2: "):
        read_workers("a\x0b\x0c\n-\n", "w")


def test_an_address_that_ends_like_a_port_is_noted() -> None:
    found = read_workers("2001:db8::1:2222", "w")

    assert found.workers[0].address.port is None
    assert found.notes == (
        "w:1: '2001:db8::1:2222' is read as an address without a port; write '[2001:db8::1]:2222' if 2222 is one",
    )


def test_labels_stand_behind_the_address() -> None:
    assert read_workers("a label=gpu # fast\nb\n", "w").workers == (
        Worker(address=Address(host="a"), label="gpu"),
        Worker(address=Address(host="b")),
    )


def test_an_empty_file_has_no_workers() -> None:
    assert read_workers("# nobody\n\n", "w").workers == ()


def test_addresses_of_the_command_line_are_judged_alike() -> None:
    with pytest.raises(BadValue) as raised:
        given_workers(["a", "b:0", "a:22"], {"c": "gpu"})

    assert str(raised.value).splitlines() == [
        "worker 2: invalid port '0' in 'b:0' (1-65535)",
        "worker 3: duplicate host 'a' (first on worker 1)",
        "--labels: 'c' is not in the list of workers",
    ]


def test_labels_of_the_command_line_are_given_by_host() -> None:
    found = given_workers(["bob@A:22", "[::1]"], {"a": "gpu", "0:0::1": "six"})

    assert [one.label for one in found.workers] == ["gpu", "six"]


def test_labels_that_are_given_go_before_those_of_the_file() -> None:
    found = read_workers("w1 label=gpu\nw2 label=big\nw3\n", "w", {"W1": "small", "w3": "new"})

    assert [one.label for one in found.workers] == ["small", "big", "new"]
    with pytest.raises(BadValue, match="--labels: 'w9' is not in the list of workers"):
        read_workers("w1\n", "w", {"w9": "x"})
