"""Which reader gets a text, and which paths may be opened at all (`workflow-spec.md` §1.1 and §1.2)."""

from __future__ import annotations

import io
import os
import sys
import time

import pytest

from torc_core.errors import UnknownProvider
from torc_core.spec.complaint import Complaint, Complaints
from torc_core.spec.read import decode, read_bytes, read_text

TREE = {"name": "x", "jobs": []}


def refused(call, *arguments, **options) -> Complaint:
    with pytest.raises(Complaints) as caught:
        call(*arguments, **options)
    return caught.value.complaints[0]


@pytest.mark.parametrize(
    ("suffix", "reader"),
    [
        (".yaml", "yaml"),
        (".yml", "yaml"),
        (".json", "json"),
        (".json5", "json5"),
        (".kdl", "kdl"),
        (".YAML", "yaml"),
        (".Json5", "json5"),
    ],
)
def test_the_suffix_chooses_the_reader(formats, suffix, reader):
    assert read_text(formats[reader].dump(TREE), formats, name=f"dir.d/spec{suffix}").format == reader


@pytest.mark.parametrize("reader", ["json", "json5", "yaml", "kdl"])
@pytest.mark.parametrize("name", ["-", "spec", "spec.txt"])
def test_without_a_suffix_the_first_reader_that_can_wins(formats, plain, reader, name):
    document = read_text(formats[reader].dump(TREE), formats, name=name)

    assert (document.format, plain(document.tree)) == (reader, TREE)


def test_what_no_reader_understands_is_said_by_each(formats):
    complaint = refused(read_text, "name: [1\n", formats, name="-")

    assert (complaint.code, complaint.file) == ("syntax", "-")
    assert [
        complaint.message.index(f"{reader}: line ") for reader in ("json", "json5", "yaml", "kdl")
    ] == sorted(complaint.message.index(f"{reader}: line ") for reader in ("json", "json5", "yaml", "kdl"))


def test_a_named_format_beats_the_suffix(formats):
    assert read_text('{"name": "x"}', formats, name="spec.json", format="yaml").format == "yaml"


def test_an_unknown_format_is_refused_with_a_suggestion(formats):
    with pytest.raises(UnknownProvider, match="no format named 'yml'; did you mean 'yaml'"):
        read_text("", formats, name="-", format="yml")


def test_complaints_carry_the_name_of_the_file(formats):
    complaint = refused(read_text, "a: 1\na: 2\n", formats, name="x/spec.yaml")

    assert str(complaint) == "x/spec.yaml:2: a: duplicate key 'a' (first at line 1)"


@pytest.mark.parametrize(
    ("data", "byte", "line"),
    [
        ("name: x".encode("utf-16"), 0, 1),
        ("name: x".encode("utf-16-le"), 1, 1),
        ("a: 1\nname: café".encode("latin-1"), 14, 2),
        (b"a: \0", 3, 1),
        (b"\xef\xbb\xbfa: \xff", 6, 1),
        (b"a: \xed\xa0\x80", 3, 1),
        (b"\n" * 812 + b"\xc0\xaf", 812, 813),
        (b"a\xff\0", 1, 1),
        (b"a\0\xff", 1, 1),
    ],
)
def test_what_is_not_utf_8_is_refused(data, byte, line):
    complaint = refused(decode, data, "spec.yaml")

    assert complaint.message == f"not valid UTF-8 at byte {byte}"
    assert (complaint.code, complaint.file, complaint.line) == ("encoding", "spec.yaml", line)


def test_a_byte_order_mark_is_no_text():
    assert decode(b"\xef\xbb\xbfa: 1", "-") == "a: 1"


def test_a_file_is_read_through_symbolic_links(tmp_path):
    (tmp_path / "spec.yaml").write_bytes(b"a: 1")
    (tmp_path / "link").symlink_to("spec.yaml")

    assert read_bytes(str(tmp_path / "link")) == b"a: 1"


def test_thirty_two_mebibytes_are_read_and_no_more(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_bytes(b" " * (32 << 20))

    assert len(read_bytes(str(path))) == 32 << 20
    os.truncate(path, (32 << 20) + 1)
    assert refused(read_bytes, str(path)).message == "the document is 32.1 MiB; the limit is 32 MiB"


def test_a_huge_file_is_refused_unread(tmp_path):
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, 200_000_000)
    began = time.process_time()

    complaint = refused(read_bytes, str(path))

    assert (complaint.code, complaint.message) == (
        "too-large",
        "the document is 190.8 MiB; the limit is 32 MiB",
    )
    assert time.process_time() - began < 1


def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "to_fifo").symlink_to("fifo")
    (tmp_path / "loop").symlink_to("loop")

    assert refused(read_bytes, str(tmp_path)).message == f"{str(tmp_path)!r} is a directory; name a file"
    assert "is a FIFO; name a file" in refused(read_bytes, str(tmp_path / "fifo")).message
    assert "is a FIFO; name a file" in refused(read_bytes, str(tmp_path / "to_fifo")).message
    assert "is a device; name a file" in refused(read_bytes, "/dev/zero").message
    assert "no such file" in refused(read_bytes, str(tmp_path / "nothing")).message
    assert "cannot be read" in refused(read_bytes, str(tmp_path / "loop")).message
    assert "cannot be read" in refused(read_bytes, "a\0b").message
    assert refused(read_bytes, str(tmp_path)).file == str(tmp_path)


def test_standard_input_is_read_up_to_the_limit(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a: 1")))
    assert read_bytes("-") == b"a: 1"

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b" " * ((32 << 20) + 1))))
    assert refused(read_bytes, "-").message == "the document is more than 32 MiB; the limit is 32 MiB"
