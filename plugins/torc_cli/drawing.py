"""Pictures of workflows as text: for Graphviz, for Mermaid, and as SVG that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torc_core.engine.dag import Dag
    from torc_core.engine.graph import Drawn, Picture
    from torc_core.engine.outline import Moment

COLORS: Mapping[str, str] = {
    "failed": "#f4b6b6", "terminated": "#e5b8f0", "canceled": "#e5b8f0", "running": "#fbe8a6", "pending": "#bcd4f6",
    "ready": "#b7e8ee", "completed": "#bfe5bf", "blocked": "#dddddd",
}  # fmt: skip
"""Fill of a node by the first of these statuses that one of its jobs has."""

PLAIN = "#ffffff"
SHAPES = {"job": "box", "file": "note", "user_data": "ellipse"}
WIDTH, HEIGHT, ACROSS, DOWN, MARGIN = 180, 34, 240, 52, 20
ARROW = (
    '<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0L8 4L0 8z"/></marker></defs>'
)
LONGEST = 26
"""Characters of a label in SVG."""


def dot(name: str, picture: Picture) -> str:
    """A graph in the language of Graphviz."""
    lines = [f"digraph {_quoted(name)} {{", "  rankdir=LR;", "  node [style=filled];"]
    lines += [
        f"  {one.id} [label={_quoted(label(one))}, shape={SHAPES[one.kind]}, fillcolor={_quoted(color(one))}];"
        for one in picture.nodes
    ]
    lines += [
        f"  {start} -> {end}" + (f" [label={_quoted(str(count))}]" if count > 1 else "") + ";"
        for (start, end), count in picture.edges.items()
    ]
    return "\n".join([*lines, "}", ""])


def mermaid(picture: Picture) -> str:
    """A flow chart for Mermaid."""
    ends = {"job": ('["', '"]'), "file": ('[/"', '"/]'), "user_data": ('(["', '"])')}
    lines = ["flowchart LR"]
    for one in picture.nodes:
        left, right = ends[one.kind]
        text = escape(label(one), quote=False).replace('"', "#quot;").replace("\n", " ")
        lines.append(f"  {one.id}{left}{text}{right}")
    lines += [
        f"  {start} -- {count} --> {end}" if count > 1 else f"  {start} --> {end}"
        for start, end, count in _edges(picture)
    ]
    lines += [f"  style {one.id} fill:{color(one)}" for one in picture.nodes if color(one) != PLAIN]
    return "\n".join(lines) + "\n"


def svg(name: str, picture: Picture) -> str:
    """A drawing: levels from left to right, the nodes of each below one another."""
    columns = sorted({one.level for one in picture.nodes})
    used = [0] * len(columns)
    at: dict[str, tuple[int, int]] = {}
    for one in picture.nodes:
        column = columns.index(one.level)
        at[one.id] = (MARGIN + column * ACROSS, MARGIN + used[column] * DOWN)
        used[column] += 1
    width = 2 * MARGIN + max(len(columns) - 1, 0) * ACROSS + WIDTH
    height = 2 * MARGIN + max(max(used, default=1) - 1, 0) * DOWN + HEIGHT
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        f"<title>{_safe(name)}</title>",
        ARROW,
    ]
    for start, end, _ in _edges(picture):
        if start == end:
            continue
        x1, y1 = at[start][0] + WIDTH, at[start][1] + HEIGHT // 2
        x2, y2 = at[end][0], at[end][1] + HEIGHT // 2
        bend = max(40, abs(x2 - x1) // 2)
        lines.append(
            f'<path d="M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}" fill="none" stroke="#666" '
            'marker-end="url(#end)"/>'
        )
    for one in picture.nodes:
        x, y = at[one.id]
        text = label(one)
        round_ = 0 if one.kind == "file" else 17 if one.kind == "user_data" else 5
        shown = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
        lines.append(
            f'<g><title>{_safe(text)}</title><rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="{round_}" '
            f'fill="{color(one)}" stroke="#333"/><text x="{x + WIDTH // 2}" y="{y + HEIGHT // 2 + 4}" '
            f'text-anchor="middle">{_safe(shown)}</text></g>'
        )
    return "\n".join([*lines, "</svg>", ""])


def dot_of_moments(dag: Dag, moments: Sequence[Moment]) -> str:
    """The stages of a plan as a graph in the language of Graphviz."""
    from torc_cli.planning import few

    lines = [f"digraph {_quoted(dag.name)} {{", "  rankdir=LR;", "  node [shape=box];"]
    for place, one in enumerate(moments):
        jobs = few([dag.steps[job].name for job in one.jobs])
        lines.append(f"  stage_{place + 1} [label={_quoted(f'Stage {place + 1}' + chr(10) + jobs)}];")
    for place, one in enumerate(moments):
        lines += [f"  stage_{earlier + 1} -> stage_{place + 1};" for earlier in one.after]
    return "\n".join([*lines, "}", ""])


def label(one: Drawn) -> str:
    """What stands in a node: its name, and how many there are of it."""
    return one.label if one.count == 1 else f"{one.label} ({one.count})"


def color(one: Drawn) -> str:
    """The fill of a node."""
    return next((fill for status, fill in COLORS.items() if one.status.get(status)), PLAIN)


def _edges(picture: Picture) -> Sequence[tuple[str, str, int]]:
    return [(start, end, count) for (start, end), count in picture.edges.items()]


def _quoted(text: str) -> str:
    cleaned = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + "".join(one for one in cleaned if one >= " ") + '"'


def _safe(text: str) -> str:
    return escape("".join(max(one, " ") for one in text))
