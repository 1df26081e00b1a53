"""SimCLR: two views of one picture, told from all others of the batch (Chen et al. 2020)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from seedstock.objectives.base import Batch, Expectation, Spec, Sums
from seedstock.objectives.configs.views import SimclrConfig
from seedstock.objectives.projection import Projector, spread
from seedstock.objectives.two_views import TwoViews


class Simclr(TwoViews):
    """Cross-entropy over cosines: each view's other view among the 2 B - 1 views that are not itself (NT-Xent)."""

    coupling = "batch"

    def __init__(self, config: SimclrConfig | None = None, spec: Spec | None = None) -> None:
        self.config, self.spec = config or SimclrConfig(), spec or Spec(vocab_size=0, context=0)

    def represent(self, nets: Any, output: Any, batch: Batch) -> Sums:
        """``first`` and ``second``: unit vectors ``[B, outputs]``; and whether the picture is there."""
        found = F.normalize(nets["projector"](nets["network"].pooled(output.hidden)), dim=-1)
        first, second = found.chunk(2)
        return {"first": first, "second": second, "present": batch["present"]}

    def couple(self, nets: Any, represented: Sums) -> tuple[Sums, Sums]:
        """``view``: nats; metrics: ``right``, how often the other view is the nearest, and ``spread``."""
        there = represented["present"].bool()
        first, second = represented["first"][there], represented["second"][there]
        both, count = torch.cat([first, second]), len(first)
        if count < 2:  # nothing to tell it from
            return {"view": both.sum() * 0.0}, {name: both.new_zeros(()) for name in ("right", "spread")}
        cosines = (both @ both.T / self.config.temperature).fill_diagonal_(-math.inf)
        wanted = (torch.arange(2 * count, device=both.device) + count) % (2 * count)
        metrics = {"right": (cosines.argmax(1) == wanted).sum(), "spread": spread(both.detach()) * 2 * count}
        return {"view": F.cross_entropy(cosines, wanted, reduction="sum")}, metrics

    def nets(self) -> dict[str, nn.Module]:
        """The projector, which is thrown away afterwards."""
        c = self.config
        return {"projector": Projector(self.spec.model.width, c.hidden, c.outputs, self.spec.seed, "projector")}

    def expect(self, spec: Spec) -> Expectation:
        """By chance every other view of the batch is as near: ln(2 B - 1). A fresh network knows colours apart."""
        chance = math.log(max(2, 2 * spec.batch - 1))
        return Expectation(
            first={"view": chance},
            tolerance=0.2,
            floor=f"ln(2 B - 1) = {chance:.3f} nats by chance in batches of {spec.batch}",
            collapse="the loss stays at ln(2 B - 1) and the spread goes to 0: all pictures look alike",
            metrics={"right": "share of views whose other view is the nearest", "spread": "how far features scatter"},
            collapse_at={"view": chance},
            collapse_below={"spread": 0.1},
        )
