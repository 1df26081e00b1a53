"""Classification of texts: a head over one state of the network, and the whole of it learns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seedstock.errors import RecipeError
from seedstock.models.backbone import Source
from seedstock.models.mask import Mask
from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums
from seedstock.objectives.class_heads import class_loss, head_of, pooled
from seedstock.objectives.configs.classify import ClassifyConfig


class Classify(Objective):
    """Cross-entropy of the class. A row without one, and one that was erased, teaches nothing."""

    chooses = "right"

    def __init__(self, config: ClassifyConfig | None = None, spec: Spec | None = None) -> None:
        self.config, self.spec = config or ClassifyConfig(), spec or Spec(vocab_size=0, context=0)
        model = self.spec.model
        self.pool = self.config.pooled(model) if model is not None else self.config.pool
        if model is not None and model.kind == "decoder" and self.pool != "last":
            what = f"pool: {self.pool} asks a state of a decoder that has not read the text"
            raise RecipeError(what, where="objective.pool", fix="leave it out, or set pool: last")

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``tokens`` and ``documents`` (0, -1 for padding) ``[B, T]``, T that of the longest; ``label`` ``[B]``.

        Raises RecipeError where texts are longer than the network's context, or come without classes.
        """
        if "label" not in items:
            what = "the objective classify needs texts with their classes"
            raise RecipeError(what, where="input", fix="write input: {kind: labelled-text, label: …}")
        tokens, inside = shortened(items["tokens"], self.spec)
        if tokens.shape[1] > self.spec.context:
            what = f"texts of {tokens.shape[1]} tokens do not fit the model's context of {self.spec.context}"
            raise RecipeError(what, where="input.length", fix=f"set input.length: {self.spec.context}")
        label = np.where(items["present"], items["label"], -1).astype(np.int64)
        return {"tokens": tokens, "documents": np.where(inside, 0, -1), "label": label}

    def counts(self, batch: Batch) -> Sums:
        """``classify``: rows with a class."""
        return {"classify": (batch["label"] >= 0).sum()}

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """The text, seen as the network sees texts; one that reads a source is asked for the target's first state."""
        network, examples, tokens = nets["network"], batch.get("examples"), batch["tokens"]
        places = torch.arange(tokens.shape[1], device=tokens.device)[None]
        if not network.config.cross:
            pattern = "causal" if network.config.kind == "decoder" else "full"
            return {
                "x": network.embed(tokens, places, examples),
                "positions": places,
                "attention": Mask.over(batch["documents"], pattern),  # type: ignore[arg-type]
                "examples": examples,
            }
        start = torch.full_like(tokens[:, :1], self.spec.specials[network.config.start])
        source = Source(network.embed_source(tokens, places, examples), places, Mask("full", batch["documents"]))
        return {
            "x": network.embed(start, places[:, :1], examples),
            "positions": places[:, :1],
            "attention": Mask("causal", torch.zeros_like(start)),
            "cross": source,
            "examples": examples,
        }

    def logits(self, nets: Any, output: Any, batch: Batch) -> Tensor:
        """``[B, C]`` in fp32."""
        network = nets["network"]
        hidden = output.hidden
        state = hidden[:, 0] if network.config.cross else pooled(hidden, batch["documents"], self.pool)
        if network.config.shape == "modernbert":
            state = network.head.prepare(state)
        return nets["class_head"](state, batch.get("examples"))

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``classify``: nats of the class; the metric ``right`` is how often the likeliest one is it."""
        # Where a text was erased, its row is padding alone, and what comes of that is nobody's class.
        return class_loss(self.logits(nets, output, batch), batch["label"])

    def nets(self) -> dict[str, nn.Module]:
        """The head."""
        head = head_of(self.spec.model, len(self.spec.labels), self.config.dropout, self.spec.seed)
        return {"class_head": head}

    def expect(self, spec: Spec) -> Expectation:
        """Before training every class is as likely as any other: ln C nats."""
        return Expectation(
            first={"classify": math.log(len(spec.labels))},
            floor="the share of the most frequent class; then the same network from random weights",
            collapse="every text gets the most frequent class: the network is not asked, or the rate was too high",
            metrics={"right": "share of texts whose class is right"},
        )


def shortened(tokens: np.ndarray, spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    """Rows ``[B, T]`` without the columns that are padding in all of them, and where they are none (bool)."""
    inside = tokens != spec.specials["pad"]
    longest = max(1, int(inside.sum(1).max(initial=1)))
    return tokens[:, :longest].astype(np.int64), inside[:, :longest]
