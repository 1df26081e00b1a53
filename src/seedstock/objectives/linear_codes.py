"""What codes without learning lose of pictures: means, principal components, and the best linear code of some bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seedstock.models.patches import normalised

PICTURES = 10_000
VALUES = 4096  # of a picture, above which no components are looked for


def training(shards: Any) -> Tensor:
    """Up to 10,000 training pictures, evenly taken, fp32 ``[N, values]``."""
    found = sampled(shards, "image", PICTURES)
    return torch.zeros(0, 1) if found is None else normalised(found).flatten(1)


def sampled(shards: Any, field: str, most: int) -> Tensor | None:
    """A field of up to so many training items, evenly taken; None where there are none."""
    found = []
    strata = shards.strata("train") if shards is not None else []
    whole = sum(one.tokens for one in strata)
    for one in strata:
        count = min(one.tokens, math.ceil(most * one.tokens / max(1, whole)))
        items = shards.items("train", one.stratum, np.linspace(0, one.tokens - 1, count).astype(np.int64))
        found.append(items[field][items["present"].astype(bool)])
    return torch.from_numpy(np.concatenate(found)) if found else None


def errors(pictures: Tensor, known: Tensor, numbers: int, bits: float | None = None) -> dict[str, float]:
    """Mean squared errors of ``pictures`` ``[M, values]``: ``grey``, and of what is learned of ``known``
    ``[N, values]`` ``mean picture`` and ``PCA`` with so many ``numbers`` a picture, each exact. ``linear, same bits``
    is what the best linear code of so many ``bits`` a picture loses of Gaussian data with that covariance: bits go to
    components by reverse water-filling (Cover and Thomas 2006, theorem 10.3.3), which no code that rounds each
    component by itself attains."""
    found = {"grey": float(pictures.square().mean())}
    if not len(known):
        return found | {"mean picture": float((pictures - pictures.mean(0)).square().mean())}
    mean = known.mean(0)
    away, values = pictures - mean, pictures.shape[1]
    found["mean picture"] = float(away.square().mean())
    if values > VALUES:
        return found
    covariance = torch.cov(known.T.double(), correction=0).reshape(values, values)
    powers, axes = torch.linalg.eigh(covariance)
    kept = axes[:, -min(numbers, values) :].float()
    found["PCA"] = float((away - away @ kept @ kept.T).square().mean())
    if bits is not None:
        found["linear, same bits"] = _water(powers.clamp_min(0), bits) / values
    return found


def _water(powers: Tensor, bits: float) -> float:
    """The squared error that is left of independent Gaussians with these variances after so many bits."""
    low, high = 0.0, float(powers.max())
    for _ in range(100):
        level = (low + high) / 2
        spent = 0.5 * (powers / max(level, 1e-30)).clamp_min(1).log2().sum()
        low, high = (level, high) if float(spent) > bits else (low, level)
    return float(powers.clamp_max(high).sum())
