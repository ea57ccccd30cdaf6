"""Changes configuration files, and writes new ones; the user's comments and order stay."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from torc_core.config.check import Key, from_text, keys_of
from torc_core.config.keys import KINDS, SECTIONS, section_type
from torc_core.config.layers import PROJECT_FILE, SYSTEM_FILE, find_key, user_config
from torc_core.config.read import read_file
from torc_core.config.source import Layer
from torc_core.errors import Conflict, InvalidConfig, UsageError

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

Where = Literal["system", "user", "local"]


def path_of(where: Where, environ: Mapping[str, str]) -> Path:
    """The file of a layer; `local` is ./torc.toml."""
    return {"system": SYSTEM_FILE, "user": user_config(environ), "local": Path.cwd() / PROJECT_FILE}[where]


def set_value(path: Path, name: str, text: str, keys: Mapping[str, Key] | None = None) -> Any:
    """Give a key a value, written as in a variable (`true`, `3`, `a,b`); the value as it was understood.

    Parameters
    ----------
    keys
        Further keys that are known: those of providers, as `executors.subprocess.x`.

    Raises
    ------
    InvalidConfig
        If the key is unknown, the value of the wrong type, or the file not valid as it is.
    """
    key = (keys or {}).get(name) or find_key(name)
    try:
        value = from_text(text, key)
    except ValueError as error:
        raise InvalidConfig(f"{name!r} must be {error}, not {text!r}") from None
    import tomlkit

    document = _read(path)
    table: Any = document
    *tables, last = name.split(".")
    for step in tables:
        if step not in table:
            table[step] = tomlkit.table(is_super_table=step != tables[-1])
        table = table[step]
    table[last] = list(value) if isinstance(value, tuple) else value
    _write(path, tomlkit.dumps(document))
    return value


def unset_value(path: Path, name: str) -> bool:
    """Take a key out of a file; whether it was there.

    Raises
    ------
    InvalidConfig
        If the file is not valid as it is.
    """
    import tomlkit

    document = _read(path)
    table: Any = document
    *tables, last = name.split(".")
    for step in tables:
        table = table.get(step, {})
    if last not in table:
        return False
    del table[last]
    _write(path, tomlkit.dumps(document))
    return True


def init_file(path: Path, *, force: bool = False) -> None:
    """Write a file that holds every key with its default, commented out.

    Raises
    ------
    Conflict
        If there is one already and `force` is not given.
    """
    if path.exists() and not force:
        raise Conflict(f"there is already a file '{path}'; replace it with '--force'")
    _write(path, template())


def template() -> str:
    """Every key with its help and its default, commented out, table by table."""
    lines = [
        "# Settings of torc. Every key is shown with its default; remove the '#' before those you change."
    ]
    for section in SECTIONS:
        table = None
        for name, key in keys_of(section_type(section)).items():
            if key.is_table:
                continue
            parent = ".".join([section, *name.split(".")[:-1]])
            if parent != table:
                table = parent
                lines += ["", f"[{table}]"]
            lines += [f"# {key.help}", f"# {key.name} = {_toml(key)}"]
    return "\n".join(lines) + "\n"


def _toml(key: Key) -> str:
    default = key.default
    if default is None or default == "":
        return {int: "0", float: "0.0", bool: "false"}.get(key.type, '""')
    if isinstance(default, tuple):
        return "[" + ", ".join(f'"{one}"' for one in default) + "]"
    return (
        str(default).lower()
        if isinstance(default, bool)
        else f'"{default}"'
        if isinstance(default, str)
        else str(default)
    )


def json_schema(providers: Mapping[str, Mapping[str, type[Any]]]) -> Mapping[str, Any]:
    """A JSON Schema (draft 2020-12) of configuration files.

    Parameters
    ----------
    providers
        Settings classes by kind (`stores`) and name.
    """
    sections = {section: _schema(keys_of(section_type(section))) for section in SECTIONS}
    tables = {
        kind: {
            "type": "object",
            "properties": {
                name: _schema(keys_of(type)) for name, type in sorted(providers.get(kind, {}).items())
            },
        }
        for kind in KINDS
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "torc.toml",
        "type": "object",
        "additionalProperties": False,
        "properties": {**sections, **tables},
    }


def _schema(keys: Mapping[str, Key]) -> dict[str, Any]:
    table: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": {}}
    for name, key in keys.items():
        inner = table
        *tables, last = name.split(".")
        for step in tables:
            empty = {"type": "object", "additionalProperties": False, "properties": {}}
            inner = inner["properties"].setdefault(step, empty)
        inner["properties"][last] = {**dict(_value_schema(key)), "description": key.help}
    return table


def _value_schema(key: Key) -> Iterator[tuple[str, Any]]:
    if get_origin(key.type) is Literal:
        yield "enum", list(get_args(key.type))
    elif get_origin(key.type) is tuple:
        yield "type", "array"
        yield "items", {"type": "string"}
    elif key.is_table:
        yield "type", "object"
    else:
        yield "type", {int: "integer", float: "number", bool: "boolean", str: "string"}[key.type]
    if key.default not in (None, "", {}):
        yield "default", list(key.default) if isinstance(key.default, tuple) else key.default


def _read(path: Path) -> TOMLDocument:
    import tomlkit

    layer: Layer = "user"
    errors = [str(problem) for problem in read_file(path, layer)[1] if problem.severity == "error"]
    if errors:
        raise InvalidConfig("\n".join(errors))
    return tomlkit.parse(path.read_text(encoding="utf-8")) if path.exists() else tomlkit.document()


def _write(path: Path, text: str) -> None:
    """Replace a file in one step: another program sees the old one or the new one (`security.md` D3)."""
    path = path.resolve()  # a link to a file elsewhere stays one
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, mode)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise UsageError(f"cannot write '{path}': {(error.strerror or 'error').lower()}") from error
