"""Pages made from the code: the keys of the configuration and the commands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from torc_core.config.keys import SECTIONS


def keys(kind: type[Any], name: str) -> Iterator[tuple[str, str, str]]:
    """(key, default, help) of a section and of those inside it."""
    for field in fields(kind):
        inner = field.default_factory
        if inner is not MISSING and is_dataclass(inner):
            yield from keys(inner, f"{name}.{field.name}")
        else:
            default = (
                "{}" if field.default is MISSING else "" if field.default is None else repr(field.default)
            )
            yield f"{name}.{field.name}", default, field.metadata["help"]


class ConfigurationKeys(SphinxDirective):
    """A table of every key."""

    def run(self) -> list[nodes.Node]:
        """Write the table in Markdown and have it parsed."""
        lines = ["| Key | Default | Meaning |", "|---|---|---|"]
        for name, kind in SECTIONS.items():
            for key, default, help_text in keys(kind, name):
                lines.append(f"| `{key}` | {f'`{default}`' if default else ''} | {help_text} |")
        node = nodes.container()
        self.state.nested_parse(StringList(lines, source="configuration-keys"), self.content_offset, node)
        return node.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the directive known."""
    app.add_directive("configuration-keys", ConfigurationKeys)
    return {"parallel_read_safe": True}
