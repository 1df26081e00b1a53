"""What objectives share whose network reads a damaged text and writes what it lacks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from seedstock.errors import RecipeError
from seedstock.models.backbone import Source
from seedstock.models.mask import Mask
from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums
from seedstock.objectives.cross_entropy import linear_cross_entropy


class TextToText(Objective):
    """Cross-entropy of a target, token by token, for a source. ``name`` is the loss's."""

    name = "target"

    def __init__(self, spec: Spec | None, z_loss: float, needed: tuple[str, ...]) -> None:
        self.spec, self.z_loss = spec or Spec(vocab_size=0, context=0), z_loss
        if not getattr(self.spec.model, "cross", False):
            what = "this objective's network reads one text and writes another"
            raise RecipeError(what, where="model.kind", fix="write model: {kind: encoder-decoder, …}")
        missing = [name for name in needed if name not in self.spec.specials]
        if missing:
            named = ", ".join(missing[:3]) + " …" * (len(missing) > 3)
            raise RecipeError(f"the tokenizer has no {named}", where="tokenizer", fix="train one for this objective")
        self.eos, self.pad = self.spec.specials["eos"], self.spec.specials["pad"]
        self.start = self.spec.specials[self.spec.model.start]

    def finished(self, given: np.ndarray, asked: np.ndarray, hidden: np.ndarray) -> Batch:
        """The batch of sources ``[B, S]`` and targets ``[B, T]``, -1 after their ends, which have room for an ``eos``.

        ``hidden`` ``[B, T]`` says which tokens of the target are text that the source does not show. A row without a
        target has no loss.
        """
        given, asked = self._ended(given), self._ended(asked)
        asked = np.where((asked >= 0).sum(1, keepdims=True) > 1, asked, -1)
        tokens = np.full_like(asked, self.pad)
        tokens[:, 0] = self.start
        tokens[:, 1:] = np.where(asked[:, 1:] >= 0, asked[:, :-1], self.pad)
        return {
            "source": np.where(given < 0, self.pad, given),
            "source_documents": np.where(given < 0, -1, 0),
            "tokens": tokens,
            "documents": np.where(asked < 0, -1, 0),
            "targets": asked,
            "hidden": hidden & (asked >= 0),
        }

    def _ended(self, rows: np.ndarray) -> np.ndarray:
        ended = rows.copy()
        ended[np.arange(len(rows)), np.minimum((rows >= 0).sum(1), rows.shape[1] - 1)] = self.eos
        return ended

    def counts(self, batch: Batch) -> Sums:
        """The loss's terms are all tokens of the targets; those of the metric ``hidden`` are hidden text."""
        return {self.name: (batch["targets"] >= 0).sum(), "hidden": batch["hidden"].sum()}

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """The target's tokens, each after the one before, and the source, which is seen from both sides."""
        network, examples = nets["network"], batch.get("examples")
        places = [torch.arange(batch[name].shape[1], device=batch[name].device)[None] for name in ("source", "tokens")]
        ends: Any = batch["source_documents"], batch["documents"]
        if ends[0].device.type == "cpu" and bool((ends[0] >= 0).all()):
            ends = None, None  # padding of targets comes last, where nothing sees it
        source = Source(
            network.embed_source(batch["source"], places[0], examples), places[0], Mask("full", documents=ends[0])
        )
        return {
            "x": network.embed(batch["tokens"], places[1], examples),
            "positions": places[1],
            "attention": Mask("causal", ends[1]),
            "cross": source,
            "examples": examples,
        }

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """The sum of nats of the targets, with the z-loss if there is one; ``hidden``: of hidden text alone."""
        head, targets = nets["network"].head, batch["targets"].flatten()
        chosen = torch.nonzero(targets >= 0).flatten() if targets.device.type == "cpu" else slice(None)
        hidden = head.prepare(output.hidden.flatten(0, 1)[chosen])
        total, nats = linear_cross_entropy(hidden, head.matrix, targets[chosen], self.z_loss, head.bias)
        own = {"nats": nats.sum()} if self.z_loss else {}
        return {self.name: total}, {"hidden": (nats * batch["hidden"].flatten()[chosen]).sum(), **own}

    def expect(self, spec: Spec) -> Expectation:
        """Before training every token is as likely as any other: ln V nats."""
        return Expectation(
            first={self.name: math.log(spec.vocab_size)},
            floor="for hidden text, count models of orders 0 and 1 over the same tokens",
            collapse="hidden text stays at the entropy of single tokens: the source is not read",
            collapse_at={"hidden": "order 0"},
            metrics={"hidden": "nats a token of text that the source does not show"},
        )
