"""Word embeddings as a network: a table, a backbone that does nothing, another table."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from seedstock.models.backbone import Output
from seedstock.models.keys import generator
from seedstock.models.network import Embedding, Head
from seedstock.models.whole import Whole


class Through(nn.Module):
    """Takes what a backbone takes, and gives back what it was handed."""

    def forward(self, x: Tensor, *_: Any, **__: Any) -> Output:
        return Output(x)


class EmbeddingNetwork(Whole):
    """What every network has, of no layers. As in word2vec's code, the first table starts uniform in ±0.5 / width and
    the second one at zero: every pair of words is as likely as not."""

    def assemble(self) -> None:
        """Two tables, and nothing between them."""
        self.embedding = Embedding(self.config, self.vocab_size, self.seed)
        self.backbone = Through()
        self.head = Head(self.config, self.vocab_size, self.embedding)

    def initialise(self) -> None:
        """Uniform, and zero."""
        self.head.weight.zero_()
        key, edge = generator("initial weights", self.seed, "embedding.tokens.weight"), 0.5 / self.config.width
        values = torch.empty(self.embedding.tokens.weight.shape)
        self.embedding.tokens.weight.copy_(values.uniform_(-edge, edge, generator=key))

    def embed(self, tokens_BT: Tensor, positions_BT: Tensor, examples_B: Tensor | None = None) -> Tensor:
        """``[B, T, D]`` in the compute dtype."""
        return self.embedding(tokens_BT, positions_BT, self.compute_dtype, examples_B)
