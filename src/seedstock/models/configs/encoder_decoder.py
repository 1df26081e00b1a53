"""The configuration of an encoder-decoder: T5, BART."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from seedstock.models.configs.transformer import Positive, TransformerConfig, problems

if TYPE_CHECKING:
    from seedstock.models.encoder_decoder import EncoderDecoderNetwork

_OWN = ("norm", "position", "biases", "post_norm", "embedding_norm")
"""Choices that a shape's class in the ecosystem fixes."""


class EncoderDecoderConfig(TransformerConfig):
    """A stack that reads a source from both sides, and one that writes a target and attends to it.

    ``t5``: Raffel et al. 2020 in its form 1.1 (Shazeer 2020); form 1.0 is ``activation: relu, tied_embeddings: true``.
    ``bart``: Lewis et al. 2019. ``layers`` are the encoder's.
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "t5": {"norm": "rms", "norm_epsilon": 1e-6, "position": "relative", "buckets": 32, "longest": 128}
        | {"activation": "geglu", "biases": False, "tied_embeddings": False, "start": "pad"}
        | {"post_norm": False, "embedding_norm": False, "qk_norm": False, "initialisation": "scaled"},
        "bart": {"norm": "layer", "norm_epsilon": 1e-5, "position": "learned", "activation": "gelu_exact"}
        | {"biases": True, "tied_embeddings": True, "start": "eos"}
        | {"post_norm": True, "embedding_norm": True, "qk_norm": False, "initialisation": "normal"},
    }
    cross: ClassVar[bool] = True
    bare_start: ClassVar[bool] = False
    window: ClassVar[int | None] = None
    local_rope_base: ClassVar[float | None] = None
    experts: ClassVar[int | None] = None
    rope_scaling: ClassVar[None] = None

    kind: Literal["encoder-decoder"] = "encoder-decoder"
    shape: Literal["t5", "bart"] = "t5"
    position: Literal["learned", "relative"] | None = None
    rope_base: None = None
    convolution: Literal[0] = 0
    decoder_layers: Positive | None = Field(default=None, description="layers of the decoder; as many as the encoder's")
    post_norm: bool | None = None
    embedding_norm: bool | None = Field(default=None, description="a norm between the embeddings and the first layer")
    buckets: Positive | None = Field(default=None, description="ranges of distance that relative positions tell apart")
    longest: Positive | None = Field(default=None, description="distance from which on all are in the last range")
    start: Literal["bos", "eos", "pad"] | None = Field(
        default=None, description="special token that every target begins with, before its own first token"
    )

    @property
    def depth(self) -> int:
        """Layers of the decoder."""
        return self.decoder_layers or self.layers  # type: ignore[return-value]

    @property
    def attention_scale(self) -> float | None:
        """T5 does not scale its scores: what queries start with does it."""
        return 1.0 if self.shape == "t5" else None

    @property
    def last_dropout(self) -> bool:
        """As T5 has it."""
        return self.shape == "t5"

    @property
    def offset(self) -> int:
        """Rows of the learned positions before that of position 0: BART's classes have two, which nothing reads."""
        return 2 if self.position == "learned" else 0

    def encoder(self) -> EncoderStack:
        """The configuration of the stack that reads the source."""
        return EncoderStack(**{**self.model_dump(), "decoder_layers": None})

    def problems(self) -> list[str]:
        """What does not fit together in a filled configuration, in words."""
        found = problems(self)
        if self.position != "relative" and (self.buckets or self.longest):
            found.append(f"buckets and longest have no meaning with {self.position} positions; remove them")
        # Half of the buckets are of the other direction, and half of those are single distances.
        if self.buckets and self.longest and (self.buckets % 4 or self.longest <= self.buckets // 2):
            found.append("buckets is a multiple of 4, and longest more than half of it")
        return found

    @property
    def export_class(self) -> str | None:
        """The class of ``transformers`` that computes the same function, or None where there is none."""
        c, preset = self.filled(check=False), self.PRESETS[self.shape]
        own = all(getattr(c, key) == preset[key] for key in _OWN) and not c.qk_norm and c.kv_heads == c.heads
        if self.shape == "t5":
            forms = (("geglu", False), ("relu", True))
            return "T5ForConditionalGeneration" if own and (c.activation, c.tied_embeddings) in forms else None
        whole = None in (c.width, c.heads, c.head_size) or c.width == c.heads * c.head_size  # type: ignore[operator]
        bart = own and whole and c.tied_embeddings and c.activation in ("gelu_exact", "gelu", "relu")
        return "BartForConditionalGeneration" if bart else None

    def build(self, vocab_size: int, seed: int = 1, device: str = "cpu") -> EncoderDecoderNetwork:
        """The network, its weights keyed by (seed, parameter name). Raises RecipeError while sizes are missing."""
        from seedstock.models.encoder_decoder import EncoderDecoderNetwork

        return EncoderDecoderNetwork(self.resolved(), vocab_size, seed, device)


class EncoderStack(EncoderDecoderConfig):
    """The part of an encoder-decoder that reads the source."""

    cross: ClassVar[bool] = False
