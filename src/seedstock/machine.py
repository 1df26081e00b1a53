"""This machine as a plan sees it: its fastest matrix products, by torch where it is installed."""

from __future__ import annotations

import dataclasses
import importlib.util
from typing import Any

SMALL_MODELS = 0.3
"""The share of that rate that networks of a few million parameters reach on a processor with bf16 units: the
quickstart was seen at 0.25 with AMX and at 0.35 with AVX512-BF16 alone."""


def memory() -> tuple[str, int]:
    """``cpu`` or ``gpu``, and how many bytes the device has that networks run on; 0 where nothing says."""
    import torch

    from seedstock import weights
    from seedstock.planning.hardware import system_memory

    device = torch.device(weights.device())
    if device.type == "cuda":
        return "gpu", int(torch.cuda.get_device_properties(device).total_memory)
    return ("cpu" if device.type == "cpu" else "gpu"), system_memory()


def hardware() -> Any:
    """A ``planning.hardware.Hardware`` of this machine, measured in about a second."""
    from seedstock.planning.hardware import this_machine

    plain = this_machine()
    if importlib.util.find_spec("torch") is None:
        return plain
    import torch

    from seedstock import weights
    from seedstock.training.measure import peak

    device = torch.device(weights.device())
    rates = {name: peak(dtype, device) for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))}
    best = max(rates, key=lambda name: rates[name])
    memory = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else plain.memory
    share = plain.utilisation if best == "fp32" else SMALL_MODELS
    return dataclasses.replace(
        plain,
        name=f"this machine in {best}",
        flops=rates[best],
        memory=memory,
        utilisation=share,
        kind="cpu" if device.type == "cpu" else "gpu",
    )
