"""Installs what training needs beside the light core: torch (the CPU build where there is no GPU) and transformers.

Run as ``python -m seedstock.environment`` or by ``seedstock demo``; imports the standard library alone.
"""

from __future__ import annotations

import contextlib
import importlib.util
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

TORCH = "2.13.0"
TRANSFORMERS = "transformers>=4.56"
LOG = "pip-training.log"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_SIZE = re.compile(r"^\s*(Downloading|Using cached|Processing) (\S+)(?: \(([0-9.]+) ([kMG]?)B\))?", re.MULTILINE)
_UNIT = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}


def has_gpu() -> bool:
    """Whether an NVIDIA GPU is on this machine."""
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia").exists()


def missing() -> list[str]:
    """The packages that training and export need and this environment lacks."""
    return [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]


def require(package: str) -> None:
    """Raises SeedstockError, saying how to install it, where a package that training needs is not here."""
    if importlib.util.find_spec(package) is None:
        from seedstock.errors import SeedstockError

        raise SeedstockError(
            f"this needs {package}, which is not installed",
            fix="`seedstock demo` installs it (the CPU build without a GPU), or pip install 'seedstock[train,hf]'",
        )


def pip(*arguments: str) -> tuple[int, str]:
    """Runs pip in this environment; returns its exit code and output."""
    command = [sys.executable, "-m", "pip", *arguments, "--disable-pip-version-check", "--progress-bar", "off"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    output = result.stdout + result.stderr
    if result.returncode == 0:
        with contextlib.suppress(OSError), (Path(sys.prefix) / LOG).open("a") as log:
            log.write(output)
    return result.returncode, output


def downloaded(output: str) -> int:
    """Bytes that pip's output says it fetched, from an index or from a local wheel."""
    total = 0
    for kind, name, number, unit in _SIZE.findall(output):
        if kind == "Downloading" and number:
            total += round(float(number) * _UNIT[unit])
        elif kind == "Processing" and name.endswith(".whl") and Path(name).is_file():
            total += Path(name).stat().st_size
    return total


def install(say=print) -> int:
    """Installs what is missing and says how much that took; returns the bytes fetched.

    Raises RuntimeError with pip's last lines where an installation fails.
    """
    wanted, fetched, started = missing(), 0, time.monotonic()
    if not wanted:
        return 0
    say(f"installing {', '.join(wanted)} (torch {TORCH}, {'CUDA' if has_gpu() else 'CPU'} build) …")
    if "torch" in wanted:
        fetched += _install_torch()
    if "transformers" in wanted:
        fetched += _install(TRANSFORMERS)
    say(f"installed in {time.monotonic() - started:.0f} s, {fetched / 1e6:,.0f} MB fetched")
    importlib.invalidate_caches()
    return fetched


def _install_torch() -> int:
    if has_gpu() or platform.system() != "Linux":
        return _install(f"torch=={TORCH}")
    # The CPU build carries a local version label, so asking for it by name never takes a CUDA build by mistake.
    for extra in ([], ["--extra-index-url", CPU_INDEX, "--retries", "1", "--timeout", "15"]):
        code, output = pip("install", f"torch=={TORCH}+cpu", *extra)
        if code == 0:
            return downloaded(output)
    return _install(f"torch=={TORCH}")


def _install(requirement: str) -> int:
    code, output = pip("install", requirement)
    if code:
        raise RuntimeError(f"pip could not install {requirement}:\n" + "\n".join(output.splitlines()[-8:]))
    return downloaded(output)


if __name__ == "__main__":
    install()
