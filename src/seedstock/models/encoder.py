"""A bidirectional network: embeddings, backbone, and a head that predicts hidden tokens."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.linear import Linear
from seedstock.models.mask import Mask
from seedstock.models.network import Embedding, Head, Network, Table
from seedstock.models.norms import norm


class EncoderEmbedding(Embedding):
    """Tokens, positions where they are learned, kinds of segment, and a norm where the shape has one."""

    def __init__(self, config: Any, vocab_size: int, seed: int) -> None:
        super().__init__(config, vocab_size, seed)
        self.types = Table(config.token_types, config.width) if config.token_types else None
        self.norm = norm(config.norm, config.width, config.norm_epsilon) if config.embedding_norm else None

    def forward(
        self,
        tokens_BT: Tensor,
        positions_BT: Tensor,
        dtype: torch.dtype,
        examples_B: Tensor | None,
        types_BT: Tensor | None = None,
    ) -> Tensor:
        """``types_BT`` are the kinds of segment, all of the first kind where they are not given."""
        x_BTD = self.tokens(tokens_BT, torch.float32)
        if self.positions is not None:
            x_BTD = x_BTD + self.positions(positions_BT, torch.float32)
        if self.types is not None:
            x_BTD = x_BTD + self.types(torch.zeros_like(tokens_BT) if types_BT is None else types_BT, torch.float32)
        if self.norm is not None:
            x_BTD = self.norm(x_BTD)
        return self.dropout(x_BTD.to(dtype), examples_B)


class MaskedHead(Head):
    """A dense layer, its activation and a norm, then the embedding's matrix and a bias (Devlin et al. 2018)."""

    def __init__(self, config: Any, vocab_size: int, embedding: Embedding) -> None:
        super().__init__(config, vocab_size, embedding)
        self.dense = Linear(config.width, config.width, config.biases)
        self.norm = norm(config.norm, config.width, config.norm_epsilon)
        self.bias = nn.Parameter(torch.empty(vocab_size))

    def prepare(self, hidden_BTD: Tensor) -> Tensor:
        """What stands between the backbone and the matrix."""
        return self.norm(F.gelu(self.dense(hidden_BTD)))


class EncoderNetwork(Network):
    """Embeddings, backbone and head of an encoder. ``config`` has every size."""

    embedding_class = EncoderEmbedding
    head_class = MaskedHead

    def embed(
        self,
        tokens_BT: Tensor,
        positions_BT: Tensor,
        examples_B: Tensor | None = None,
        types_BT: Tensor | None = None,
    ) -> Tensor:
        """``[B, T, D]`` in the compute dtype."""
        return self.embedding(tokens_BT, positions_BT, self.compute_dtype, examples_B, types_BT)

    def forward(  # type: ignore[override]
        self,
        tokens: Tensor,
        positions: Tensor | None = None,
        documents: Tensor | None = None,
        types: Tensor | None = None,
    ) -> Tensor:
        """Logits ``[B, T, V]`` in fp32 of ``tokens`` ``[B, T]``."""
        if positions is None:
            positions = torch.arange(tokens.shape[1], device=tokens.device)[None]
        x_BTD = self.embed(tokens, positions, None, types)
        return self.head(self.backbone(x_BTD, positions, Mask.over(documents, "full")).hidden)
