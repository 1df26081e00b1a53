"""An objective whose loss compares the examples of a batch: which halves of windows belong together."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from seedstock.models.mask import Mask
from seedstock.objectives.base import Objective


class Scale(nn.Module):
    """A parameter inside of the comparison."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([2.0]))

    def roles(self):
        return {"scale": "vector"}


class Halves(Objective):
    """Which first half of a window belongs to which second half (van den Oord et al. 2018, InfoNCE)."""

    coupling = "batch"

    def nets(self):
        return {"temperature": Scale()}

    def counts(self, batch):
        return {"pairs": torch.tensor(len(batch["examples"]))}

    def inputs(self, nets, batch):
        half, found = batch["tokens"].shape[1] // 2, []
        for rows in (slice(0, half), slice(half, 2 * half)):
            positions = torch.arange(half)[None]
            x = nets["network"].embed(batch["tokens"][:, rows], positions, batch["examples"])
            found.append({"x": x, "positions": positions, "attention": Mask("causal"), "examples": batch["examples"]})
        return found

    def represent(self, nets, output, batch):
        first, second = (F.normalize(one.hidden.mean(1).float(), dim=-1) for one in output)
        return {"first": first, "second": second, "example": batch["examples"]}

    def couple(self, nets, represented):
        scores = represented["first"] @ represented["second"].T * nets["temperature"].scale
        wanted = torch.arange(len(scores))
        right = (scores.argmax(1) == wanted).sum()
        return {"pairs": F.cross_entropy(scores, wanted, reduction="sum")}, {"right": right}


class HalvesConfig:
    """As a recipe would name it."""

    def specials(self):
        return ()

    def build(self, spec=None):
        return Halves()
