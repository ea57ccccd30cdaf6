"""Exactly one store is chosen, and it is known why (`cli.md` §2)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from torc_core.config import Config
from torc_core.errors import UsageError

pytestmark = pytest.mark.usefixtures("folder")

Flags = Mapping[str, tuple[Any, str]]


def choice(flags: Flags | None = None, **environ: str) -> tuple[str, str]:
    found = Config.load(environ=environ, system_file=Path("/nowhere")).over(flags or {}).store_choice
    return found.url, str(found.source)


def test_with_nothing_configured_it_is_the_users_own_database() -> None:
    assert choice() == (f"sqlite://{Path.home()}/.local/share/torc/torc.db", "default")
    assert choice(XDG_DATA_HOME="/data") == ("sqlite:///data/torc/torc.db", "default")


def test_a_stronger_layer_wins_also_with_the_other_kind() -> None:
    Path("torc.toml").write_text("[client]\napi_url = 'http://server/x'\n")

    assert choice() == ("http://server/x", f"{Path.cwd()}/torc.toml:2")
    assert choice(TORC_DB="/a.db") == ("sqlite:///a.db", "env TORC_DB")
    assert choice({"client.api_url": ("http://b", "--url")}, TORC_DB="/a.db") == ("http://b", "flag --url")


def test_a_relative_database_lies_in_the_working_directory() -> None:
    assert choice({"client.database": ("a b.db", "--db")})[0] == f"sqlite://{Path.cwd()}/a b.db"


def test_any_store_can_be_named_by_url() -> None:
    assert choice({"flag.store": ("postgresql://h/d", "--store")}) == ("postgresql://h/d", "flag --store")


@pytest.mark.parametrize(
    ("flags", "environ"),
    [
        ({"client.api_url": ("http://a", "--url"), "client.database": ("b.db", "--db")}, {}),
        ({"client.api_url": ("http://a", "--url"), "flag.store": ("sqlite:///b", "--store")}, {}),
        ({"client.api_url": ("http://a", "--url"), "flag.standalone": (True, "--standalone")}, {}),
        ({}, {"TORC_API_URL": "http://a", "TORC_DB": "b.db"}),
    ],
)
def test_two_stores_in_one_layer_are_refused_naming_both(flags: Flags, environ: Mapping[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        choice(flags, **environ)

    said = str(caught.value)
    assert "two stores are named" in said
    assert all(name in said for name in [flag for _, flag in flags.values()] or environ)


def test_two_stores_in_one_file_are_refused_too() -> None:
    Path("torc.toml").write_text("[client]\napi_url = 'http://a'\ndatabase = 'b.db'\n")

    with pytest.raises(UsageError, match=r"torc.toml:2\) and 'b.db' \(.*torc.toml:3\)"):
        choice()


def test_standalone_means_this_folder_whatever_is_configured() -> None:
    standalone = {"flag.standalone": (True, "--standalone")}

    assert choice(standalone, TORC_API_URL="http://a")[0] == f"sqlite://{Path.cwd()}/torc_output/torc.db"
    assert choice(standalone | {"client.database": ("c.db", "--db")})[0] == f"sqlite://{Path.cwd()}/c.db"
