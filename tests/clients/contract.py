"""Checks bodies against the published contract of one client version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONTRACTS = Path(__file__).parent / "contracts"
VERSIONS = ("0.22.2", "0.35.0")
PLAIN = {
    "integer": lambda value: type(value) is int,
    "number": lambda value: type(value) in (int, float),
    "string": lambda value: type(value) is str,
    "boolean": lambda value: type(value) is bool,
    "object": lambda value: type(value) is dict,
    "any": lambda value: True,
}
NULL_AS_IN_THE_TEXT = {("ActiveTaskResponse", "task")}
"""What the machine-readable contract calls not nullable, but its description shows as null."""


def contract(version: str) -> Mapping[str, Any]:
    return json.loads((CONTRACTS / f"{version}.json").read_text())


def operations(version: str) -> Mapping[str, Mapping[str, Any]]:
    return {one["operation_id"]: one for one in contract(version)["operations"].values()}


def faults(version: str, type_: str, value: Any, path: str = "") -> list[str]:
    """Everything that a strict client would not take, with its place."""
    models = contract(version)["models"]
    return _faults(models, type_, value, path or type_)


def _faults(models: Mapping[str, Any], type_: str, value: Any, path: str) -> list[str]:
    if type_ in PLAIN:
        return [] if PLAIN[type_](value) else [f"{path} is {value!r}, not {type_}"]
    if type_.startswith("array<"):
        if type(value) is not list:
            return [f"{path} is no list"]
        inner = type_[6:-1]
        return [
            fault for k, item in enumerate(value) for fault in _faults(models, inner, item, f"{path}[{k}]")
        ]
    if type_.startswith("map<"):
        inner = type_[4:-1].split(",", 1)[1].strip()
        if type(value) is not dict:
            return [f"{path} is no map"]
        return [
            fault for key, item in value.items() for fault in _faults(models, inner, item, f"{path}.{key}")
        ]
    model = models[type_]
    if "enum" in model:
        return [] if value in model["enum"] else [f"{path} is {value!r}, none of {type_}"]
    if type(value) is not dict:
        return [f"{path} is no object"]
    found: list[str] = []
    for name, field in model["fields"].items():
        at = f"{path}.{name}"
        if name not in value:
            found += [f"{at} is missing"] if field["required"] else []
        elif value[name] is None:
            if not field["nullable"] and (type_, name) not in NULL_AS_IN_THE_TEXT:
                found.append(f"{at} is null")
        else:
            found += _faults(models, field["type"], value[name], at)
    return found
