"""Word embeddings as a network: a table, a backbone that does nothing, another table."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from seedstock.models.backbone import Output
from seedstock.models.keys import generator
from seedstock.models.network import Embedding, Head
from seedstock.models.roles import assign


class Through(nn.Module):
    """Takes what a backbone takes, and gives back what it was handed."""

    def forward(self, x: Tensor, *_: Any, **__: Any) -> Output:
        return Output(x)


class EmbeddingNetwork(nn.Module):
    """What every network has, of no layers. As in word2vec's code, the first table starts uniform in ±0.5 / width and
    the second one at zero: every pair of words is as likely as not."""

    def __init__(self, config: Any, vocab_size: int, seed: int = 1, device: str = "cpu") -> None:
        super().__init__()
        self.config, self.vocab_size, self.seed = config, vocab_size, seed
        self.compute_dtype = torch.float32
        with torch.device("meta"):
            self.embedding = Embedding(config, vocab_size, seed)
            self.backbone = Through()
            self.head = Head(config, vocab_size, self.embedding)
        if device != "meta":
            self.to_empty(device=device)
            self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        self.head.weight.zero_()
        key, edge = generator("initial weights", self.seed, "embedding.tokens.weight"), 0.5 / self.config.width
        values = torch.empty(self.embedding.tokens.weight.shape)
        self.embedding.tokens.weight.copy_(values.uniform_(-edge, edge, generator=key))

    def roles(self) -> dict[str, str]:
        """The role of each parameter by name (see ``models.roles``)."""
        return assign(name for name, _ in self.named_parameters())

    def use(self, dtype: torch.dtype) -> EmbeddingNetwork:
        """Multiplies in ``dtype`` from now on; the weights stay fp32."""
        self.compute_dtype = dtype
        return self

    def compile(self, **options: Any) -> None:
        """There is nothing to compile."""

    def embed(self, tokens_BT: Tensor, positions_BT: Tensor, examples_B: Tensor | None = None) -> Tensor:
        """``[B, T, D]`` in the compute dtype."""
        return self.embedding(tokens_BT, positions_BT, self.compute_dtype, examples_B)
