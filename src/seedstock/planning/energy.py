"""Energy of a run: read from the machine's counters where there are any, else estimated with bounds. It says which.

Counters cover processors (Intel and AMD RAPL through Linux's powercap) and NVIDIA devices (NVML), not the rest of the
machine, and not cooling. What other processes use at the same time is counted too.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seedstock.planning.hardware import CPU_WATTS, processors

POWERCAP = Path("/sys/class/powercap")
GRAMS_CO2_A_KWH = 473.0
"""World average of electricity generation in 2024 (Ember, Global Electricity Review 2025). Put your grid's in place."""


@dataclass(frozen=True)
class Energy:
    """Watt-hours with bounds, how they were found (``measured`` or ``estimated``), and grams of CO2 for a grid."""

    watt_hours: float
    low: float
    high: float
    method: str
    basis: str
    seconds: float
    co2_grams: float
    grid_grams_a_kwh: float

    def record(self) -> dict[str, Any]:
        """As the run's record keeps it."""
        return asdict(self)


def estimate(
    seconds: float, watts: tuple[float, float, float] | None = None, *, grid: float = GRAMS_CO2_A_KWH
) -> Energy:
    """Wall time times a power: ``watts`` is (low, middle, high), by default of the processors this process may use."""
    count = processors()
    basis = "a power that was given" if watts else f"{count} logical processors at {', '.join(map(str, CPU_WATTS))} W"
    low, middle, high = (power * seconds / 3600 for power in (watts or tuple(count * one for one in CPU_WATTS)))
    return Energy(middle, low, high, "estimated", f"wall time times {basis}", seconds, middle / 1000 * grid, grid)


class Meter:
    """Reads energy counters while a block runs: ``with Meter() as meter: …; meter.read()``.

    RAPL counters wrap around after minutes, so a thread reads them every ``period`` seconds.
    """

    def __init__(self, *, powercap: Path = POWERCAP, period: float = 20.0, grid: float = GRAMS_CO2_A_KWH) -> None:
        self.grid, self.period = grid, period
        self._counters: list[Any] = [*_rapl(powercap), *_nvml()]
        self._joules = 0.0
        self._last: list[float] = []
        self._began = 0.0
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> Meter:
        self._began, self._joules = time.monotonic(), 0.0
        self._last = self._readings()
        self._stop.clear()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def read(self) -> Energy:
        """Energy since the block began: measured where there are counters, else estimated."""
        self._update()
        seconds = time.monotonic() - self._began
        if not self._counters:
            return estimate(seconds, grid=self.grid)
        hours = self._joules / 3600
        basis = f"counters of {', '.join(counter.name for counter in self._counters)}; not the rest of the machine"
        return Energy(hours, hours, hours, "measured", basis, seconds, hours / 1000 * self.grid, self.grid)

    def _watch(self) -> None:
        while not self._stop.wait(self.period):
            self._update()

    def _update(self) -> None:
        with self._lock:
            now = self._readings()
            for counter, before, after in zip(self._counters, self._last, now, strict=False):
                self._joules += after - before if after >= before else after - before + counter.range
            self._last = now

    def _readings(self) -> list[float]:
        try:
            return [counter.joules() for counter in self._counters]
        except (OSError, ValueError):
            self._counters = []  # a counter that goes away leaves nothing whole: fall back to the estimate
            return []


@dataclass(frozen=True)
class _Rapl:
    """One package's counter in microjoules; it starts again from 0 after ``range`` joules."""

    folder: Path
    name: str
    range: float

    def joules(self) -> float:
        return int((self.folder / "energy_uj").read_text()) / 1e6


def _rapl(powercap: Path) -> list[_Rapl]:
    found = []
    for folder in sorted(powercap.glob("*-rapl:*")):
        # intel-rapl:0 is a package, which its parts intel-rapl:0:0 … are within; dram is beside it.
        with contextlib.suppress(OSError, ValueError):
            name = (folder / "name").read_text().strip()
            counter = _Rapl(folder, name, int((folder / "max_energy_range_uj").read_text()) / 1e6)
            counter.joules()  # often readable by root alone
            if (folder.name.count(":") == 1 and name.startswith("package")) or name == "dram":
                found.append(counter)
    return found


@dataclass(frozen=True)
class _Nvml:
    """One NVIDIA device's counter since the driver was loaded."""

    handle: Any
    name: str
    range: float = 0.0

    def joules(self) -> float:
        import pynvml

        try:
            return pynvml.nvmlDeviceGetTotalEnergyConsumption(self.handle) / 1e3
        except pynvml.NVMLError as error:
            raise OSError(f"{self.name}: {error}") from error


def _nvml() -> list[_Nvml]:
    try:
        import pynvml

        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        found = [_Nvml(handle, f"GPU {index}") for index, handle in enumerate(handles)]
        for counter in found:
            counter.joules()
        return found
    except Exception:  # not installed, no driver, or a device without the counter: all mean "no counter"
        return []
