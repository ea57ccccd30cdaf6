"""Every command that checks, builds or measures torc; the only place that knows them."""

from __future__ import annotations

import shutil
import tempfile
import tomllib
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_missing_interpreters = True

HERE = Path(__file__).parent
PYTHON = "3.11"
GROUPS: dict[str, list[str]] = tomllib.loads((HERE / "pyproject.toml").read_text())["dependency-groups"]


def wheel(session: nox.Session) -> str:
    """Build the wheel as it would be published, so that tests see what users get."""
    folder = Path(session.create_tmp()) / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    session.run("pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(HERE))
    return str(next(folder.glob("torc_core-*.whl")))


@nox.session(python=PYTHON)
def tests(session: nox.Session) -> None:
    """All tests, against the built wheel, a file at a time in each of three processes: some tests wait, some compute."""
    session.install(wheel(session), *GROUPS["test"], *GROUPS["lint"])
    # NOTE: nox moves the temporary folder below the repository: too deep for Unix sockets, and closed to other users.
    folder = {"TMPDIR": tempfile.gettempdir()}
    spread = ["--numprocesses", "3", "--dist", "loadfile", "--no-loadscope-reorder"]
    session.run("pytest", *spread, *session.posargs, env=folder)


@nox.session(python=PYTHON)
def fast(session: nox.Session) -> None:
    """The inner loop: an editable install, unit tests only."""
    session.install("--editable", ".", *GROUPS["test"])
    session.run("pytest", "--quiet", *(session.posargs or ["tests/core"]))


@nox.session(python=PYTHON)
def types(session: nox.Session) -> None:
    """mypy --strict over the core and every plugin."""
    session.install("--editable", ".", *GROUPS["types"], *GROUPS["test"])
    session.run("mypy")


@nox.session(python=PYTHON)
def lint(session: nox.Session) -> None:
    """Style, formatting, layers, spelling."""
    session.install("--editable", ".", *GROUPS["lint"])
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")
    # The tests misspell words on purpose, and so does one example of the documentation.
    prose = ["torc_core", "plugins", "contrib", "docs", "examples", "README.md"]
    session.run("codespell", "--ignore-words-list", "comand,statu", *prose)


@nox.session(python=PYTHON)
def docs(session: nox.Session) -> None:
    """The documentation, built without a warning."""
    session.install(wheel(session), *GROUPS["docs"])
    target = Path(session.create_tmp()) / "html"
    session.run("sphinx-build", "-W", "--keep-going", "-E", "-q", "-b", "html", "docs", str(target))


@nox.session(python=PYTHON)
def contrib(session: nox.Session) -> None:
    """Every third-party style distribution, in a fresh environment beside the wheel."""
    session.install(wheel(session), *GROUPS["test"])
    for project in sorted(path.parent for path in (HERE / "contrib").glob("*/pyproject.toml")):
        session.install(str(project))
        session.run(
            "pytest", "--rootdir", str(project), "-c", str(project / "pyproject.toml"), str(project / "tests")
        )


@nox.session(python=PYTHON)
def bench(session: nox.Session) -> None:
    """The figures of docs/explanation/performance.md as one table; `-- --quick` for a tenth of the work."""
    session.install(wheel(session))
    session.run("python", "tests/bench/figures.py", *session.posargs)
    quick = [one for one in session.posargs if one == "--quick"]
    session.run("python", "tests/bench/monitoring.py", *quick)
    session.run("python", "tests/bench/serving.py", *quick)


@nox.session(python=PYTHON)
def promises(session: nox.Session) -> None:
    """Every check of the promises with its full count as one table; `-- --quick` for the counts of every commit."""
    session.install(wheel(session), *GROUPS["test"])
    session.run("python", "tests/promises/table.py", *session.posargs)


@nox.session(python=PYTHON)
def cluster(session: nox.Session) -> None:
    """Real Slurm and SSH hosts on this machine, installed and started by the tests; needs root on Debian."""
    session.install(wheel(session), *GROUPS["test"])
    folder = {"TMPDIR": tempfile.gettempdir()}
    session.run("pytest", "--durations", "10", *(session.posargs or ["tests/cluster"]), env=folder)


@nox.session(python=PYTHON)
def build(session: nox.Session) -> None:
    """Source distribution, wheel made from it, and a look into the wheel."""
    session.install("build")
    folder = Path(session.create_tmp()) / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(folder))
    session.run("python", "-m", "zipfile", "--list", str(next(folder.glob("*.whl"))))
