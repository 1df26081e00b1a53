"""A whole network: embeddings, backbone and head."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.backbone import Backbone
from seedstock.models.block import Block
from seedstock.models.cache import Cache
from seedstock.models.dropout import Dropout
from seedstock.models.experts import Reduce, experts_of
from seedstock.models.initialise import initialise
from seedstock.models.mask import Mask
from seedstock.models.roles import assign


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


class Network(nn.Module):
    """Embeddings, backbone and head of a decoder. ``config`` has every size."""

    embedding_class: type[Embedding] = Embedding
    head_class: type[Head] = Head

    def __init__(self, config: Any, vocab_size: int, seed: int = 1, device: str = "cpu") -> None:
        super().__init__()
        self.config, self.vocab_size, self.seed = config, vocab_size, seed
        self.compute_dtype = torch.float32
        with torch.device("meta"):
            self.embedding = self.embedding_class(config, vocab_size, seed)
            self.backbone = Backbone(config, seed)
            self.head = self.head_class(config, vocab_size, self.embedding)
        if device != "meta":
            self.to_empty(device=device)
            initialise(self, self.roles(), config, seed)

    def roles(self) -> dict[str, str]:
        """The role of each parameter by name (see ``models.roles``)."""
        return assign(name for name, _ in self.named_parameters())

    def use(self, dtype: torch.dtype) -> Network:
        """Computes matrix products and activations in ``dtype`` from now on; the weights stay fp32."""
        self.compute_dtype = dtype
        return self

    def compile(self, **options: Any) -> None:
        """Compiles the block, which every layer shares, rather than the whole network: once, and soon."""
        for module in self.backbone.modules():
            if isinstance(module, Block):
                module.compile(**options)

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
