"""Tries names of this host from a compute node, and remembers which of them can be reached (`slurm.md` HN5)."""

from __future__ import annotations

import json
import os
import shlex
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torc_core.errors import Conflict, Unavailable
from torc_slurm.scheduler.budget import SUBMISSIONS
from torc_slurm.scheduler.slurm import Slurm

if TYPE_CHECKING:
    from torc_core.config import Config
    from torc_core.protocols import Clock
    from torc_terminal.internal_names import Candidate

KEPT_MS = 30 * 86_400_000
"""Results are good for 30 days."""
PATIENCE = 300.0
"""Seconds that the allocation may wait in the queue and run."""

TRY = """\
for pair in {pairs}; do
  name=${{pair%=*}}; port=${{pair##*=}}
  case "$name" in *[!0-9.:]*)
    if ! getent hosts "$name" >/dev/null 2>&1; then echo "$name unresolved"; continue; fi;;
  esac
  said=$(timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$name" "$port" 2>&1); code=$?
  if [ $code -eq 0 ]; then echo "$name reached"
  elif [ $code -eq 124 ]; then echo "$name timed-out"
  else case "$said" in *[Rr]efused*) echo "$name refused";; *) echo "$name timed-out";; esac; fi
done
"""


def on_a_node(
    slurm: Slurm, config: Config, script: str, *, account: str | None = None, partition: str | None = None
) -> str:
    """Run a script on one compute node for at most a minute; what it prints. It counts as one request to Slurm.

    Raises
    ------
    Conflict
        If Slurm is not on this host.
    Unavailable
        If it does not run.
    """
    if not slurm.here("srun"):
        raise Conflict("Slurm is not on this host: no 'srun' in PATH")
    account = account or config.client.hpc.default_account
    words = ["-N1", "-n1", "--time=1", "--job-name=torc-doctor", "--mpi=none", "--chdir=/"]
    words += [f"--account={account}"] if account else []
    words += [f"--partition={partition}"] if partition else []
    done = slurm.ran("srun", *words, "bash", "-c", script, bucket=SUBMISSIONS, limit=PATIENCE)
    if done.code != 0:
        what = f"did not run within {PATIENCE:.0f} s" if done.code is None else f"failed: {done.said}"
        raise Unavailable(f"srun {what}")
    return done.out


def reached(
    slurm: Slurm, config: Config, candidates: Sequence[Candidate], **where: str | None
) -> Mapping[str, str]:
    """How each name does from a compute node: `reached`, `refused`, `timed-out` or `unresolved`."""
    with _doors([one.address for one in candidates if one.address is not None]) as ports:
        pairs = [f"{one.name}={ports[one.address]}" for one in candidates if one.address in ports]
        script = TRY.format(pairs=" ".join(shlex.quote(pair) for pair in pairs))
        text = on_a_node(slurm, config, script, **where)
    told = (line.split() for line in text.splitlines())
    return {words[0]: words[1] for words in told if len(words) == 2}


@contextmanager
def _doors(addresses: Sequence[str]) -> Iterator[dict[str | None, int]]:
    """Somebody who can be connected to on each of these addresses."""
    doors: dict[str, socket.socket] = {}
    try:
        for address in dict.fromkeys(addresses):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            door = doors[address] = socket.socket(family, socket.SOCK_STREAM)
            door.bind((address, 0))
            door.listen(16)
        yield {address: door.getsockname()[1] for address, door in doors.items()}
    finally:
        for door in doors.values():
            door.close()


class Known:
    """What was found out before, by the name of the cluster."""

    def __init__(self, config: Config, clock: Clock) -> None:
        environ = config.environ
        cache = environ.get("XDG_CACHE_HOME") or os.path.join(environ.get("HOME", "/"), ".cache")
        self._path = Path(cache, "torc", "hostnames.json")
        self._clock = clock

    def read(self, cluster: str) -> Mapping[str, str] | None:
        """How names did, if that is not too long ago; None: it is, or nobody has looked."""
        entry = self._all().get(f"{cluster} {socket.gethostname()}")
        if not isinstance(entry, dict) or self._clock.now() - entry.get("at", 0) > KEPT_MS:
            return None
        found = entry.get("names")
        return found if isinstance(found, dict) else None

    def write(self, cluster: str, names: Mapping[str, str]) -> None:
        """Remember it; where that is not possible it is forgotten."""
        known = self._all()
        known[f"{cluster} {socket.gethostname()}"] = {"at": self._clock.now(), "names": dict(names)}
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part = self._path.with_suffix(f".{os.getpid()}")
            part.write_text(json.dumps(known), encoding="utf-8")
            part.replace(self._path)

    def _all(self) -> dict[str, Any]:
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}
