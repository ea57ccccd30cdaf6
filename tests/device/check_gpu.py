"""Prove on a machine with NVIDIA GPUs that torc finds them, keeps jobs apart on them, and measures what they use.

    PYTHONPATH=$PWD:$PWD/plugins:$PWD/build/site python3.12 tests/device/check_gpu.py

Needs no installation, no test runner and no network: torc and its libraries on the path are enough. Prints a table,
the last line is JSON; exit 0 when every check holds, else 1. With one GPU, jobs get it one at a time; with several they
run side by side. Takes one to two minutes.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import tomllib
import uuid
from importlib.metadata import entry_points
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GIB = 1024**3
LOAD_BYTES = 2 * GIB
ROWS: list[dict[str, object]] = []


def check(what: str, held: bool, seen: object = "") -> bool:
    """Note the outcome of one check."""
    ROWS.append({"check": what, "held": bool(held), "seen": str(seen)})
    print(f"{'ok  ' if held else 'FAIL'} {what:<62} {seen}", flush=True)
    return held


# What runs inside of a job: libcuda through ctypes, no framework.


class Cuda:
    """The few calls of libcuda that a load needs."""

    def __init__(self) -> None:
        self.lib = ctypes.CDLL("libcuda.so.1")
        self.error = self.lib.cuInit(0)

    def call(self, name: str, *what: object) -> None:
        code = getattr(self.lib, name)(*what)
        if code:
            raise RuntimeError(f"{name}: CUDA error {code}")

    def uuids(self) -> list[str]:
        """The devices that this process sees; none where CUDA says that there are none (error 100)."""
        if self.error == 100:
            return []
        if self.error:
            raise RuntimeError(f"cuInit: CUDA error {self.error}")
        count = ctypes.c_int()
        self.call("cuDeviceGetCount", ctypes.byref(count))
        ask = "cuDeviceGetUuid_v2" if hasattr(self.lib, "cuDeviceGetUuid_v2") else "cuDeviceGetUuid"
        found = []
        for index in range(count.value):
            device, raw = ctypes.c_int(), (ctypes.c_ubyte * 16)()
            self.call("cuDeviceGet", ctypes.byref(device), index)
            self.call(ask, ctypes.byref(raw), device)
            found.append(str(uuid.UUID(bytes=bytes(raw))))
        return found

    def load(self, seconds: float, size: int) -> None:
        """Hold `size` bytes of the first device and write to them all the time."""
        device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
        self.call("cuDeviceGet", ctypes.byref(device), 0)
        self.call("cuCtxCreate_v2", ctypes.byref(context), 0, device)
        self.call("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(size))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for value in range(16):
                self.call("cuMemsetD8_v2", memory, ctypes.c_ubyte(value), ctypes.c_size_t(size))
            self.call("cuCtxSynchronize")
        self.call("cuMemFree_v2", memory)
        self.call("cuCtxDestroy_v2", context)


def job(folder: str, seconds: float) -> int:
    """What a job does: say what it sees and when, and be busy meanwhile."""
    begin = time.time()
    told: dict[str, object] = {
        "name": os.environ.get("TORC_JOB_NAME"),
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "begin": begin,
    }
    try:
        cuda = Cuda()
        told["uuids"] = cuda.uuids()
        if seconds and told["uuids"]:
            cuda.load(seconds, LOAD_BYTES)
        elif seconds:
            time.sleep(seconds)
    except (OSError, RuntimeError, AttributeError) as error:
        told["error"] = str(error)
    told["end"] = time.time()
    name = told["name"] or "seen"
    Path(folder, f"{name}.json").write_text(json.dumps(told))
    return 1 if "error" in told else 0


# What runs outside.


class Site:
    """A home of its own, and an environment in which torc finds its plugins without being installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = [one for one in sys.path[1:] if one]
        if not entry_points(group="torc"):
            info = folder / "site" / "torc_core-0.dist-info"
            info.mkdir(parents=True)
            project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
            lines = [f"{name} = {module}" for name, module in project["entry-points"]["torc"].items()]
            (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torc-core\nVersion: 0\n")
            (info / "entry_points.txt").write_text("[torc]\n" + "\n".join(lines) + "\n")
            paths = [str(info.parent), str(ROOT), str(ROOT / "plugins"), *paths]
        (folder / "run").mkdir(mode=0o700)
        kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
        self.env = kept | {
            "HOME": str(folder),
            "USER": "check",
            "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "PYTHONPATH": os.pathsep.join(paths),
        }

    def torc(self, *words: str, where: Path, **env: str) -> subprocess.CompletedProcess[str]:
        """Run torc to its end."""
        return subprocess.run(
            [sys.executable, "-m", "torc_core", *words],
            cwd=where,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def seen(self, visible: str | None) -> dict[str, object]:
        """What CUDA shows a process with this variable; in a process of its own, for CUDA looks only once."""
        env = {name: value for name, value in self.env.items() if name != "CUDA_VISIBLE_DEVICES"}
        if visible is not None:
            env["CUDA_VISIBLE_DEVICES"] = visible
        command = [sys.executable, __file__, "--job", str(self.folder), "0"]
        subprocess.run(command, env=env, timeout=60, check=False)
        return dict(json.loads((self.folder / "seen.json").read_text()))

    def run(
        self, name: str, *, gpu_jobs: int, cpu_jobs: int = 0, seconds: float = 5.0, **env: str
    ) -> tuple[list[dict[str, object]], Path, subprocess.CompletedProcess[str]]:
        """Run a workflow of loads under `torc run`: what its jobs saw, and its output directory."""
        where = self.folder / name
        where.mkdir()
        words = [sys.executable, str(Path(__file__).resolve()), "--job", str(where)]
        jobs = [
            {
                "name": f"gpu{index}",
                "command": shlex.join([*words, str(seconds)]),
                "resource_requirements": "gpu",
            }
            for index in range(gpu_jobs)
        ]
        jobs += [
            {"name": f"cpu{index}", "command": shlex.join([*words, str(seconds / 2)])}
            for index in range(cpu_jobs)
        ]
        spec = {
            "name": name,
            "resource_requirements": [
                {"name": "gpu", "num_cpus": 1, "num_gpus": 1, "memory": "100m", "runtime": "PT5M"}
            ],
            "execution_config": {"limit_resources": True},
            "resource_monitor": {
                "sample_interval_seconds": 1,
                "flush_interval_seconds": 2,
                "generate_plots": True,
                "jobs": {"enabled": True, "granularity": "time_series"},
                "compute_node": {"enabled": True, "granularity": "time_series"},
            },
            "jobs": jobs,
        }
        (where / "spec.json").write_text(json.dumps(spec))
        done = self.torc("run", "spec.json", where=where, **env)
        told = [json.loads(path.read_text()) for path in sorted(where.glob("[gc]pu*.json"))]
        return told, where / "torc_output", done


def found(site: Site) -> tuple[list[str], dict[str, str]]:
    """Check what torc finds against what CUDA says; the ids, and the UUID of each."""
    probe = (
        "import json; from torc_psutil import devices, detect;"
        "print(json.dumps([devices.devices({})[0], devices.described(), detect.detect({}).capacity.gpus]))"
    )
    out = subprocess.run(
        [sys.executable, "-c", probe], env=site.env, capture_output=True, text=True, timeout=60, check=False
    )
    ids, described, count = json.loads(out.stdout) if out.returncode == 0 else ([], [], 0)
    for one in described:
        memory = (one["memory_bytes"] or 0) / GIB
        print(
            f"     device {one['id']}: {one['name']}, {memory:.1f} GiB, {one['uuid']}, part of {one['part_of']}"
        )
    uuids = {one["id"]: one["uuid"] for one in described}
    check("NVML finds devices", bool(ids) and len(described) == len(ids), ids or out.stderr[-300:])
    check("the capacity counts them", count == len(ids), count)
    check("each has memory and a UUID", all(one["memory_bytes"] and one["uuid"] for one in described))
    if shutil.which("nvidia-smi"):
        probe = "import json; from torc_psutil import devices; print(json.dumps(devices.by_nvidia_smi()))"
        out = subprocess.run(
            [sys.executable, "-c", probe],
            env=site.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        check("nvidia-smi names the same", json.loads(out.stdout or "null") == ids, out.stdout.strip())
    for one in ids:
        seen = site.seen(one)
        bare = uuids.get(one, "").partition("-")[2]
        check(
            f"CUDA_VISIBLE_DEVICES={one} shows CUDA that very device",
            seen.get("uuids") == [bare],
            seen.get("uuids"),
        )
    check("an empty variable shows none", site.seen("").get("uuids") == [])
    return ids, uuids


def apart(told: list[dict[str, object]], expected: int, ids: list[str], label: str) -> None:
    """Check that jobs with GPUs had one device each, and no device two jobs at once."""
    mine = [one for one in told if str(one["name"]).startswith("gpu")]
    others = [one for one in told if str(one["name"]).startswith("cpu")]
    check(f"{label}: every job ran", len(mine) == expected and not any("error" in one for one in told), [
        one["error"] for one in told if "error" in one
    ] or f"{len(mine)} of {expected}")  # fmt: skip
    check(f"{label}: each sees one device", all(len(one.get("uuids") or ()) == 1 for one in mine))
    forms = sorted({str(one["visible"]) for one in mine})
    check(f"{label}: named as they were found", set(forms) <= set(ids) and bool(forms), forms)
    spans: dict[str, list[tuple[float, float]]] = {}
    for one in mine:
        spans.setdefault(str(one.get("uuids")), []).append((float(str(one["begin"])), float(str(one["end"]))))
    overlaps = 0
    for each in spans.values():
        each.sort()
        overlaps += sum(later[0] < earlier[1] for earlier, later in itertools.pairwise(each))
    check(
        f"{label}: no device had two jobs at once",
        overlaps == 0 and bool(spans),
        f"{len(spans)} devices used",
    )
    if len(ids) > 1:
        width = min(len(ids), expected, len(os.sched_getaffinity(0)))
        check(f"{label}: they ran side by side", len(spans) == width, f"{len(spans)} of {width} devices")
    if others:
        hidden = all(one["visible"] == "" and one.get("uuids") == [] for one in others)
        check(f"{label}: jobs without GPUs see none", hidden, [one["visible"] for one in others])


def measured(output: Path, gpu_jobs: int, label: str, *, divided: bool) -> None:
    """Check the time series that the runner left."""
    files = list((output / "resource_utilization").glob("*.db"))
    if not check(f"{label}: one file of samples", len(files) == 1, [one.name for one in files]):
        return
    data = sqlite3.connect(f"file:{files[0]}?mode=ro", uri=True)
    rows = data.execute(
        "SELECT job_name, num_gpus, max(gpu_percent), max(gpu_memory_bytes), count(*), sum(gpu_memory_bytes > 0) "
        "FROM job_resource_samples JOIN job_metadata USING (job_id) GROUP BY job_id ORDER BY job_name"
    ).fetchall()
    for name, gpus, percent, memory, count, with_gpu in rows:
        shown = f"{memory / GIB:.2f} GiB" if memory is not None else "none"
        print(f"     {name}: gpus {gpus}, peak {percent} %, {shown}, samples {count}, with GPU {with_gpu}")
    mine = [row for row in rows if row[1]]
    check(f"{label}: every job with a GPU was sampled", len(mine) == gpu_jobs, len(mine))
    enough = all((row[3] or 0) >= LOAD_BYTES for row in mine)
    check(f"{label}: their GPU memory holds the {LOAD_BYTES // GIB} GiB", enough and bool(mine))
    less = all((row[3] or 0) < LOAD_BYTES * 1.5 + GIB for row in mine)
    check(f"{label}: and not much more", less and bool(mine))
    if not divided:
        # NOTE: the driver gives no utilisation of the parts of a divided device.
        check(f"{label}: their GPU was busy", all((row[2] or 0) >= 50 for row in mine) and bool(mine))
    check(
        f"{label}: jobs without GPUs have none",
        all(row[2] is None and row[3] is None for row in rows if not row[1]),
    )
    percent, memory, count = data.execute(
        "SELECT max(gpu_percent), max(gpu_memory_bytes), count(*) FROM compute_node_samples"
    ).fetchone()
    told = f"{percent} %, {(memory or 0) / GIB:.2f} GiB, {count} samples"
    check(
        f"{label}: the node's GPUs too",
        (memory or 0) >= LOAD_BYTES and (divided or (percent or 0) >= 50),
        told,
    )
    data.close()
    plots = [one.name for one in (output / "resource_utilization").glob("*.html")]
    check(f"{label}: plots were made", bool(plots), f"{len(plots)} files")


def main() -> int:
    """Run all checks."""
    with tempfile.TemporaryDirectory(prefix="torc-gpu-") as name:
        site = Site(Path(name))
        begin = time.monotonic()
        print(f"Python {sys.version.split()[0]}, torc from {ROOT}", flush=True)
        ids, uuids = found(site)
        if ids:
            divided = any(one.startswith("MIG") for one in ids)
            count = max(3, min(len(ids) + 1, 5))
            told, output, done = site.run("indices", gpu_jobs=count, cpu_jobs=2)
            check("by index: torc run ends with 0", done.returncode == 0, done.stderr.strip()[-300:])
            apart(told, count, ids, "by index")
            measured(output, count, "by index", divided=divided)

            one = uuids[ids[-1]]
            told, output, done = site.run("uuids", gpu_jobs=2, seconds=3, CUDA_VISIBLE_DEVICES=one)
            check("one UUID given: torc run ends with 0", done.returncode == 0, done.stderr.strip()[-300:])
            apart(told, 2, [one], "one UUID given")
            measured(output, 2, "one UUID given", divided=divided)

            told, _, done = site.run("none", gpu_jobs=1, CUDA_VISIBLE_DEVICES="")
            check(
                "none given: nothing fits, and torc says so",
                done.returncode == 1 and not told,
                done.stderr.strip()[-120:],
            )
        print(f"{time.monotonic() - begin:.0f} s")
    held = all(row["held"] for row in ROWS) and bool(ids)
    print(f"{sum(bool(row['held']) for row in ROWS)} of {len(ROWS)} checks held")
    print(json.dumps({"held": held, "gpus": len(ids), "checks": ROWS}))
    return 0 if held else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", nargs=2, metavar=("FOLDER", "SECONDS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    sys.exit(job(given.job[0], float(given.job[1])) if given.job else main())
