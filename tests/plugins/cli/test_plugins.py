"""`torc plugins`: what is installed, what it offers, and why something is not loaded."""

from __future__ import annotations

import jsonschema
import pytest

from torc_terminal import schemas


def test_every_built_in_is_listed_with_its_distribution_and_what_it_offers(torc):
    items = {item["name"]: item for item in torc("plugins", "list", "--json").json["items"]}

    assert {"cli", "formats", "local", "psutil", "http", "sqlite"} <= set(items)
    assert items["sqlite"]["distribution"] == "torc-core"
    assert items["sqlite"]["state"] == "loaded"
    assert "sqlite" in items["sqlite"]["offers"]["stores"]


def test_the_bare_word_lists_too(torc):
    assert torc("plugins").out == torc("plugins", "list").out


@pytest.mark.parametrize("format", ["table", "json", "csv"])
def test_a_list_has_a_row_for_each_plugin(torc, format):
    count = torc("plugins", "list", "--json").json["count"]

    ran = torc("plugins", "list", "-f", format)

    rows = {
        "table": lambda: ran.out.splitlines()[1:],
        "json": lambda: ran.json["items"],
        "csv": lambda: ran.rows,
    }[format]()
    assert len(rows) == count


def test_a_disabled_plugin_is_told_with_the_reason(torc, monkeypatch):
    monkeypatch.setenv("TORC_DISABLE_PLUGINS", "psutil")

    items = torc("plugins", "list", "--why-not-loaded", "--json").json["items"]

    assert [(item["name"], item["state"]) for item in items] == [("psutil", "disabled")]
    assert "TORC_DISABLE_PLUGINS" in items[0]["why"]


def test_show_tells_settings_with_defaults_and_sources(torc):
    document = torc("plugins", "show", "sqlite", "--json").json

    settings = {one["key"]: one for provider in document["providers"] for one in provider["settings"]}
    assert settings["stores.sqlite.network_mode"]["default"] == "auto"
    assert settings["stores.sqlite.network_mode"]["source"] == "default"


def test_documents_follow_their_schemas(torc):
    for words in (["list"], ["show", "sqlite"], ["show", "cli"]):
        document = torc("--json", "plugins", *words).json
        jsonschema.validate(document, schemas.load(document["schema"]))


def test_an_unknown_plugin_is_not_found_and_the_nearest_is_named(torc):
    ran = torc("plugins", "show", "sqlit")

    assert ran.code == 5
    assert "did you mean 'sqlite'?" in ran.err


def test_check_tells_a_plugin_from_what_is_none(torc):
    good = torc("plugins", "check", "torc_sqlite", "--json")
    bad = torc("plugins", "check", "colorsys", "--json")

    assert (good.code, good.json["valid"]) == (0, True)
    assert (bad.code, bad.json["valid"]) == (1, False)
    assert "no hook" in bad.json["problems"][0]
    jsonschema.validate(bad.json, schemas.load("torc.plugins.check/1"))


def test_check_of_a_module_that_cannot_be_imported_fails(torc):
    ran = torc("plugins", "check", "no_such_module")

    assert ran.code == 1
    assert "'no_such_module'" in ran.out
