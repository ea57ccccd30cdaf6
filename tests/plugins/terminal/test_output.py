"""How answers are printed: tables, JSON, CSV, and what never reaches a terminal."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from dataclasses import dataclass

import pytest

from torc_core.errors import UsageError
from torc_terminal.output import cells, table
from torc_terminal.output.answer import Listing, Outcome, Record, Report, Stream, Text
from torc_terminal.output.cells import Column

COLUMNS = (Column(title="ID", key="id", right=True), Column(title="Name", key="name"))
ITEMS = [{"id": 1, "name": "a", "env": None}, {"id": 100, "name": "böse\n\x1b[31mrot", "env": {"A": "x,y"}}]


@dataclass
class Session:
    """As much of a session as answers need."""

    format: str = "table"
    quiet: bool = False
    tty: bool = False
    color: bool = False

    def close(self) -> None:
        pass

    def note(self, text: str) -> None:
        if not self.quiet:
            print(text, file=sys.stderr)


@pytest.fixture
def listing() -> Listing:
    return Listing(
        schema="torc.things.list/1", noun="things", items=ITEMS, columns=COLUMNS, total=5, offset=0
    )


def test_a_table_has_one_header_and_numbers_to_the_right(listing, capsys):
    listing.render(Session())

    assert capsys.readouterr().out.splitlines() == [
        " ID  Name",
        "  1  a",
        "100  böse\\n\\x1b[31mrot",
    ]


def test_a_table_tells_on_stderr_how_much_is_left(listing, capsys):
    listing.render(Session())

    assert capsys.readouterr().err == "… and 3 more things; go on with --offset 2\n"


def test_quiet_changes_nothing_on_stdout(listing, capsys):
    listing.render(Session())
    loud = capsys.readouterr()
    listing.render(Session(quiet=True))
    quiet = capsys.readouterr()

    assert quiet.out == loud.out
    assert quiet.err == ""


def test_a_wide_cell_is_never_cut_off_in_a_pipe():
    long = "x" * 3_000

    assert long in table.text(COLUMNS, [{"id": 1, "name": long}])


def test_wide_characters_keep_the_columns_straight():
    columns = (Column(title="Name", key="name"), Column(title="N", key="n"))

    text = table.text(columns, [{"name": "日本", "n": 1}, {"name": "e\u0301ab", "n": 2}])

    assert text.splitlines() == ["Name  N", "日本  1", "e\u0301ab   2"]


def test_an_empty_table_says_so_on_stderr(capsys):
    Listing(schema="torc.things.list/1", noun="things", items=[], columns=COLUMNS).render(Session())

    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "No things found\n")


def test_a_terminal_gets_box_lines(listing, capsys):
    listing.render(Session(tty=True))

    assert capsys.readouterr().out.startswith("╭")


def test_json_begins_with_the_schema_and_has_the_shape_of_every_list(listing, capsys):
    listing.render(Session(format="json"))

    document = json.loads(capsys.readouterr().out)
    assert list(document) == ["schema", "items", "count", "total_count", "offset", "has_more"]
    assert document["items"] == ITEMS
    assert (document["count"], document["total_count"], document["has_more"]) == (2, 5, True)


def test_the_last_page_has_no_more(capsys):
    Listing(schema="s/1", noun="things", items=ITEMS, columns=COLUMNS, total=5, offset=3).render(
        Session(format="json")
    )

    assert json.loads(capsys.readouterr().out)["has_more"] is False


def test_csv_has_the_json_names_and_compact_json_for_what_is_nested(listing, capsys):
    listing.render(Session(format="csv"))

    text = capsys.readouterr().out
    assert text.startswith("id,name,env\r\n")
    assert list(csv.DictReader(io.StringIO(text, newline=""))) == [
        {"id": "1", "name": "a", "env": ""},
        {"id": "100", "name": "böse\n\x1b[31mrot", "env": '{"A":"x,y"}'},
    ]


def test_an_empty_csv_has_the_header_of_its_schema(capsys):
    Listing(schema="torc.files.list/1", noun="files", items=[], columns=COLUMNS).render(Session(format="csv"))

    assert capsys.readouterr().out == "id,workflow_id,name,path,st_mtime,size,identifier\r\n"


def test_a_record_shows_one_field_per_line_and_nothing_for_null(capsys):
    Record(schema="s/1", data={"id": 7, "description": None, "is_archived": True}).render(Session())

    assert capsys.readouterr().out == "id           7\nis_archived  yes\n"


@pytest.mark.parametrize(
    "answer",
    [
        Record(schema="s/1", data={"id": 7}),
        Outcome(message="Deleted 1 job"),
        Report(schema="s/1", data={}, text="x"),
        Stream(items=[{}], line=str),
    ],
    ids=["record", "outcome", "report", "stream"],
)
def test_what_is_no_list_refuses_csv_and_names_json(answer, capsys):
    with pytest.raises(UsageError, match="'-f json'"):
        answer.render(Session(format="csv"))

    assert capsys.readouterr().out == ""


def test_an_outcome_is_a_sentence_and_a_hint(capsys):
    Outcome(message="Created workflow 42 'x'", workflow_id=42, hint="run it: torc run 42").render(Session())

    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("Created workflow 42 'x'\n", "run it: torc run 42\n")


def test_an_outcome_in_json_has_its_status_message_and_workflow(capsys):
    Outcome(message="Created", workflow_id=42, extra={"jobs": 3}).render(Session(format="json"))

    assert json.loads(capsys.readouterr().out) == {
        "schema": "torc.outcome/1",
        "status": "success",
        "message": "Created",
        "workflow_id": 42,
        "jobs": 3,
    }


def test_a_stream_is_json_lines(capsys):
    Stream(items=iter([{"a": 1}, {"a": 2}]), line=str).render(Session(format="json"))

    assert capsys.readouterr().out == '{"a": 1}\n{"a": 2}\n'


def test_a_report_with_a_table_can_be_csv(capsys):
    Report(schema="s/1", data={}, rows=ITEMS, columns=COLUMNS).render(Session(format="csv"))

    assert capsys.readouterr().out.splitlines()[0] == "id,name"


def test_a_text_is_the_same_in_every_format(capsys):
    for format in ("table", "json", "csv"):
        Text(text="complete -F _torc torc\n").render(Session(format=format))

    assert capsys.readouterr().out == "complete -F _torc torc\n" * 3


def test_json_has_no_numbers_that_json_does_not_know(capsys):
    with pytest.raises(ValueError, match="not JSON compliant"):
        Record(schema="s/1", data={"x": float("nan")}).render(Session(format="json"))


@pytest.fixture
def new_york(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("new_york")
def test_instants_are_utc_in_json_and_local_in_tables():
    assert cells.instant(1_777_651_402_123) == "2026-05-01T16:03:22.123Z"
    assert cells.cell("2026-05-01T16:03:22.123Z") == "2026-05-01 12:03:22"


def test_ages_are_told_in_their_largest_unit():
    now = 1_000_000_000

    told = [cells.age(now - seconds * 1000, now) for seconds in (0, 59, 60, 7_200, 200_000, -5)]

    assert told == ["0s", "59s", "1m", "2h", "2d", "0s"]


def test_output_survives_an_encoding_that_lacks_characters(monkeypatch):
    buffer = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(buffer, encoding="ascii", write_through=True))

    Outcome(message="größer").render(Session())
    Record(schema="s/1", data={"name": "größer"}).render(Session(format="json"))

    lines = buffer.getvalue().decode("ascii").split("\n", 1)
    assert lines[0] == "gr\\xf6\\xdfer"
    assert json.loads(lines[1])["name"] == "größer"


@pytest.mark.parametrize("text", ["\x1b]0;title\x07", "a\rb", "\x9b31m", "\u202eevil", "tab\there", "\ud800"])
def test_text_of_users_cannot_steer_a_terminal(text):
    shown = cells.cell(text)

    assert shown.isprintable()
    assert "\\" in shown
