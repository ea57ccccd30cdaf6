"""Events in words: what the data of an event says, in one line."""

from __future__ import annotations

from collections.abc import Mapping

from torc_core.model import Json
from torc_terminal.output.cells import cell

NAMES = ("job_name", "name", "hostname", "path")
"""Fields that say whom an event is about, most telling first."""

IDS = ("job_id", "workflow_id", "compute_node_id", "file_id", "action_id")
"""The id that goes with it."""

SILENT = frozenset({"category", "event_type", "severity", "timestamp", "workflow_id"})
"""Fields that stand elsewhere in the line."""


def sentence(item: Mapping[str, Json]) -> str:
    """The data of an event, as one line: `train_7 (107) status=failed return_code=1`."""
    data = item["data"]
    if not isinstance(data, Mapping):
        return cell(data)
    subject = next((key for key in NAMES if data.get(key)), None)
    number = next((key for key in IDS if subject and data.get(key) is not None), None)
    words = []
    if subject:
        words.append(cell(data[subject]) + (f" ({cell(data[number])})" if number else ""))
    told = {subject, number} | SILENT
    words += [
        cell(value) if key == "message" else f"{key}={cell(value)}"
        for key, value in data.items()
        if key not in told and value is not None
    ]
    return " ".join(words)


def spoken(item: Mapping[str, Json]) -> str:
    """An event as a line: local time, type, text."""
    return f"{cell(item['time'])}  {cell(item['category'])}  {sentence(item)}".rstrip()
