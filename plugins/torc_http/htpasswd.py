"""The program `torc-htpasswd`: writes password files for `torc-server --auth-file` (`cli.md` §6.3)."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from torc_core.boundary import Boundary
from torc_core.errors import Invalid, NotFound
from torc_http.auth import passwords

NO_MATCH = 1
NO_USER = 5

VISIBLE = "warning: a password on the command line is visible in process lists; use '-p -' and standard input"


def main(words: Sequence[str] | None = None) -> int:
    """Run the program with these words, by default those of the process; the exit code."""
    words = sys.argv[1:] if words is None else words
    with Boundary(words) as boundary:
        os.umask(0o077)
        asked = _parser().parse_args(words)
        command: Callable[[argparse.Namespace], int] = asked.command
        boundary.exit_code = command(asked)
    return boundary.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="torc-htpasswd", description="Names and passwords for torc-server --auth-file."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    add = commands.add_parser("add", help="Add a user, or change his password.")
    _file(add)
    add.add_argument("user", metavar="USER")
    _password(add)
    _cost(add)
    add.set_defaults(command=_add)

    hash = commands.add_parser("hash", help="Print a line for a password file.")
    hash.add_argument("user", metavar="USER", nargs="?", help="Who it is for; not given: who is logged in.")
    _password(hash)
    _cost(hash)
    hash.set_defaults(command=_hash)

    remove = commands.add_parser("remove", help="Take a user out.")
    _file(remove)
    remove.add_argument("user", metavar="USER")
    remove.set_defaults(command=_remove)

    listed = commands.add_parser("list", help="Print the users, one a line.")
    _file(listed)
    listed.set_defaults(command=_list)

    verify = commands.add_parser(
        "verify", help="Say whether a password is right: exit 0, 1, or 5 without such a user."
    )
    _file(verify)
    verify.add_argument("user", metavar="USER")
    _password(verify)
    verify.set_defaults(command=_verify)
    return parser


def _file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--file", type=Path, required=True, metavar="FILE", help="The password file.")


def _password(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-p", "--password", metavar="PW", help="'-' reads it from standard input; not given: it is asked for."
    )


def _cost(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c", "--cost", type=int, default=passwords.COST, metavar="N",
        help=f"Of a check, {passwords.LOWEST}-{passwords.DEAREST}; each step doubles it [{passwords.COST}].",
    )  # fmt: skip


def _add(asked: argparse.Namespace) -> int:
    passwords.check_user(asked.user)
    _check_cost(asked.cost)
    new = passwords.set_user(
        asked.file, asked.user, passwords.hashed(_asked_for(asked, twice=True), asked.cost)
    )
    print(f"{'added' if new else 'changed'} user '{asked.user}' in {asked.file}", file=sys.stderr)
    return 0


def _hash(asked: argparse.Namespace) -> int:
    user = passwords.check_user(asked.user or getpass.getuser())
    _check_cost(asked.cost)
    print(f"{user}:{passwords.hashed(_asked_for(asked, twice=True), asked.cost)}")
    return 0


def _remove(asked: argparse.Namespace) -> int:
    passwords.remove_user(asked.file, asked.user)
    print(f"removed user '{asked.user}' from {asked.file}", file=sys.stderr)
    return 0


def _list(asked: argparse.Namespace) -> int:
    for user in passwords.load(asked.file).hashes:
        print(user)
    return 0


def _verify(asked: argparse.Namespace) -> int:
    found = passwords.load(asked.file).hashes.get(asked.user)
    if found is None:
        raise NotFound(f"'{asked.file}' has no user '{asked.user}'")
    right = passwords.matches(_asked_for(asked, twice=False), found)
    print("the password is right" if right else "the password is wrong", file=sys.stderr)
    return 0 if right else NO_MATCH


def _check_cost(cost: int) -> None:
    if not passwords.LOWEST <= cost <= passwords.DEAREST:
        raise Invalid(f"cost {cost} is not between {passwords.LOWEST} and {passwords.DEAREST}")


def _asked_for(asked: argparse.Namespace, *, twice: bool) -> str:
    """The password: from the command line, standard input, or a prompt that shows nothing."""
    given: str | None = asked.password
    if given == "-":
        return sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    if given is not None:
        print(VISIBLE, file=sys.stderr)
        return given
    if not sys.stdin.isatty():
        raise Invalid("there is no terminal to ask for the password; give it with '-p -' on standard input")
    first = getpass.getpass(f"Password for {asked.user or getpass.getuser()}: ")
    if twice and getpass.getpass("Again: ") != first:
        raise Invalid("the two passwords differ; nothing was changed")
    return first
