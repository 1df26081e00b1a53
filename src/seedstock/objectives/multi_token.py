"""Multi-token prediction: independent heads that look further ahead (Gloeckle et al. 2024)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from seedstock.errors import RecipeError
from seedstock.models.block import Block
from seedstock.models.initialise import initialise
from seedstock.models.keys import key64
from seedstock.models.roles import assign
from seedstock.objectives import causal
from seedstock.objectives.base import Batch, Expectation, Spec, Sums
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.objectives.configs.multi_token import MultiTokenConfig
from seedstock.objectives.cross_entropy import linear_cross_entropy


def targets(batch: Batch, ahead: int, length: int) -> Tensor:
    """``[B, length]``: the token ``ahead`` places after each, or -1 where that is another document's or padding."""
    documents = batch["documents"]
    later = documents[:, ahead : ahead + length]
    inside = (later == documents[:, :length]) & (later >= 0)
    return torch.where(inside, batch["tokens"][:, ahead : ahead + length], -1)


class Heads(nn.Module):
    """A layer of the trunk's kind for each head but the first; last norm and output matrix are the network's."""

    def __init__(self, config: Any, count: int, seed: int) -> None:
        super().__init__()
        dense = config.model_copy(update={"experts": None})
        self.blocks = nn.ModuleList(Block(dense, config.layers + number, seed) for number in range(count))
        initialise(self, self.roles(), dense, key64("multi-token", seed))

    def roles(self) -> dict[str, str]:
        """As in the network."""
        return assign(name for name, _ in self.named_parameters())


class MultiToken(causal.Causal):
    """The next-token loss as it is, and ``ahead_2`` … ``ahead_n`` beside it.

    Head i reads what the network's last layer reads. Heads are no part of the network: scores, samples and exports
    are those of the first alone.
    """

    def __init__(self, config: MultiTokenConfig | None = None, spec: Spec | None = None) -> None:
        self.options = config or MultiTokenConfig()
        super().__init__(CausalConfig(z_loss=self.options.z_loss), spec)
        self.heads = self.options.heads if self.options.weight else 1
        self.by_position = self.heads == 1  # heads ahead run a layer of their own
        if self.heads > 1 and spec is not None and spec.model.layers < 2:
            what = "its heads share all layers but the last, and there is but one"
            raise RecipeError(what, where="model.layers", fix="give the model at least two layers")

    def raw_length(self, window: int) -> int:
        """As many more than the positions as there are heads, for the last targets."""
        return window + self.heads

    def counts(self, batch: Batch) -> Sums:
        """``causal``, ``ahead_2`` …: predicted tokens; and what the network's own losses count."""
        length = batch["tokens"].shape[1] - self.heads
        ahead = {f"ahead_{n}": (targets(batch, n, length) >= 0).sum() for n in range(2, self.heads + 1)}
        return {**super().counts(self._first(batch)), **ahead}

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """Embedded tokens ``[B, T, D]``, without those that are targets alone; every layer's output is kept."""
        given = super().inputs(nets, self._first(batch))
        return {**given, "keep_layers": True} if self.heads > 1 else given

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``causal`` as next-token prediction has it; ``ahead_n``: the sum of nats of the n-th next token, weighed."""
        sums, metrics = super().loss(nets, output, self._first(batch))
        matrix = nets["network"].head.matrix
        for n, hidden in self._ahead(nets, output, batch):
            wanted = targets(batch, n, hidden.shape[1]).flatten()
            sums[f"ahead_{n}"] = self.options.weight * linear_cross_entropy(hidden.flatten(0, 1), matrix, wanted)[0]
        return sums, metrics

    def nets(self) -> dict[str, nn.Module]:
        """``ahead``: the heads but the first."""
        if self.heads == 1 or self.spec is None:
            return {}
        return {"ahead": Heads(self.spec.model, self.heads - 1, self.spec.seed)}

    def expect(self, spec: Any) -> Expectation:
        """Before training every token is as likely as any other, however far ahead: ln V nats."""
        found = super().expect(spec)
        nats = self.options.weight * math.log(spec.vocab_size)
        found.first.update({f"ahead_{n}": nats for n in range(2, self.heads + 1)})
        return found

    @torch.no_grad()
    def acceptance(self, nets: Any, batch: Batch) -> list[tuple[int, int]]:
        """For the heads from the second on: how many of its likeliest tokens the network would have chosen too, having
        read what lies between, and of how many.

        That is what self-speculative decoding accepts (section 3.3 there). Places count where all earlier heads were
        right about the text, so that what lies between is the text's own.
        """
        network = nets["network"]
        output = network.backbone(**self.inputs(nets, batch))
        own, length = network.head(output.hidden).argmax(-1), output.hidden.shape[1]
        good, found = own == targets(batch, 1, length), []
        for n, hidden in self._ahead(nets, output, batch):
            drafted, width = network.head(hidden).argmax(-1), length - n + 1
            valid = good[:, :width] & (targets(batch, n, length)[:, :width] >= 0)
            found.append((int((valid & (drafted[:, :width] == own[:, n - 1 :])).sum()), int(valid.sum())))
            good = good & (drafted == targets(batch, n, length))
        return found

    def _first(self, batch: Batch) -> Batch:
        """The batch as next-token prediction would read it."""
        if self.heads == 1:
            return batch
        extra = self.heads - 1
        return {**batch, **{name: batch[name][:, :-extra] for name in ("tokens", "documents", "positions")}}

    def _ahead(self, nets: Any, output: Any, batch: Batch) -> Any:
        """The number of each further head, and its hidden states ``[B, T, D]``."""
        if self.heads == 1:
            return
        given = super().inputs(nets, self._first(batch))
        for number, block in enumerate(nets["ahead"].blocks):
            x = output.layers[-2]
            hidden = nets["network"].backbone.through(
                block, x, given["positions"], given["attention"], given["examples"]
            )
            yield number + 2, nets["network"].head.prepare(hidden)
