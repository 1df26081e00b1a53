"""What the device can do and what the model asks of it: the two sides of model FLOPs utilisation (MFU)."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import nn

from seedstock.planning import flops
from seedstock.planning.hardware import named
from seedstock.planning.parameters import Shape


def peak(dtype: torch.dtype, device: torch.device, seconds: float = 0.25) -> float:
    """FLOP/s of the fastest square matrix product in ``dtype`` seen within ``seconds``, at the present threads.

    Measured, not looked up: a peak hard-coded for one device makes every other device's MFU wrong.
    """
    n = 8192 if device.type == "cuda" else 1024
    a = torch.randn(n, n, device=device).to(dtype)
    b = torch.empty_like(a)
    fastest, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        torch.mm(a, a, out=b)
        wait(device)
        fastest = min(fastest, time.perf_counter() - began)
    return 2 * n**3 / fastest


def sheet(device: torch.device) -> float:
    """FLOP/s in bf16 that the maker's data sheet promises; 0 where the device is not one of ``planning.hardware``."""
    found = named(torch.cuda.get_device_name(device)) if device.type == "cuda" else None
    return found.flops if found else 0.0


def wait(device: torch.device) -> None:
    """Waits until the device has done what it was given."""
    if device.type != "cpu":
        torch.get_device_module(device).synchronize()


def flops_a_token(network: nn.Module, length: int, source: int | None = None) -> float:
    """Training FLOPs a position: 6N + 12 L H Q T (Chowdhery et al. 2022, arXiv 2204.02311, appendix B).

    N counts every matrix that is multiplied, the head included and the embedding not, at every position, whether the
    objective has a target there or not. A position of an encoder-decoder is one of the target, with its share of a
    source of ``source`` positions, by default as long as the target. For a network of an unknown kind it is 6 for each
    element of its matrices, without attention.
    """
    try:
        return flops.training(Shape.of(network.config), network.vocab_size, length, source=source)  # type: ignore[arg-type]
    except AttributeError:
        return 6.0 * sum(p.numel() for p in network.parameters() if p.ndim >= 2)


def flops_of(network: nn.Module, passes: Sequence[tuple[int, int, int]]) -> float:
    """The same where one loss takes several passes (``training.gradients.Step.passes``): the mean over all positions.

    Positions of every pass count as tokens, so that their product with this is the work of a step.
    """
    work = sum(rows * length * flops_a_token(network, length, source or None) for rows, length, source in passes)
    return work / sum(rows * length for rows, length, _ in passes)
