"""The configuration of a causal decoder: a shape preset, a size, and every choice that either may leave open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from seedstock.models.configs.rope_scaling import RopeScaling
from seedstock.models.configs.transformer import GATED, Positive, TransformerConfig, problems

if TYPE_CHECKING:
    from seedstock.models.network import Network

_ROTARY: dict[str, Any] = {"norm": "rms", "position": "rope", "rope_base": 10_000.0, "biases": False, "convolution": 0}
_LLAMA = {**_ROTARY, "activation": "swiglu", "qk_norm": False, "tied_embeddings": False, "norm_epsilon": 1e-5}
_QWEN3 = {**_ROTARY, "activation": "swiglu", "qk_norm": True, "tied_embeddings": True, "norm_epsilon": 1e-6}
_EXPERTS = {"experts": 8, "experts_per_token": 2, "balance": 0.01}
PRESETS: dict[str, dict[str, Any]] = {
    "qwen3": {**_QWEN3, "initialisation": "scaled"},
    "llama": {**_LLAMA, "initialisation": "scaled"},
    "gpt2": {"norm": "layer", "position": "learned", "biases": True, "activation": "gelu", "qk_norm": False}
    | {"convolution": 0}
    | {"tied_embeddings": True, "norm_epsilon": 1e-5, "initialisation": "scaled"},
    "plain": {**_ROTARY, "activation": "relu2", "qk_norm": True, "tied_embeddings": False}
    | {"norm_epsilon": 1e-6, "initialisation": "zero", "convolution": 3},
    "mixtral": {**_LLAMA, **_EXPERTS, "initialisation": "scaled"},
    "qwen3-moe": {**_QWEN3, **_EXPERTS, "tied_embeddings": False, "initialisation": "scaled"},
}


class DecoderConfig(TransformerConfig):
    """A causal decoder.

    ``plain`` is the best-known small shape that no class of the ecosystem has: squared ReLU (So et al. 2021, Primer),
    QK-norm (Henry et al. 2020), output projections and head that start at zero, and a short convolution before
    attention and MLP (Allen-Zhu 2025). ``mixtral`` (Jiang et al. 2024) and ``qwen3-moe`` have ``experts`` in the place
    of each MLP (models.experts), as has any gated shape that is given some.
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = PRESETS
    post_norm: ClassVar[bool] = False
    bare_start: ClassVar[bool] = False
    local_rope_base: ClassVar[float | None] = None

    kind: Literal["decoder"] = "decoder"
    shape: Literal["qwen3", "llama", "gpt2", "plain", "mixtral", "qwen3-moe"] = "qwen3"
    norm: Literal["rms", "layer"] | None = None
    position: Literal["rope", "learned"] | None = None
    activation: Literal["swiglu", "gelu", "gelu_exact", "quick_gelu", "relu2"] | None = None
    convolution: Annotated[int, Field(ge=0, le=16)] | None = Field(
        default=None, description="taps of a causal convolution before attention and MLP; 0: none"
    )

    rope_scaling: RopeScaling | None = None
    window: Positive | None = Field(default=None, description="how far back local layers see, themselves apart")
    global_every: Positive | None = Field(
        default=None, description="every so many-th layer sees everything; without it none does"
    )

    base_width: Positive | None = Field(
        default=None, description="µP: the width at which the rates were found (models.width)"
    )
    base_head_size: Positive | None = Field(
        default=None, description="µP: the size of heads there, where it is not the same"
    )

    experts: Positive | None = Field(default=None, description="MLPs of a layer, of which each token takes a few")
    experts_per_token: Positive | None = None
    expert_width: Positive | None = Field(default=None, description="inner width of an expert; mlp_width by default")
    shared_expert: Annotated[int, Field(ge=0)] = Field(
        default=0, description="inner width of an MLP for every token beside the experts; 0: none"
    )
    normalise_router: bool = Field(default=True, description="whether the weights of the chosen experts sum to one")
    balance: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="coefficient of the balance loss of each sequence"
    )
    balance_rate: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="a step of the bias that evens the experts' load without a loss (Wang et al.: 1e-3)"
    )
    router_z_loss: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="coefficient of the router's squared log-partition (ST-MoE: 1e-3)"
    )

    def filled(self, *, check: bool = True) -> Self:
        """With the preset's choices, and with the sizes that follow from width and heads."""
        full = super().filled(check=False)
        found: dict[str, Any] = {}
        if full.experts:
            defaults = {"experts_per_token": min(2, full.experts), "expert_width": full.mlp_width, "balance": 0.01}
            found = {key: value for key, value in defaults.items() if getattr(full, key) is None}
        values = {name: getattr(full, name) for name in type(self).model_fields}
        values |= {**found, "rope_scaling": self.rope_scaling}
        return type(self)(**values) if check else self.model_construct(**values)

    @property
    def auxiliary(self) -> tuple[str, ...]:
        """``balance`` and ``router_z``, where they have a coefficient."""
        named = {"balance": self.balance, "router_z": self.router_z_loss}
        return tuple(name for name, coefficient in named.items() if coefficient) if self.experts else ()

    def is_local(self, layer: int) -> bool:
        """With a window, all layers but every ``global_every``-th."""
        return self.window is not None and (not self.global_every or (layer + 1) % self.global_every > 0)

    def problems(self) -> list[str]:
        """What does not fit together in a filled configuration, in words."""
        found = problems(self)
        if self.shape == "gpt2":
            own = {"norm": "layer", "position": "learned", "activation": "gelu", "qk_norm": False, "biases": True}
            for key, value in own.items():
                if getattr(self, key) != value and (key, getattr(self, key)) != ("activation", "gelu_exact"):
                    found.append(f"shape gpt2 has {key}: {value}; take another shape for {key}: {getattr(self, key)}")
            if self.heads and self.kv_heads != self.heads:
                found.append("shape gpt2 has no grouped-query attention; remove kv_heads")
        if self.rope_scaling and self.position != "rope":
            found.append(f"rope_scaling has no meaning with {self.position} positions")
        if self.base_head_size and not self.base_width:
            found.append("base_head_size has no meaning without base_width")
        if self.global_every and not self.window:
            found.append("global_every needs a window, which the other layers see")
        return found + (self._problems_of_experts() if self.experts else self._left_over())

    def _problems_of_experts(self) -> list[str]:
        found = []
        if self.experts_per_token and self.experts_per_token > self.experts:  # type: ignore[operator]
            found.append(f"experts_per_token ({self.experts_per_token}) is more than experts ({self.experts})")
        if self.activation not in GATED or self.biases:
            found.append("experts are gated MLPs without biases; set activation: swiglu and biases: false")
        if self.balance_rate and self.experts_per_token == self.experts:
            found.append("balance_rate has nothing to balance where every token takes every expert")
        return found

    def _left_over(self) -> list[str]:
        given = [name for name in ("experts_per_token", "expert_width", "balance") if getattr(self, name) is not None]
        given += [name for name in ("shared_expert", "balance_rate", "router_z_loss") if getattr(self, name)]
        return [f"{name} has no meaning without experts" for name in given]

    def initial_scale(self, name: str, role: str) -> float:
        """µP's factor on a parameter's initial weights, where there is a base width."""
        from seedstock.models.width import scale

        return scale(self, name, role).start

    @property
    def export_class(self) -> str | None:
        """The class of ``transformers`` that computes the same function, or None where there is none."""
        c = self.filled(check=False)
        if c.convolution:
            return None
        if (c.norm, c.position, c.activation) == ("rms", "rope", "swiglu"):
            return _rotary_class(c)
        gpt2 = (c.norm, c.position, c.qk_norm, c.biases) == ("layer", "learned", False, True)
        if gpt2 and c.activation in ("gelu", "gelu_exact"):
            whole = None in (c.width, c.heads, c.head_size) or c.width == c.heads * c.head_size  # type: ignore[operator]
            return "GPT2LMHeadModel" if c.kv_heads == c.heads and whole and not c.window else None
        return None

    def build(self, vocab_size: int, seed: int = 1, device: str = "cpu") -> Network:
        """The network, its weights keyed by (seed, parameter name). Raises RecipeError while sizes are missing."""
        from seedstock.models.network import Network

        return Network(self.resolved(), vocab_size, seed, device)


def _rotary_class(c: DecoderConfig) -> str | None:
    """The class of a shape with RMS norms, rotary positions and gated MLPs."""
    if c.experts:
        if c.shared_expert or c.balance_rate or c.biases or c.global_every:
            return None
        if c.qk_norm:
            return "Qwen3MoeForCausalLM"
        return "MixtralForCausalLM" if c.normalise_router else None
    if c.qk_norm:
        return None if c.biases else "Qwen3ForCausalLM"
    if not c.window:
        return "LlamaForCausalLM"
    return None if c.biases or c.global_every else "MistralForCausalLM"
