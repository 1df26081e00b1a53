"""The loss of each source beside the loss of all, while a model trains."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

MOST = 16
"""Sources that are told apart; a mixture of more is told by its validation alone."""
NATS, TERMS = "nats@", "terms@"


class BySource:
    """Sums the nats of a batch's rows by the source that their window is from.

    A step's metrics are sums over the count of the whole batch, so both sums are handed on, nats and predicted tokens:
    the one over the other is the source's loss, over any number of steps (``ratios``).
    """

    def __init__(self, spec: Any) -> None:
        strata = spec.shards.strata("train") if hasattr(getattr(spec, "shards", None), "strata") else []
        names = sorted({one.source for one in strata if hasattr(one, "source")})
        self.names = names if 1 < len(names) <= MOST else []
        self._table = torch.zeros(1 + max((one.stratum for one in strata), default=0), dtype=torch.int64)
        for one in strata if self.names else ():
            self._table[one.stratum] = names.index(one.source)

    def sums(self, batch: Any, nats: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Of every source, as metrics; ``nats`` ``[B * T]`` and ``targets`` ``[B, T]`` (-1: none)."""
        if not self.names or "strata" not in batch or len(batch["strata"]) != len(targets):
            return {}
        rows = self._table.to(targets.device)[batch["strata"]]
        found: dict[str, Tensor] = {}
        for name, values in ((NATS, nats.detach().view(targets.shape).sum(1)), (TERMS, (targets >= 0).sum(1).float())):
            zero = torch.zeros(len(self.names), device=values.device, dtype=values.dtype)
            sums = zero.index_add_(0, rows, values)
            found |= {f"{name}{source}": sums[i] for i, source in enumerate(self.names)}
        return found


def ratios(metrics: dict[str, float]) -> dict[str, float]:
    """Metrics with each source's sums turned into its loss (``nats.SOURCE``, a token); none for a source not read."""
    plain = {name: value for name, value in metrics.items() if not name.startswith((NATS, TERMS))}
    for name, value in metrics.items():
        if name.startswith(NATS) and (terms := metrics.get(TERMS + name.removeprefix(NATS), 0.0)) > 0:
            plain[f"nats.{name.removeprefix(NATS)}"] = value / terms
    return plain
