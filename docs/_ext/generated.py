"""Parts of pages that are made from the code: the commands, the keys of the configuration, the operations."""

from __future__ import annotations

import io
from collections.abc import Iterator

from cyclopts import App
from docutils import nodes
from docutils.statemachine import StringList
from rich.console import Console
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from torc_core.config import Config
from torc_core.config.check import keys_of
from torc_core.config.keys import SECTIONS, section_type
from torc_core.host import Host
from torc_http.routes import all_routes


class ConfigurationKeys(SphinxDirective):
    """A table of every key."""

    def run(self) -> list[nodes.Node]:
        """Write the table in Markdown and have it parsed."""
        lines = ["| Key | Default | Meaning |", "|---|---|---|"]
        for section in SECTIONS:
            for name, key in keys_of(section_type(section)).items():
                default = "" if key.default in (None, "") else f"`{key.default!r}`"
                lines.append(f"| `{section}.{name}` | {default} | {key.help} |")
        node = nodes.container()
        self.state.nested_parse(StringList(lines, source="configuration-keys"), self.content_offset, node)
        return node.children


def commands(app: App, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command, groups before what is in them."""
    for name in app:
        if not name.startswith("-"):
            inside = app[name]
            yield (*words, name)
            yield from commands(inside, (*words, name))


class Commands(SphinxDirective):
    """The help of every command, as `torc COMMAND --help` prints it."""

    def run(self) -> list[nodes.Node]:
        """A section for each command of the first level, a paragraph for each below it."""
        app = App(name="torc")
        Host.load(Config.load()).manager.hook.torc_commands(app=app)
        made: list[nodes.Node] = []
        for words in commands(app):
            if not app[words[0]].show:
                continue
            text = io.StringIO()
            app.help_print(list(words), console=Console(file=text, width=100, color_system=None))
            help_text = nodes.literal_block(text=text.getvalue().rstrip())
            help_text["language"] = "text"
            if len(words) == 1:
                section = nodes.section(ids=[f"torc-{words[0]}"], names=[f"torc-{words[0]}"])
                made.append(section)
                section += nodes.title(text=f"torc {words[0]}")
            made[-1] += [nodes.strong(text=f"torc {' '.join(words)}"), help_text]
        return made


class Operations(SphinxDirective):
    """A table of every operation of the REST API, published ones first."""

    def run(self) -> list[nodes.Node]:
        """Write the table in Markdown and have it parsed."""
        lines = ["| Call | Class | What it does |", "|---|---|---|"]
        for route in all_routes():
            call = f"`{route.method} {route.path}` ({route.operation_id})"
            lines.append(f"| {call} | {route.access} | {route.summary} |")
        node = nodes.container()
        self.state.nested_parse(StringList(lines, source="operations"), self.content_offset, node)
        return node.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the directive known."""
    app.add_directive("commands", Commands)
    app.add_directive("configuration-keys", ConfigurationKeys)
    app.add_directive("operations", Operations)
    return {"parallel_read_safe": True}
