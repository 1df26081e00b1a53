"""A network that reads a source and writes a target: T5, BART."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from seedstock.models.backbone import Source
from seedstock.models.cache import Cache
from seedstock.models.dropout import Dropout
from seedstock.models.mask import Mask
from seedstock.models.network import Embedding, Head, Network, Table
from seedstock.models.norms import norm


class SideEmbedding(nn.Module):
    """What one side's embedding has for itself: learned positions, and a norm where the shape has one."""

    def __init__(self, config: Any, seed: int, side: str) -> None:
        super().__init__()
        self.offset = config.offset
        rows = config.context + config.offset
        self.positions = Table(rows, config.width) if config.position == "learned" else None
        self.norm = norm(config.norm, config.width, config.norm_epsilon) if config.embedding_norm else None
        self.dropout = Dropout(config.dropout, seed, "embedding", side)

    def forward(self, x_BTD: Tensor, positions_BT: Tensor, dtype: torch.dtype, examples_B: Tensor | None) -> Tensor:
        if self.positions is not None:
            x_BTD = x_BTD + self.positions(positions_BT + self.offset, torch.float32)
        if self.norm is not None:
            x_BTD = self.norm(x_BTD)
        return self.dropout(x_BTD.to(dtype), examples_B)


class SharedEmbedding(Embedding):
    """One table of tokens for both sides."""

    def __init__(self, config: Any, vocab_size: int, seed: int) -> None:
        nn.Module.__init__(self)
        self.tokens = Table(vocab_size, config.width)
        self.source = SideEmbedding(config, seed, "source")
        self.target = SideEmbedding(config, seed, "target")

    def forward(
        self,
        tokens_BT: Tensor,
        positions_BT: Tensor,
        dtype: torch.dtype,
        examples_B: Tensor | None,
        side: str = "target",
    ) -> Tensor:
        own = self.source if side == "source" else self.target
        return own(self.tokens(tokens_BT, torch.float32), positions_BT, dtype, examples_B)


class SequenceHead(Head):
    """The output matrix. Where T5's is the embedding's, what it reads is scaled by ``width ** -0.5``.

    BART's class adds numbers that no training changes (``final_logits_bias``); they are zero unless imported.
    """

    def __init__(self, config: Any, vocab_size: int, embedding: Embedding) -> None:
        super().__init__(config, vocab_size, embedding)
        self.scale = config.width**-0.5 if config.shape == "t5" and config.tied_embeddings else None
        if config.shape == "bart":
            del self.bias
            self.register_buffer("bias", torch.empty(vocab_size))

    def prepare(self, hidden_BTD: Tensor) -> Tensor:
        """What stands between the backbone and the matrix."""
        return hidden_BTD if self.scale is None else hidden_BTD * self.scale


class EncoderDecoderNetwork(Network):
    """Embeddings, both stacks and the head. ``config`` has every size."""

    embedding_class = SharedEmbedding
    head_class = SequenceHead

    def embed_source(self, tokens_BS: Tensor, positions_BS: Tensor, examples_B: Tensor | None = None) -> Tensor:
        """``[B, S, D]`` in the compute dtype, for ``backbone(cross=Source(…))``."""
        return self.embedding(tokens_BS, positions_BS, self.compute_dtype, examples_B, "source")

    def read(self, tokens_BS: Tensor, documents_BS: Tensor | None = None, positions_BS: Tensor | None = None) -> Source:
        """A source, embedded; ``documents`` tell which positions belong together, -1 is padding."""
        if positions_BS is None:
            positions_BS = torch.arange(tokens_BS.shape[1], device=tokens_BS.device)[None]
        return Source(self.embed_source(tokens_BS, positions_BS), positions_BS, Mask("full", documents_BS))

    def forward(  # type: ignore[override]
        self,
        tokens: Tensor,
        positions: Tensor | None = None,
        documents: Tensor | None = None,
        cache: Cache | None = None,
        source: Source | None = None,
    ) -> Tensor:
        """Logits ``[B, T, V]`` in fp32 of what follows each of the target's ``tokens`` ``[B, T]``.

        A document of the target sees that document of ``source`` (see ``read``) alone; a cache keeps the source.
        """
        if positions is None:
            start = cache.filled if cache else 0
            positions = torch.arange(start, start + tokens.shape[1], device=tokens.device)[None]
        x_BTD = self.embed(tokens, positions)
        mask = Mask("causal", documents)
        return self.head(self.backbone(x_BTD, positions, mask, source, cache=cache).hidden)
