"""The configuration of a causal decoder: a shape preset, a size, and every choice that either may leave open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from seedstock.config import Config, Count, Fraction
from seedstock.errors import RecipeError

if TYPE_CHECKING:
    from seedstock.models.network import Network

Positive = Annotated[int, Field(gt=0)]
Scale = Annotated[float, Field(gt=0)]

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
_SIZES = ("width", "layers", "heads", "kv_heads", "head_size", "mlp_width")


class DecoderConfig(Config):
    """A causal decoder. ``shape`` fills the choices, ``size`` the sizes; what is written out here stands.

    ``plain`` is the best-known small shape that no class of the ecosystem has: squared ReLU (So et al. 2021, Primer),
    QK-norm (Henry et al. 2020), output projections and head that start at zero, and a short convolution before
    attention and MLP (Allen-Zhu 2025).
    """

    kind: Literal["decoder"] = "decoder"
    shape: Literal["qwen3", "llama", "gpt2", "plain"] = "qwen3"
    size: Annotated[Count, Field(gt=0)] | None = Field(
        default=None, description="parameters, from which the sizes follow"
    )
    context: Annotated[Count, Field(gt=1)] = Field(default=1024, description="positions that the model sees at once")

    width: Positive | None = None
    layers: Positive | None = None
    heads: Positive | None = None
    kv_heads: Positive | None = Field(
        default=None, description="heads of keys and values; fewer than heads is grouped-query"
    )
    head_size: Positive | None = None
    mlp_width: Positive | None = None

    norm: Literal["rms", "layer"] | None = None
    norm_epsilon: Scale | None = None
    position: Literal["rope", "learned"] | None = None
    rope_base: Scale | None = None
    activation: Literal["swiglu", "gelu", "relu2"] | None = None
    qk_norm: bool | None = None
    biases: bool | None = None
    tied_embeddings: bool | None = None
    convolution: Annotated[int, Field(ge=0, le=16)] | None = Field(
        default=None, description="taps of a causal convolution before attention and MLP; 0: none"
    )
    dropout: Fraction = Field(
        default=0.0, description="on the embeddings and on what every block adds; keyed by example"
    )
    initialisation: Literal["normal", "scaled", "zero"] | None = Field(
        default=None, description="of output projections: like the rest, divided by sqrt(2 * layers) (GPT-2), or zero"
    )
    init_std: Scale | None = Field(
        default=None, description="standard deviation of matrices; where it is not given, see initialise"
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> DecoderConfig:
        full = self.filled(check=False)
        for problem in _problems(full):
            raise ValueError(problem)
        return self

    def filled(self, *, check: bool = True) -> DecoderConfig:
        """With the preset's choices, and with the sizes that follow from width and heads."""
        values = self.model_dump()
        preset = PRESETS[self.shape]
        if values["position"] == "learned":
            preset = {**preset, "rope_base": None}
        values |= {key: value for key, value in preset.items() if values[key] is None}
        width, heads = self.width, self.heads
        if heads and self.kv_heads is None:
            values["kv_heads"] = heads
        if width and heads and self.head_size is None and width % heads == 0:
            values["head_size"] = width // heads
        if width and self.mlp_width is None:
            # A gated MLP has three matrices: two thirds of the width keep its parameter count (Shazeer 2020).
            times = 8 / 3 if values["activation"] == "swiglu" else 4
            values["mlp_width"] = max(64, 64 * round(times * width / 64))
        return type(self)(**values) if check else self.model_construct(**values)

    @property
    def missing(self) -> list[str]:
        """The sizes that neither the recipe nor the size dial has given yet."""
        return [name for name in _SIZES if getattr(self.filled(check=False), name) is None]

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

    def resolved(self) -> Any:
        """``filled()``, every size known. Raises RecipeError that names what is missing."""
        c = self.filled()
        if c.missing:
            raise RecipeError(
                f"the model's {', '.join(c.missing)} are not known", where="model", fix="give them, or a size"
            )
        return c

    def build(self, vocab_size: int, seed: int = 1, device: str = "cpu") -> Network:
        """The network, its weights keyed by (seed, parameter name). Raises RecipeError while sizes are missing."""
        from seedstock.models.network import Network

        return Network(self.resolved(), vocab_size, seed, device)


def _problems(c: DecoderConfig) -> list[str]:
    """What does not fit together, in words."""
    found = []
    if c.heads and c.kv_heads and c.heads % c.kv_heads:
        found.append(f"heads ({c.heads}) is not a multiple of kv_heads ({c.kv_heads})")
    if c.width and c.heads and c.head_size is None:
        found.append(f"width ({c.width}) is not a multiple of heads ({c.heads}); change one, or give head_size")
    if c.position == "rope" and c.head_size and c.head_size % 2:
        found.append(f"head_size ({c.head_size}) is odd; rotary positions turn pairs of dimensions")
    if c.position == "learned" and c.rope_base:
        found.append("rope_base has no meaning with learned positions; remove it or set position: rope")
    if c.shape == "gpt2":
        own = {"norm": "layer", "position": "learned", "activation": "gelu", "qk_norm": False, "biases": True}
        for key, value in own.items():
            if getattr(c, key) != value:
                found.append(f"shape gpt2 has {key}: {value}; take another shape for {key}: {getattr(c, key)}")
        if c.heads and c.kv_heads != c.heads:
            found.append("shape gpt2 has no grouped-query attention; remove kv_heads")
    if c.initialisation == "zero" and c.tied_embeddings:
        found.append("initialisation: zero needs tied_embeddings: false (a head of zeros cannot be the embedding)")
    if c.dropout >= 1:
        found.append("dropout of everything leaves nothing; give less than 1")
    return found
