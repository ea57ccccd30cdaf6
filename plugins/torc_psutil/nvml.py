"""A program that prints the ids of NVIDIA's devices as a JSON list; run as a child, for a driver may hang."""

from __future__ import annotations

import json
import sys


def devices() -> list[str]:
    """Indices in the driver's order, and the ids of the parts where a device is divided (MIG).

    Raises
    ------
    pynvml.NVMLError
        If there is no driver, or it is out of order.
    """
    import pynvml  # type: ignore[import-untyped]  # nvidia-ml-py has no annotations

    ids: list[str] = []
    pynvml.nvmlInit()
    try:
        for index in range(pynvml.nvmlDeviceGetCount()):
            device = pynvml.nvmlDeviceGetHandleByIndex(index)
            parts: list[str] = []
            try:
                divided = pynvml.nvmlDeviceGetMigMode(device)[0] == pynvml.NVML_DEVICE_MIG_ENABLE
            except pynvml.NVMLError:
                divided = False
            for position in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(device) if divided else 0):
                try:
                    part = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(device, position)
                except pynvml.NVMLError:
                    continue
                name = pynvml.nvmlDeviceGetUUID(part)
                parts.append(name.decode() if isinstance(name, bytes) else name)
            ids += parts if divided else [str(index)]
    finally:
        pynvml.nvmlShutdown()
    return ids


if __name__ == "__main__":
    json.dump(devices(), sys.stdout)
