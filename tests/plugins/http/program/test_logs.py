"""The log files of a server: private, bounded, and without a gap."""

from __future__ import annotations

import json
import logging
import stat
from pathlib import Path

from torc_http.program.logs import JsonLines, PrivateFile


def test_files_do_not_grow_beyond_their_bound_and_the_newest_lines_are_kept_in_order(tmp_path: Path) -> None:
    handler = PrivateFile(tmp_path / "torc-server.log", maxBytes=1_000, backupCount=5)
    for number in range(400):
        record = logging.LogRecord("torc", logging.INFO, "", 0, "naïve line %03d", (number,), None)
        handler.emit(record)
    handler.close()

    newest_first = [tmp_path / f"torc-server.log{end}" for end in ("", *(f".{one}" for one in range(1, 6)))]
    assert sorted(tmp_path.iterdir()) == sorted(newest_first)
    assert {stat.S_IMODE(path.stat().st_mode) for path in newest_first} == {0o600}
    assert all(path.stat().st_size <= 1_000 for path in newest_first)
    lines = [line for path in reversed(newest_first) for line in path.read_text().splitlines()]
    assert lines == [f"naïve line {number:03d}" for number in range(400 - len(lines), 400)]


def test_a_json_line_says_when_in_utc() -> None:
    record = logging.LogRecord("torc", logging.INFO, "", 0, "said %s", ("it",), None)
    record.created, record.msecs = 1_777_640_602.007, 7.0

    told = json.loads(JsonLines().format(record))

    assert told == {
        "time": "2026-05-01T13:03:22.007Z",
        "level": "info",
        "logger": "torc",
        "message": "said it",
    }
