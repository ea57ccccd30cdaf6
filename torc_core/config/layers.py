"""All layers of settings put together: which value holds, and where it comes from."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torc_core.config.check import Key, build, from_text, keys_of, typed
from torc_core.config.choice import Choice, choose
from torc_core.config.credentials import Credentials
from torc_core.config.keys import KINDS, SECTIONS, section_type
from torc_core.config.read import Findings, known_keys, read_environment, read_file
from torc_core.config.source import LAYERS, Entry, Layer, Problem, Source
from torc_core.errors import InvalidConfig, did_you_mean

if TYPE_CHECKING:
    from torc_core.config.client import Client, Plugins
    from torc_core.config.server import Dash, ServerKeys

SYSTEM_FILE = Path("/etc/torc/config.toml")
PROJECT_FILE = Path("torc.toml")


class Config:
    """The settings of this run of the program: `config.client.run.output_dir`, each with its source.

    Parameters
    ----------
    layers
        Entries by key, for each layer.
    environ
        The variables of the process.
    warnings
        What is suspicious but stops nothing.
    """

    def __init__(
        self,
        layers: Mapping[Layer, Mapping[str, Entry]] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        files: Mapping[Layer, Path] | None = None,
        warnings: Sequence[Problem] = (),
    ) -> None:
        self.layers: Mapping[Layer, Mapping[str, Entry]] = layers or {}
        self.environ = environ or {}
        self.files = files or {}
        self.warnings = list(warnings)
        self._top: dict[str, Entry] = {}
        for layer in LAYERS:
            self._top.update(self.layers.get(layer, {}))

    @classmethod
    def load(
        cls,
        *,
        environ: Mapping[str, str] | None = None,
        user_file: Path | None = None,
        system_file: Path = SYSTEM_FILE,
        project_file: Path = PROJECT_FILE,
    ) -> Config:
        """Read all layers but the command line.

        Parameters
        ----------
        user_file
            Of `--config`: instead of that of `TORC_CONFIG` and of the user's own.

        Raises
        ------
        InvalidConfig
            Naming every error of every file, with file and line.
        """
        environ = os.environ if environ is None else environ
        files: dict[Layer, Path] = {
            "system": system_file,
            "user": user_file or user_config(environ),
            "project": Path.cwd() / project_file,
        }
        findings: dict[Layer, Findings] = {layer: read_file(path, layer) for layer, path in files.items()}
        if asked := user_file or environ.get("TORC_CONFIG"):
            _must_exist(files["user"], "--config" if user_file else "TORC_CONFIG", str(asked))
        findings["env"] = read_environment(environ)
        problems = [problem for _, found in findings.values() for problem in found]
        if errors := [str(problem) for problem in problems if problem.severity == "error"]:
            raise InvalidConfig("\n".join(errors))
        layers: dict[Layer, Mapping[str, Entry]] = {
            layer: entries for layer, (entries, _) in findings.items()
        }
        return cls(layers, environ=environ, files=files, warnings=problems)

    def over(self, flags: Mapping[str, tuple[Any, str]]) -> Config:
        """These settings with the command line, or more of it, on top: values by key, each with the option that gave it."""
        given = {
            name: Entry(key=name, value=value, source=Source(layer="flag", name=flag))
            for name, (value, flag) in flags.items()
        }
        both = {**self.layers.get("flag", {}), **given}
        above = Config({**self.layers, "flag": both}, environ=self.environ, files=self.files)
        above.warnings = self.warnings
        return above

    @cached_property
    def client(self) -> Client:
        """Settings of the commands."""
        client: Client = self._section("client")
        return client if client.username else replace(client, username=_login_name(self.environ))

    @cached_property
    def server(self) -> ServerKeys:
        """Settings of the server."""
        server: ServerKeys = self._section("server")
        return server

    @cached_property
    def dash(self) -> Dash:
        """Settings of the dashboard."""
        dash: Dash = self._section("dash")
        return dash

    @cached_property
    def plugins(self) -> Plugins:
        """Which plugins to leave out."""
        plugins: Plugins = self._section("plugins")
        return plugins

    def _section(self, section: str) -> Any:
        start = f"{section}."
        values = {
            name.removeprefix(start): one.value for name, one in self._top.items() if name.startswith(start)
        }
        return build(section_type(section), values)

    @cached_property
    def store_choice(self) -> Choice:
        """Which store, and why (`cli.md` §2 S2, S3).

        Raises
        ------
        UsageError
            If one layer names an address and a database.
        """
        return choose(self.layers, self.environ)

    @property
    def store_url(self) -> str:
        """The address of the store: `sqlite:///home/a/.local/share/torc/torc.db`."""
        return self.store_choice.url

    @property
    def credentials(self) -> Credentials:
        """What can be shown to a server."""
        client = self.client
        return Credentials(
            username=client.username,
            password=self._secret("password"),
            token_file=client.token_file,
            key_folder=key_folder(self.environ),
            cookie_header=self._secret("cookie_header"),
            ca_cert=client.tls.ca_cert,
            insecure=client.tls.insecure,
            check_version=self.given("flag.skip_version_check") is None,
        )

    def _secret(self, name: str) -> str | None:
        entry = self.given(f"flag.{name}")
        return entry.value if entry else self.environ.get(f"TORC_{name.upper()}") or None

    def given(self, name: str) -> Entry | None:
        """The value that a layer gives for a key; None: the default holds."""
        return self._top.get(name)

    def entries(self) -> Iterator[Entry]:
        """Every key with its value and its source; those of providers only when given."""
        for section in SECTIONS:
            for name, key in keys_of(section_type(section)).items():
                dotted = f"{section}.{name}"
                default = Entry(key=dotted, value=key.default, source=Source())
                if dotted == "client.username":
                    default = replace(default, value=self.client.username)
                yield self._top.get(dotted, default)
        yield from (entry for name, entry in sorted(self._top.items()) if name.partition(".")[0] in KINDS)

    def provider_tables(self) -> Mapping[tuple[str, str], Sequence[Entry]]:
        """What is given for providers, by kind (`stores`) and name."""
        tables: dict[tuple[str, str], list[Entry]] = {}
        for entry in self._top.values():
            kind, _, rest = entry.key.partition(".")
            if kind in KINDS:
                tables.setdefault((kind, rest.partition(".")[0]), []).append(entry)
        return tables

    def settings(self, kind: str, name: str, type: type[Any]) -> Any:
        """The settings of a provider, checked: `settings("stores", "sqlite", SqliteSettings)`.

        Raises
        ------
        InvalidConfig
            If a key is unknown or a value of the wrong type, naming the file and line or the variable.
        """
        keys = keys_of(type)
        values: dict[str, Any] = {}
        for (table_kind, table), entries in self.provider_tables().items():
            if table_kind == kind and table.replace("-", "_") == name.replace("-", "_"):
                for entry in entries:
                    inner = entry.key.split(".", 2)[-1]
                    values[inner] = _provider_value(entry, inner, keys)
        return build(type, values)


def _provider_value(entry: Entry, name: str, keys: Mapping[str, Key]) -> Any:
    where = f"{entry.source}: "
    if name not in keys:
        raise InvalidConfig(f"{where}unknown key {entry.key!r}{did_you_mean(name, keys)}")
    try:
        if entry.source.layer in ("env", "flag"):
            return from_text(entry.value, keys[name])
        return typed(entry.value, keys[name])
    except ValueError as error:
        raise InvalidConfig(f"{where}{entry.key!r} must be {error}, not {entry.value!r}") from None


def check_file(path: Path, layer: Layer = "user") -> Sequence[Problem]:
    """What is wrong with a file; unlike loading, a missing one is wrong too."""
    if not os.path.exists(path):
        return [Problem(severity="error", message=f"no such file: {str(path)!r}")]
    return read_file(path, layer)[1]


def find_key(name: str) -> Key:
    """The declaration of a key that torc itself declares.

    Raises
    ------
    InvalidConfig
        If there is none, with the nearest name.
    """
    keys = known_keys()
    if name not in keys:
        raise InvalidConfig(
            f"unknown key {name!r}{did_you_mean(name, keys)} (list them with 'torc config show')"
        )
    return keys[name]


def user_config(environ: Mapping[str, str]) -> Path:
    """The user's own file: that of `TORC_CONFIG`, else in the configuration folder of the platform."""
    if asked := environ.get("TORC_CONFIG"):
        return Path(asked).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/torc/config.toml"
    return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "torc/config.toml"


def key_folder(environ: Mapping[str, str]) -> Path:
    """Where servers of this user leave their keys (`security.md` S5)."""
    return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "torc/servers"


def _must_exist(path: Path, who: str, text: str) -> None:
    if not os.path.isfile(path):
        helps = f"leave {who} out" if who.startswith("-") else f"unset {who}"
        raise InvalidConfig(f"{who} names {text!r}, which is no file; make it, or {helps}")


def _login_name(environ: Mapping[str, str]) -> str:
    for variable in ("USER", "USERNAME"):
        if environ.get(variable):
            return environ[variable]
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid{os.getuid()}"
