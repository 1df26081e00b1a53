"""Relative position bias (Raffel et al. 2020, section 2.1): a number a head for each range of distances."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn


class RelativeBias(nn.Module):
    """Half of the buckets are single distances, the other half grow logarithmically up to ``config.longest``."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.buckets, self.longest = config.buckets, config.longest
        self.weight = nn.Parameter(torch.empty(config.buckets, config.heads))

    def forward(self, queries: int, keys: int, both_ways: bool) -> Tensor:
        """``[H, T, S]`` in fp32; the queries are the last of the keys' positions."""
        at = torch.arange(keys, device=self.weight.device)
        return self.weight[self._bucket(at[None, :] - at[keys - queries :, None], both_ways)].permute(2, 0, 1)

    def _bucket(self, distance: Tensor, both_ways: bool) -> Tensor:
        """The bucket of key position minus query position."""
        buckets, offset = self.buckets, torch.zeros_like(distance)
        if both_ways:
            buckets //= 2
            offset = (distance > 0) * buckets
            distance = distance.abs()
        else:
            distance = (-distance).clamp_min(0)
        exact = buckets // 2
        share = torch.log(distance.clamp_min(1).float() / exact) / math.log(self.longest / exact)
        far = (exact + (share * (buckets - exact)).long()).clamp_max(buckets - 1)
        return offset + torch.where(distance < exact, distance, far)
