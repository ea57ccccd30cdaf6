"""Reads one layer at a time: a file, the environment, the command line."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from torc_core.config.check import Key, expected, from_text, keys_of, typed
from torc_core.config.keys import ALIASES, KINDS, SECTIONS, UNUSED, VARIABLES, section_type
from torc_core.config.places import Place, nearest, places
from torc_core.config.source import Entry, Layer, Problem, Severity, Source
from torc_core.errors import did_you_mean

Findings = tuple[dict[str, Entry], list[Problem]]
"""The values of a layer by key, and what is wrong with it."""

_WHERE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)


@cache
def known_keys() -> Mapping[str, Key]:
    """Every key that torc itself declares, as `client.run.output_dir`."""
    return {
        f"{section}.{name}": key
        for section in SECTIONS
        for name, key in keys_of(section_type(section)).items()
    }


def read_file(path: Path, layer: Layer) -> Findings:
    """What a file says; a file that is not there says nothing."""
    if not os.path.exists(path):
        return {}, []
    import tomllib

    source = Source(layer=layer, file=str(path), line=1)
    try:
        # NOTE: what is no file, such as a pipe in a folder of others, is not waited for.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if layer == "project" and (reason := _untrusted(path, os.fstat(file.fileno()))):
                return {}, [Problem(severity="warning", message=f"ignored: {reason}", source=source)]
            text = (file.read() or b"").decode()
        tree = tomllib.loads(text)
    except OSError as error:
        return {}, [Problem(severity="error", message=f"cannot be read: {error.strerror}", source=source)]
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        source = Source(layer=layer, file=str(path), line=line)
        return {}, [Problem(severity="error", message="is not UTF-8 text", source=source)]
    except (ValueError, RecursionError) as error:
        return {}, [_syntax(error, text, path, layer)]
    return _Walk(text, path, layer).read(tree)


def _untrusted(path: Path, about: os.stat_result) -> str | None:
    if about.st_uid not in (os.geteuid(), 0):
        return f"it belongs to another user (uid {about.st_uid}); what it says could harm you"
    if about.st_mode & stat.S_IWOTH:
        return f"others may write it; run 'chmod o-w {path}'"
    return None


def _syntax(error: Exception, text: str, path: Path, layer: Layer) -> Problem:
    found = _WHERE.fullmatch(str(error))
    message = found[1] if found else str(error)
    lines = text.split("\n")
    line, column = (int(found[2]), int(found[3])) if found and found[2] else (len(lines), len(lines[-1]) + 1)
    source = Source(layer=layer, file=str(path), line=line)
    return Problem(
        severity="error",
        message=f"not TOML: {message[:1].lower()}{message[1:]}: {lines[line - 1].strip()!r}",
        source=source,
        column=column,
    )


class _Walk:
    """Takes one file apart."""

    def __init__(self, text: str, path: Path, layer: Layer) -> None:
        self._lines = text.split("\n")
        self._places = places(text)
        self._path, self._layer = path, layer
        self.entries: dict[str, Entry] = {}
        self.problems: list[Problem] = []

    def read(self, tree: Mapping[str, Any]) -> Findings:
        for name, value in tree.items():
            if name in KINDS:
                self._providers(name, value)
            elif name in SECTIONS:
                self._section(name, value, keys_of(section_type(name)), name)
            else:
                self._unknown(name, (*SECTIONS, *KINDS))
        return self.entries, self.problems

    def _section(self, name: str, value: object, keys: Mapping[str, Key], section: str) -> None:
        if not isinstance(value, Mapping):
            self._wrong(name, value, "a table")
            return
        for inner, one in value.items():
            dotted = f"{name}.{inner}"
            dotted = ALIASES.get(dotted, dotted)
            below = dotted.removeprefix(f"{section}.")
            if below in keys:
                self._value(dotted, one, keys[below], f"{name}.{inner}")
            elif any(known.startswith(f"{below}.") for known in keys):
                self._section(dotted, one, keys, section)
            elif dotted in UNUSED:
                self._say("warning", f"key {dotted!r} has no effect", dotted)
            else:
                depth = below.count(".")
                siblings = {
                    known.split(".")[depth]
                    for known in keys
                    if known.split(".")[:depth] == below.split(".")[:depth]
                }
                self._unknown(dotted, siblings)

    def _value(self, name: str, value: object, key: Key, written: str) -> None:
        try:
            checked = typed(value, key)
        except ValueError as error:
            self._wrong(written, value, str(error))
            return
        line, _ = self._place(written)
        self.entries[name] = Entry(key=name, value=checked, source=self._source(line))

    def _providers(self, kind: str, value: object) -> None:
        if not isinstance(value, Mapping):
            self._wrong(kind, value, "a table")
            return
        for name, table in value.items():
            if not isinstance(table, Mapping):
                self._wrong(f"{kind}.{name}", table, "a table")
                continue
            for dotted, one in _leaves(f"{kind}.{name}", table):
                line, _ = self._place(dotted)
                self.entries[dotted] = Entry(key=dotted, value=one, source=self._source(line))

    def _place(self, name: str) -> Place:
        return nearest(self._places, name)

    def _source(self, line: int) -> Source:
        return Source(layer=self._layer, file=str(self._path), line=line)

    def _unknown(self, name: str, known: Iterable[str]) -> None:
        message = f"unknown key {name!r}{did_you_mean(name.rpartition('.')[2], known)}"
        self._say("error", message, name)

    def _wrong(self, name: str, value: object, wanted: str) -> None:
        line, column = self._place(name)
        message = f"{name!r} must be {wanted}, not {value!r}: {self._lines[line - 1].strip()}"
        self.problems.append(
            Problem(severity="error", message=message, source=self._source(line), column=column)
        )

    def _say(self, severity: Severity, message: str, name: str) -> None:
        line, _ = self._place(name)
        self.problems.append(Problem(severity=severity, message=message, source=self._source(line)))


def _leaves(name: str, table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for inner, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(f"{name}.{inner}", value)
        else:
            yield f"{name}.{inner}", value


def read_environment(environ: Mapping[str, str]) -> Findings:
    """What variables say (`cli.md` §7.3); empty ones say nothing."""
    layer = _Environment()
    for variable, text in environ.items():
        if variable.startswith("TORC_") and "__" in variable and text:
            layer.nested(variable, text)
    for variable in VARIABLES:
        if environ.get(variable):
            layer.named(variable, environ[variable])
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        layer.put("client.color", "never", "NO_COLOR" if environ.get("NO_COLOR") else "TERM")
    return layer.entries, layer.problems


class _Environment:
    """Takes variables one by one."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.problems: list[Problem] = []

    def nested(self, variable: str, text: str) -> None:
        """`TORC_CLIENT__RUN__OUTPUT_DIR` is `client.run.output_dir` (K4)."""
        section, _, rest = variable.removeprefix("TORC_").lower().partition("__")
        name = f"{section}.{rest.replace('__', '.')}"
        name = ALIASES.get(name, name)
        if section in KINDS:
            self.put(name, text, variable)
        elif section in SECTIONS and name in known_keys() and not known_keys()[name].is_table:
            self._take(name, text, variable)
        elif section in SECTIONS and name not in UNUSED:
            names = ["TORC_" + known.upper().replace(".", "__") for known in known_keys()]
            self._say(
                "warning", f"the variable {variable} is not known{did_you_mean(variable, names)}", variable
            )

    def named(self, variable: str, text: str) -> None:
        """A variable with a name of its own; it beats the nested one of the same key."""
        for name in VARIABLES[variable]:
            # NOTE: RUST_LOG belongs to every Rust program; it may say things that are no level of ours.
            if variable != "RUST_LOG" or f"'{text}'" in expected(known_keys()[name]):
                self._take(name, text, variable)

    def put(self, name: str, value: object, variable: str) -> None:
        """Note a value as it is."""
        self.entries[name] = Entry(key=name, value=value, source=Source(layer="env", name=variable))

    def _take(self, name: str, text: str, variable: str) -> None:
        try:
            self.put(name, from_text(text, known_keys()[name]), variable)
        except ValueError as error:
            self._say("error", f"the variable {variable} must be {error}, not {text!r}", variable)

    def _say(self, severity: Severity, message: str, variable: str) -> None:
        source = Source(layer="env", name=variable)
        self.problems.append(Problem(severity=severity, message=message, source=source))
