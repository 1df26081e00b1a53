"""A whole network: embeddings, backbone and head."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.backbone import Backbone
from seedstock.models.cache import Cache
from seedstock.models.dropout import Dropout
from seedstock.models.experts import Reduce, experts_of
from seedstock.models.mask import Mask
from seedstock.models.whole import Whole


class Table(nn.Module):
    """Rows of fp32 weights, looked up by number and given in the precision that is asked for."""

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, width))

    def forward(self, numbers: Tensor, dtype: torch.dtype) -> Tensor:
        return F.embedding(numbers, self.weight).to(dtype)


class Embedding(nn.Module):
    """Tokens, and positions where they are learned, to the backbone's width."""

    def __init__(self, config: Any, vocab_size: int, seed: int) -> None:
        super().__init__()
        self.tokens = Table(vocab_size, config.width)
        self.positions = Table(config.context, config.width) if config.position == "learned" else None
        self.dropout = Dropout(config.dropout, seed, "embedding")

    def forward(self, tokens_BT: Tensor, positions_BT: Tensor, dtype: torch.dtype, examples_B: Tensor | None) -> Tensor:
        x_BTD = self.tokens(tokens_BT, dtype)
        if self.positions is not None:
            x_BTD = x_BTD + self.positions(positions_BT, dtype)
        return self.dropout(x_BTD, examples_B)


class Head(nn.Module):
    """Hidden states to logits; its weight is the embedding's where the two are tied."""

    bias: Tensor | None

    def __init__(self, config: Any, vocab_size: int, embedding: Embedding) -> None:
        super().__init__()
        self.register_parameter("bias", None)
        self._tied = (embedding.tokens,) if config.tied_embeddings else None  # a tuple hides it from state dicts
        if self._tied is None:
            self.weight = nn.Parameter(torch.empty(vocab_size, config.width))

    @property
    def matrix(self) -> Tensor:
        """The fp32 weight ``[V, D]``."""
        return self.weight if self._tied is None else self._tied[0].weight

    def prepare(self, hidden_BTD: Tensor) -> Tensor:
        """What stands between the backbone and the matrix: nothing, here."""
        return hidden_BTD

    def forward(self, hidden_BTD: Tensor) -> Tensor:
        prepared_BTD = self.prepare(hidden_BTD)
        logits_BTV = F.linear(prepared_BTD, self.matrix.to(prepared_BTD.dtype)).float()
        return logits_BTV if self.bias is None else logits_BTV + self.bias


class Network(Whole):
    """Embeddings, backbone and head of a decoder. ``config`` has every size."""

    embedding_class: type[Embedding] = Embedding
    head_class: type[Head] = Head

    def assemble(self) -> None:
        """Embedding, backbone and head."""
        self.embedding = self.embedding_class(self.config, self.vocab_size, self.seed)
        self.backbone = Backbone(self.config, self.seed)
        self.head = self.head_class(self.config, self.vocab_size, self.embedding)

    def embed(self, tokens_BT: Tensor, positions_BT: Tensor, examples_B: Tensor | None = None) -> Tensor:
        """``[B, T, D]`` in the compute dtype."""
        return self.embedding(tokens_BT, positions_BT, self.compute_dtype, examples_B)

    def after_step(self, reduce: Reduce = lambda load: load) -> None:
        """After each optimizer step: takes stock of the experts' load, which ``reduce`` adds up over ranks."""
        if self.config.experts:
            for experts in experts_of(self):
                experts.after_step(reduce)

    def new_cache(self, batch: int, length: int) -> Cache:
        """An empty cache for ``length`` positions."""
        c = self.config
        like = torch.empty(0, dtype=self.compute_dtype, device=self.head.matrix.device)
        block: Any = self.backbone.blocks[0]
        groups = block.attention.groups  # fewer than c.kv_heads where heads are divided
        return Cache(c.depth, batch, groups, length, c.head_size, like)

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor | None = None,
        documents: Tensor | None = None,
        cache: Cache | None = None,
        mask: Mask | None = None,
    ) -> Tensor:
        """Logits ``[B, T, V]`` in fp32 of ``tokens`` ``[B, T]``; positions count on from the cache by default."""
        if positions is None:
            start = cache.filled if cache else 0
            positions = torch.arange(start, start + tokens.shape[1], device=tokens.device)[None]
        x_BTD = self.embed(tokens, positions)
        return self.head(self.backbone(x_BTD, positions, mask or Mask.over(documents), cache=cache).hidden)
