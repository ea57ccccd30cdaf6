"""The commands of the small Slurm: `program.py FOLDER COMMAND ARGUMENT...`; run with nothing but the standard library."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent)]
import state  # type: ignore[import-not-found]  # noqa: E402 - found beside this file, without the package

SHORT = {
    "J": "job-name", "A": "account", "p": "partition", "q": "qos", "N": "nodes", "t": "time", "o": "output", "e": "error",
    "n": "ntasks", "c": "cpus-per-task", "d": "dependency", "w": "nodelist",
}  # fmt: skip
KILL_WAIT = 2.0


def options(
    words: list[str], flags: tuple[str, ...] = (), short: Mapping[str, str] | None = None
) -> tuple[dict[str, str], list[str]]:
    """Options and the rest; options after the first word that is none belong to that word."""
    short = short or {}
    found: dict[str, str] = {}
    at = 0
    while at < len(words):
        word = words[at]
        if not word.startswith("-") or word == "-":
            break
        at += 1
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            if not equals and name not in flags and at < len(words) and not words[at].startswith("-"):
                value, at = words[at], at + 1
            found[name] = value
        else:
            name, value = short.get(word[1], word[1]), word[2:]
            if not value and name not in flags and at < len(words):
                value, at = words[at], at + 1
            found[name] = value
    return found, words[at:]


def fail(text: str, code: int = 1) -> int:
    """Complain."""
    print(text, file=sys.stderr)
    return code


SBATCH_FLAGS = ("parsable", "test-only", "no-requeue", "requeue", "hold", "exclusive", "wait")


def sbatch(folder: Path, words: list[str]) -> int:
    """Submit a script."""
    said, rest = options(words, SBATCH_FLAGS, SHORT)
    if not rest:
        return fail("sbatch: error: no script")
    try:
        text = Path(rest[0]).read_text()
    except OSError as error:
        return fail(f"sbatch: error: Unable to open file {rest[0]}: {error.strerror}")
    directives: list[str] = []
    for line in text.splitlines()[1:]:
        if line.startswith("#SBATCH"):
            directives += shlex.split(line[7:])
        elif line and not line.startswith("#"):
            break
    asked, _ = options(directives, SBATCH_FLAGS, SHORT)
    asked |= said
    with state.locked(folder):
        settings = state.config(folder)
        partition = asked.get("partition", next(iter(settings["partitions"])))
        failed = "sbatch: error: Batch job submission failed: "
        if partition not in settings["partitions"]:
            return fail(
                f"sbatch: error: invalid partition specified: {partition}\n{failed}Invalid partition name specified"
            )
        if settings["accounts"] and asked.get("account", settings["accounts"][0]) not in settings["accounts"]:
            return fail(f"{failed}Invalid account or account/partition combination specified")
        nodes = int(asked.get("nodes", "1").partition("-")[0])
        if nodes > len(settings["nodes"]):
            return fail(f"{failed}Node count specification invalid")
        if "test-only" in asked:
            at = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() + 60))
            return fail(
                f"sbatch: Job {1} to start at {at} using 1 processors on nodes n1 in partition {partition}", 0
            )
        fault = state.read(folder / "limit.json", None)
        mine = [one for one in state.jobs(folder) if one["state"] not in state.OVER]
        if fault is not None and len(mine) >= fault:
            return fail(f"{failed}Job violates accounting/QOS policy (QOSMaxSubmitJobPerUserLimit)")
        number = state.number(folder)
        state.save(folder, {
            "id": str(number), "name": asked.get("job-name", Path(rest[0]).name), "state": "PENDING", "reason": "Priority",
            "nodes": nodes, "partition": partition, "account": asked.get("account", "default"), "qos": asked.get("qos", ""),
            "comment": "site" if settings["rewrites_comments"] else asked.get("comment", ""), "hosts": [],
            "limit": minutes(asked.get("time", "60")), "submit": time.time(), "start": None, "end": None, "code": "0:0",
            "script": text, "cwd": asked.get("chdir", str(Path.cwd())), "output": asked.get("output", "slurm-%j.out"), "error": asked.get("error"),
            "signal": asked.get("signal"), "dependency": asked.get("dependency", ""), "requeue": "no-requeue" not in asked,
            "restarts": 0, "held": "hold" in asked, "gres": asked.get("gres", ""), "mem": asked.get("mem", ""), "ntasks": asked.get("ntasks-per-node", "1"),
            "env": {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")},
        })  # fmt: skip
        state.schedule(folder)
    print(number if "parsable" in asked else f"Submitted batch job {number}")
    return 0


def minutes(text: str) -> float:
    """A time limit in minutes."""
    days, dash, rest = text.rpartition("-")
    parts = [float(part) for part in rest.split(":")]
    if dash:
        parts += [0.0] * (3 - len(parts))
        return float(days) * 1440 + parts[0] * 60 + parts[1] + parts[2] / 60
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2:
        return parts[0] + parts[1] / 60
    return parts[0] * 60 + parts[1] + parts[2] / 60


def at(moment: float | None) -> str:
    """A moment as Slurm writes it."""
    return "N/A" if moment is None else time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(moment))


def length(seconds: float) -> str:
    """A length of time as Slurm writes it."""
    whole = max(0, int(seconds))
    days, rest = divmod(whole, 86400)
    clock = f"{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}"
    return f"{days}-{clock}" if days else clock


def squeue(folder: Path, words: list[str]) -> int:
    """Show the queue."""
    said, _ = options(words, ("me", "h", "noheader", "a", "steps", "start"))
    with state.locked(folder):
        settings, every = state.config(folder), state.jobs(folder)
    wanted = said.get("j", said.get("jobs"))
    if wanted is not None:
        numbers = wanted.split(",")
        known = {one["id"] for one in every}
        if len(numbers) == 1 and numbers[0] not in known:
            return fail("slurm_load_jobs error: Invalid job id specified")
        every = [one for one in every if one["id"] in numbers]
    now, states = time.time(), said.get("t", said.get("states", ""))
    shown = []
    for one in every:
        ended = one["state"] in state.OVER
        if ended and (now - (one["end"] or now) > state.KNOWN_FOR or states != "all"):
            continue
        shown.append(one)
    form = said.get("o", said.get("format", "%i %P %j %T"))
    for one in shown:
        end = one["end"] or (one["start"] + one["limit"] * settings["minute"] if one["start"] else None)
        left = end - now if end is not None else one["limit"] * settings["minute"]
        values = {
            "i": one["id"], "A": one["id"], "T": one["state"], "r": one["reason"], "S": at(one["start"] or one.get("expected")), "e": at(end),
            "L": length(left), "D": one["nodes"], "P": one["partition"], "a": one["account"], "N": ",".join(one["hosts"]),
            "k": one["comment"] or "(null)", "j": one["name"], "u": os.environ.get("USER", ""), "q": one["qos"],
            "l": length(one["limit"] * 60),
        }  # fmt: skip
        print(formed(form, values))
    return 0


def formed(form: str, values: dict[str, Any]) -> str:
    """A format with its fields filled in."""
    out, position = [], 0
    while position < len(form):
        if form[position] == "%" and position + 1 < len(form):
            position += 1
            while form[position].isdigit() or form[position] == ".":
                position += 1
            out.append(str(values.get(form[position], "")))
        else:
            out.append(form[position])
        position += 1
    return "".join(out)


def scancel(folder: Path, words: list[str]) -> int:
    """Call jobs off."""
    given = [word for word in words if not word.startswith("-")]
    said, _ = options([word for word in words if word.startswith("-")], ("batch", "full", "b", "f"))
    wrong = 0
    with state.locked(folder):
        for number in given:
            one = state.job(folder, number)
            if one is None:
                wrong = fail(f"scancel: error: Kill job error on job id {number}: Invalid job id specified")
                continue
            if said.get("state", "") in ("PENDING", "PD") and one["state"] not in state.QUEUED:
                continue
            if one["state"] in state.QUEUED:
                state.over(folder, one, "CANCELLED")
            elif one["state"] == "RUNNING":
                if (name := said.get("signal", said.get("s"))) is not None:
                    state.kill(one, getattr(signal, f"SIG{name.upper().removeprefix('SIG')}"))
                    continue
                one["ending"] = "CANCELLED"
                state.save(folder, one)
                state.kill(one, signal.SIGTERM)
        state.schedule(folder)
    return wrong


def sacct(folder: Path, words: list[str]) -> int:
    """Show the accounting."""
    with state.locked(folder):
        settings, every = state.config(folder), state.jobs(folder)
    if not settings["accounting"]:
        return fail("Slurm accounting storage is disabled")
    said, _ = options(
        words, ("n", "P", "X", "noheader", "parsable2", "noconvert", "allocations", "D", "json")
    )
    now = time.time()
    wanted = said.get("j", said.get("jobs"))
    names = said.get("format", said.get("o", "JobID,JobName,State")).split(",")
    since = said.get("S")
    begin = (
        time.mktime(time.strptime(since[:19], "%Y-%m-%dT%H:%M:%S" if "T" in since else "%Y-%m-%d"))
        if since
        else 0
    )
    for one in every:
        if wanted is not None and one["id"] not in wanted.split(","):
            continue
        changed = max(moment for moment in (one["submit"], one["start"], one["end"]) if moment)
        if one["submit"] > now - settings["lag"] or (one["end"] or now) < begin:
            continue
        late = one["end"] is not None and changed > now - settings["lag"]
        word = "RUNNING" if late else one["state"]
        lines = [(one["id"], word)]
        if "X" not in said and "allocations" not in said and one["start"]:
            lines += [(f"{one['id']}.batch", word)]
        for number, now_state in lines:
            values = {
                "JobID": number, "JobIDRaw": number, "JobName": one["name"] if number == one["id"] else "batch",
                "State": f"{now_state} by 0" if now_state == "CANCELLED" else now_state,
                "Comment": one["comment"], "ExitCode": one["code"], "NodeList": ",".join(one["hosts"]) or "None assigned",
                "Elapsed": length((one["end"] or now) - (one["start"] or now)), "AllocCPUS": one["nodes"] * settings["cpus"],
                "NNodes": one["nodes"], "Partition": one["partition"], "Account": one["account"], "Submit": at(one["submit"]),
                "Start": at(one["start"]), "End": at(one["end"]), "MaxRSS": "" if number == one["id"] else "1048576",
                "TotalCPU": "00:00:01", "User": os.environ.get("USER", ""),
            }  # fmt: skip
            print("|".join(str(values.get(name, "")) for name in names))
    return 0


def sinfo(folder: Path, words: list[str]) -> int:
    """Show partitions."""
    said, _ = options(words, ("h", "e", "N", "noheader", "exact"))
    with state.locked(folder):
        settings, every = state.config(folder), state.jobs(folder)
    busy = sum(len(one["hosts"]) for one in every if one["state"] == "RUNNING")
    for place, (name, limit) in enumerate(settings["partitions"].items()):
        if (only := said.get("partition")) and only != name:
            continue
        values = {
            "P": name + ("*" if place == 0 else ""), "R": name, "c": settings["cpus"], "m": settings["memory"],
            "l": length(limit * 60), "G": "(null)", "D": len(settings["nodes"]), "f": "(null)", "a": "up", "T": "idle",
            "F": f"{busy}/{len(settings['nodes']) - busy}/0/{len(settings['nodes'])}", "N": ",".join(settings["nodes"]),
        }  # fmt: skip
        print(formed(said.get("o", said.get("format", "%P %a %l %D")), values))
    return 0


def scontrol(folder: Path, words: list[str]) -> int:
    """Show, or requeue a job."""
    words = [word for word in words if word not in ("-o", "--oneliner")]
    with state.locked(folder):
        settings = state.config(folder)
        match words[:2]:
            case ["show", "partition" | "partitions"]:
                for name, limit in settings["partitions"].items():
                    print(f"PartitionName={name} MaxNodes=UNLIMITED MaxTime={length(limit * 60)} MinNodes=0 OverSubscribe=NO"
                          f" Nodes={','.join(settings['nodes'])} QoS=N/A State=UP")  # fmt: skip
            case ["show", "config"]:
                print("ClusterName             = fake\nSlurmctldHost[0]        = login(127.0.0.1)")
            case ["show", "job" | "jobs"]:
                one = state.job(folder, words[2]) if len(words) > 2 else None
                if one is None:
                    return fail("slurm_load_jobs error: Invalid job id specified")
                print(
                    f"JobId={one['id']} JobName={one['name']} JobState={one['state']} Reason={one['reason']} Comment={one['comment']}"
                )
            case ["release", number]:
                one = state.job(folder, number)
                if one is None:
                    return fail("Invalid job id specified")
                one["held"] = False
                state.save(folder, one)
                state.schedule(folder)
            case ["requeue", number]:
                one = state.job(folder, number)
                if one is None:
                    return fail("Invalid job id specified")
                one["ending"] = "REQUEUED"
                state.save(folder, one)
                state.kill(one)
            case ["ping"] | ["ping", _]:
                print("Slurmctld(primary) at login is UP")
            case _:
                return fail(f"scontrol: error: not known here: {' '.join(words)}")
    return 0


def srun(folder: Path, words: list[str]) -> int:
    """Run a command on each node of the allocation, or as often as it is told."""
    said, command = options(
        words, ("exact", "overlap", "exclusive", "label", "l", "u", "unbuffered", "pty"), SHORT
    )
    hosts = os.environ.get("SLURM_JOB_NODELIST", "n1").split(",")
    nodes = hosts[: int(said.get("nodes", "1").partition("-")[0])] if "nodes" in said else hosts
    tasks = int(said["ntasks"]) if "ntasks" in said else len(nodes) * int(said.get("ntasks-per-node", "1"))
    run = []
    for task in range(tasks):
        node = task * len(nodes) // tasks
        env = {
            **os.environ, "SLURM_PROCID": str(task), "SLURM_NODEID": str(node), "SLURMD_NODENAME": nodes[node],
            "SLURM_STEP_ID": "0", "SLURM_LOCALID": "0",
        }  # fmt: skip
        run.append(
            subprocess.Popen(["/bin/sh", "-c", 'SLURM_TASK_PID=$$ exec "$@"', "task", *command], env=env)
        )

    def pass_on(number: int, _: object) -> None:
        for one in run:
            if one.poll() is None:
                one.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, pass_on)
    return max(abs(one.wait()) for one in run)


def stepd(folder: Path, words: list[str]) -> int:
    """Run the script of a job to its end, within its limit."""
    (number,) = words
    with state.locked(folder):
        settings, one = state.config(folder), state.job(folder, number)
        assert one is not None
        script = folder / f"script-{number}"
        script.write_text(one["script"])
        script.chmod(0o700)
        end = one["start"] + one["limit"] * settings["minute"]
        env = {
            **one["env"], "SLURM_JOB_ID": number, "SLURM_JOBID": number, "SLURM_JOB_NUM_NODES": str(one["nodes"]),
            "SLURM_JOB_NODELIST": ",".join(one["hosts"]), "SLURM_NODEID": "0", "SLURMD_NODENAME": one["hosts"][0],
            "SLURM_CPUS_ON_NODE": str(settings["cpus"]), "SLURM_JOB_END_TIME": str(int(end)), "SLURM_CLUSTER_NAME": "fake",
            "SLURM_JOB_PARTITION": one["partition"], "SLURM_JOB_NAME": one["name"], "SLURM_MEM_PER_NODE": str(settings["memory"]),
            "PATH": f"{folder / 'bin'}:{one['env'].get('PATH', os.defpath)}",
        }  # fmt: skip
        if one["restarts"]:
            env["SLURM_RESTART_COUNT"] = str(one["restarts"])
        names = [filled(one["output"] or os.devnull, number), filled(one["error"] or one["output"], number)]
        streams = [open(Path(one["cwd"], name), "a") for name in names]  # noqa: SIM115 - the process has them
        process = subprocess.Popen(
            ["/bin/sh", "-c", 'SLURM_TASK_PID=$$ exec "$@"', "batch", str(script)], cwd=one["cwd"], env=env,
            stdin=subprocess.DEVNULL, stdout=streams[0], stderr=streams[1], start_new_session=True,
        )  # fmt: skip
        one.update(pid=process.pid, pid_start=state.begun(process.pid))
        state.save(folder, one)
    early = lead(one["signal"]) * settings["minute"] / 60
    warned, told = not one["signal"], 0.0
    while (code := process.poll()) is None:
        now = time.time()
        with state.locked(folder):
            one = state.job(folder, number) or one
        if not warned and now >= end - early:
            warned = True
            os.kill(process.pid, getattr(signal, f"SIG{one['signal'].rpartition(':')[2].partition('@')[0]}"))
        if now >= end and "ending" not in one:
            one["ending"] = "TIMEOUT"
            with state.locked(folder):
                state.save(folder, one)
            state.kill(one, signal.SIGTERM)
        if "ending" in one:
            told = told or now
            if now > told + KILL_WAIT:
                state.kill(one)
        time.sleep(0.05)
    with state.locked(folder):
        now_one = state.job(folder, number)
        if now_one is not None and now_one["state"] == "RUNNING":
            state.kill(now_one)
            finish(folder, now_one, code)
        state.schedule(folder)
    return 0


def filled(name: str, number: str) -> str:
    """The name of a file with the number of its job."""
    return re.sub("%(%|j)", lambda found: "%" if found[1] == "%" else number, name)


def finish(folder: Path, one: dict[str, Any], code: int) -> None:
    """A job's script has ended."""
    word = one.pop("ending", None) or ("COMPLETED" if code == 0 else "FAILED")
    if word == "REQUEUED":
        one.update(state="PENDING", reason="BeginTime", hosts=[], start=None, restarts=one["restarts"] + 1)
        state.save(folder, one)
        return
    state.over(folder, one, word, f"{code}:0" if code >= 0 else f"0:{-code}")


