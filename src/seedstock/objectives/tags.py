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


def shares(batch: Batch) -> Sums:
    """Metrics ``good`` and ``bad``: predicted tokens that are shown as such."""
    wanted, side = targets(batch) >= 0, batch["sides"][:, 1:]
    return {name: (wanted & (side == value)).sum().float() for name, value in (("good", GOOD), ("bad", BAD))}


METRICS = {"good": "share of the predicted tokens that are shown as good", "bad": "and as bad; the rest have no tag"}


class Tags(Causal):
    """Next-token prediction where the tag stands in the place of the first token that a window holds of a document.

    That is BOS, or of a document that began in an earlier window a token that was predicted there: no length changes,
    and no target is lost. A document may be longer than a window; its tag is then before every piece of it.
    """

    def __init__(self, config: TagsConfig, spec: Spec | None = None) -> None:
        super().__init__(config, spec)
        self.config: TagsConfig = config
        specials = spec.specials if spec is not None else {}
        self.tags = {name: specials[name] for name in ("good", "bad") if name in specials}

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``tokens``, ``documents``, ``positions``, ``sides`` int64 ``[B, T+1]``; one without a tag is UNKNOWN."""
        tokens, documents, positions = (items[name] for name in ("tokens", "documents", "positions"))
        numbers = np.maximum(documents, 0)
        draws = keys.uniform("untagged", int(numbers.max(initial=0)) + 1)
        shown = np.take_along_axis(draws, numbers, 1) >= self.config.untagged
        side = np.where(shown, sides(self.config, items), UNKNOWN)
        first = (positions == 0) & (documents >= 0)
        for value, name in ((GOOD, "good"), (BAD, "bad")):
            tokens = np.where(first & (side == value), self.tags[name], tokens)
        return {"tokens": tokens, "documents": documents, "positions": positions, "sides": side}

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """As next-token prediction, with the shares of tokens under each tag."""
        sums, metrics = super().loss(nets, output, batch)
        return sums, {**metrics, **shares(batch)}

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
        return Tagged(network, self.tags[tag])


class Tagged:
    """Puts a tag in the place of the first token of what a network reads."""

    def __init__(self, network: Any, tag: int) -> None:
        self._network, self._tag = network, tag

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def embed(self, tokens: Tensor, positions: Tensor, examples: Tensor | None = None) -> Tensor:
        return self._network.embed(torch.where(positions == 0, self._tag, tokens), positions, examples)

    def __call__(self, tokens: Tensor, cache: Any = None) -> Tensor:
        if cache is None or not cache.filled:
            tokens = torch.cat([torch.full_like(tokens[:, :1], self._tag), tokens[:, 1:]], 1)
        return self._network(tokens, cache=cache)
