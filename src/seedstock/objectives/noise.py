"""The ways between a picture and noise, and how to walk them back: flow matching and DDPM."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

STEPS = 1000
BETAS = (1e-4, 0.02)


def normal(keys: Any, name: str, shape: tuple[int, ...]) -> Tensor:
    """Normal numbers ``[B, *shape]``, fp32, keyed by the example (Box and Muller 1958)."""
    count = math.prod(shape)
    first, second = (torch.from_numpy(keys.uniform(f"{name} {part}", count)) for part in ("radius", "angle"))
    found = (-2 * torch.log1p(-first)).sqrt() * torch.cos(2 * torch.pi * second)
    return found.float().reshape(-1, *shape)


def kept() -> Tensor:
    """What is left of the picture's variance after each of DDPM's steps, fp64 ``[STEPS]``: Ho et al. 2020, equation 4,
    betas rising evenly."""
    return torch.from_numpy(np.cumprod(1 - np.linspace(*BETAS, STEPS)))


class Flow:
    """``x = (1 - t) · picture + t · noise``; what is learned is the velocity, noise - picture (Lipman et al. 2023)."""

    target = "velocity"

    def mixed(self, picture: Tensor, noise: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The mixture at times ``t`` (uniform, ``[B, 1, 1, 1]``), and what is to be predicted."""
        return (1 - t) * picture + t * noise, noise - picture

    def time(self, t: Tensor) -> Tensor:
        """The time as networks are told it, from 0 to 1,000."""
        return t * STEPS

    def walk(self, predict: Callable[[Tensor, Tensor], Tensor], x: Tensor, steps: int, bounded: bool = True) -> Tensor:
        """From noise to pictures by Euler's steps."""
        times = torch.linspace(1.0, 0.0, steps + 1, device=x.device)
        for now, then in pairwise(times):
            x = x + (then - now) * predict(x, now.expand(len(x)))
        return x


class Ddpm:
    """``x = √ā · picture + √(1 - ā) · noise``; what is learned is the noise (Ho et al. 2020, algorithm 1)."""

    target = "noise"

    def mixed(self, picture: Tensor, noise: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The mixture at times ``t`` (uniform, ``[B, 1, 1, 1]``), and what is to be predicted."""
        share = self._share(t)
        return share.sqrt() * picture + (1 - share).sqrt() * noise, noise

    def time(self, t: Tensor) -> Tensor:
        """The number of the step, from 0."""
        return (t * STEPS).floor().clamp(max=STEPS - 1)

    def walk(self, predict: Callable[[Tensor, Tensor], Tensor], x: Tensor, steps: int, bounded: bool = True) -> Tensor:
        """From noise to pictures without noise on the way (Song et al. 2021, DDIM, equation 12 with η = 0). Where they
        are ``bounded``, as pixels are, what is guessed of them stays between -1 and 1, and the noise is what
        then is left."""
        numbers = torch.linspace(STEPS - 1, 0, steps, device=x.device).round().long()
        shares = kept().float().to(x.device)
        for place, number in enumerate(numbers):
            t = (number.float() / STEPS).expand(len(x))
            noise, share = predict(x, t), shares[number]
            picture = (x - (1 - share).sqrt() * noise) / share.sqrt()
            if bounded:
                picture = picture.clamp(-1, 1)
                noise = (x - share.sqrt() * picture) / (1 - share).sqrt()  # what goes with that picture
            after = shares[numbers[place + 1]] if place + 1 < len(numbers) else shares.new_tensor(1.0)
            x = after.sqrt() * picture + (1 - after).sqrt() * noise
        return x

    def _share(self, t: Tensor) -> Tensor:
        return kept().to(t.device)[self.time(t).long()].float()


PROCESSES = {"flow": Flow, "ddpm": Ddpm}
