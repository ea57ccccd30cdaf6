"""A program that asks NVIDIA's driver; run as a child, for a driver may hang or crash whoever asks it.

Without an argument it prints the devices as a JSON list of ids; with `describe` a list of what is known of each; with
`serve` it answers every line of its input with a line about what the devices and the processes on them use now.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pynvml  # type: ignore[import-untyped]  # nvidia-ml-py has no annotations


def handles() -> Iterator[tuple[str, Any, Any]]:
    """Id, handle and whole device, in the driver's order: indices, or the parts where a device is divided (MIG)."""
    for index in range(pynvml.nvmlDeviceGetCount()):
        device = pynvml.nvmlDeviceGetHandleByIndex(index)
        if not is_divided(device):
            yield str(index), device, device
            continue
        for position in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(device)):
            part = told(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, device, position)
            if part is not None:
                yield text(pynvml.nvmlDeviceGetUUID(part)), part, device


def is_divided(device: Any) -> bool:
    """Whether a device is in MIG mode."""
    mode = told(pynvml.nvmlDeviceGetMigMode, device)
    return mode is not None and mode[0] == pynvml.NVML_DEVICE_MIG_ENABLE


def describe() -> list[dict[str, object]]:
    """What is known of each device: id, UUID, name, bytes of memory, and the UUID of what it is a part of."""
    found = []
    for name, handle, device in handles():
        memory = told(pynvml.nvmlDeviceGetMemoryInfo, handle)
        found.append(
            {
                "id": name,
                "uuid": text(pynvml.nvmlDeviceGetUUID(handle)),
                "name": text(pynvml.nvmlDeviceGetName(device)),
                "memory_bytes": memory.total if memory else None,
                "part_of": text(pynvml.nvmlDeviceGetUUID(device)) if handle is not device else None,
            }
        )
    return found


def usage() -> list[dict[str, object]]:
    """What each device and each process on it uses now; null where the driver does not tell."""
    found = []
    for name, handle, _ in handles():
        rates = told(pynvml.nvmlDeviceGetUtilizationRates, handle)
        processes: dict[int, int | None] = {}
        for ask in (
            pynvml.nvmlDeviceGetComputeRunningProcesses,
            pynvml.nvmlDeviceGetGraphicsRunningProcesses,
        ):
            processes |= {one.pid: one.usedGpuMemory for one in told(ask, handle) or ()}
        found.append(
            {
                "id": name,
                "uuid": text(pynvml.nvmlDeviceGetUUID(handle)),
                "percent": rates.gpu if rates else None,
                "memory": used_memory(handle),
                "processes": list(processes.items()),
            }
        )
    return found


def used_memory(handle: Any) -> int | None:
    """Bytes in use, without what the driver keeps for itself where it tells the two apart."""
    version = getattr(pynvml, "nvmlMemory_v2", None)
    info = told(pynvml.nvmlDeviceGetMemoryInfo, handle, version) if version else None
    info = info or told(pynvml.nvmlDeviceGetMemoryInfo, handle)
    return info.used if info else None


def told(ask: Callable[..., Any], *what: Any) -> Any:
    """An answer of the driver; None: it has none."""
    try:
        return ask(*what)
    except pynvml.NVMLError:
        return None


def text(name: Any) -> str:
    """A name, which older versions of the library give as bytes."""
    return name.decode() if isinstance(name, bytes) else str(name)


def main(words: list[str]) -> None:
    """Do what the first word says.

    Raises
    ------
    pynvml.NVMLError
        If there is no driver, or it is out of order.
    """
    pynvml.nvmlInit()
    try:
        match words:
            case ["describe"]:
                json.dump(describe(), sys.stdout)
            case ["serve"]:
                for _ in sys.stdin:
                    sys.stdout.write(json.dumps(usage()) + "\n")
                    sys.stdout.flush()
            case _:
                json.dump([name for name, _, _ in handles()], sys.stdout)
    finally:
        pynvml.nvmlShutdown()


if __name__ == "__main__":
    main(sys.argv[1:])
