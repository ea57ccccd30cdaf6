"""Calls that turn data into commands or hide a danger stand nowhere in the code (`security.md` §16, check 13)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path for folder in ("torc_core", "plugins", "contrib") for path in (ROOT / folder).rglob("*.py")
)

CALLS = {
    "os.system", "os.popen", "eval", "exec", "pickle.load", "pickle.loads", "marshal.loads", "yaml.load", "yaml.unsafe_load",
    "tempfile.mktemp", "subprocess.getoutput", "subprocess.getstatusoutput", "ssl._create_unverified_context",
}  # fmt: skip
"""Texts of users are never run, loaded or unpickled."""

IMPORTS = {"pickle", "shelve", "dill", "marshal", "telnetlib", "crypt"}

VALUES = {"shell": True, "verify": False}
"""Keyword arguments that may not have this value."""

STATEMENTS = ("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "DROP ", "ALTER ", "CREATE ")

ALLOWED = {
    # `__init__` of records is compiled out of the names of their fields.
    ("torc_core/record.py", "exec"),
    # The executor speaks to the process it has just made of itself, over a pair of sockets that nobody else has.
    ("plugins/torc_local/channel.py", "marshal"),
    ("plugins/torc_local/channel.py", "marshal.loads"),
}

OUR_OWN = {
    "table", "pairs", "outputs", "base", "where", "owner", "name", "KINDS[kind].table", "KINDS[type(record)].table",
}  # fmt: skip
"""Names of tables and columns that the SQL library puts into statements; values are always parameters."""


def name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def imports_of(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {one.name.partition(".")[0] for one in node.names}
    return {(node.module or "").partition(".")[0]} if isinstance(node, ast.ImportFrom) else set()


def put_into_sql(node: ast.AST) -> set[str]:
    """What an f-string that begins like a statement is filled with."""
    if not isinstance(node, ast.JoinedStr):
        return set()
    first = node.values[0] if node.values else None
    if not (isinstance(first, ast.Constant) and str(first.value).startswith(STATEMENTS)):
        return set()
    return {ast.unparse(one.value) for one in node.values if isinstance(one, ast.FormattedValue)}


def findings(path: Path) -> Iterator[str]:
    relative = str(path.relative_to(ROOT))
    for node in ast.walk(ast.parse(path.read_text())):
        names = imports_of(node) & IMPORTS
        if isinstance(node, ast.Call):
            names |= {name_of(node.func)} & CALLS
            for keyword in node.keywords:
                value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
                if keyword.arg in VALUES and value is VALUES[keyword.arg]:
                    yield f"{node.lineno}: {keyword.arg}={value}"
        for name in names:
            if (relative, name) not in ALLOWED:
                yield f"{node.lineno}: {name}"
        for name in put_into_sql(node) - OUR_OWN:
            yield f"{node.lineno}: '{name}' is put into SQL"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_dangerous_is_called(path: Path) -> None:
    assert list(findings(path)) == []


@pytest.mark.parametrize(
    "text",
    [
        "import os; os.system('x')", "eval('1')", "exec('1')", "import pickle", "from pickle import loads",
        "subprocess.run('x', shell=True)", "requests.get('x', verify=False)", "yaml.load(x)", "tempfile.mktemp()",
        "f'DELETE FROM jobs WHERE id = {id}'",
    ],
)  # fmt: skip
def test_the_search_finds_what_it_looks_for(
    text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "module.py").write_text(text)

    assert list(findings(tmp_path / "module.py"))
