"""The configuration of a bidirectional encoder: BERT, ModernBERT, ESM-2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from seedstock.models.configs.transformer import Positive, Scale, TransformerConfig, problems

if TYPE_CHECKING:
    from seedstock.models.encoder import EncoderNetwork

_CLASSES = {"bert": "BertForMaskedLM", "modernbert": "ModernBertForMaskedLM", "esm2": "EsmForMaskedLM"}


class EncoderConfig(TransformerConfig):
    """An encoder whose head predicts hidden tokens.

    ``bert``: Devlin et al. 2018; ``modernbert``: Warner et al. 2024, layers that look near by between layers that look
    everywhere; ``esm2``: Lin et al. 2023, for proteins.
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "bert": {"norm": "layer", "norm_epsilon": 1e-12, "position": "learned", "activation": "gelu_exact"}
        | {"biases": True, "post_norm": True, "embedding_norm": True, "token_types": 2},
        "modernbert": {"norm": "layer_no_bias", "norm_epsilon": 1e-5, "position": "rope", "activation": "geglu_exact"}
        | {"rope_base": 160_000.0, "local_rope_base": 10_000.0, "window": 64, "global_every": 3, "biases": False}
        | {"embedding_norm": True, "bare_start": True},
        "esm2": {"norm": "layer", "norm_epsilon": 1e-5, "position": "rope", "rope_base": 10_000.0, "biases": True}
        | {"activation": "gelu_exact"},
    }
    experts: ClassVar[int | None] = None
    rope_scaling: ClassVar[None] = None

    kind: Literal["encoder"] = "encoder"
    shape: Literal["bert", "modernbert", "esm2"] = "modernbert"
    qk_norm: bool | None = None
    convolution: Literal[0] = 0
    tied_embeddings: bool | None = None
    post_norm: bool | None = None
    bare_start: bool | None = None
    embedding_norm: bool | None = Field(default=None, description="a norm between the embeddings and the first layer")
    token_types: Annotated[int, Field(ge=0)] | None = Field(default=None, description="kinds of segment; 0: none")
    window: Positive | None = Field(default=None, description="how far local layers see to either side")
    global_every: Positive | None = Field(default=None, description="one layer in this many looks everywhere")
    local_rope_base: Scale | None = None

    def filled(self, *, check: bool = True) -> EncoderConfig:
        """With the preset's choices, and with the sizes that follow from width and heads."""
        common: dict[str, Any] = {"qk_norm": False, "tied_embeddings": True, "post_norm": False, "bare_start": False}
        common |= {"embedding_norm": False, "token_types": 0, "initialisation": "normal"}
        given = self.model_dump()
        values = {key: value for key, value in common.items() if given[key] is None}
        values |= {key: value for key, value in self.PRESETS[self.shape].items() if given[key] is None}
        return super(EncoderConfig, self.model_construct(**{**given, **values})).filled(check=check)

    def problems(self) -> list[str]:
        """What does not fit together in a filled configuration, in words."""
        found = problems(self)
        if (self.window is None) != (self.global_every is None):
            found.append("window and global_every belong together; give both, or neither")
        if self.position == "rope" and not self.rope_base:
            found.append("rotary positions need rope_base, which this shape does not choose; give one (10000)")
        if self.bare_start and not self.embedding_norm:
            found.append("bare_start leaves out a norm that only embedding_norm replaces")
        return found

    def is_local(self, layer: int) -> bool:
        """All but every ``global_every``-th layer, which look everywhere; the first one does."""
        return self.global_every is not None and layer % self.global_every > 0

    @property
    def export_class(self) -> str | None:
        """The class of ``transformers`` that computes the same function, or None where there is none."""
        c, preset = self.filled(check=False), self.PRESETS[self.shape]
        own = all(getattr(c, key) == value for key, value in preset.items() if key not in _FREE)
        fits = c.tied_embeddings and not c.qk_norm and c.kv_heads == c.heads
        whole = None in (c.width, c.heads, c.head_size) or c.width == c.heads * c.head_size  # type: ignore[operator]
        return _CLASSES[self.shape] if own and fits and whole else None

    def build(self, vocab_size: int, seed: int = 1, device: str = "cpu") -> EncoderNetwork:
        """The network, its weights keyed by (seed, parameter name). Raises RecipeError while sizes are missing."""
        from seedstock.models.encoder import EncoderNetwork

        return EncoderNetwork(self.resolved(), vocab_size, seed, device)


_FREE = ("rope_base", "local_rope_base", "window", "global_every", "norm_epsilon", "token_types")
"""Choices that the ecosystem's classes leave to their configuration too."""
