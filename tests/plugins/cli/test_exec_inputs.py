"""Command lists, input sources and replacement strings, as `torc exec` reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from torc_cli.execute.commands import parse_list, read_list
from torc_cli.execute.inputs import make, split
from torc_core.errors import UsageError


def commands(*words: str, colsep: str | None = None) -> list[str]:
    template, inputs = split(words)
    assert inputs is not None
    return [made.command for made in make(template, inputs, colsep)]


def test_a_list_has_one_command_a_line_without_comments_and_blank_lines() -> None:
    text = "\n# first\necho a\n   \n\techo b  # not a comment of ours\n  # indented\necho c"

    assert parse_list(text) == ["echo a", "echo b  # not a comment of ours", "echo c"]


def test_a_backslash_continues_a_line_and_an_escaped_one_does_not() -> None:
    text = "echo a \\\n  b\\\nc\necho d\\\\\necho e"

    assert parse_list(text) == ["echo a   bc", "echo d\\\\", "echo e"]


def test_a_hash_in_a_continued_line_belongs_to_the_command() -> None:
    assert parse_list("echo a \\\n# b\n") == ["echo a # b"]


def test_windows_line_ends_are_not_part_of_commands() -> None:
    assert parse_list("echo a\r\necho b\r\n") == ["echo a", "echo b"]


def test_an_unfinished_continuation_ends_with_the_list() -> None:
    assert parse_list("echo a \\") == ["echo a"]


def test_a_list_that_is_not_text_is_refused_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "l.txt"
    path.write_bytes(b"echo a\n\xff\n")

    with pytest.raises(UsageError, match="not valid UTF-8 at byte 7"):
        read_list(str(path))
    with pytest.raises(UsageError, match=r"l\.txt:2: .*NUL"):
        parse_list("a\nb\0\n", "l.txt")


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nope\.txt': no such file"):
        read_list(str(tmp_path / "nope.txt"))


def test_words_without_a_separator_have_no_inputs() -> None:
    assert split(["echo", "a"]) == (["echo", "a"], None)


def test_each_value_makes_a_command() -> None:
    assert commands("echo {}", ":::", "a", "b") == ["echo a", "echo b"]


def test_a_command_without_replacement_gets_the_value_at_its_end() -> None:
    assert commands("gzip -9", ":::", "a", "b c") == ["gzip -9 a", "gzip -9 'b c'"]


def test_two_sources_are_combined_and_the_last_varies_fastest() -> None:
    assert commands("{1}-{2}", ":::", "a", "b", ":::", "1", "2") == ["a-1", "a-2", "b-1", "b-2"]


def test_a_paired_source_goes_along_up_to_the_shorter_one() -> None:
    assert commands("{1}{2}", ":::", "a", "b", "c", ":::+", "1", "2") == ["a1", "b2"]


def test_pairing_and_combining_mix() -> None:
    made = commands("{1}{2}{3}", ":::", "a", "b", ":::+", "A", "B", ":::", "1", "2")

    assert made == ["aA1", "aA2", "bB1", "bB2"]


def test_values_come_from_files_and_each_file_is_a_source(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a\nb\n")
    two.write_text("1\n2")

    assert commands("{1}{2}", "::::", str(one), str(two)) == ["a1", "a2", "b1", "b2"]
    assert commands("{1}{2}", "::::", str(one), "::::+", str(two)) == ["a1", "b2"]


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("{}", "dir.d/file.tar.gz"),
        ("{.}", "dir.d/file.tar"),
        ("{/}", "file.tar.gz"),
        ("{//}", "dir.d"),
        ("{/.}", "file.tar"),
        ("{#}", "1"),
        ("{1}", "dir.d/file.tar.gz"),
        ("{1/.}", "file.tar"),
        ("{-1//}", "dir.d"),
    ],
)
def test_replacement_strings_name_parts_of_the_value(token: str, expected: str) -> None:
    assert commands(f"x {token} y", ":::", "dir.d/file.tar.gz") == [f"x {expected} y"]


def test_values_are_quoted_for_the_shell() -> None:
    assert commands("echo {}", ":::", "a b", "$HOME", "it's") == [
        "echo 'a b'",
        "echo '$HOME'",
        "echo 'it'\"'\"'s'",
    ]


def test_one_word_is_shell_text_and_several_are_arguments() -> None:
    assert commands("cat {} | wc -l", ":::", "f") == ["cat f | wc -l"]
    assert commands("cat", "{}", "|", ":::", "f") == ["cat f '|'"]
    assert commands("tar", "", "{}.old x", ":::", "f g") == ["tar '' 'f g''.old x'"]


def test_all_sources_stand_where_no_source_is_named() -> None:
    assert commands("echo", ":::", "a", ":::", "b c") == ["echo a 'b c'"]


def test_columns_are_cut_by_a_regular_expression() -> None:
    assert commands("{2} {1}", ":::", "a,b", "c, d", colsep=", ?") == ["b a", "d c"]


def test_doubled_braces_mean_the_replacement_string_itself() -> None:
    assert commands("echo {{}} {{2}} {}", ":::", "a") == ["echo {} {2} a"]


def test_other_braces_are_left_alone() -> None:
    assert commands("awk '{print $1}' {} ${X} {a,b}", ":::", "f") == ["awk '{print $1}' f ${X} {a,b}"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("echo {3}", ":::", "a", ":::", "b"), r"'\{3\}' names no source, there is only 2 sources"),
        (("echo {%}", ":::", "a"), "not known before a job starts"),
        (("echo {0}", ":::", "a"), "counted from 1"),
        ((":::", "a"), "no command before ':::'"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        commands(*words)


def test_a_pair_without_a_source_before_it_is_refused() -> None:
    with pytest.raises(UsageError, match="pairs with the source before it"):
        split(["echo", ":::+", "a"])


def test_a_file_separator_without_a_file_is_refused() -> None:
    with pytest.raises(UsageError, match="needs the name of a file"):
        split(["echo", "::::"])


def test_too_many_combinations_are_refused_before_one_is_made() -> None:
    values = ["x"] * 1001

    with pytest.raises(UsageError, match="1002001 commands"):
        commands("echo", ":::", *values, ":::", *values)


def test_a_bad_column_separator_is_refused() -> None:
    with pytest.raises(UsageError, match="--colsep '\\(' is not a regular expression"):
        commands("echo", ":::", "a", colsep="(")


def test_an_empty_source_makes_no_command() -> None:
    assert commands("echo", ":::") == []
