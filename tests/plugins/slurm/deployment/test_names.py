"""Which name of a host other nodes reach it by: the table of Kestrel, and every rank of `slurm.md` HN3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jsonschema
import pytest

from torc_slurm.deployment.naming import controller_of
from torc_slurm.profiles.builtin import KESTREL as PROFILE
from torc_terminal import schemas
from torc_terminal.internal_names import Facts, Hints, ranked

KESTREL = "{short}.hsn.cm.kestrel.hpc.nrel.gov"


def login(
    short: str = "kl3",
    *,
    names: Mapping[str, Sequence[str]],
    interfaces: Mapping[str, str],
    aliases: Sequence[str] = (),
    reverse: Mapping[str, str] | None = None,
    deaf: Sequence[str] = (),
    route: str | None = None,
) -> Facts:
    return Facts(
        short=short, fqdn=f"{short}.hpc.nrel.gov", interfaces=interfaces, aliases=aliases, reverse=reverse or {},
        resolve=lambda name: names.get(name, []), binds=lambda address: address not in deaf, source=lambda host: route,
    )  # fmt: skip


@pytest.mark.parametrize("short", ["kl1", "kl2", "kl3"])
def test_the_login_nodes_of_kestrel(short: str) -> None:
    inside = f"{short}.hsn.cm.kestrel.hpc.nrel.gov"
    facts = login(
        short,
        names={inside: ["10.150.0.3"], f"{short}.hpc.nrel.gov": ["192.0.2.3"], short: ["192.0.2.3"]},
        interfaces={"10.150.0.3": "hsn0", "192.0.2.3": "eth0"},
    )

    best = ranked(facts, Hints(templates=[KESTREL]))[0]

    assert (best.name, best.address, best.interface, best.source) == (inside, "10.150.0.3", "hsn0", "profile")


def test_the_built_in_profile_has_that_form() -> None:
    assert PROFILE.internal_hostname == KESTREL


TWO = {
    "names": {"in": ["10.0.0.1"], "kl3": ["192.0.2.3"], "kl3.hpc.nrel.gov": ["192.0.2.3"], "kl3-ib0": ["10.0.0.1"]},
    "interfaces": {"10.0.0.1": "eth1", "192.0.2.3": "eth0"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "hints", "configured", "name", "reason"),
    [
        (login(**TWO, aliases=["in"]), Hints(), None, "kl3", "the short name of this host"),  # type: ignore[arg-type]
        (login(**TWO, aliases=["in"], route="10.0.0.1"), Hints(controller="ctl"), None, "in", "on the way to the controller of Slurm"),  # type: ignore[arg-type]
        (login(**TWO, aliases=["in"]), Hints(), "kl3.hpc.nrel.gov", "kl3.hpc.nrel.gov", "configured as client.hpc.hostname"),  # type: ignore[arg-type]
        (
            login(names=TWO["names"], interfaces={"10.0.0.1": "ib0", "192.0.2.3": "eth0"}, aliases=["kl3-ib0", "in"]),  # type: ignore[arg-type]
            Hints(), None, "in", "on a fast network",
        ),
        (login(names={"kl3.hpc.nrel.gov": ["192.0.2.3"]}, interfaces={"192.0.2.3": "eth0"}), Hints(), None, "kl3.hpc.nrel.gov", "the full name of this host"),
        (
            login(names={"x.hsn.site": ["10.0.0.9"], "kl3": ["192.0.2.3"]}, interfaces={"10.0.0.9": "eth7", "192.0.2.3": "eth0"}, reverse={"10.0.0.9": "x.hsn.site"}),
            Hints(), None, "x.hsn.site", "on a fast network",
        ),
    ],
    ids=["short", "route", "configured", "interface", "full", "label"],
)  # fmt: skip
def test_the_best_name_by_what_speaks_for_it(
    facts: Facts, hints: Hints, configured: str | None, name: str, reason: str
) -> None:
    best = ranked(facts, hints, configured)[0]

    assert (best.name, best.reason) == (name, reason)


@pytest.mark.parametrize(
    ("names", "deaf", "why"),
    [
        ({}, [], "nobody knows the name"),
        ({"kl3": ["127.0.1.1"]}, [], "leads to loopback"),
        ({"kl3": ["203.0.113.9"]}, [], "leads to 203.0.113.9, which is not of this host"),
        ({"kl3": ["192.0.2.3"]}, ["192.0.2.3"], "one cannot listen on 192.0.2.3"),
    ],
    ids=["unknown", "loopback", "elsewhere", "deaf"],
)
def test_a_name_that_does_not_qualify_says_why(
    names: Mapping[str, Sequence[str]], deaf: Sequence[str], why: str
) -> None:
    facts = login(names=names, interfaces={"192.0.2.3": "eth0"}, deaf=deaf)

    found = {one.name: one.reason for one in ranked(facts)}

    assert found["kl3"] == why


def test_where_no_name_qualifies_the_address_towards_slurm_does() -> None:
    facts = login(names={"kl3": ["127.0.1.1"]}, interfaces={"10.0.0.1": "br0"}, route="10.0.0.1")

    best, *rest = ranked(facts, Hints(controller="ctl"))

    assert (best.name, best.interface) == ("10.0.0.1", "br0")
    assert best.reason == "the address on the way to the controller of Slurm, as no name leads there"
    assert all(one.why_not for one in rest)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("SlurmctldHost[0]         = kadmin(10.150.0.1)\nSlurmctldPort = 6817\n", "10.150.0.1"),
        ("SlurmctldHost[0]         = kadmin\nSlurmctldHost[1] = other\n", "kadmin"),
        ("ControlMachine           = head\n", "head"),
        ("ControlAddr = (null)\nSlurmctldHost = localhost\n", None),
        ("", None),
    ],
)
def test_slurm_says_where_its_controller_is(text: str, host: str | None) -> None:
    assert controller_of(text) == host


def test_the_command_prints_the_winner_alone_or_all(torc: Any) -> None:
    alone, listed = torc("hpc", "hostname"), torc("-f", "json", "hpc", "hostname", "--all", "--url", "8085")

    jsonschema.validate(listed.json, schemas.load("torc.hpc.hostname/1"))
    best = listed.json["hostname"]
    if best is None:
        assert alone.code == 1
        assert "hostname -A" in alone.err
        return
    assert (alone.code, alone.out) == (0, f"{best}\n")
    assert listed.json["url"] == f"http://{best}:8085/torc-service/v1"
    assert torc("hpc", "hostname", "--url", "8085").out == listed.json["url"] + "\n"
    assert torc("hpc", "hostname", "--verify", "--yes").code == 3
    assert torc("hpc", "hostname", "--url", "99999").code == 2
