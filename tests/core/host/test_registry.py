"""What plugins offer is found by name, and every mistake about a name becomes a sentence."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from torc_core import hookimpl
from torc_core.errors import PluginError, UnknownProvider
from torc_core.host import Host
from torc_core.providers import LauncherProvider


def offering(*names: str) -> object:
    providers = [LauncherProvider(name=name, summary=name, open=lambda settings: None) for name in names]  # type: ignore[arg-type, return-value]
    return SimpleNamespace(torc_launchers=hookimpl(lambda: providers))


def test_providers_of_all_plugins_are_found_by_name_with_their_owner() -> None:
    host = Host.of({"one": offering("local", "slurm"), "two": offering("ssh")})

    assert list(host.launchers) == ["local", "slurm", "ssh"]
    assert host.launchers["slurm"].summary == "slurm"
    assert host.launchers.owners == {"local": "one", "slurm": "one", "ssh": "two"}


def test_an_unknown_name_is_told_with_the_nearest_and_with_all_installed() -> None:
    host = Host.of({"one": offering("local", "slurm")})

    with pytest.raises(UnknownProvider) as caught:
        host.launchers["slrum"]

    assert str(caught.value) == "no launcher named 'slrum'; did you mean 'slurm'? (installed: local, slurm)"


def test_a_name_offered_twice_is_refused_naming_both_plugins() -> None:
    host = Host.of({"one": offering("slurm"), "my-fork": offering("slurm")})

    with pytest.raises(
        PluginError, match=r"launcher 'slurm' is offered by both '(one|my-fork)' and '(one|my-fork)'"
    ):
        _ = host.launchers


def test_something_that_is_no_provider_is_refused() -> None:
    host = Host.of({"odd": SimpleNamespace(torc_launchers=hookimpl(lambda: ["slurm"]))})

    with pytest.raises(
        PluginError, match="plugin 'odd' offers 'slurm' as a launcher, which is no LauncherProvider"
    ):
        _ = host.launchers


def test_hooks_of_providers_are_read_once() -> None:
    calls = []
    host = Host.of({"one": SimpleNamespace(torc_launchers=hookimpl(lambda: calls.append(1) or []))})

    assert not host.launchers
    assert not host.launchers

    assert len(calls) == 1
