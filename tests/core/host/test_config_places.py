"""Keys are found in any valid TOML, however it is written."""

from __future__ import annotations

import tomllib

import pytest

from torc_core.config.places import nearest, places

TEXT = '''# [no.table]
title = "a = b"   # c = d
"quoted key" = 1
dotted.inner.key = 2

[table]
  indented = [ # with = comments
    1, 2, "]",
  ]
text = """
not = a key
[neither]
"""
raw = \'\'\'
x = 1\'\'\'
inline = { a = 1, b = "}" }
[table.sub] # comment
deep = true
[[array]]
one = 1
[[array]]
two = 2
[ spaced . "name" ]
last = 2024-01-01'''


def test_tables_and_keys_are_found_where_they_begin() -> None:
    tomllib.loads(TEXT)

    found = places(TEXT)

    assert found == {
        "title": (2, 1),
        "quoted key": (3, 1),
        "dotted": (4, 1),
        "dotted.inner": (4, 1),
        "dotted.inner.key": (4, 1),
        "table": (6, 1),
        "table.indented": (7, 3),
        "table.text": (10, 1),
        "table.raw": (14, 1),
        "table.inline": (16, 1),
        "table.sub": (17, 1),
        "table.sub.deep": (18, 1),
        "array": (19, 1),
        "array.one": (20, 1),
        "array.two": (22, 1),
        "spaced": (23, 1),
        "spaced.name": (23, 1),
        "spaced.name.last": (24, 1),
    }


@pytest.mark.parametrize(("name", "place"), [("table.inline.a", (16, 1)), ("nothing.at.all", (1, 1))])
def test_what_is_inside_of_a_value_is_told_by_the_key_around_it(name: str, place: tuple[int, int]) -> None:
    assert nearest(places(TEXT), name) == place


def test_windows_line_ends_and_empty_texts_are_understood() -> None:
    assert places("") == {}
    assert places("a = 1\r\n[b]\r\nc = 2\r\n") == {"a": (1, 1), "b": (2, 1), "b.c": (3, 1)}
