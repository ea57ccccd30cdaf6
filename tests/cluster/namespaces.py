"""Machines within this one: each has processes, mounts, a name and a network of its own, and can crash, freeze or be cut off.

They see the files of this machine, as the nodes of a cluster see those of a file server. They end with the process that
made them, however it ends. Root on Linux is needed, and memory cgroups of version 1 for machines with a limit of memory.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

# The daemons lie where a user's PATH does not always lead.
os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])

TIED = ("setpriv", "--pdeathsig", "KILL")
"""In front of a command: it is killed when the thread that started it ends."""
ALIAS = "torc-tests"
BOOT = 60.0
"""Seconds in which a machine is up or gone, on a machine with much else to do."""
CONTROLLERS = ("memory", "cpuset", "cpuacct", "freezer", "devices")
"""Hierarchies in which a machine with cgroups has one of its own."""

INIT = r"""
set -e
# What is mounted below may hide the folder.
exec 9<"$FOLDER"
hostname "$NAME"
mount -t proc proc /proc
# Every life of a machine has an id of its own, as with a kernel of its own.
cat /proc/sys/kernel/random/uuid >"/proc/self/fd/9/$NAME.boot"
mount --bind "/proc/self/fd/9/$NAME.boot" /proc/sys/kernel/random/boot_id
if [ -n "$CONTROLLERS" ]; then
  mount -t tmpfs cgroups /sys/fs/cgroup
  for one in $CONTROLLERS; do mkdir /sys/fs/cgroup/$one; mount -t cgroup -o $one cgroup /sys/fs/cgroup/$one; done
fi
while [ $# -gt 0 ]; do mount --rbind "$1" "$2"; shift 2; done
ip link set lo up
until ip link show eth0 >/dev/null 2>&1; do sleep 0.02; done
for one in $ADDRESSES; do
  case $one in *:*) ip -6 addr add "$one" dev eth0 nodad ;; *) ip addr add "$one" dev eth0 ;; esac
