"""Heads of classifiers: from one hidden state to a number for each class, as the ecosystem's classes have them."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.dropout import Dropout
from seedstock.models.initialise import fill
from seedstock.models.linear import Linear
from seedstock.objectives.base import Sums


def class_loss(logits_BC: Tensor, label_B: Tensor) -> tuple[Sums, Sums]:
    """``classify``: nats of the class, summed; the metric ``right`` is how often the likeliest one is it.

    What has no class, -1, counts for nothing.
    """
    held = label_B >= 0
    nats = F.cross_entropy(logits_BC, label_B.clamp_min(0), reduction="none") * held
    return {"classify": nats.sum()}, {"right": ((logits_BC.argmax(-1) == label_B) & held).sum()}


class ClassHead(nn.Module):
    """``classifier(dropout(state))``; with ``dense`` first a layer of its own and tanh (BERT's pooler, ESM-2's head).

    Initial weights are keyed by (seed, name): normal, 0.02; biases are zero.
    """

    def __init__(self, width: int, classes: int, *, dense: bool, bias: bool, dropout: float, seed: int) -> None:
        super().__init__()
        self.dense = Linear(width, width, True) if dense else None
        self.dropout = Dropout(dropout, seed, "classifier")
        self.classifier = Linear(width, classes, bias)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                fill(parameter, 0.0 if name.endswith("bias") else 0.02, seed, f"class_head.{name}")

    def forward(self, state_BD: Tensor, examples_B: Tensor | None = None) -> Tensor:
        """``[B, C]`` in fp32."""
        if self.dense is not None:
            state_BD = torch.tanh(self.dense(state_BD))
        return self.classifier(self.dropout(state_BD, examples_B)).float()

    def roles(self) -> dict[str, str]:
        """All small: none is a hidden matrix that a layout would cut."""
        return {name: "vector" if name.endswith("bias") else "head" for name, _ in self.named_parameters()}


def pooled(hidden_BTD: Tensor, documents_BT: Tensor, pool: str) -> Tensor:
    """One state ``[B, D]`` of a row: its ``first``, its ``last`` that is no padding, or their ``mean`` (in fp32)."""
    if pool == "first":
        return hidden_BTD[:, 0]
    inside = documents_BT >= 0
    if pool == "last":
        last = (inside.sum(1) - 1).clamp_min(0)
        return hidden_BTD[torch.arange(len(last), device=last.device), last]
    kept = inside[..., None].float()
    return ((hidden_BTD.float() * kept).sum(1) / kept.sum(1).clamp_min(1)).to(hidden_BTD.dtype)


def head_of(config: Any, classes: int, dropout: float, seed: int) -> ClassHead:
    """The head that goes with a network: none of its own layer after a decoder, and after ModernBERT the one that the
    network has already learned to predict hidden tokens with (``Network.head.prepare``)."""
    dense = config.kind != "decoder" and config.shape != "modernbert"
    return ClassHead(config.width, classes, dense=dense, bias=config.kind != "decoder", dropout=dropout, seed=seed)
