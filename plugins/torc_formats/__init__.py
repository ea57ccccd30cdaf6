"""Workflows can be written in YAML, JSON, JSON5 and KDL; all four are read into the same tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pluggy import HookimplMarker

from torc_core.providers import SpecFormat
from torc_core.spec.document import Document

hookimpl = HookimplMarker("torc")


@hookimpl
def torc_spec_formats() -> Iterable[SpecFormat]:
    """Offer the four formats every installation has."""
    yield SpecFormat(
        name="yaml",
        summary="YAML 1.2, core schema.",
        suffixes=(".yaml", ".yml"),
        load=load_yaml,
        dump=dump_yaml,
    )
    yield SpecFormat(name="json", summary="JSON.", suffixes=(".json",), load=load_json, dump=dump_json)
    yield SpecFormat(
        name="json5", summary="JSON with comments.", suffixes=(".json5",), load=load_json5, dump=dump_json5
    )
    yield SpecFormat(name="kdl", summary="KDL 2.0 or 1.0.", suffixes=(".kdl",), load=load_kdl, dump=dump_kdl)


def load_yaml(text: str) -> Document:
    """Read YAML; raises `Complaints`."""
    from torc_formats.yaml_reader import load

    return load(text)


def dump_yaml(tree: Mapping[str, Any]) -> str:
    """Write YAML; raises `BadValue` for what YAML cannot hold."""
    from torc_formats.yaml_writer import dump

    return dump(tree)


def load_json(text: str) -> Document:
    """Read JSON; raises `Complaints`."""
    from torc_formats.json_reader import load

    return load(text)


def dump_json(tree: Mapping[str, Any]) -> str:
    """Write JSON; raises `BadValue` for what JSON cannot hold."""
    from torc_formats.json_writer import dump

    return dump(tree)


def load_json5(text: str) -> Document:
    """Read JSON5; raises `Complaints`."""
    from torc_formats.json_reader import load_json5

    return load_json5(text)


def dump_json5(tree: Mapping[str, Any]) -> str:
    """Write JSON5; raises `BadValue` for what JSON5 cannot hold."""
    from torc_formats.json_writer import dump_json5

    return dump_json5(tree)


def load_kdl(text: str) -> Document:
    """Read KDL; raises `Complaints`."""
    from torc_formats.kdl_tree import load

    return load(text)


def dump_kdl(tree: Mapping[str, Any]) -> str:
    """Write KDL; raises `BadValue` for what KDL cannot hold."""
    from torc_formats.kdl_writer import dump

    return dump(tree)
