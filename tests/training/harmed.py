"""An objective that does harm at examples that are known: a loss without a number, a gradient without one, a spike."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch

from seedstock.objectives.causal import Causal


class Harmed(Causal):
    """Next-token prediction; the micro-batch that has one of ``examples`` goes wrong as ``how`` says."""

    def __init__(self, examples: Collection[int], how: str = "loss", *given: Any) -> None:
        super().__init__(*given)
        self.examples, self.how = torch.tensor(sorted(examples)), how

    def loss(self, nets: Any, output: Any, batch: Any) -> Any:
        sums, metrics = super().loss(nets, output, batch)
        hit = torch.isin(batch["examples"], self.examples).any()
        if hit and self.how == "loss":
            sums["causal"] = sums["causal"] * torch.inf
        elif hit and self.how == "gradient":
            sums["causal"] = sums["causal"] + (output.hidden.sum() * 0).sqrt()
        elif hit:
            sums["causal"] = sums["causal"] * 50
        return sums, metrics
