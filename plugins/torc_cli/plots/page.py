"""Writes a sheet of charts as one HTML file that needs nothing else: no host, no other file."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files

from torc_cli.plots.charts import Chart, Sheet, mean
from torc_core.model import Json
from torc_core.model.resources import memory_text


def page(sheet: Sheet, version: str) -> str:
    """The file; without scripts it shows the figures as tables."""
    style, script = _part("chart.css"), _part("chart.js")
    # NOTE: the browser itself is told to load nothing and to run nothing but this one script.
    policy = (
        f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; img-src data: blob:"
    )
    body = [
        f"<h1>{escape(sheet.title)}</h1>",
        f"<p>{escape(sheet.note)}</p>" if sheet.note else "",
        *(part for number, chart in enumerate(sheet.charts) for part in _figure(number, chart)),
        f"<footer>torc {escape(version)}. Drag over a chart to look closer, double-click to see all of it.</footer>",
        f'<script type="application/json" id="charts">{_embedded([one.plain() for one in sheet.charts])}</script>',
        f"<script>{script}</script>",
    ]
    head = [
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{escape(sheet.title)}</title>",
        f"<style>{style}</style>",
    ]
    lines = "\n".join([*head, "</head>", "<body>", *filter(None, body), "</body>"])
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{lines}\n</html>\n'


def document(sheet: Sheet) -> str:
    """The same as JSON."""
    data = {"schema": "torc.plot/1", "title": sheet.title, "charts": [one.plain() for one in sheet.charts]}
    return json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n"


def _figure(number: int, chart: Chart) -> Iterator[str]:
    yield f'<figure data-chart="{number}"><figcaption>{escape(chart.title)}</figcaption>'
    yield "<details><summary>Figures</summary><table>"
    yield "<thead><tr><th scope=col></th><th scope=col>average</th><th scope=col>peak</th></tr></thead><tbody>"
    rows = [(bar.name, bar.mean, bar.peak) for bar in chart.bars]
    rows += [
        (line.name, mean(line.points), max(value for _, value in line.points))
        for line in chart.lines
        if line.points
    ]
    for name, average, peak in rows:
        cells = "".join(f"<td>{escape(shown(value, chart.unit))}</td>" for value in (average, peak))
        yield f"<tr><th scope=row>{escape(name)}</th>{cells}</tr>"
    yield "</tbody></table></details></figure>"


def shown(value: float, unit: str) -> str:
    """A value as people read it."""
    match unit:
        case "percent":
            return f"{value:.1f} %"
        case "bytes":
            return memory_text(int(value))
        case "rate":
            return f"{memory_text(int(value))}/s"
    return f"{value:.4g}"


def _embedded(charts: Sequence[Mapping[str, Json]]) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(charts, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _part(name: str) -> str:
    return "\n" + files("torc_cli.plots").joinpath(name).read_text(encoding="utf-8")
