"""The log file of a runner is bounded, and its owner's alone, also when a new one is begun (`runner.md` §13)."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from torc_core.runner import log
from torc_core.runner.log import log_to


def test_a_log_is_bounded_and_all_its_files_are_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "BYTES", 2_000)
    before = os.umask(0o022)
    path = tmp_path / "runner.log"

    try:
        with log_to(str(path)):
            for number in range(200):
                log.log.warning("line number=%d", number)
    finally:
        os.umask(before)

    files = sorted(tmp_path.iterdir())
    assert [one.name for one in files] == ["runner.log", "runner.log.1", "runner.log.2"]
    assert all(one.stat().st_size <= 2_000 for one in files)
    assert [one.stat().st_mode & 0o777 for one in files] == [0o600] * 3
    assert path.read_text().endswith("line number=199\n")


def test_a_log_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "runner.log"
    for word in ("one", "two"):
        with log_to(str(path)):
            log.log.warning(word)

    assert [line.split()[-1] for line in path.read_text().splitlines()] == ["one", "two"]


def test_a_line_that_comes_after_the_end_opens_no_file_again(tmp_path: Path) -> None:
    path = tmp_path / "runner.log"
    with log_to(str(path)):
        (handler,) = (one for one in logging.getLogger().handlers if "Bounded" in type(one).__name__)
    path.unlink()

    # As a thread does that looked for handlers just before.
    handler.handle(logging.makeLogRecord({"msg": "late"}))

    assert not path.exists()


def test_a_link_in_the_place_of_a_log_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "runner.log").symlink_to(tmp_path / "elsewhere")

    with (
        pytest.raises(OSError, match="Too many levels of symbolic links"),
        log_to(str(tmp_path / "runner.log")),
    ):
        pass

    assert not (tmp_path / "elsewhere").exists()
