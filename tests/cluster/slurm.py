"""A real Slurm on this machine: eight nodes, a controller, and accounting, all of which can crash, freeze and come back.

    python tests/cluster/slurm.py [COMMAND...]    # runs the command, or a shell, with the cluster up around it

Nodes n1 to n8 have 4 CPUs and 2,000 MB, n4 has 8 and 6,000 (feature `big`), n3 and n7 two GPUs each (`gpu:a1:2`,
feature `gpu`). The CPUs are more than this machine has. Partitions: debug (n1, 5 min), short (30 min), standard (the
default, 1 day), urgent (10 min, preempts the next), scavenge (is requeued when preempted). Accounts: physics (the
default), capped (2 running, 3 submitted); QOS low (1 CPU, 2 submitted). Memory limits are the kernel's where it has
cgroups of version 1, and polled elsewhere (`enforces_memory`).
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from namespaces import Daemon, Machine, Network, has_cgroups, install, until, unusable

PACKAGES = (
    "slurm-wlm", "slurmdbd", "munge", "mariadb-server-core", "mariadb-client-core", "iproute2", "procps", "util-linux",
)  # fmt: skip
NODES = tuple(f"n{number}" for number in range(1, 9))
MEMORY = {name: 6_000 if name == "n4" else 2_000 for name in NODES}
"""MiB of each node, as Slurm knows them."""
LONG = 90.0

CONF = """\
ClusterName=test
SlurmctldHost={host}({address})
SlurmctldPort=6817
SlurmdPort=6818
CommunicationParameters=NoCtldInAddrAny
SlurmUser=root
AuthType=auth/munge
# A job that is requeued for a dead node waits until its credential is over: 10 s instead of 120.
AuthInfo=socket={folder}/munge/socket,cred_expire=10
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld
SlurmdPidFile={folder}/run/slurmd-%n
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
ProctrackType=proctrack/{tracking}
TaskPlugin=task/{task}
JobAcctGatherType=jobacct_gather/{gathering}
JobAcctGatherFrequency=task=1
{polled}
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
# A dead node is known to be down after some 15 s.
SlurmdTimeout=5
MessageTimeout=5
SlurmctldTimeout=10
KillWait=30
MinJobAge=60
SchedulerParameters=bf_interval=2,sched_interval=5,batch_sched_delay=0
PriorityType=priority/multifactor
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobCompType=jobcomp/none
GresTypes=gpu
NodeName=n[1-2,5-6,8] NodeAddr={small} CPUs=4 RealMemory=2000 Feature=small
NodeName=n[3,7] NodeAddr={gpu} CPUs=4 RealMemory=2000 Gres=gpu:a1:2 Feature=gpu
NodeName=n4 NodeAddr={big} CPUs=8 RealMemory=6000 Feature=big
PartitionName=DEFAULT Nodes=n[1-8] State=UP DefMemPerCPU=100 DefaultTime=00:05:00 PreemptMode=OFF PriorityTier=10
PartitionName=debug Nodes=n1 MaxTime=00:05:00 MaxNodes=1 PriorityTier=20
PartitionName=short MaxTime=00:30:00
PartitionName=standard Default=YES MaxTime=1-00:00:00
PartitionName=urgent MaxTime=00:10:00 MaxNodes=2 PriorityTier=100
PartitionName=scavenge MaxTime=04:00:00 PriorityTier=1 PreemptMode=REQUEUE
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost={address}
AccountingStoragePass={folder}/munge/socket
AccountingStorageEnforce=associations,limits,qos
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
"""
ACCOUNTING = """\
DbdHost={host}
DbdAddr={address}
CommunicationParameters=NoInAddrAny
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StorageType=accounting_storage/mysql
StorageHost={address}
StoragePort=3306
StorageUser=slurm
StoragePass={password}
StorageLoc=slurm
PidFile={folder}/run/slurmdbd
LogFile={folder}/log/slurmdbd.log
"""
DATABASE = (
    "mariadbd", "--no-defaults", "--user=root", "--port=3306", "--skip-name-resolve", "--performance-schema=OFF",
    "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync",
    "--innodb-lock-wait-timeout=900", "--innodb-log-file-size=64M",
)  # fmt: skip
ACCOUNTS = (
    "add cluster test",
    "add qos low set GrpTRES=cpu=1 MaxSubmitJobsPerUser=2",
    "add account physics,capped",
    "add user root account=physics,capped defaultaccount=physics",
    "modify account capped set GrpJobs=2 GrpSubmitJobs=3",
    "modify account physics,capped set qos=normal,low defaultqos=normal",
)
GONE = {
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "TIMEOUT",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "DEADLINE",
    "BOOT_FAIL",
}


class SlurmCluster:
    """The cluster, up from its making until it is closed.

    Parameters
    ----------
    folder
        For all that it keeps; short enough for the Unix sockets in it.
    """

    def __init__(self, folder: Path) -> None:
        install(PACKAGES)
        self.folder = folder
        for name in ("munge", "state", "run", "log", "gpu", "mysql", *(f"spool/{node}" for node in NODES)):
            (folder / name).mkdir(parents=True)
        (folder / "munge").chmod(0o711)
        self.network = Network(folder / "log")
        self.address = self.network.address
        """Of this machine, as the nodes reach it; a server for jobs has to listen on it."""
        self.enforces_memory = has_cgroups()
        self.env = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        """Environment of what speaks to this Slurm."""
        self._password = secrets.token_hex(8)
        self._configure()
        hosts = (folder / "hosts", "/etc/hosts")
        self.nodes = {
            name: Machine(
                self.network, name, [f"{self._at(name)}/24"], binds=[hosts],
                memory=(MEMORY[name] + 200) << 20 if self.enforces_memory else None,
            )
            for name in NODES
        }  # fmt: skip
        self.daemons = self._daemons()
        try:
            self._up()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything."""
        for name in ("slurmctld", "slurmdbd", "munged"):
            self.daemons[name].crash()
        for machine in self.nodes.values():
            machine.close()
        self.daemons["mariadbd"].crash()
        self.network.close()

    def run(self, *words: str, check: bool = True, seconds: float = 60.0) -> str:
        """Run a command of Slurm here, as on a login node; what it says on standard output."""
        done = subprocess.run(
            words, env=self.env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
            timeout=seconds, cwd=self.folder,
        )  # fmt: skip
        assert done.returncode == 0 or not check, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def submit(self, script: str, *options: str) -> int:
        """Submit a script; the number of its job."""
        done = subprocess.run(
            ["sbatch", "--parsable", *options], input=f"#!/bin/bash\n{script}\n", env=self.env, capture_output=True,
            text=True, check=False, timeout=60, cwd=self.folder,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return int(done.stdout.split(";")[0])

    def state(self, job: int) -> str:
        """What the controller says of a job, in one word; empty: it knows it no more."""
        return self.run("squeue", "-h", "-t", "all", "-j", str(job), "-o", "%T", check=False)

    def await_state(self, job: int, *states: str, seconds: float = LONG) -> None:
        """Wait until a job is in one of these states; without any, until it is over."""
        wanted = set(states) or {*GONE, ""}
        until(lambda: self.state(job) in wanted, seconds, f"job {job}: {' or '.join(states) or 'its end'}")

    def accounted(self, job: int) -> list[str]:
        """`State|ExitCode` of each run of a job in accounting, which lags some seconds."""
        said = self.run("sacct", "-n", "-X", "-P", "-D", "-j", str(job), "--format=State,ExitCode")
        return said.splitlines()

    def fault(self, name: str, kind: str) -> None:
        """Let something happen to a node or a daemon.

        Parameters
        ----------
        name
            Of a node, or slurmctld, slurmdbd, munged, mariadbd.
        kind
            crash, boot, freeze or thaw; for a node also cut and heal (its cable), slurmd-kill and slurmd-start.
        """
        if daemon := self.daemons.get(name):
            {"crash": daemon.crash, "boot": daemon.boot, "freeze": daemon.freeze, "thaw": daemon.thaw}[kind]()
            if kind == "boot":
                until(self._answers[name], LONG, name)
            return
        machine = self.nodes[name]
        kinds: dict[str, Callable[[], object]] = {
            "crash": machine.crash, "cut": machine.cut, "heal": machine.heal, "freeze": machine.freeze,
            "thaw": machine.thaw, "boot": lambda: self._boot(name), "slurmd-start": lambda: self._start_slurmd(name),
            "slurmd-kill": lambda: machine.run("sh", "-c", f"kill -9 $(cat {self.folder}/run/slurmd-{name})"),
        }  # fmt: skip
        kinds[kind]()

    def settle(self) -> None:
        """Make it as it was at first: no jobs, all daemons and nodes up and idle."""
        for name, daemon in self.daemons.items():
            if daemon.alive:
                daemon.thaw()
            else:
                self.fault(name, "boot")
        for name, machine in self.nodes.items():
            if machine.alive:
                machine.heal()
                machine.thaw()
            else:
                self._boot(name)
        self._cancel_all()
        if not self._idle():
            until(self._resumed, LONG * 2, "idle nodes")

    def _cancel_all(self) -> None:
        if jobs := self.run("squeue", "-h", "-o", "%A").split():
            self.run("scancel", "--signal=KILL", "--full", *jobs, check=False)
            self.run("scancel", *jobs, check=False)
            until(lambda: not self.run("squeue", "-h", "-o", "%A"), LONG * 2, "an empty queue")

    def _resumed(self) -> bool:
        """Whether all nodes are idle; those that Slurm has put aside are taken back."""
        for line in self.run("sinfo", "-h", "-N", "-p", "standard", "-o", "%N %t").splitlines():
            name, state = line.split()
            if state.startswith(("drain", "drng", "down")):
                self.run("scontrol", "update", f"nodename={name}", "state=resume", check=False)
        return self._idle()

    def _idle(self) -> bool:
        return self.run("sinfo", "-h", "-N", "-p", "standard", "-o", "%t").split() == ["idle"] * len(NODES)

    def _at(self, name: str) -> str:
        """The address of a node."""
        return f"{self.network.net}.1{name[1:]}"

    def _configure(self) -> None:
        folder, host = self.folder, socket.gethostname().split(".")[0]
        lines = ["127.0.0.1 localhost", "::1 localhost", f"{self.address} login {host}"]
        (folder / "hosts").write_text(
            "\n".join([*lines, *(f"{self._at(name)} {name}" for name in NODES)]) + "\n"
        )
        kernel = self.enforces_memory
        values = {
            "folder": folder, "host": host, "address": self.address, "password": self._password,
            "tracking": "cgroup" if kernel else "linuxproc", "task": "cgroup" if kernel else "none",
            "gathering": "cgroup" if kernel else "linux",
            "polled": "" if kernel else "JobAcctGatherParams=OverMemoryKill",
            "small": ",".join(map(self._at, ("n1", "n2", "n5", "n6", "n8"))),
            "gpu": ",".join(map(self._at, ("n3", "n7"))), "big": self._at("n4"),
        }  # fmt: skip
        (folder / "slurm.conf").write_text(CONF.format(**values))
        (folder / "cgroup.conf").write_text(
            "CgroupPlugin=cgroup/v1\nConstrainRAMSpace=yes\nConstrainCores=no\n"
        )
        devices = f"Name=gpu Type=a1 File={folder}/gpu/gpu[0-1]\n"
        (folder / "gres.conf").write_text("".join(f"NodeName={name} {devices}" for name in ("n3", "n7")))
        for number in (0, 1):
            os.mknod(folder / f"gpu/gpu{number}", 0o020666, os.makedev(1, 3))
        (folder / "slurmdbd.conf").write_text(ACCOUNTING.format(**values))
        (folder / "slurmdbd.conf").chmod(0o600)
        (folder / "mysql.sql").write_text(
            "CREATE DATABASE IF NOT EXISTS slurm;\n"
            f"CREATE USER IF NOT EXISTS 'slurm'@'%' IDENTIFIED BY '{self._password}';\n"
            "GRANT ALL ON slurm.* TO 'slurm'@'%';\n"
        )

    def _daemons(self) -> dict[str, Daemon]:
        """What runs on this machine."""
        folder, log = self.folder, self.folder / "log"
        login = (
            "unshare",
            "--mount",
            "sh",
            "-c",
            'mount --bind "$0" /etc/hosts && exec "$@"',
            str(folder / "hosts"),
        )
        munged = (
            "munged", "--foreground", "--force", f"--socket={folder}/munge/socket", f"--key-file={folder}/munge/key",
            f"--log-file={log}/munged.log", f"--pid-file={folder}/run/munged", f"--seed-file={folder}/munge/seed",
        )  # fmt: skip
        mysql = (
            *DATABASE, f"--datadir={folder}/mysql", f"--socket={folder}/run/mysql", f"--bind-address={self.address}",
            f"--init-file={folder}/mysql.sql",
        )  # fmt: skip
        return {
            "munged": Daemon(munged, log / "munged.out"),
            "mariadbd": Daemon(mysql, log / "mariadbd.out"),
            "slurmdbd": Daemon((*login, "slurmdbd", "-D"), log / "slurmdbd.out", self.env),
            "slurmctld": Daemon((*login, "slurmctld", "-D"), log / "slurmctld.out", self.env),
        }

    @property
    def _answers(self) -> dict[str, Callable[[], bool]]:
        """Whether a daemon does its work."""
        sql = ("mariadb", "--no-defaults", "-h", self.address, "-u", "slurm", f"-p{self._password}", "slurm")

        def done(*words: str) -> bool:
            return (
                subprocess.run(words, env=self.env, capture_output=True, check=False, timeout=LONG).returncode
                == 0
            )

        return {
            "munged": lambda: done("munge", "-n", "-S", f"{self.folder}/munge/socket"),
            "mariadbd": lambda: done(*sql, "-e", "select 1"),
            "slurmdbd": lambda: done("sacctmgr", "-n", "show", "cluster"),
            "slurmctld": lambda: "is UP" in self.run("scontrol", "ping", check=False),
        }

    def _up(self) -> None:
        key, mysql = self.folder / "munge/key", self.folder / "mysql"
        subprocess.run(["mungekey", "--create", "--keyfile", key], check=True)
        for machine in self.nodes.values():
            machine.boot()
        self.daemons["munged"].boot()
        made = ["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={mysql}", "--skip-test-db"]
        made += ["--skip-name-resolve", "--auth-root-authentication-method=normal"]
        subprocess.run(made, check=True, capture_output=True)
        for name in ("munged", "mariadbd", "slurmdbd"):
            self.fault(name, "boot")
        for line in ACCOUNTS:
            self.run("sacctmgr", "-i", *line.split())
        self.daemons["slurmctld"].boot()
        for name in NODES:
            self._start_slurmd(name)
        until(self._idle, LONG, "idle nodes")

    def _boot(self, name: str) -> None:
        self.nodes[name].boot()
        self._start_slurmd(name)

    def _start_slurmd(self, name: str) -> None:
        machine = self.nodes[name]
        machine.await_boot()
        (self.folder / f"run/slurmd-{name}").unlink(missing_ok=True)
        machine.run("env", f"SLURM_CONF={self.folder}/slurm.conf", "slurmd")


def why_not() -> str | None:
    """Why there can be no cluster here; None: there can."""
    return unusable()


def main(words: list[str]) -> int:
    """Run a command with the cluster up around it."""
    with tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp") as folder:
        begin = time.monotonic()
        with SlurmCluster(Path(folder)) as cluster:
            print(
                f"up in {time.monotonic() - begin:.1f} s: SLURM_CONF={folder}/slurm.conf, login {cluster.address}",
                flush=True,
            )
            return subprocess.run(
                words or [os.environ.get("SHELL", "bash")], env=cluster.env, check=False
            ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
