"""The machine as a run sees it: what is named in its records, and the settings that it needs while it trains."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from seedstock.training import compiled
from seedstock.training.configs.training import TrainingConfig


def versions() -> dict[str, str]:
    """What the bits of a result depend on besides recipe and data; nothing that names the machine or its owner."""
    from importlib.metadata import version

    return {
        "seedstock": version("seedstock"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "instructions": torch.backends.cpu.get_cpu_capability(),
    } | ({"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {})


def differences(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What changed, as ``torch 2.12.0 → 2.13.0``."""
    return [f"{key} {then.get(key)} → {now.get(key)}" for key in sorted(then | now) if then.get(key) != now.get(key)]


@contextmanager
def settings(config: TrainingConfig) -> Iterator[None]:
    """Threads and determinism as configured, inside the block; afterwards as they were. What is compiled is kept."""
    threads = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    try:
        if config.compile:
            compiled.keep()
        if config.threads:
            torch.set_num_threads(config.threads)
        if config.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
            torch.use_deterministic_algorithms(True)
            # Filling every new tensor would cost time and guards against a kind of bug that tests find as well.
            torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
