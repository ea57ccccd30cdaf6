"""What the documentation shows is true: its specs are planned, its commands run, its tables are complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SAVE = re.compile(r"Save this as `([\w.]+)`")


def blocks(page: Path) -> Iterator[tuple[str, str, str | None]]:
    """(language, text, file name that the sentence before it gives)."""
    text, end = page.read_text(), 0
    for block in BLOCK.finditer(text):
        names = SAVE.findall(text[end : block.start()])
        yield block[1], block[2], names[-1] if names else None
        end = block.end()


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of the documentation as a newcomer would."""
    program = folder / "bin" / "torc"
    if not program.exists():
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m torc_core "$@"\n')
        program.chmod(0o755)
    env = {
        "HOME": str(folder / "home"), "USER": "ada", "LANG": "C.UTF-8", "XDG_RUNTIME_DIR": str(folder),
        "PATH": f"{program.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        timeout=240, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_specs_are_planned_and_commands_do_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    complaint = None
    for language, text, name in blocks(page):
        if language in {"yaml", "json", "json5", "kdl"}:
            target = tmp_path / (name or f"wrong.{language}")
            target.write_text(text)
            done = shell(f"torc create --dry-run {target.name}", tmp_path)
            complaint = None if name else done.stdout + done.stderr
            assert done.returncode == (0 if name else 2), done.stdout + done.stderr
        elif language == "text" and complaint is not None:
            for line in text.splitlines():
                assert line in complaint
            complaint = None
        elif language == "console":
            for command in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                line, _, shown = command.partition("\n")
                done = shell(line, tmp_path)
                assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
                if shown.strip():
                    assert done.stdout.strip() == shown.strip()


def test_every_hook_is_documented_with_its_purpose() -> None:
    from torc_core import hookspecs

    for name, hook in vars(hookspecs).items():
        if name.startswith("torc_"):
            assert hook.__doc__, name


def test_every_dependency_has_its_reason() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    reasons = (ROOT / "docs/explanation/dependencies.md").read_text().lower()
    wanted = [
        *project["project"]["dependencies"],
        *(n for g in project["dependency-groups"].values() for n in g),
    ]
    for requirement in wanted:
        name = re.split(r"[<>=!~ \[]", requirement)[0].lower()
        assert name.removeprefix("types-") in reasons, f"{name}: say in dependencies.md why this one"


def test_the_two_commands_of_the_readme_are_those_of_ci() -> None:
    readme, script = (ROOT / "README.md").read_text(), (ROOT / ".ci/run").read_text()
    commands = {}
    for heading in ("Run it", "Test it"):
        found = re.search(rf"^## {heading}\n\n```bash\n(.*)\n```$", readme, re.MULTILINE)
        assert found, heading
        commands[heading] = found[1]

    assert f"\n{commands['Test it']}\n" in script


def test_every_status_error_and_session_is_documented() -> None:
    from torc_core.errors import ERRORS
    from torc_core.model import JobStatus

    statuses = (ROOT / "docs/reference/statuses.md").read_text()
    for status in JobStatus:
        assert f"`{status.label}`" in statuses
    for error in ERRORS.values():
        assert error.__doc__
