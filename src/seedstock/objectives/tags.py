"""Conditional training (Korbak et al. 2023, section 2): a tag at the head of a document says whether it is good."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from seedstock.errors import SeedstockError
from seedstock.objectives.base import Batch, Spec, Sums
from seedstock.objectives.causal import Causal, targets
from seedstock.objectives.configs.scored import ScoredConfig, TagsConfig

GOOD, BAD, UNKNOWN = 1, 0, -1


def sides(config: ScoredConfig, items: Batch) -> np.ndarray:
    """int64, of the shape of ``tokens``: whether each token's document is GOOD, BAD, or UNKNOWN (it has no score)."""
    scores = items["scores"][..., 0]
    good = scores <= config.threshold if config.good == "below" else scores >= config.threshold
    return np.where(np.isfinite(scores) & (items["documents"] >= 0), good.astype(np.int64), UNKNOWN)


METRICS = {"good": "share of the predicted tokens that are shown as good", "bad": "and as bad; the rest have no tag"}


def places(begins: Any, positions: Any) -> Any:
    """Where tags stand, bool ``[..., T]``: at BOS (``begins``), or, of a document that began in an earlier window, at
    the second token that this window holds (``positions`` count from 0 in each).

    What stands first tells the two apart: behind a tag that nothing precedes a text begins.
    """
    second = (positions[..., 1:] == 1) & ~begins[..., :-1]
    if isinstance(begins, np.ndarray):
        return np.concatenate([begins[..., :1], begins[..., 1:] | second], -1)
    return torch.cat([begins[..., :1], begins[..., 1:] | second], -1)


class Tags(Causal):
    """Next-token prediction where a tag stands in the place of one token of every piece of a document in a window.

    Of BOS where a document begins; in a piece of one that began in an earlier window, of its second token, which is
    then no target (``places``). No length changes. A document may be longer than a window; every piece is marked.
    """

    def __init__(self, config: TagsConfig, spec: Spec | None = None) -> None:
        super().__init__(config, spec)
        self.config: TagsConfig = config
        specials = spec.specials if spec is not None else {}
        self.tags = {name: specials[name] for name in ("good", "bad") if name in specials}
        self.bos = specials.get("bos", -1)

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``tokens``, ``documents``, ``positions``, ``sides`` int64 ``[B, T+1]``; one without a tag is UNKNOWN."""
        tokens, documents, positions = (items[name] for name in ("tokens", "documents", "positions"))
        numbers = np.maximum(documents, 0)
        draws = keys.uniform("untagged", int(numbers.max(initial=0)) + 1)
        shown = np.take_along_axis(draws, numbers, 1) >= self.config.untagged
        side = np.where(shown, sides(self.config, items), UNKNOWN)
        here = places((tokens == self.bos) & (positions == 0), positions) & (documents >= 0)
        for value, name in ((GOOD, "good"), (BAD, "bad")):
            tokens = np.where(here & (side == value), self.tags[name], tokens)
        return {"tokens": tokens, "documents": documents, "positions": positions, "sides": side}

    def targets(self, batch: Batch) -> Tensor:
        """``[B, T]``: the token after each position, or -1 where that is a tag."""
        found = targets(batch)
        for tag in self.tags.values():
            found = torch.where(found == tag, -1, found)
        return found

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """As next-token prediction, with the shares of tokens under each tag."""
        sums, metrics = super().loss(nets, output, batch)
        wanted, side = self.targets(batch) >= 0, batch["sides"][:, 1:]
        shares = {name: (wanted & (side == value)).sum().float() for name, value in (("good", GOOD), ("bad", BAD))}
        return sums, {**metrics, **shares}

    def expect(self, spec: Spec) -> Any:
        """As next-token prediction."""
        from dataclasses import replace

        return replace(super().expect(spec), metrics=METRICS)

    def generate(
        self, nets: Any, ids: list[int], tokens: int, *, seed: int, tag: str | None = "good", **options: Any
    ) -> list[int]:
        """What follows ``ids`` in a text that begins with ``tag``; None leaves BOS there. Raises SeedstockError for a
        tag that there is none of."""
        network = nets["network"] if tag is None else self.tagged(nets["network"], tag)
        return super().generate({"network": network}, ids, tokens, seed=seed, **options)

    def tagged(self, network: Any, tag: str) -> Any:
        """The network as it reads texts that begin with a tag: to write with, or to be scored."""
        if tag not in self.tags:
            raise SeedstockError(f"there is no tag {tag!r}", fix=f"tags: {', '.join(self.tags)}")
        return Tagged(network, self.tags[tag], self.bos)


class Tagged:
    """Puts a tag into what a network reads, where ``Tags`` has it."""

    def __init__(self, network: Any, tag: int, bos: int) -> None:
        self._network, self._tag, self._bos = network, tag, bos

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def embed(self, tokens: Tensor, positions: Tensor, examples: Tensor | None = None) -> Tensor:
        here = places((tokens == self._bos) & (positions == 0), positions)
        return self._network.embed(torch.where(here, self._tag, tokens), positions, examples)

    def __call__(self, tokens: Tensor, cache: Any = None) -> Tensor:
        if cache is None or not cache.filled:  # a text that begins
            tokens = torch.cat([torch.full_like(tokens[:, :1], self._tag), tokens[:, 1:]], 1)
        return self._network(tokens, cache=cache)
