"""The shape of the house: layers, light imports, small modules, a small core (`design/architecture.md`)."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from torc_core.testing.plugins import HEAVY, check_plugin

ROOT = Path(__file__).parents[2]
CORE = ROOT / "torc_core"
PLUGINS = ROOT / "plugins"
MODULES = sorted([*CORE.rglob("*.py"), *PLUGINS.rglob("*.py")])
ENTRY_POINTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
    "entry-points"
]["torc"]

WORLD = {"time", "random", "uuid", "secrets", "socket", "datetime"}
"""What tells one run from another: only `system.py` asks for it."""


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(path: Path) -> set[str]:
    """Names of all modules that a file imports at its top level or inside of its functions, annotations aside."""
    tree = ast.parse(path.read_text())
    ignored = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    names = set()
    for node in ast.walk(tree):
        if id(node) in ignored:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def implements_hooks(package: str) -> bool:
    return any(hasattr(one, "torc_impl") for one in vars(import_module(package)).values())


def test_every_module_reads_downwards_only() -> None:
    ran = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_says_what_it_is_for_and_is_short(path: Path) -> None:
    text = path.read_text()

    assert ast.get_docstring(ast.parse(text)), "no docstring"
    assert len(text.splitlines()) <= 600


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_no_module_is_a_drawer(path: Path) -> None:
    assert not re.search(r"(^|_)(utils?|helpers?|common|misc|base|manager)$", path.stem)


def lines_of_code(path: Path) -> int:
    """Lines that are neither blank nor comment nor docstring."""
    text = path.read_text()
    prose = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = enumerate(text.splitlines(), start=1)
    return sum(
        1
        for number, line in lines
        if number not in prose and line.strip() and not line.lstrip().startswith("#")
    )


def test_the_core_stays_small() -> None:
    # The language of specifications (`spec/`) is as large as its reference; everything else has to be small.
    parts = [
        path for path in CORE.rglob("*.py") if path.relative_to(CORE).parts[0] not in {"testing", "spec"}
    ]

    assert sum(map(lines_of_code, parts)) <= 13_500


def test_the_core_asks_for_time_and_chance_in_one_place_only() -> None:
    asking = {
        relative(path)
        for path in CORE.rglob("*.py")
        if imported(path) & WORLD and "testing" not in path.relative_to(CORE).parts
    }

    assert asking <= {"torc_core/system.py"}


def test_the_model_the_rules_and_the_spec_touch_nothing_outside() -> None:
    for package in ("model", "engine"):
        for path in (CORE / package).rglob("*.py"):
            assert not imported(path) & {
                "os",
                "pathlib",
                "io",
                "subprocess",
                "threading",
                "logging",
                *WORLD,
            }, path


def test_every_folder_that_implements_hooks_has_an_entry_point_and_no_other() -> None:
    folders = {path.name for path in PLUGINS.iterdir() if (path / "__init__.py").exists()}
    implementing = {name for name in folders if implements_hooks(name)}

    assert implementing == set(ENTRY_POINTS.values())
    assert {f"torc_{name}": f"torc_{name}" for name in ENTRY_POINTS} == {name: name for name in implementing}


def test_the_table_of_plugins_is_true() -> None:
    rows = re.findall(r"^\| `(torc_\w+)` \| (.*?) \|", (PLUGINS / "README.md").read_text(), re.MULTILINE)
    told = {name: set(re.findall(r"`(torc_\w+)`", hooks)) for name, hooks in rows}

    found = {}
    for path in PLUGINS.iterdir():
        if (path / "__init__.py").exists():
            members = vars(import_module(path.name))
            found[path.name] = {name for name, one in members.items() if hasattr(one, "torc_impl")}

    assert told == found


@pytest.mark.parametrize("package", sorted(ENTRY_POINTS.values()))
def test_our_own_plugins_keep_the_rules_for_plugins(package: str) -> None:
    check_plugin(package)


@pytest.mark.parametrize("package", sorted(ENTRY_POINTS.values()))
def test_opening_a_plugin_shows_everything_it_does_to_torc(package: str) -> None:
    tree = ast.parse((PLUGINS / package / "__init__.py").read_text())

    assert len(tree.body) < 80
    assert not [node.name for node in tree.body if isinstance(node, ast.ClassDef)]


def test_a_host_with_every_plugin_imports_nothing_heavy() -> None:
    program = (
        "import sys; from torc_core.config import Config; from torc_core.host import Host;"
        "host = Host.load(Config.load(environ={})); host.registries();"
        f"print(*(name for name in {HEAVY!r} if name in sys.modules))"
    )

    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd="/")

    assert ran.stdout.split() == []


@pytest.mark.parametrize(
    "words", [["--help"], ["plugins", "--help"], ["run", "--help"], ["config", "--help"]]
)
def test_help_imports_nothing_that_only_work_needs(words: list[str], tmp_path: Path) -> None:
    program = (
        "import sys; from torc_core.main import main;"
        f"code = main({words!r}); print('loaded', *(name for name in sys.modules), file=sys.stderr); sys.exit(code)"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"HOME": str(tmp_path)},
    )

    loaded = set(ran.stderr.split())
    assert not loaded & {"sqlalchemy", "psutil", "yaml", "tomlkit", "torc_sql", "torc_core.runner.runner"}


def test_importing_torc_needs_pluggy_only() -> None:
    program = (
        "import sys; before = set(sys.modules);"
        "import torc_core, torc_core.host, torc_core.session, torc_core.store.observed, torc_core.protocols;"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))"
    )

    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ran.stdout.split() == ["pluggy", "torc_core"]
