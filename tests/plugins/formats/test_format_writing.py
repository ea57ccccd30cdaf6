"""Whatever is written is read back as it was (`workflow-spec.md` §16 and §20)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from torc_core.errors import BadValue

READERS = pytest.mark.parametrize("reader", ["yaml", "json", "json5", "kdl"])

TRAPS = some.sampled_from(
    [
        "no", "1.10", "010", "1e3", "~", "null", "true", "<<", "- x", "a: b", "# c", " x", "x ", "", "'", '"', "\\", "{i}",
        "a\nb", "a\nb\n", "a\n\n b\n\n", "\n", "\n\nx", " a\nb", "a\n  \nb", "\ta\nb", "a\r\nb", "a\rb", "x\u2028y", "x\x85y",
        'say "hi"\n\\end', '"""', '"#', '"##\n"', 'a"', "é", "😀", "\u202e", "\ufeff", "---", "...", "%TAG", "&a", "*a", "!x",
        "inf", "-inf", "nan", "#true", "r", "a=b", "a;b", "/- x", "// x", "\x7f", "key: |", "a\nb\n---\n", "@x", "`x`", "10:00:00",
        "echo \"a\" 'b' \\\n  | sort > $HOME/x\n", "trailing \nblank", "a\n\tb", "\\", "a\\\nb", "0x1f", "1_000", "(u8)1",
    ]
)  # fmt: skip
TEXT = TRAPS | some.text(
    some.characters(exclude_categories=["Cs", "Cc", "Cn"]) | some.sampled_from("\n\t\r \x07"), max_size=12
)
KEY = some.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True) | TEXT.filter(lambda key: key != "-")
NUMBER = some.integers(-(10**20), 10**20) | some.floats(allow_nan=False, allow_infinity=False)
SCALAR = some.none() | some.booleans() | NUMBER | TEXT
ANYTHING = some.recursive(
    SCALAR,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(KEY, inner, max_size=3),
    max_leaves=8,
)
NAMES = some.lists(TEXT, max_size=3)


def several(row: some.SearchStrategy[object]) -> some.SearchStrategy[object]:
    return some.lists(row, min_size=1, max_size=3)


JOBS = some.lists(
    some.fixed_dictionaries(
        {"name": TEXT, "command": TEXT},
        optional={
            "priority": some.integers(),
            "env": some.dictionaries(KEY, TEXT | some.integers(), max_size=3),
            "depends_on": NAMES,
            "depends_on_regexes": NAMES,
            "input_files": NAMES,
            "use_parameters": NAMES,
            "stdio": some.fixed_dictionaries({}, optional={"mode": TEXT}),
            "parameters": some.dictionaries(
                KEY, TEXT | NUMBER | some.lists(TEXT | NUMBER, min_size=1, max_size=3), max_size=2
            ),
        },
    ),
    max_size=3,
)
WORKFLOWS = some.fixed_dictionaries(
    {"name": TEXT, "jobs": JOBS},
    optional={
        "description": some.none() | TEXT,
        "retry_on_node_loss": some.integers(),
        "metadata": TEXT | some.dictionaries(KEY, ANYTHING, max_size=3),
        "variables": some.dictionaries(KEY, TEXT, max_size=3),
        "access_groups": NAMES,
        "user_data": several(
            some.fixed_dictionaries(
                {"name": TEXT}, optional={"data": ANYTHING, "is_ephemeral": some.booleans()}
            )
        ),
        "files": several(some.fixed_dictionaries({"path": TEXT}, optional={"name": TEXT})),
        "failure_handlers": several(
            some.fixed_dictionaries(
                {"name": TEXT},
                optional={
                    "rules": several(
                        some.fixed_dictionaries({}, optional={"exit_codes": some.lists(some.integers())})
                    )
                },
            )
        ),
        "actions": several(
            some.fixed_dictionaries({"trigger_type": TEXT}, optional={"jobs": NAMES, "commands": NAMES})
        ),
        "notify": several(some.fixed_dictionaries({"on": NAMES, "command": TEXT})),
        "execution_config": some.fixed_dictionaries(
            {},
            optional={
                "stdio": some.just({"mode": "none"}),
                "job_stdio_overrides": some.dictionaries(KEY, some.just({"mode": "none"}), max_size=2),
            },
        ),
        "resource_monitor": some.just({"enabled": True, "jobs": {"enabled": False}, "compute_node": {}}),
        "unheard_of": SCALAR | some.dictionaries(KEY, SCALAR, max_size=3),
    },
)


@READERS
@given(WORKFLOWS)
@settings(
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
def test_a_workflow_is_read_back_as_it_was(formats, plain, reader, tree):
    text = formats[reader].dump(tree)

    assert plain(formats[reader].load(text).tree) == tree


@READERS
@given(some.dictionaries(KEY, ANYTHING, max_size=3))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_free_json_is_read_back_as_it_was(formats, plain, reader, value):
    tree = {"name": "x", "user_data": [{"name": "u", "data": value}], "jobs": []}

    assert plain(formats[reader].load(formats[reader].dump(tree)).tree) == tree


@READERS
@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object()])
def test_what_a_format_cannot_hold_is_refused(formats, reader, value):
    with pytest.raises(BadValue):
        formats[reader].dump({"name": "x", "metadata": {"a": value}})


def test_several_lines_stay_lines(formats):
    tree = {"jobs": [{"name": "a", "command": 'echo "a"\necho b\n'}]}

    assert formats["yaml"].dump(tree) == 'jobs:\n- name: a\n  command: |\n    echo "a"\n    echo b\n'
    assert formats["kdl"].dump(tree) == (
        'job "a" {\n    command #"""\n        echo "a"\n        echo b\n\n        """#\n}\n'
    )


def test_quotes_and_backslashes_become_raw_strings(formats):
    assert formats["kdl"].dump({"name": 'a "b" \\c "#d'}) == 'name ##"a "b" \\c "#d"##\n'


def test_a_map_that_looks_like_a_list_in_kdl_is_written_as_json(formats):
    tree = {"metadata": {"a": {"-": 1}}, "jobs": []}

    assert formats["kdl"].load(formats["kdl"].dump(tree)).tree["metadata"] == '{"a": {"-": 1}}'


def test_a_format_may_be_turned_into_any_other(formats, plain):
    tree = {"name": "x", "jobs": [{"name": "a", "command": "b\nc", "depends_on": ["q"]}], "env": {"A": "1"}}

    for first in formats.values():
        for second in formats.values():
            read = plain(first.load(first.dump(tree)).tree)
            assert plain(second.load(second.dump(read)).tree) == tree
