"""The launcher of torc_ssh on real hosts, judged as a third party's would be."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from namespaces import until

from tests.waiting import SOON
from torc_core.errors import UsageError
from torc_core.protocols import AllocationState, LaunchRequest
from torc_core.testing.launchers import LauncherContract
from torc_ssh.launcher import Ssh
from torc_ssh.settings import LauncherSettings
from torc_ssh.trouble import Unreachable

from .conftest import Account

BUSY = ["sleep", "600"]


@pytest.fixture
def launcher(account: Account) -> Ssh:
    """On two hosts, as root."""
    return on(account, "root@w1", "root@w3")


def on(account: Account, *hosts: str) -> Ssh:
    return Ssh(LauncherSettings(hosts=hosts, ssh_config=str(account.ssh / "config"), connect_timeout_secs=2))


class TestSshLauncher(LauncherContract):
    @pytest.fixture
    def tmp_path(self) -> Iterator[Path]:
        # The hosts have a /tmp of their own: what a command leaves has to lie where all see it.
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            yield Path(folder)


def test_runners_are_spread_over_the_hosts(launcher: Ssh) -> None:
    ids = launcher.submit(LaunchRequest(command=BUSY, nodes=3))

    launcher.cancel(ids)
    assert [one.partition("/")[0] for one in ids] == ["root@w1", "root@w3", "root@w1"]


def test_a_runner_outlives_whoever_started_it(account: Account) -> None:
    ids = on(account, "w1").submit(LaunchRequest(command=BUSY))

    other = on(account, "w1")
    assert other.status(ids) == {ids[0]: AllocationState.RUNNING}
    other.cancel(ids)
    until(lambda: other.status(ids)[ids[0]] is AllocationState.ENDED, SOON, "its end")


def test_arguments_arrive_as_they_are(account: Account) -> None:
    words = ["", "a b", "$HOME", "`id`", "'", '"', "\\", "*", "é\n"]
    launcher = on(account, "csh@w1")
    program = 'for one; do printf "%s\\0" "$one"; done >words; mv words told'

    launcher.submit(LaunchRequest(command=["sh", "-c", program, "sh", *words]))

    told = account.hosts["w1"].folder / "home/csh/told"
    until(told.exists, SOON, "its words")
    assert told.read_text().split("\0")[:-1] == words
    told.unlink()


def test_a_process_of_an_earlier_life_is_not_mistaken(account: Account, launcher: Ssh) -> None:
    (one,) = launcher.submit(LaunchRequest(command=BUSY))
    host, _, process = one.rpartition("/")
    pid, start, boot = process.split(".")
    strangers = [f"{host}/{pid}.{int(start) + 1}.{boot}", f"{host}/{pid}.{start}.{'0' * 36}"]

    launcher.cancel(strangers)

    assert set(launcher.status(strangers).values()) == {AllocationState.ENDED}
    assert launcher.status([one]) == {one: AllocationState.RUNNING}
    launcher.cancel([one])


def test_a_command_that_a_host_does_not_have_is_refused(launcher: Ssh) -> None:
    with pytest.raises(
        UsageError, match="cannot start 'nothing-of-this-name' on root@w1: there is no such command"
    ):
        launcher.submit(LaunchRequest(command=["nothing-of-this-name"]))


def test_without_hosts_nothing_is_started(account: Account) -> None:
    with pytest.raises(UsageError, match=r"launcher 'ssh' has no hosts; set launchers\.ssh\.hosts"):
        on(account).submit(LaunchRequest(command=BUSY))


def test_what_was_started_is_ended_when_another_host_fails(account: Account) -> None:
    launcher = on(account, "w1", "refused")

    with pytest.raises(Unreachable, match="refused: Connection refused"):
        launcher.submit(LaunchRequest(command=["sleep", "601"], nodes=2))

    def gone() -> bool:
        return not account.hosts["w1"].run("pgrep", "-f", "sleep 601", check=False)

    until(gone, SOON, "its end")


def test_nobody_knows_what_runs_on_a_host_that_does_not_answer(account: Account) -> None:
    with pytest.raises(Unreachable):
        on(account, "refused").status(["refused/1.1.1"])
