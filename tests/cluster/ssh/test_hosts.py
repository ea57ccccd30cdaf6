"""The hosts that tests use are as they say, by the real `ssh`: a test that fails here says nothing about torc."""

from __future__ import annotations

import subprocess

import pytest
from hosts import SshHosts


def ssh(hosts: SshHosts, host: str, command: str = "hostname") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ssh", "-F", str(hosts.config), "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", host, command],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["beta", "six", "slow", "inner"])
def test_a_host_is_a_machine_of_its_own(ssh_hosts: SshHosts, name: str) -> None:
    assert ssh(ssh_hosts, name).stdout.split() == [name]


def test_an_account_that_nobody_may_use_refuses_all(ssh_hosts: SshHosts) -> None:
    assert "Permission denied" in ssh(ssh_hosts, "closed").stderr


def test_a_host_that_crashed_comes_back_with_what_it_kept(ssh_hosts: SshHosts) -> None:
    ssh(ssh_hosts, "beta", "echo kept > file")
    ssh_hosts["beta"].crash()

    ssh_hosts.boot("beta")

    assert ssh(ssh_hosts, "beta", "cat file").stdout == "kept\n"