def lead(text: str | None) -> float:
    """Seconds before the limit at which a signal was asked for."""
    return float((text or "").partition("@")[2] or 60)


def faulty(folder: Path, command: str) -> dict[str, Any] | None:
    """The fault that this call has; None: it goes well."""
    with state.locked(folder):
        faults = state.read(folder / "faults.json", [])
        for fault in faults:
            if fault["command"] != command or not fault["times"]:
                continue
            if fault["skip"]:
                fault["skip"] -= 1
                state.write(folder / "faults.json", faults)
                return None
            fault["times"] -= 1
            state.write(folder / "faults.json", faults)
            found: dict[str, Any] = fault
            return found
    return None


COMMANDS: dict[str, Callable[[Path, list[str]], int]] = {
    "sbatch": sbatch, "squeue": squeue, "scancel": scancel, "sacct": sacct, "sinfo": sinfo, "scontrol": scontrol,
    "srun": srun, "stepd": stepd,
}  # fmt: skip


def main() -> int:
    """Run one command, perhaps badly."""
    folder, command, words = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    if command == "stepd":
        return stepd(folder, words)
    with state.locked(folder), open(folder / "calls.jsonl", "a", encoding="utf-8") as calls:
        calls.write(json.dumps([command, *words]) + "\n")
    fault = faulty(folder, command)
    kind = fault["kind"] if fault else ""
    message = (fault or {}).get("message") or ""
    if kind == "refuses":
        return fail(message or f"{command}: error: Batch job submission failed: Invalid qos specification")
    if kind == "fails":
        return fail(message or f"{command}: error: Unable to contact slurm controller (connect failure)")
    if kind == "silent":
        return fail(message or f"{command}: error: Socket timed out on send/recv operation")
    if kind == "hangs":
        time.sleep(3600)
    if kind in ("submits-then-fails", "submits-then-hangs", "submits-then-mumbles"):
        out, sys.stdout = sys.stdout, open(os.devnull, "w")  # noqa: SIM115 - for the rest of this process
        COMMANDS[command](folder, words)
        sys.stdout = out
        if kind == "submits-then-hangs":
            time.sleep(3600)
        if kind == "submits-then-mumbles":
            print("well, I never")
            return 0
        return fail(message or f"{command}: error: something has gone wrong")
    return COMMANDS[command](folder, words)


if __name__ == "__main__":
    sys.exit(main())
