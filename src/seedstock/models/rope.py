"""Rotary position embedding (Su et al. 2021), as ``transformers`` has it: halves pair up, not neighbours."""

from __future__ import annotations

import torch
from torch import Tensor


def angles(positions_BT: Tensor, head_size: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines ``[B, 1, T, K/2]`` in fp32, one for each pair of dimensions."""
    steps = torch.arange(0, head_size, 2, device=positions_BT.device, dtype=torch.float32) / head_size
    turns = positions_BT[:, None, :, None].float() * (1.0 / base**steps)
    return turns.cos(), turns.sin()


def rotate(x_BHTK: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turns each pair (i, i + K/2) of dimensions by its position's angle."""
    left, right = x_BHTK.chunk(2, -1)
    return torch.cat((left * cosines - right * sines, right * cosines + left * sines), -1)
