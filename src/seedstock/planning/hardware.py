"""What devices can do: peak rates and power from the makers' data sheets, or this machine as measured."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Hardware:
    """A device: dense FLOP/s at its training precision, bytes of memory, watts, and the share of the peak to expect.

    ``local``: it is the one here.
    """

    name: str
    flops: float
    memory: int
    watts: float
    utilisation: float
    local: bool = False
    dollars: float | None = None
    """For an hour of one, where public training logs name a price; prices move."""
    kind: str = "gpu"


GIB = 2**30
DEVICES = {
    device.name: device
    for device in (
        # bf16 without sparsity; utilisation as public trainers report it for models of 100 M to 10 B parameters.
        Hardware("v100", 125e12, 32 * GIB, 300, 0.35),  # fp16: it has no bf16
        Hardware("a100", 312e12, 80 * GIB, 400, 0.45, dollars=1.6),
        Hardware("l40s", 362e12, 48 * GIB, 350, 0.35),
        Hardware("rtx4090", 165e12, 24 * GIB, 450, 0.4),
        Hardware("h100", 989e12, 80 * GIB, 700, 0.4, dollars=3.0),
        Hardware("h200", 989e12, 141 * GIB, 700, 0.4),
        Hardware("b200", 2250e12, 180 * GIB, 1000, 0.35),
        Hardware("mi300x", 1307e12, 192 * GIB, 750, 0.3),
    )
}

OTHER_SHEETS = ("pcie", "nvl")
"""Cards that share a name with another form and not its rates."""


def named(name: str) -> Hardware | None:
    """The device that a driver calls ``name`` ("NVIDIA H100 80GB HBM3"), where its data sheet is known."""
    plain = name.lower().replace(" ", "")
    if any(form in plain for form in OTHER_SHEETS):
        return None
    return next((device for key, device in DEVICES.items() if key in plain), None)


CPU_WATTS = (1.5, 4.0, 10.0)
"""Watts of a busy logical processor: low (large servers, about 280 W over 128 threads with room to spare), middle
(laptops), high (desktop processors at full clock). A range, as no counter says."""


def this_machine(seconds: float = 0.3) -> Hardware:
    """This machine's processor: the fastest fp32 matrix product of numpy within ``seconds``, and its memory.

    Networks reach a good half of that rate where nothing else runs; with bf16 kernels some processors do far better.
    """
    import numpy as np

    a = np.ones((768, 768), np.float32)
    b, fastest = a @ a, float("inf")
    until = time.perf_counter() + seconds
    while (began := time.perf_counter()) < until:
        np.matmul(a, a, out=b)
        fastest = min(fastest, time.perf_counter() - began)
    memory = system_memory()
    return Hardware(
        "this machine in fp32", 2 * 768**3 / fastest, memory, CPU_WATTS[1] * processors(), 0.5, True, kind="cpu"
    )


def system_memory() -> int:
    """Bytes of memory that this process may have; 0 where the system does not say."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return 0
    return min(memory, container_memory() or memory)


def container_memory() -> int | None:
    """Bytes that the control group of this process may have (Linux, version 2 or 1); None where nothing bounds it."""
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            bound = int(Path(path).read_text())
        except (OSError, ValueError):  # "max" is no bound
            continue
        return bound if bound < 2**60 else None
    return None


def processors() -> int:
    """Logical processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