done
ip link set eth0 up
touch "/proc/self/fd/9/$NAME.ready"
exec 9<&-
set +e
while :; do sleep 1d & wait $!; done
"""
"""What is process 1 of a machine; its arguments are pairs of paths, the second shows the first."""


def unusable() -> str | None:
    """Why no machine can be made here; None: they can."""
    if os.geteuid() != 0:
        return "only root can make machines in namespaces"
    missing = [one for one in ("unshare", "nsenter", "setpriv", "ip") if shutil.which(one) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (packages util-linux and iproute2)"
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return tried.stderr.strip() if tried.returncode else None


def install(packages: Sequence[str]) -> None:
    """Install the Debian packages that are missing; none of their services starts by itself."""
    asked = ["dpkg-query", "-W", "-f", "${Package} ${Status}\n", *packages]
    known = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()
    missing = sorted({*packages} - {line.split()[0] for line in known if line.endswith(" ok installed")})
    if not missing:
        return
    guard = Path("/usr/sbin/policy-rc.d")
    guarded = guard.exists()
    if not guarded:
        guard.write_text("#!/bin/sh\nexit 101\n")
        guard.chmod(0o755)
    try:
        for words in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
            subprocess.run(
                ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", *words],
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
    finally:
        if not guarded:
            guard.unlink()


def until(seen: Callable[[], object], seconds: float, what: str) -> None:
    """Wait for something to be true."""
    deadline = time.monotonic() + seconds
    while not seen():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.01)


class Daemon:
    """A program of this machine that runs until it is ended, and can crash, freeze and come back.

    Parameters
    ----------
    log
        File to which everything is appended that it says.
    """

    def __init__(self, words: Sequence[str], log: Path, env: dict[str, str] | None = None) -> None:
        self._words = words
        self._log = log
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def boot(self) -> None:
        """Start it, unless it runs."""
        if not self.alive:
            with self._log.open("ab") as out:
                self._process = subprocess.Popen(
                    [*TIED, *self._words], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self._env,
                    start_new_session=True,
                )  # fmt: skip

    def stop(self, seconds: float = 10.0) -> None:
        """End it in the orderly way, if it follows within the time."""
        if self._process is not None and self.alive:
            self.thaw()
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self.crash()

    def crash(self) -> None:
        """`kill -9`."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """Let it hang: its connections are still accepted, and nobody answers."""
        os.kill(self.pid, 19)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, 18)


class Network:
    """The cable between machines; this machine has the first address on it.

    Parameters
    ----------
    folder
        For what the machines keep: their logs are in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = f"{os.getpid():x}{time.monotonic_ns() >> 10 & 0xFFF:03x}"
        self._clear()
        seed = int(self.id, 16)
        taken = _ip("-4", "route", "show")
        nets = (f"10.{128 + (seed + step) % 100}.{seed // 128 % 254}" for step in range(100))
        self.net = next(net for net in nets if f"{net}." not in taken)
        self.net6 = f"fd{seed % 256:02x}:{seed >> 8 & 0xFFFF:x}:{os.getpid() & 0xFFFF:x}:"
        self.bridge = f"br{self.id}"
        # What goes astray fails here, and does not follow the default route out of this machine.
        _ip("route", "replace", "unreachable", f"{self.net}.0/24", "metric", "9999")
        _ip("-6", "route", "replace", "unreachable", f"{self.net6}:/64", "metric", "9999")
        # With an address of its own: one that follows its ports would make the machines forget their neighbours.
        _ip("link", "add", self.bridge, "address", self.mac("bridge"), "type", "bridge")
        _ip("link", "set", self.bridge, "alias", f"{ALIAS} {os.getpid()} {self.net}.0/24 {self.net6}:/64")
        _ip("addr", "replace", f"{self.address}/24", "dev", self.bridge)
        _ip("-6", "addr", "replace", f"{self.net6}:1/64", "dev", self.bridge, "nodad")
        _ip("link", "set", self.bridge, "up")

    @property
    def address(self) -> str:
        """Of this machine, as the others reach it."""
        return f"{self.net}.1"

    def take(self, address: str, to: str) -> None:
        """Let this machine have one more address, from which it speaks to a machine."""
        _ip("addr", "add", f"{address}/32", "dev", self.bridge)
        _ip("route", "add", f"{to}/32", "dev", self.bridge, "src", address)

    def give_back(self, address: str, to: str) -> None:
        """Give it up: what comes there is lost."""
        _ip("route", "del", f"{to}/32", "dev", self.bridge)
        _ip("addr", "del", f"{address}/32", "dev", self.bridge)

    def mac(self, name: str) -> str:
        """The address of a card; it stays the same when its machine boots again."""
        digits = f"{hash((self.id, name)) & 0xFFFFFFFFFF:010x}"
        return ":".join(["02", *(digits[at : at + 2] for at in range(0, 10, 2))])

    def close(self) -> None:
        """Take it away."""
        _remove(self.bridge, f"{self.net}.0/24", f"{self.net6}:/64")

    @staticmethod
    def _clear() -> None:
        """Take away what tests have left that are no more."""
        for link in json.loads(_ip("-j", "link", "show", "type", "bridge") or "[]"):
            alias = str(link.get("ifalias", "")).split()
            if alias[:1] == [ALIAS] and not Path(f"/proc/{alias[1]}").exists():
                _remove(link["ifname"], *alias[2:])


