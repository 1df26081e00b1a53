"""Text to text: what a network writes for a text that it has read."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seedstock.errors import RecipeError
from seedstock.models.backbone import Source
from seedstock.models.mask import Mask
from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums
from seedstock.objectives.classify import shortened
from seedstock.objectives.configs.answer import AnswerConfig
from seedstock.objectives.cross_entropy import linear_cross_entropy


class Answer(Objective):
    """Cross-entropy of the target's tokens and of its end, each from the text and from the target before it."""

    chooses = "exact"

    def __init__(self, config: AnswerConfig | None = None, spec: Spec | None = None) -> None:
        self.config, self.spec = config or AnswerConfig(), spec or Spec(vocab_size=0, context=0)
        self.cross = bool(getattr(self.spec.model, "cross", False))

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``tokens``, ``documents`` and ``targets`` ``[B, T]`` (-1: not to be predicted), ``label`` ``[B]``; of an
        encoder-decoder also ``source`` and ``source_documents`` ``[B, S]``."""
        if "target" not in items:
            what = "the objective text-to-text needs texts in pairs"
            raise RecipeError(what, where="input", fix="write input: {kind: text-to-text, target: …}")
        erased = ~items["present"][:, None]
        given, inside = shortened(items["tokens"], self.spec)
        asked, wanted = shortened(items["target"], self.spec)
        inside, wanted = inside & ~erased, wanted & ~erased
        label = np.where(items["present"], items["label"], -1).astype(np.int64)
        if self.cross:
            start = self.spec.specials[self.spec.model.start]
            # The stored target is BOS, text, EOS: what begins a target here is the network's own start.
            made = {
                "tokens": np.concatenate([np.full_like(asked[:, :1], start), asked[:, 1:-1]], 1),
                "documents": np.where(wanted[:, 1:], 0, -1),
                "targets": np.where(wanted[:, 1:], asked[:, 1:], -1),
                "source": given,
                "source_documents": np.where(inside, 0, -1),
            }
        else:
            made = self._one_sequence(given, inside, asked, wanted)
        longest = max(array.shape[1] for array in made.values())
        if longest > self.spec.context:
            what = f"texts of {longest} tokens do not fit the model's context of {self.spec.context}"
            raise RecipeError(what, where="input.length", fix="shorten input.length or input.target_length")
        return {**made, "label": label}

    def _one_sequence(self, given: np.ndarray, inside: np.ndarray, asked: np.ndarray, wanted: np.ndarray) -> Batch:
        """``bos TEXT im_end ANSWER eos`` of each row, packed to the left."""
        parted = self._prompt(given, inside)
        both = np.concatenate([parted, asked[:, 1:]], 1)
        known = np.concatenate([inside, wanted[:, 1:]], 1)
        answer = np.concatenate([np.zeros_like(inside), wanted[:, 1:]], 1)
        order = np.argsort(~known, axis=1, kind="stable")
        tokens, known, answer = (np.take_along_axis(one, order, 1) for one in (both, known, answer))
        longest = max(2, int(known.sum(1).max(initial=2)))
        tokens, known, answer = tokens[:, :longest], known[:, :longest], answer[:, :longest]
        return {
            "tokens": tokens[:, :-1],
            "documents": np.where(known[:, :-1], 0, -1),
            "targets": np.where(answer[:, 1:], tokens[:, 1:], -1),
        }

    def _prompt(self, given: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """Each text with ``im_end`` in the place of its EOS."""
        last = np.maximum(inside.sum(1) - 1, 0)
        ended = given.copy()
        ended[np.arange(len(ended)), last] = self.spec.specials["im_end"]
        return ended

    def counts(self, batch: Batch) -> Sums:
        """``answer``: predicted tokens; ``exact``: texts with an answer."""
        return {"answer": (batch["targets"] >= 0).sum(), "exact": (batch["targets"] >= 0).any(1).sum()}

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """The target's tokens, each after those before it, and what they are written for."""
        network, examples, tokens = nets["network"], batch.get("examples"), batch["tokens"]
        places = torch.arange(tokens.shape[1], device=tokens.device)[None]
        made = {"x": network.embed(tokens, places, examples), "positions": places, "examples": examples}
        if not self.cross:
            return {**made, "attention": Mask.over(batch["documents"])}
        return {**made, "attention": Mask("causal", batch["documents"]), "cross": self._source(network, batch)}

    def _source(self, network: Any, batch: Batch) -> Source:
        tokens = batch["source"]
        places = torch.arange(tokens.shape[1], device=tokens.device)[None]
        x = network.embed_source(tokens, places, batch.get("examples"))
        return Source(x, places, Mask("full", batch["source_documents"]))

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``answer``: nats of the targets; the metric ``exact``: texts whose every token is the likeliest after the
        right ones before it, which is when greedy writing gives the target."""
        head, targets = nets["network"].head, batch["targets"]
        rows = torch.nonzero(targets.flatten() >= 0).flatten()
        hidden = head.prepare(output.hidden.flatten(0, 1)[rows])
        total, nats = linear_cross_entropy(hidden, head.matrix, targets.flatten()[rows], self.config.z_loss, head.bias)
        with torch.no_grad():
            chosen = _likeliest(hidden, head)
            wrong = torch.zeros_like(targets).flatten()
            wrong[rows] = (chosen != targets.flatten()[rows]).to(wrong.dtype)
            exact = ((wrong.view_as(targets).sum(1) == 0) & (targets >= 0).any(1)).sum()
        own = {"nats": nats.sum()} if self.config.z_loss or output.aux else {}
        return {"answer": total, **output.aux}, {"exact": exact, **own}

    def expect(self, spec: Spec) -> Expectation:
        """Before training every token is as likely as any other: ln V nats; a trained network's loss is its own."""
        return Expectation(
            first={"answer": math.log(spec.vocab_size)},
            floor="the entropy of the targets; of classes in words, the share of the most frequent",
            collapse="every text gets the same answer: what was read is not used",
            metrics={"exact": "share of texts whose target is what greedy writing gives"},
        )

    def generate(self, nets: Any, ids: list[int], tokens: int, *, seed: int, **options: Any) -> list[int]:
        """The answer to ``ids`` (BOS, text)."""
        from seedstock.models.generate import generate

        network = nets["network"]
        if self.cross:
            source = [*ids, self.spec.specials["eos"]]
            return generate(
                network, [self.spec.specials[network.config.start]], tokens, source=source, seed=seed, **options
            )
        return generate(network, [*ids, self.spec.specials["im_end"]], tokens, seed=seed, **options)


def _likeliest(hidden: Tensor, head: Any) -> Tensor:
    """The likeliest token of each row, a part of the rows at a time: logits of all would fill the memory."""
    matrix = head.matrix.to(hidden.dtype)
    found = []
    for rows in hidden.split(max(1, 2**22 // len(matrix))):
        logits = (rows @ matrix.t()).float()
        found.append((logits if head.bias is None else logits + head.bias).argmax(-1))
    return torch.cat(found) if found else hidden.new_zeros(0, dtype=torch.long)
