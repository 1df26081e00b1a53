"""Pictures as the latents of another run's autoencoder, and back (Rombach et al. 2022)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seedstock.objectives import linear_codes
from seedstock.objectives.noise import normal

PICTURES = 256  # that the scale is measured on
AT_ONCE = 32


class Latents:
    """A frozen KL autoencoder. ``factor`` brings samples of its latents to a deviation of one: where it is not given it
    is measured on training pictures, to three digits, so that rounding of other machines does not change it."""

    def __init__(self, network: Any, shards: Any = None, factor: float | None = None) -> None:
        self.network = network.requires_grad_(False).eval()
        self.factor = factor or self._measured(shards)

    @torch.no_grad()
    def _measured(self, shards: Any) -> float:
        pictures = linear_codes.sampled(shards, "image", PICTURES)
        if pictures is None or not len(pictures):
            return 1.0
        device = next(self.network.parameters()).device
        found = torch.cat([self._found(one.to(device)) for one in pictures.split(AT_ONCE)])
        mean, spread = found.chunk(2, dim=-1)
        variance = mean.var() + spread.clamp(-30, 20).exp().mean()
        return float(f"{1 / max(float(variance.sqrt()), 1e-6):.3g}")

    def _found(self, images: Tensor) -> Tensor:
        return self.network.backbone(**self.network.inputs(images)).hidden.float()

    @torch.no_grad()
    def of(self, images_BHWC: Tensor, keys: Any) -> Tensor:
        """A sample of each picture's Gaussian, keyed by the example, scaled: fp32 ``[B, side, side, E]``."""
        mean, spread = self._found(images_BHWC).chunk(2, dim=-1)
        noise = normal(keys, "latents", tuple(mean.shape[1:])).to(mean.device)
        found = (mean + (0.5 * spread.clamp(-30, 20)).exp() * noise) * self.factor
        side = round(found.shape[1] ** 0.5)
        return found.unflatten(1, (side, side))

    @torch.no_grad()
    def pictures(self, latents: Tensor) -> Tensor:
        """What is drawn of scaled latents ``[B, side, side, E]``: fp32 ``[B, H, W, C]``."""
        return self.network.decode(latents.flatten(1, 2) / self.factor)
