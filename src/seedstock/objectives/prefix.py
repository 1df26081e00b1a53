"""The prefix language model (Liu et al. 2018; Raffel et al. 2020, section 3.2.1): a prefix sees all of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seedstock.errors import RecipeError
from seedstock.models.mask import Mask
from seedstock.objectives import causal
from seedstock.objectives.base import Batch, Expectation, Spec, Sums, auxiliary_counts
from seedstock.objectives.configs.prefix import PrefixConfig
from seedstock.objectives.cross_entropy import linear_cross_entropy


class Prefix(causal.Causal):
    """Cross-entropy of the tokens after the prefix, whose own tokens look both ways and are not predicted.

    A prefix of one token is next-token prediction: so the network is scored from left to right as any other.
    """

    def __init__(self, config: PrefixConfig | None = None, spec: Spec | None = None) -> None:
        super().__init__(config or PrefixConfig(), spec)
        model = spec.model if spec is not None else None
        if getattr(model, "convolution", 0):
            what = "a short convolution looks back alone, and a prefix is to be seen from both sides"
            raise RecipeError(what, where="model.convolution", fix="set convolution: 0, or take shape: llama")

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """Adds ``prefix`` boolean ``[B, T+1]``: from 1 to all but one of each document's tokens in the window."""
        documents, positions = items["documents"], items["positions"]
        most = int(documents.max(initial=0)) + 1
        numbers = np.maximum(documents, 0)
        sizes = np.zeros((len(documents), most), np.int64)
        np.add.at(sizes, (np.arange(len(documents))[:, None], numbers), documents >= 0)
        ends = 1 + (keys.uniform("prefix", most) * np.maximum(sizes - 1, 0)).astype(np.int64)
        prefix = (positions < np.take_along_axis(ends, numbers, 1)) & (documents >= 0)
        return {name: items[name] for name in ("tokens", "documents", "positions")} | {"prefix": prefix}

    def counts(self, batch: Batch) -> Sums:
        """``prefix``: predicted tokens; and what the network's own losses count."""
        return {"prefix": (targets(batch) >= 0).sum(), **auxiliary_counts(self.spec, batch)}

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """As next-token prediction has them, with an attention that lets everybody see the prefix."""
        given = super().inputs(nets, batch)
        seen = replace(given["attention"], pattern="prefix", prefix=batch["prefix"][:, :-1])
        return {**given, "attention": seen}

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``prefix``: the sum of nats, and of the z-loss if there is one. Beside that, or the network's own losses, the
        metric ``nats`` is without them."""
        head = nets["network"].head
        total, nats = linear_cross_entropy(
            head.prepare(output.hidden.flatten(0, 1)), head.matrix, targets(batch).flatten(), self.config.z_loss
        )
        own = self.config.z_loss or output.aux
        return {"prefix": total, **output.aux}, {"nats": nats.sum()} if own else {}

    def expect(self, spec: Spec) -> Expectation:
        """As next-token prediction."""
        found = super().expect(spec)
        own = {name: value for name, value in found.first.items() if name != "causal"}
        return replace(found, first={"prefix": found.first["causal"], **own}, collapse_at={"prefix": "order 0"})

    def generate(self, nets: Any, ids: list[int], tokens: int, *, seed: int, **options: Any) -> list[int]:
        """What follows ``ids``, which are the prefix."""
        return super().generate({"network": _Reader(nets["network"])}, ids, tokens, seed=seed, **options)


def targets(batch: Batch) -> Tensor:
    """``[B, T]``: the token after each position, or -1 where that is of the prefix, or of another document."""
    return torch.where(batch["prefix"][:, 1:], -1, causal.targets(batch))


class _Reader:
    """A network that reads what it is given first from both sides."""

    def __init__(self, network: Any) -> None:
        self._network = network

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def __call__(self, tokens: Tensor, cache: Any) -> Tensor:
        mask = None if cache.filled else Mask("prefix", prefix=torch.ones_like(tokens, dtype=torch.bool))
        return self._network(tokens, cache=cache, mask=mask)
