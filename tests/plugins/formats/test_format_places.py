"""Every reader knows where everything stood."""

from __future__ import annotations

import pytest

TEXTS = {
    "yaml": "name: x\njobs:\n  - name: a\n    depends_on: [b, c]\n  - name: b\nenv:\n  A: '1'\n  B: &b '2'\nvariables: {x: *b}\n",
    "json": '{"name": "x",\n"jobs": [\n  {"name": "a",\n    "depends_on": ["b", "c"]},\n  {"name": "b"}],\n"env": {\n  "A": "1",\n  "B": "2"},\n"variables": {"x": "2"}}\n',
    "json5": "{name: 'x',\njobs: [\n  {name: 'a',\n    depends_on: ['b', 'c']},\n  {name: 'b'}],\nenv: {\n  A: '1',\n  B: '2'},\nvariables: {x: '2'}}\n",
    "kdl": 'name "x"\n\njob "a" {\n    depends_on "b" "c"\n}\njob "b"\nenv {\n  A "1"\n  B "2"\n}\nvariables { x "2" }\n',
}
PLACES = {
    #                          yaml     json     json5    kdl
    (): [(1, 1), (1, 1), (1, 1), (1, 1)],
    ("name",): [(1, 1), (1, 2), (1, 2), (1, 1)],
    ("jobs",): [(2, 1), (2, 1), (2, 1), (3, 1)],
    ("jobs", 0): [(3, 5), (3, 3), (3, 3), (3, 1)],
    ("jobs", 0, "name"): [(3, 5), (3, 4), (3, 4), (3, 5)],
    ("jobs", 0, "depends_on"): [(4, 5), (4, 5), (4, 5), (4, 5)],
    ("jobs", 0, "depends_on", 1): [(4, 21), (4, 25), (4, 23), (4, 20)],
    ("jobs", 1): [(5, 5), (5, 3), (5, 3), (6, 1)],
    ("env", "B"): [(8, 3), (8, 3), (8, 3), (9, 3)],
    ("variables", "x"): [(9, 13), (9, 15), (9, 13), (11, 13)],
    ("jobs", 0, "nothing", "here"): [(3, 5), (3, 3), (3, 3), (3, 1)],
    ("jobs", 7): [(2, 1), (2, 1), (2, 1), (3, 1)],
    ("jobs", 0, "name", "deeper"): [(3, 5), (3, 4), (3, 4), (3, 5)],
    ("nothing",): [(1, 1), (1, 1), (1, 1), (1, 1)],
}


@pytest.mark.parametrize(("index", "reader"), list(enumerate(TEXTS)))
@pytest.mark.parametrize("path", PLACES)
def test_a_path_is_found_where_it_stands(formats, index, reader, path):
    position = formats[reader].load(TEXTS[reader]).locate(path)

    assert (position.line, position.column) == PLACES[path][index]


@pytest.mark.parametrize("reader", TEXTS)
def test_the_formats_give_one_tree(formats, plain, reader):
    assert plain(formats[reader].load(TEXTS[reader]).tree) == plain(formats["json"].load(TEXTS["json"]).tree)


def test_places_of_kdl_follow_its_spellings(formats):
    text = 'job "a" depends_on="x" {\n depends_on_job "y" "z"\n depends_on {\n - "v"\n }\n}\nmetadata {\n l 1 2\n m {\n - 1\n - { k 1 }\n }\n}'
    locate = formats["kdl"].load(text).locate

    assert [locate(("jobs", 0, "depends_on", index)).line for index in range(4)] == [1, 2, 2, 4]
    assert locate(("metadata", "l", 1)).column == 6
    assert locate(("metadata", "m", 1, "k")).line == 11


@pytest.mark.parametrize("reader", TEXTS)
def test_places_in_a_long_list_are_found_quickly(formats, reader):
    document = formats[reader].load(
        formats[reader].dump({"jobs": [{"name": f"j{index}", "command": "x"} for index in range(20_000)]})
    )

    lines = [document.locate(("jobs", index, "command")).line for index in range(20_000)]

    assert lines == sorted(set(lines))


def test_a_merged_key_stands_where_its_map_does(formats):
    locate = formats["yaml"].load("a: &a {x: 1}\nb:\n  <<: *a\n  y: 2\n").locate

    assert locate(("b", "y")).line == 4
    assert locate(("b", "x")).line == 2