class Machine:
    """A machine on the network.

    Parameters
    ----------
    addresses
        With their prefix lengths, `10.1.2.3/24`.
    binds
        Pairs of paths: on this machine the second shows what the first is here.
    memory
        Bytes of memory that it has; None: as much as there is, and no cgroups.
    """

    def __init__(
        self,
        network: Network,
        name: str,
        addresses: Sequence[str],
        *,
        binds: Sequence[tuple[Path, str]] = (),
        memory: int | None = None,
    ) -> None:
        self.network = network
        self.name = name
        self._addresses = addresses
        self._binds = binds
        self._memory = memory
        self._link = f"v{network.id}{name}"[:15]
        self._ready = network.folder / f"{name}.ready"
        self._init: Daemon | None = None

    def boot(self) -> None:
        """Switch it on."""
        if self._init is not None and self._init.alive:
            return
        self._ready.unlink(missing_ok=True)
        spaces = ["--net", "--mount", "--uts", "--pid", *(["--cgroup"] if self._memory else [])]
        words = [
            "unshare",
            *spaces,
            "--fork",
            "--kill-child",
            "--propagation",
            "private",
            "bash",
            "-c",
            INIT,
            "init",
        ]
        words += [str(path) for pair in self._binds for path in pair]
        joined = self._make_cgroups(self._memory) if self._memory else []
        words = [
            "sh",
            "-ec",
            'for one in $CGROUPS; do echo 0 >"$one/cgroup.procs"; done; exec "$@"',
            "sh",
            *words,
        ]
        env = {
            "CGROUPS": " ".join(map(str, joined)),
            "PATH": os.environ["PATH"], "NAME": self.name, "ADDRESSES": " ".join(self._addresses),
            "FOLDER": str(self.network.folder), "CONTROLLERS": " ".join(CONTROLLERS) if self._memory else "",
        }  # fmt: skip
        self._init = Daemon(words, self.network.folder / f"{self.name}.log", env)
        self._init.boot()
        until(lambda: self.first, BOOT, f"machine {self.name}")
        card = ["type", "veth", "peer", "name", "eth0", "netns", str(self.first)]
        _ip("link", "add", self._link, *card, "address", self.network.mac(self.name))
        _ip("link", "set", self._link, "master", self.network.bridge, "up")

    def await_boot(self) -> None:
        """Wait until it is up."""
        until(self._ready.exists, BOOT, f"machine {self.name}")

    @property
    def alive(self) -> bool:
        """Whether it is switched on."""
        return self._init is not None and self._init.alive

    def command(self, *words: str) -> list[str]:
        """What runs a command on it."""
        first = self.first
        assert first is not None, f"machine {self.name} is not up"
        spaces = [
            "--root",
            "--wdns=/",
            "--mount",
            "--uts",
            "--net",
            "--pid",
            *(["--cgroup"] if self._memory else []),
        ]
        return ["nsenter", "-t", str(first), *spaces, "--", *words]

    def run(self, *words: str, check: bool = True) -> str:
        """Run a command on it; what it says."""
        done = subprocess.run(
            self.command(*words),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
        assert done.returncode == 0 or not check, f"{words} on {self.name}: {done.stdout}{done.stderr}"
        return done.stdout

    def crash(self) -> None:
        """Pull the plug: first nothing is sent any more, then everything on it is gone."""
        self.cut()
        if self._init is not None:
            self._init.crash()
        _ip("link", "del", self._link)

    def cut(self) -> None:
        """Pull the cable: what it sends vanishes, its processes go on."""
        _ip("link", "set", self._link, "down")

    def heal(self) -> None:
        """Plug the cable in."""
        _ip("link", "set", self._link, "up")

    def freeze(self) -> None:
        """Let it hang: its connections are still accepted, and nobody answers."""
        self.run("sh", "-c", "kill -STOP -1")

    def thaw(self) -> None:
        """Let it go on."""
        self.run("sh", "-c", "kill -CONT -1")

    def close(self) -> None:
        """Take it away."""
        self.crash()
        if self._memory:
            for folder in _cgroups(self.network.id, self.name):
                _remove_cgroup(folder)

    @property
    def first(self) -> int | None:
        """Its process 1, as it is numbered here; None while it is off."""
        if self._init is None or not self._init.alive:
            return None
        pid = self._init.pid
        with suppress(FileNotFoundError, IndexError):
            if Path(f"/proc/{pid}/comm").read_text().strip() == "unshare":
                return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        return None

    def _make_cgroups(self, memory: int) -> list[Path]:
        folders = _cgroups(self.network.id, self.name)
        for controller, folder in zip(CONTROLLERS, folders, strict=True):
            folder.mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems") if controller == "cpuset" else ():
                (folder / name).write_text((folder.parent / name).read_text())
            if controller == "memory":
                (folder / "memory.limit_in_bytes").write_text(str(memory))
        return folders


def has_cgroups() -> bool:
    """Whether machines can have cgroups of their own: those of version 1, writable."""
    with suppress(OSError):
        for folder in _cgroups(f"{os.getpid():x}", "probe"):
            folder.mkdir()
            folder.rmdir()
        return True
    return False


def _cgroups(id: str, name: str) -> list[Path]:
    """Folders of the cgroups of a machine, one in each hierarchy, below those of this process."""
    own = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path.lstrip("/")))
    return [Path("/sys/fs/cgroup", one, own.get(one, "missing"), f"torc{id}-{name}") for one in CONTROLLERS]


def _remove_cgroup(folder: Path) -> None:
    """Remove a cgroup and those below it, when its last processes are gone."""

    def gone() -> bool:
        with suppress(OSError):
            for path, _, _ in os.walk(folder, topdown=False):
                os.rmdir(path)
        return not folder.exists()

    until(gone, BOOT, f"cgroup {folder}")


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=False).stdout


def _remove(bridge: str, net: str, net6: str) -> None:
    _ip("link", "del", bridge)
    _ip("route", "del", "unreachable", net, "metric", "9999")
    _ip("-6", "route", "del", "unreachable", net6, "metric", "9999")
