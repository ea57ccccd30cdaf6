"""`torc config`: which settings hold, where they come from, and how to change them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from torc_cli.config_files import Where, init_file, json_schema, path_of, set_value, unset_value
from torc_core.config import Entry, Source, check_file
from torc_core.config.check import Key, keys_of
from torc_core.config.layers import find_key
from torc_core.errors import NotFound, UsageError
from torc_core.given import Given
from torc_core.model import Json
from torc_core.providers import Provider
from torc_core.session import Session
from torc_terminal.options import Flag
from torc_terminal.output.answer import Listing, Outcome, Report, Text, refuse_csv
from torc_terminal.output.cells import Column

app = App(name="config", help="Settings: what holds, where it comes from, how to change it.")

STORE = "store"
"""The name under which `show --sources` tells which store was chosen, and why (`cli.md` S2)."""


@app.command
def show(
    key: str | None = None,
    /,
    *,
    format: Annotated[Literal["toml", "json"] | None, Parameter(name=["--format", "-f"])] = None,
    sources: Flag = False,
    session: Given,
) -> Report:
    """Show the settings that hold.

    Parameters
    ----------
    key
        Only this key, or all below it: `client.run`.
    format
        How to print them.
    sources
        One line for each key with its source: the default, a file and line, a variable or an option.
    """
    entries = [entry for entry in session.config.entries() if _below(entry.key, key)]
    if not entries:
        find_key(key or "")
    rows = [_row(entry, _is_secret(session, entry.key)) for entry in entries]
    if sources and key is None:
        choice = session.config.store_choice
        rows.append({"key": STORE, "value": choice.url, **_where(choice.source), "why": choice.why})
    data = {str(row["key"]): {name: value for name, value in row.items() if name != "key"} for row in rows}
    if format == "json" and session.format != "json":
        document = {"schema": "torc.config.show/1", **data}
        return Report(
            schema="torc.config.show/1", data=data, text=json.dumps(document, indent=2, ensure_ascii=False)
        )
    if sources or session.format == "csv":
        columns = (
            Column(title="Key", key="key"),
            Column(title="Value", key="value", show=lambda row: _toml(row["value"])),
            Column(title="Source", key="source", show=lambda row: " ".join(_said(row))),
        )
        return Report(schema="torc.config.show/1", data=data, rows=rows, columns=columns, noun="settings")
    return Report(schema="torc.config.show/1", data=data, text="\n".join(_toml_lines(rows)))


@app.command
def paths(*, session: Given) -> Listing:
    """List the files that settings are read from, the strongest last."""
    items: list[Mapping[str, Json]] = [
        {"layer": layer, "path": str(path), "exists": path.exists()}
        for layer, path in session.config.files.items()
    ]
    return Listing(
        schema="torc.config.paths/1",
        noun="configuration files",
        items=items,
        columns=(
            Column(title="Layer", key="layer"),
            Column(title="Exists", key="exists"),
            Column(title="Path", key="path"),
        ),
    )


@app.command
def init(
    *,
    system: Flag = False,
    user: Flag = False,
    local: Flag = False,
    force: Annotated[Flag, Parameter(name=["--force", "-f"])] = False,
    session: Given,
) -> Outcome:
    """Write a configuration file in which every key stands with its default, commented out.

    Parameters
    ----------
    system
        For everybody on this host.
    user
        For yourself; also when nothing is said.
    local
        For this folder: `./torc.toml`.
    force
        Replace a file that is there.
    """
    refuse_csv(session)
    path = _file(session, system=system, user=user, local=local)
    init_file(path, force=force)
    return Outcome(message=f"Wrote {path}", extra={"path": str(path)})


@app.command
def validate(file: Path | None = None, /, *, session: Given) -> Report:
    """Look for mistakes in a configuration file; exit code 1 if there is one.

    Parameters
    ----------
    file
        The file; without it all that are read.
    """
    refuse_csv(session)
    checked = (
        [file] if file is not None else [path for path in session.config.files.values() if path.exists()]
    )
    problems = [problem for path in checked for problem in check_file(path)]
    lines = [f"{problem.severity}: {problem}" for problem in problems]
    lines += [f"{path}: ok" for path in checked if not check_file(path)]
    return Report(
        schema="torc.config.validate/1",
        data={
            "files": [str(path) for path in checked],
            "valid": not any(problem.severity == "error" for problem in problems),
            "problems": [
                {
                    "severity": problem.severity,
                    "message": problem.message,
                    "file": problem.source.file,
                    "line": problem.source.line or None,
                    "column": problem.column or None,
                }
                for problem in problems
            ],
        },
        text="\n".join(lines) or "there is no configuration file; the defaults hold",
        exit_code=1 if any(problem.severity == "error" for problem in problems) else 0,
    )


@app.command
def get(key: str, /, *, session: Given) -> Report:
    """Print the value of a key.

    Parameters
    ----------
    key
        Such as `client.run.output_dir`.
    """
    refuse_csv(session)
    entry = next((one for one in session.config.entries() if one.key == key), None)
    if entry is None:
        find_key(key)
        raise NotFound(f"key '{key}' is a table; show it with 'torc config show {key}'")
    row = _row(entry, _is_secret(session, key))
    text = (
        "" if row["value"] is None else row["value"] if isinstance(row["value"], str) else _toml(row["value"])
    )
    return Report(schema="torc.config.get/1", data=row, text=text + "\n")


@app.command(name="set")
def set_(
    key: str,
    value: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    system: Flag = False,
    user: Flag = False,
    local: Flag = False,
    session: Given,
) -> Outcome:
    """Change a setting in a file; comments and order stay.

    Parameters
    ----------
    key
        Such as `client.run.output_dir`.
    value
        As in a variable: `true`, `3`, `a,b`.
    system
        For everybody on this host.
    user
        For yourself; also when nothing is said.
    local
        For this folder: `./torc.toml`.
    """
    refuse_csv(session)
    path = _file(session, system=system, user=user, local=local)
    understood = set_value(path, key, value, _provider_keys(session))
    shown = _toml("***" if _is_secret(session, key) else understood)
    return Outcome(message=f"Set {key} = {shown} in {path}", extra={"key": key, "path": str(path)})


@app.command
def unset(
    key: str, /, *, system: Flag = False, user: Flag = False, local: Flag = False, session: Given
) -> Outcome:
    """Take a setting out of a file, so that a weaker layer or the default holds.

    Parameters
    ----------
    key
        Such as `client.run.output_dir`.
    system
        For everybody on this host.
    user
        For yourself; also when nothing is said.
    local
        For this folder: `./torc.toml`.
    """
    refuse_csv(session)
    path = _file(session, system=system, user=user, local=local)
    if not unset_value(path, key):
        raise NotFound(f"'{path}' has no key '{key}'")
    return Outcome(message=f"Took {key} out of {path}", extra={"key": key, "path": str(path)})


@app.command
def schema(*, session: Given) -> Text:
    """Print the JSON Schema of configuration files, those of the installed plugins included."""
    providers = {
        kind: {name: one.settings for name, one in registry.items() if isinstance(one, Provider)}
        for kind, registry in session.host.registries().items()
    }
    return Text(text=json.dumps(json_schema(providers), indent=2, default=dict) + "\n")


def _file(session: Session, *, system: bool, user: bool, local: bool) -> Path:
    chosen: list[Where] = []
    if system:
        chosen.append("system")
    if user:
        chosen.append("user")
    if local:
        chosen.append("local")
    if len(chosen) > 1:
        raise UsageError(f"--{chosen[0]} and --{chosen[1]} exclude each other")
    if not chosen or chosen == ["user"]:
        return session.config.files.get("user") or path_of("user", session.config.environ)
    return path_of(chosen[0], session.config.environ)


def _below(name: str, key: str | None) -> bool:
    return key is None or name == key or name.startswith(f"{key}.")


def _provider_keys(session: Session) -> dict[str, Key]:
    return {
        f"{kind}.{one.name.replace('-', '_')}.{name}": key
        for kind, registry in session.host.registries().items()
        for one in registry.values()
        if isinstance(one, Provider)
        for name, key in keys_of(one.settings).items()
    }


def _is_secret(session: Session, name: str) -> bool:
    keys = _provider_keys(session)
    return (keys[name] if name in keys else find_key(name)).secret


def _row(entry: Entry, secret: bool) -> dict[str, Any]:
    value = "***" if secret and entry.value not in (None, "") else entry.value
    return {
        "key": entry.key,
        "value": list(value) if isinstance(value, tuple) else value,
        **_where(entry.source),
    }


def _where(source: Source) -> dict[str, Any]:
    where: dict[str, Any] = {"source": source.layer}
    if source.name:
        where["name"] = source.name
    if source.file:
        where |= {"file": source.file, "line": source.line}
    return where


def _said(row: Mapping[str, Json]) -> Iterator[str]:
    if "file" in row:
        yield f"{row['file']}:{row['line']}"
    elif "name" in row:
        yield f"{row['source']} {row['name']}"
    else:
        yield str(row["source"])
    if "why" in row:
        yield f"({row['why']})"


def _toml(value: Any) -> str:
    """A value as TOML; nothing for one that is not set."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{json.dumps(name)} = {_toml(one)}" for name, one in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(one) for one in value)}]"
    return json.dumps(value, ensure_ascii=False, default=str)


def _toml_lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Settings as a file would have them; those that are not set as comments."""
    table = None
    for row in rows:
        parent, _, name = row["key"].rpartition(".")
        if parent != table:
            if table is not None:
                yield ""
            yield f"[{parent}]"
            table = parent
        yield f"# {name} is not set" if row["value"] is None else f"{name} = {_toml(row['value'])}"
