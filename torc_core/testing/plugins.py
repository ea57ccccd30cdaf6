"""Judges a plugin by the rules that our own keep: light to import, real hooks, documented settings."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from dataclasses import MISSING, fields, is_dataclass
from types import ModuleType
from typing import Any

from torc_core.errors import PluginError
from torc_core.host import Host

HEAVY = (
    "cyclopts", "falcon", "jinja2", "marshmallow", "paramiko", "psutil", "rich", "sqlalchemy", "textual", "tomlkit",
    "waitress", "yaml",
)  # fmt: skip
"""Libraries that a plugin loads when it is used, not when it is found."""

NAME = re.compile(r"[a-z][a-z0-9-]*")


def check_plugin(module: str | ModuleType) -> None:
    """Judge a plugin: all that is wrong is told at once.

    Raises
    ------
    PluginError
        If it cannot be imported, or implements what is no hook.
    AssertionError
        If it is heavy to import, implements nothing, offers two things of one name, or has settings without help or
        default.
    """
    name = module if isinstance(module, str) else module.__name__
    try:
        plugin = importlib.import_module(name)
    except ImportError as error:
        raise PluginError(f"module {name!r} cannot be imported: {error}") from error
    host = Host.of({name: plugin})
    problems = [*_hooks(host), *_weight(name), *_offers(host)]
    assert not problems, "\n".join(problems)


def _hooks(host: Host) -> list[str]:
    (record,) = host.plugins
    if not record.hooks:
        return [f"{record} implements no hook; mark its functions with '@hookimpl' of torc_core"]
    return []


def _weight(name: str) -> list[str]:
    program = f"import sys, {name}; print(*(heavy for heavy in {HEAVY!r} if heavy in sys.modules))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    if ran.returncode:
        return [
            f"module {name!r} cannot be imported in a fresh process: {ran.stderr.strip().splitlines()[-1]}"
        ]
    loaded = ran.stdout.split()
    return (
        [f"module {name!r} imports {', '.join(loaded)} at once; import them where they are used"]
        if loaded
        else []
    )


def _offers(host: Host) -> list[str]:
    problems = []
    for kind, registry in host.registries().items():
        for name, provider in registry.items():
            if not NAME.fullmatch(name):
                problems.append(f"{kind} {name!r}: a name has lower-case letters, digits and '-'")
            if not provider.summary.strip():
                problems.append(f"{kind} {name!r} has no summary")
            problems += _settings(f"{kind} {name!r}", getattr(provider, "settings", None))
    return problems


def _settings(who: str, settings: type[Any] | None) -> list[str]:
    if settings is None:
        return []
    # NOTE: asked of the class itself, since records (`torc_core.record`) are frozen without the flag.
    if not is_dataclass(settings) or settings.__setattr__ is object.__setattr__:
        return [f"the settings of {who} are no frozen dataclass"]
    problems = []
    for item in fields(settings):
        if item.default is MISSING and item.default_factory is MISSING:
            problems.append(f"setting {item.name!r} of {who} has no default")
        if not item.metadata.get("help"):
            problems.append(f"setting {item.name!r} of {who} has no help")
    return problems
