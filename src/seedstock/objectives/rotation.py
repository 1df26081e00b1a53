"""Rotation: by how much was a picture turned (Gidaris et al. 2018)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums
from seedstock.objectives.configs.rotation import RotationConfig
from seedstock.objectives.heads import Prediction
from seedstock.objectives.pictures import crops, features, flips

TURNS = 4


class Rotation(Objective):
    """Cross-entropy over the four turns of each picture, all of them in one batch, from the mean of its patches."""

    exports = "vit"

    def __init__(self, config: RotationConfig | None = None, spec: Spec | None = None) -> None:
        self.config, self.spec = config or RotationConfig(), spec or Spec(vocab_size=0, context=0)

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``image`` uint8 ``[B, H, W, C]``, cropped and flipped, and ``present`` ``[B]``."""
        images = crops(items["image"], keys, self.config.crop)
        return {"image": flips(images, keys) if self.config.flip else images, "present": items["present"]}

    def counts(self, batch: Batch) -> Sums:
        """``turn``: the turns of pictures that are there."""
        return {"turn": batch["present"].sum() * TURNS}

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """Every picture four times, ``[4 B, …]``, the pictures of one turn after another."""
        turned = [torch.rot90(batch["image"], number, (1, 2)) for number in range(TURNS)]
        examples = torch.cat([batch["examples"] * TURNS + number for number in range(TURNS)])  # for dropout
        return nets["network"].inputs(torch.cat(turned), examples)

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``turn``: nats; the metric ``right`` is how often the turn is found."""
        logits = nets["turn"](nets["network"].pooled(output.hidden))
        count = len(batch["present"])
        wanted = torch.arange(TURNS, device=logits.device).repeat_interleave(count)
        there = batch["present"].repeat(TURNS)
        nats = F.cross_entropy(logits, wanted, reduction="none")
        return {"turn": (nats * there).sum()}, {"right": ((logits.argmax(-1) == wanted) & there).sum()}

    def nets(self) -> dict[str, nn.Module]:
        """A linear head."""
        return {"turn": Prediction(self.spec.model.width, TURNS, self.spec.seed, "turn")}

    def features(self, nets: Any, batch: Batch) -> Tensor:
        """The mean over the patches ``[B, D]``."""
        return features(nets, batch)

    def expect(self, spec: Spec) -> Expectation:
        """Before training every turn is as likely as another: ln 4."""
        return Expectation(
            first={"turn": math.log(TURNS)},
            floor="ln 4 nats: a quarter is right by chance",
            collapse="the loss stays at ln 4: the network does not see which way is up",
            metrics={"right": "share of turns that are found"},
            collapse_at={"turn": math.log(TURNS)},
            collapse_below={"right": 1 / TURNS},
        )
