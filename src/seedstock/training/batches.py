"""From the loader's numpy arrays to tensors, and from a batch to micro-batches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

Batch = dict[str, Any]
HOST = ("digests",)  # what only the record of the step needs


def tensors(arrays: dict[str, np.ndarray], device: torch.device) -> Batch:
    """The arrays as tensors on ``device``."""
    found = {name: torch.from_numpy(array) for name, array in arrays.items() if name not in HOST}
    if device.type == "cuda":
        return {name: tensor.pin_memory().to(device, non_blocking=True) for name, tensor in found.items()}
    return {name: tensor.to(device) for name, tensor in found.items()}


def split(batch: Batch, size: int) -> Iterator[Batch]:
    """Micro-batches of up to ``size`` examples: every tensor with a row for each example is cut."""
    count = len(batch["examples"])
    for start in range(0, count, size):
        rows = slice(start, min(start + size, count))
        yield {name: value[rows] if value.dim() and len(value) == count else value for name, value in batch.items()}


def stand_in(batch: Batch) -> Batch:
    """One example for a process that has none left: the first it was given, or where it was given none, zeros."""
    if len(batch["examples"]):
        return next(split(batch, 1))
    rows = {name: value.dim() and not len(value) for name, value in batch.items()}
    return {name: value.new_zeros(1, *value.shape[1:]) if rows[name] else value for name, value in batch.items()}


def digests(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """``[B, 16]`` bytes: the loader's digests of what is stored, or where a loader has none, of what it handed over."""
    if "digests" in arrays:
        return arrays["digests"]
    count = len(arrays["examples"])
    rows = [array for name, array in sorted(arrays.items()) if array.ndim and len(array) == count]
    found = [hashlib.blake2b(b"".join(row[i].tobytes() for row in rows), digest_size=16).digest() for i in range(count)]
    return np.frombuffer(b"".join(found), np.uint8).reshape(count, 16)
