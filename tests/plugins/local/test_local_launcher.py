"""The launcher of torc_local, judged as a third party's would be."""

from __future__ import annotations

import pytest

from torc_core.errors import UsageError
from torc_core.protocols import LaunchRequest
from torc_core.testing.launchers import LauncherContract
from torc_local.launcher import Local


@pytest.fixture
def launcher() -> Local:
    return Local()


class TestLocalLauncher(LauncherContract):
    pass


def test_a_command_that_does_not_exist_is_refused(launcher: Local) -> None:
    with pytest.raises(UsageError, match="cannot start 'nothing-of-this-name'"):
        launcher.submit(LaunchRequest(command=["nothing-of-this-name"]))
