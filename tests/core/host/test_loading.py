"""Plugins are found, left out, and refused with a sentence that helps."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from torc_core import hookimpl
from torc_core.config import Config
from torc_core.errors import InvalidConfig, PluginError
from torc_core.host import Host

HELLO = "from torc_core import hookimpl\n@hookimpl\ndef torc_commands(app): pass\n"

pytestmark = pytest.mark.usefixtures("folder")


def config(**environ: str) -> Config:
    return Config.load(environ=environ)


def plugin(**hooks: Callable[..., object]) -> object:
    return SimpleNamespace(**{name: hookimpl(hook) for name, hook in hooks.items()})


def test_an_installed_plugin_is_loaded_and_known_by_its_distribution(install: Callable[..., None]) -> None:
    install("torc-hallo", "hallo", "hallo_plugin", HELLO)

    host = Host.load(config())

    (record,) = (one for one in host.plugins if one.name == "hallo")
    assert (record.distribution, record.version, record.state) == ("torc-hallo", "1.2", "loaded")
    assert record.hooks == ("torc_commands",)


def test_plugins_are_loaded_in_the_order_of_their_names(install: Callable[..., None]) -> None:
    install("torc-zz", "zz", "zz_plugin", HELLO)
    install("torc-aa", "aa", "aa_plugin", HELLO)

    names = [record.name for record in Host.load(config()).plugins]

    assert names == sorted(names)
    assert {"aa", "zz"} <= set(names)


@pytest.mark.parametrize(
    "text", ["import no_such_module_anywhere\n", "raise RuntimeError('no licence')\n", "def broken(:\n"]
)
def test_a_broken_plugin_stops_with_a_sentence_naming_distribution_and_remedy(
    install: Callable[..., None], text: str
) -> None:
    install("torc-slurmish", "slurmish", "slurmish_plugin", text)

    with pytest.raises(PluginError) as caught:
        Host.load(config())

    said = str(caught.value)
    assert said.startswith("plugin 'slurmish' of torc-slurmish 1.2 could not be loaded: ")
    assert said.endswith("; disable it with TORC_DISABLE_PLUGINS=slurmish")
    assert "\n" not in said
    assert caught.value.exit_code == 2


def test_the_remedy_of_the_sentence_works(install: Callable[..., None]) -> None:
    install("torc-slurmish", "slurmish", "slurmish_plugin", "import no_such_module_anywhere\n")

    host = Host.load(config(TORC_DISABLE_PLUGINS="slurmish"))

    (record,) = (one for one in host.plugins if one.name == "slurmish")
    assert (record.state, record.why) == ("disabled", "disabled by TORC_DISABLE_PLUGINS")


def test_a_plugin_is_disabled_by_the_configuration(install: Callable[..., None], folder: object) -> None:
    from pathlib import Path

    install("torc-hallo", "hallo", "hallo_plugin", HELLO)
    Path("torc.toml").write_text('[plugins]\ndisable = ["hallo"]\n')

    host = Host.load(config())

    (record,) = (one for one in host.plugins if one.name == "hallo")
    assert record.state == "disabled"
    assert record.why.startswith("disabled by plugins.disable (")
    assert record.why.endswith("torc.toml:2)")


def test_a_name_to_disable_that_is_not_installed_is_a_warning_with_a_suggestion() -> None:
    settings = config(TORC_DISABLE_PLUGINS="sqlit")

    Host.load(settings)

    (warning,) = settings.warnings
    assert "names the plugin 'sqlit', which is not installed; did you mean 'sqlite'?" in str(warning)


def test_a_broken_plugin_is_only_recorded_when_asked_for_tolerance(install: Callable[..., None]) -> None:
    install("torc-slurmish", "slurmish", "slurmish_plugin", "import no_such_module_anywhere\n")

    host = Host.load(config(), tolerant=True)

    (record,) = (one for one in host.plugins if one.name == "slurmish")
    assert record.state == "failed"
    assert "no_such_module_anywhere" in record.why


def test_two_distributions_with_one_plugin_name_are_refused_by_name(install: Callable[..., None]) -> None:
    install("torc-one", "hallo", "one_plugin", HELLO)
    install("torc-two", "hallo", "two_plugin", HELLO)

    with pytest.raises(
        PluginError, match=r"torc-(one|two) 1.2 has the same name as .* of torc-(one|two) 1.2"
    ):
        Host.load(config())


def test_a_misspelt_hook_is_refused_with_the_nearest_one() -> None:
    mine = plugin(torc_comands=lambda app: None)

    with pytest.raises(
        PluginError,
        match=r"plugin 'mine' implements 'torc_comands', which is no hook; did you mean 'torc_commands'\?",
    ):
        Host.of({"mine": mine})


def test_a_hook_with_unknown_arguments_is_refused() -> None:
    mine = plugin(torc_commands=lambda app, colour: None)

    with pytest.raises(
        PluginError,
        match=r"plugin 'mine' does not fit this version of torc: .*colour.*TORC_DISABLE_PLUGINS=mine",
    ):
        Host.of({"mine": mine})


def test_a_plugin_may_declare_hooks_for_other_plugins() -> None:
    heard: list[str] = []

    class Specs:
        from torc_core.hookspecs import hookspec

        @hookspec
        def torc_greetings(self, name: str) -> None: ...

    owner = plugin(torc_addhooks=lambda manager: manager.add_hookspecs(Specs))
    guest = plugin(torc_greetings=lambda name: heard.append(name))

    host = Host.of({"guest": guest, "owner": owner})
    host.manager.hook.torc_greetings(name="ada")

    assert heard == ["ada"]


def test_a_plugin_may_object_to_the_configuration() -> None:
    def object_to(config: Config) -> None:
        raise InvalidConfig("no")

    with pytest.raises(InvalidConfig, match="no"):
        Host.of({"mine": plugin(torc_configure=object_to)})


def test_tracing_prints_every_hook_call(capsys: pytest.CaptureFixture[str]) -> None:
    host = Host.of({"mine": plugin(torc_stores=lambda: ())}, config(TORC_TRACE_PLUGINS="1"))

    assert not host.stores

    said = capsys.readouterr().err
    assert "torc_configure" in said
    assert "torc_stores of mine" in said
