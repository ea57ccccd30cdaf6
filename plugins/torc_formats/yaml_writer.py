"""Trees become YAML text: block style, several lines as literal blocks, and quotes where text would read as something else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

import yaml

from torc_core.errors import BadValue
from torc_core.spec.document import Plain
from torc_formats.yaml_scalars import resolve

WIDTH = 1 << 30
"""Lines are not folded: a command is easier to read, and to search for, in one."""


def dump(tree: Mapping[str, Any]) -> str:
    """Write YAML; what a reader of YAML found without quotes is written as it was.

    Raises `BadValue` for what YAML cannot hold.
    """
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.emit(_events(tree), Dumper=dumper, width=WIDTH, allow_unicode=True)
    return text


def _events(tree: Mapping[str, Any]) -> Iterator[yaml.Event]:
    """What the emitter writes; the tree is walked with a stack of iterators."""
    yield yaml.StreamStartEvent()
    yield yaml.DocumentStartEvent(explicit=False)
    end: list[yaml.Event] = []
    walks: list[Iterator[Any]] = [iter((tree,))]
    while walks:
        for value in walks[-1]:
            if isinstance(value, Mapping):
                yield yaml.MappingStartEvent(anchor=None, tag=None, implicit=True, flow_style=not value)
                end.append(yaml.MappingEndEvent())
                walks.append(part for entry in value.items() for part in entry)
                break
            if isinstance(value, Sequence) and not isinstance(value, str):
                yield yaml.SequenceStartEvent(anchor=None, tag=None, implicit=True, flow_style=not value)
                end.append(yaml.SequenceEndEvent())
                walks.append(iter(value))
                break
            yield _scalar(value)
        else:
            walks.pop()
            if end:
                yield end.pop()
    yield yaml.DocumentEndEvent(explicit=False)
    yield yaml.StreamEndEvent()


def _scalar(value: Any) -> yaml.Event:
    if isinstance(value, Plain):
        return yaml.ScalarEvent(None, None, (True, False), value.text)
    if isinstance(value, str):
        plain = isinstance(resolve(value), str) and value != "<<"
        return yaml.ScalarEvent(None, None, (plain, True), value, style="|" if _blocks(value) else None)
    if value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        text = repr(value)
    else:
        raise BadValue(f"this cannot be written as YAML: {value!r}")
    return yaml.ScalarEvent(None, None, (True, False), text)


def _blocks(text: str) -> bool:
    """Whether a literal block reads back as this text; the emitter gets some unusual white space wrong."""
    return "\n" in text and text.strip() != "" and text[0] not in " \t\n" and "\r" not in text
