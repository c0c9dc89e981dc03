"""What this machine is: processor, memory, disk, accelerators, engines; none of these is loaded.

Nothing here raises: what cannot be read is left empty.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, NamedTuple

ENGINES: Final = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-genai",
    "ctranslate2",
    "torch",
    "transformers",
)
_BOARD: Final = Path("/proc/device-tree/model")
_PROCESSORS: Final = Path("/proc/cpuinfo")
_ACCELERATORS: Final = (
    ("NVIDIA GPU", "/dev/nvidia0"),
    ("NVIDIA Jetson GPU", "/dev/nvhost-gpu"),
    ("Hailo", "/dev/hailo0"),
    ("Coral TPU", "/dev/apex_0"),
    ("AMD GPU", "/dev/kfd"),
)
_THERMAL: Final = Path("/sys/class/thermal/thermal_zone0/temp")


class HostMachine(NamedTuple):
    """What does not change while the agent runs."""

    board: str
    system: str
    processor: str
    cores: int
    memory_bytes: int
    accelerators: tuple[str, ...]
    engines: dict[str, str]


@lru_cache(1)
def this_machine() -> HostMachine:
    """Look at the machine, once."""
    return HostMachine(
        board=_board(),
        system=f"{platform.system()} {platform.release()}"[:200],
        processor=_processor(),
        cores=_cores(),
        memory_bytes=_memory_bytes(),
        accelerators=tuple(name for name, place in _ACCELERATORS if Path(place).exists()),
        engines=_engines(),
    )


def disk_of(folder: Path | None) -> tuple[int, int]:
    """Return the size of the disk that a folder is on, and what is free there."""
    place = Path.cwd() if folder is None else folder
    while not place.exists() and place != place.parent:
        place = place.parent
    with contextlib.suppress(OSError):
        usage = shutil.disk_usage(place)
        return usage.total, usage.free
    return 0, 0


def memory_in_use() -> int:
    """Return the memory that this process holds."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


def temperature_c() -> float | None:
    """Return the temperature of the processor where the system tells."""
    with contextlib.suppress(OSError, ValueError):
        return int(_THERMAL.read_text(encoding="ascii")) / 1000
    return None


def _cores() -> int:
    """Return the cores that we may run on, which a container's limit need not be all of."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 0


def _memory_bytes() -> int:
    with contextlib.suppress(OSError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 0


def _board() -> str:
    with contextlib.suppress(OSError):
        return _BOARD.read_text(encoding="utf-8", errors="replace").strip("\0 \n")[:200]
    return platform.machine()


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in _PROCESSORS.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Hardware"):
                return value.strip()[:200]
    return platform.processor() or platform.machine()


def _engines() -> dict[str, str]:
    found = {}
    for name in ENGINES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
