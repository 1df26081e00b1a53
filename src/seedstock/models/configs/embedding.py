"""The configuration of word embeddings: two tables and nothing between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from seedstock.config import Config, Count
from seedstock.models.configs.transformer import Positive

if TYPE_CHECKING:
    from seedstock.models.embedding import EmbeddingNetwork


class EmbeddingConfig(Config):
    """A vector of ``width`` numbers for each token as it is read, and another as it is predicted (Mikolov et al. 2013).

    The numbers of layers and heads are there for whoever counts; all are 0. ``context`` is the tokens of an example.
    """

    kind: Literal["embedding"] = "embedding"
    shape: Literal["word2vec"] = "word2vec"
    width: Positive = 100
    context: Annotated[Count, Field(gt=1)] = 128
    layers: Literal[0] = 0
    heads: Literal[0] = 0
    kv_heads: Literal[0] = 0
    head_size: Literal[0] = 0
    mlp_width: Literal[0] = 0

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {}
    size: ClassVar[int | None] = None
    sampled: ClassVar[bool] = True
    """Of the output table a few rows are multiplied, never all."""
    norm: ClassVar[str] = "none"
    position: ClassVar[str] = "none"
    activation: ClassVar[str] = "none"
    qk_norm: ClassVar[bool] = False
    biases: ClassVar[bool] = False
    tied_embeddings: ClassVar[bool] = False
    convolution: ClassVar[int] = 0
    dropout: ClassVar[float] = 0.0
    experts: ClassVar[int | None] = None
    window: ClassVar[int | None] = None
    cross: ClassVar[bool] = False
    post_norm: ClassVar[bool] = True
    bare_start: ClassVar[bool] = False
    depth: ClassVar[int] = 0
    missing: ClassVar[tuple[str, ...]] = ()
    auxiliary: ClassVar[tuple[str, ...]] = ()
    export_class: ClassVar[str] = "word2vec"
    """No class of ``transformers``: the text format of word2vec (``transfer.word2vec``)."""

    def filled(self, *, check: bool = True) -> EmbeddingConfig:
        """Itself: nothing is left open."""
        return self

    def resolved(self) -> EmbeddingConfig:
        """Itself."""
        return self

    def build(self, vocab_size: int, seed: int = 1, device: str = "cpu") -> EmbeddingNetwork:
        """The network, its weights keyed by (seed, parameter name)."""
        from seedstock.models.embedding import EmbeddingNetwork

        return EmbeddingNetwork(self, vocab_size, seed, device)
