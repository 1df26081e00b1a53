"""The configuration of a causal decoder: a shape preset, a size, and every choice that either may leave open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from seedstock.models.configs.transformer import TransformerConfig, problems

if TYPE_CHECKING:
    from seedstock.models.network import Network

_ROTARY: dict[str, Any] = {"norm": "rms", "position": "rope", "rope_base": 10_000.0, "biases": False, "convolution": 0}
PRESETS: dict[str, dict[str, Any]] = {
    "qwen3": {**_ROTARY, "activation": "swiglu", "qk_norm": True, "tied_embeddings": True}
    | {"norm_epsilon": 1e-6, "initialisation": "scaled"},
    "llama": {**_ROTARY, "activation": "swiglu", "qk_norm": False, "tied_embeddings": False}
    | {"norm_epsilon": 1e-5, "initialisation": "scaled"},
    "gpt2": {"norm": "layer", "position": "learned", "biases": True, "activation": "gelu", "qk_norm": False}
    | {"convolution": 0}
    | {"tied_embeddings": True, "norm_epsilon": 1e-5, "initialisation": "scaled"},
    "plain": {**_ROTARY, "activation": "relu2", "qk_norm": True, "tied_embeddings": False}
    | {"norm_epsilon": 1e-6, "initialisation": "zero", "convolution": 3},
}


class DecoderConfig(TransformerConfig):
    """A causal decoder.

    ``plain`` is the best-known small shape that no class of the ecosystem has: squared ReLU (So et al. 2021, Primer),
    QK-norm (Henry et al. 2020), output projections and head that start at zero, and a short convolution before
    attention and MLP (Allen-Zhu 2025).
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = PRESETS
    post_norm: ClassVar[bool] = False
    bare_start: ClassVar[bool] = False
    window: ClassVar[int | None] = None
    local_rope_base: ClassVar[float | None] = None

    kind: Literal["decoder"] = "decoder"
    shape: Literal["qwen3", "llama", "gpt2", "plain"] = "qwen3"
    norm: Literal["rms", "layer"] | None = None
    position: Literal["rope", "learned"] | None = None
    activation: Literal["swiglu", "gelu", "relu2"] | None = None
    convolution: Annotated[int, Field(ge=0, le=16)] | None = Field(
        default=None, description="taps of a causal convolution before attention and MLP; 0: none"
    )

    def problems(self) -> list[str]:
        """What does not fit together in a filled configuration, in words."""
        found = problems(self)
        if self.shape == "gpt2":
            own = {"norm": "layer", "position": "learned", "activation": "gelu", "qk_norm": False, "biases": True}
            for key, value in own.items():
                if getattr(self, key) != value:
                    found.append(f"shape gpt2 has {key}: {value}; take another shape for {key}: {getattr(self, key)}")
            if self.heads and self.kv_heads != self.heads:
                found.append("shape gpt2 has no grouped-query attention; remove kv_heads")
        return found

    @property
    def export_class(self) -> str | None:
        """The class of ``transformers`` that computes the same function, or None where there is none."""
        c = self.filled(check=False)
        if c.convolution:
            return None
        if (c.norm, c.position, c.activation) == ("rms", "rope", "swiglu"):
            if c.qk_norm:
                return None if c.biases else "Qwen3ForCausalLM"
            return "LlamaForCausalLM"
        if (c.norm, c.position, c.activation, c.qk_norm, c.biases) == ("layer", "learned", "gelu", False, True):
            whole = None in (c.width, c.heads, c.head_size) or c.width == c.heads * c.head_size  # type: ignore[operator]
            return "GPT2LMHeadModel" if c.kv_heads == c.heads and whole else None
        return None

    def build(self, vocab_size: int, seed: int = 1, device: str = "cpu") -> Network:
        """The network, its weights keyed by (seed, parameter name). Raises RecipeError while sizes are missing."""
        from seedstock.models.network import Network

        return Network(self.resolved(), vocab_size, seed, device)
