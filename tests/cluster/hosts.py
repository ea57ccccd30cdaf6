"""Real SSH hosts on this machine: each an sshd on a machine of its own, which can crash, freeze and be cut off.

    python tests/cluster/hosts.py [COMMAND...]    # runs the command, or a shell, with the hosts up around it

In the shell, `ssh -F $SSH_CONFIG alpha` goes to one. Each host has its own /tmp, /home, /root, /run, accounts and host
key, and sees all other files of this machine. The accounts are `dev` (uid 2001), root, and one for each of the login
shells `SHELLS`, named after it.

alpha, w1, w2, …   plain; every fourth w is reached by IPv6 only, every third listens on port 2222
beta               port 2222
six                IPv6 only
noisy              greets with a banner, and its start-up files print
tight              one session per connection, at most two connections that have not logged in
slow               100 ms away, there and back
mute               accepts connections and says nothing
inner              has a cable to alpha only: `ProxyJump alpha`
refused            nobody listens there
dropped            nobody is there
closed             alpha, to an account that nobody has a key for
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from namespaces import BOOT, Daemon, Machine, Network, install, until, unusable

PACKAGES = (
    "openssh-server", "openssh-client", "iproute2", "procps", "util-linux", "tcsh", "zsh", "fish",
)  # fmt: skip
SHELLS = ("sh", "bash", "zsh", "fish", "csh")
SPECIAL = ("alpha", "beta", "six", "noisy", "tight", "slow", "mute", "inner")
DELAY = 0.05
"""Seconds that a packet takes to the host `slow`, and again from it."""
USER = 2001
WIRE = Path(__file__).with_name("wire.py")

SSHD = """\
Port {port}
HostKey /etc/ssh/key
AuthorizedKeysFile /etc/ssh/authorized_keys
TrustedUserCAKeys /etc/ssh/ca.pub
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PidFile /run/sshd.pid
AcceptEnv TORC_*
Subsystem sftp internal-sftp
{more}
Match User games
AuthorizedKeysFile none
"""
MORE = {
    "noisy": "Banner /etc/ssh/banner",
    "tight": "MaxSessions 1\nMaxStartups 2",
}


class Host:
    """One host; `folder` holds what it keeps when it crashes.

    Parameters
    ----------
    address
        Where its sshd is reached.
    port
        Where it listens.
    """

    def __init__(self, machine: Machine, folder: Path, address: str, port: int) -> None:
        self.machine = machine
        self.folder = folder
        self.address = address
        self.port = port
        self.name = machine.name
        self._sshd: Daemon | None = None
        self.is_cut = self.is_frozen = False

    def boot(self) -> None:
        """Switch it on, unless it is."""
        self.start()
        self.await_boot()

    def start(self) -> None:
        """Begin to switch it on."""
        if not self.machine.alive:
            self.machine.boot()

    def await_boot(self) -> None:
        """Wait until its sshd listens."""
        self.machine.await_boot()
        self.listen()
        until((self.folder / "run/sshd.pid").exists, BOOT, f"sshd of {self.name}")

    def listen(self) -> None:
        """Start its sshd, unless it runs."""
        if self._sshd is None or not self._sshd.alive:
            (self.folder / "run/sshd.pid").unlink(missing_ok=True)
            words = self.machine.command("/usr/sbin/sshd", "-D", "-E", "/run/sshd.log")
            self._sshd = Daemon(words, self.folder / "sshd.out")
            self._sshd.boot()

    def configure(self, more: str) -> None:
        """Add lines to the configuration of its sshd, which then starts again; sessions go on."""
        path = self.folder / "ssh/sshd_config"
        path.write_text(more + path.read_text())
        self.stop_listening()
        self.await_boot()

    def stop_listening(self) -> None:
        """End its sshd; sessions go on."""
        self.run("sh", "-c", "kill $(cat /run/sshd.pid)")
        if self._sshd is not None:
            self._sshd.stop()

    def hang_up(self) -> None:
        """End all sessions and its sshd, with `kill -9`; `boot` starts sshd again."""
        self.run("pkill", "-9", "sshd")
        self._reap()

    def crash(self) -> None:
        """Pull the plug."""
        self.machine.crash()
        self.is_cut = self.is_frozen = False
        self._reap()

    def close(self) -> None:
        """Take it away."""
        self.machine.close()
        self._reap()

    def _reap(self) -> None:
        if self._sshd is not None:
            self._sshd.crash()

    def cut(self) -> None:
        """Pull the cable."""
        self.machine.cut()
        self.is_cut = True

    def heal(self) -> None:
        """Plug the cable in."""
        self.machine.heal()
        self.is_cut = False

    def freeze(self) -> None:
        """Let it hang."""
        self.machine.freeze()
        self.is_frozen = True

    def thaw(self) -> None:
        """Let it go on."""
        self.machine.thaw()
        self.is_frozen = False

    def run(self, *words: str, check: bool = True) -> str:
        """Run a command on it as root, not over SSH; what it says."""
        return self.machine.run(*words, check=check)

    @property
    def is_up(self) -> bool:
        """Whether it is switched on, and its sshd runs."""
        return self.machine.alive and self._sshd is not None and self._sshd.alive

    @property
    def key(self) -> str:
        """Its host key, as it stands in a known_hosts file."""
        return " ".join((self.folder / "ssh/key.pub").read_text().split()[:2])


class SshHosts:
    """The hosts, up from their making until they are closed.

    Parameters
    ----------
    folder
        For all that they keep.
    workers
        How many hosts `w1`, `w2`, … there are.
    keep
        Folders of this machine that the hosts see where they are, even below one that is their own.
    """

    def __init__(self, folder: Path, workers: int = 0, keep: Iterable[Path] = ()) -> None:
        install(PACKAGES)
        self.folder = folder
        self._keep = [path for path in keep if path.parts[1:2] in (("tmp",), ("home",), ("root",), ("run",))]
        for name in ("log", "keys"):
            (folder / name).mkdir(parents=True)
        self.network = Network(folder / "log")
        self.address = self.network.address
        """Of this machine, as the hosts reach it."""
        self.key = self._keygen("id")
        """A private key that all hosts accept."""
        self.stranger = self._keygen("stranger")
        """A private key that no host accepts."""
        self.authority = self._keygen("ca")
        """What signs certificates that all hosts accept."""
        self.workers = tuple(f"w{number}" for number in range(1, workers + 1))
        names = (*SPECIAL, *self.workers)
        self.hosts = {name: self._host(name, number) for number, name in enumerate(names, start=11)}
        self._wire: Daemon | None = None
        self.config = folder / "ssh_config"
        """For all hosts, with all their keys known, as `ssh -F` takes it."""
        self.known_hosts = folder / "known_hosts"
        self.known_hosts.write_text(
            "".join(f"{self.known_as(name)} {one.key}\n" for name, one in self.hosts.items())
        )
        self.config.write_text(self.configuration(self.known_hosts))
        try:
            self._up()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def close(self) -> None:
        """End everything."""
        for host in self.hosts.values():
            host.close()
        if self._wire:
            self._wire.crash()
        self.network.close()

    def settle(self) -> None:
        """Make it as it was at first: all up, and nobody frozen but the mute one."""
        for host in self.hosts.values():
            if not host.is_up:
                self.boot(host.name)
            if host.is_cut:
                host.heal()
            if host.is_frozen and host.name != "mute":
                host.thaw()

    def boot(self, name: str) -> None:
        """Switch a host on again, with its cables."""
        self[name].boot()
        if name in {"alpha", "inner"}:
            self._join_inner()
        if name == "slow":
            self._lay_wire()
        if name == "mute":
            self["mute"].freeze()

    def configuration(self, known_hosts: Path, more: str = "", key: Path | None = None) -> str:
        """Text of an ssh_config for all hosts; `more`: lines in front of all others."""
        places = {name: self.place(name) for name in self.hosts}
        places["refused"] = (self.address, 9)
        places["dropped"] = self.place("dropped")
        places["closed"] = places["alpha"]
        entries = [
            f"Host {name}\n  HostName {address}\n  Port {port}\n" for name, (address, port) in places.items()
        ]
        entries.append("Host inner\n  ProxyJump alpha\n")
        entries.append("Host closed\n  User games\n")
        return (
            f"{more}\n{''.join(entries)}Host *\n  User dev\n  IdentityFile {key or self.key}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {known_hosts}\n  GlobalKnownHostsFile /dev/null\n"
        )

    @property
    def inside(self) -> tuple[str, str]:
        """Addresses of alpha and inner on the cable between them."""
        return f"{self.network.net}.252", f"{self.network.net}.253"

    def place(self, name: str) -> tuple[str, int]:
        """Address and port of a host, as whoever connects to it sees them."""
        if name == "dropped":
            return self._nowhere, 22
        far = {"inner": self.inside[1], "slow": self._far}
        return far.get(name, self[name].address), self[name].port

    def known_as(self, name: str) -> str:
        """The name of a host in a known_hosts file."""
        address, port = self.place(name)
        return address if port == 22 else f"[{address}]:{port}"

    def certificate(self, key: Path, principals: str) -> Path:
        """A certificate for a key, signed by the authority; its file lies beside the key."""
        done = ["ssh-keygen", "-q", "-s", str(self.authority), "-I", "test", "-n", principals, f"{key}.pub"]
        subprocess.run(done, check=True, capture_output=True)
        return key.with_name(f"{key.name}-cert.pub")

    @property
    def _far(self) -> str:
        """The address of `slow` at the end of the long wire."""
        return f"{self.network.net}.251"

    def _keygen(self, name: str) -> Path:
        path = self.folder / "keys" / name
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)], check=True
        )
        return path

    def _host(self, name: str, number: int) -> Host:
        worker = int(name[1:]) if name in self.workers else 1
        port = 2222 if name == "beta" or worker % 3 == 0 else 22
        only_six = name == "six" or worker % 4 == 0
        address = f"{self.network.net6}:{number}" if only_six else f"{self.network.net}.{number}"
        folder = self.folder / name
        self._files(name, folder, port)
        owned = [(folder / one, f"/etc/{one}") for one in ("passwd", "group", "hosts", "ssh")]
        # NOTE: /tmp comes last: what is bound lies below it.
        owned += [(folder / one, f"/{one}") for one in ("home", "root", "run", "tmp")]
        kept = [(path, f"{folder}{path}") for path in self._keep]
        for path in self._keep:
            Path(f"{folder}{path}").mkdir(parents=True, exist_ok=True)
        machine = Machine(self.network, name, [f"{address}/{64 if only_six else 24}"], binds=[*kept, *owned])
        return Host(machine, folder, address, port)

    def _files(self, name: str, folder: Path, port: int) -> None:
        for one in ("ssh", "run/sshd", "tmp", "home", "root"):
            (folder / one).mkdir(parents=True)
        (folder / "tmp").chmod(0o1777)
        (folder / "root").chmod(0o700)
        for one in ("home", ""):
            (folder / one).chmod(0o755)
        accounts = {"dev": "/bin/bash", **{shell: str(shutil.which(shell)) for shell in SHELLS}}
        passwd, group = (
            [
                line
                for line in Path("/etc", one).read_text().splitlines()
                if line.split(":")[0] not in accounts
            ]
            for one in ("passwd", "group")
        )
        for number, (user, shell) in enumerate(accounts.items(), start=USER):
            passwd.append(f"{user}:*:{number}:{number}:{user}:/home/{user}:{shell}")
            group.append(f"{user}:*:{number}:")
            home = folder / "home" / user
            home.mkdir(mode=0o700)
            if name == "noisy":
                _greet(home)
            os.chown(home, number, number)
        (folder / "passwd").write_text("\n".join(passwd) + "\n")
        (folder / "group").write_text("\n".join(group) + "\n")
        (folder / "hosts").write_text(
            f"127.0.0.1 localhost {name}\n::1 localhost\n{self.address} login {socket.gethostname()}\n"
        )
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / "ssh/key")],
            check=True,
        )
        shutil.copy(f"{self.key}.pub", folder / "ssh/authorized_keys")
        shutil.copy(f"{self.authority}.pub", folder / "ssh/ca.pub")
        (folder / "ssh/banner").write_text("*** authorized use only ***\n")
        (folder / "ssh/sshd_config").write_text(SSHD.format(port=port, more=MORE.get(name, "")))

    def _up(self) -> None:
        for host in self.hosts.values():
            host.start()
        for host in self.hosts.values():
            host.machine.await_boot()
            host.listen()
        for host in self.hosts.values():
            host.await_boot()
        self._join_inner()
        self._lay_wire()
        self["mute"].freeze()
        # Packets to it leave, and nothing comes back.
        _ip(f"neigh replace {self._nowhere} lladdr 02:00:00:00:00:01 dev {self.network.bridge} nud permanent")

    @property
    def _nowhere(self) -> str:
        return f"{self.network.net}.250"

    def _join_inner(self) -> None:
        """Lay the cable between alpha and inner, which is inner's only one."""
        alpha, inner = self["alpha"].machine, self["inner"].machine
        if not (alpha.alive and inner.alive):
            return
        inner.cut()
        for machine in (alpha, inner):
            machine.run("ip", "link", "del", "eth1", check=False)
        _ip(f"link add eth1 netns {alpha.first} type veth peer name eth1 netns {inner.first}")
        for machine, address in zip((alpha, inner), self.inside, strict=True):
            other = self.inside[address == self.inside[0]]
            machine.run("ip", "addr", "add", address, "peer", other, "dev", "eth1")
            machine.run("ip", "link", "set", "eth1", "up")

    def _lay_wire(self) -> None:
        """Lay the long wire to slow."""
        if self._wire:
            self._wire.crash()
        slow = self["slow"].machine
        ours, theirs = f"t{self.network.id}"[:15], f"u{self.network.id}"[:15]
        words = [sys.executable, "-S", str(WIRE), ours, theirs, str(DELAY)]
        self._wire = Daemon(words, self.folder / "log/wire.log")
        self._wire.boot()
        until(Path("/sys/class/net", theirs).exists, BOOT, "the wire to slow")
        _ip(f"link set {theirs} netns {slow.first} name far0")
        _ip(f"addr add {self.address} peer {self._far} dev {ours}")
        _ip(f"link set {ours} up")
        slow.run("ip", "addr", "add", self._far, "peer", f"{self.address}", "dev", "far0")
        slow.run("ip", "link", "set", "far0", "up")


def _ip(line: str) -> None:
    subprocess.run(["ip", *line.split()], check=True, capture_output=True)


def _greet(home: Path) -> None:
    """Start-up files that print, for every shell."""
    text = 'echo "Welcome to noisy"; echo "quota: 93%" >&2\n'
    (home / ".config/fish").mkdir(parents=True)
    for name in (".bashrc", ".zshenv", ".cshrc", ".config/fish/config.fish"):
        (home / name).write_text('echo "Welcome to noisy"\n' if name == ".cshrc" else text)


def main(words: Sequence[str]) -> int:
    """Run a command with the hosts up around it."""
    if why := unusable():
        sys.exit(why)
    folder = Path(tempfile.mkdtemp(prefix="hosts-"))
    try:
        with SshHosts(folder, workers=4) as hosts:
            env = {**os.environ, "SSH_CONFIG": str(hosts.config)}
            return subprocess.run(words or [os.environ.get("SHELL", "sh")], env=env, check=False).returncode
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
