"""How many parameters a transformer has, by part, from its configuration alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shape:
    """What the size of a decoder follows from; every number is known."""

    width: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    mlp_width: int
    context: int
    gated: bool
    layer_norm: bool
    qk_norm: bool
    biases: bool
    learned_positions: bool
    tied_embeddings: bool
    taps: int
    experts: int = 0
    experts_per_token: int = 0
    expert_width: int = 0
    """Of each expert; 0: the MLP's."""
    shared_expert: int = 0

    @classmethod
    def of(cls, model: Any) -> Shape:
        """The shape of a model's configuration. Raises RecipeError while sizes are missing."""
        c = model.resolved()
        return cls(
            *(c.width, c.layers, c.heads, c.kv_heads, c.head_size, c.mlp_width, c.context),
            **choices(c),
        )


def choices(filled: Any) -> dict[str, Any]:
    """What a preset or the recipe chose, of the things that change a count."""
    return {
        "gated": filled.activation == "swiglu",
        "layer_norm": filled.norm == "layer",
        "qk_norm": filled.qk_norm,
        "biases": filled.biases,
        "learned_positions": filled.position == "learned",
        "tied_embeddings": filled.tied_embeddings,
        "taps": filled.convolution,
        **({name: getattr(filled, name) or 0 for name in _EXPERTS} if filled.experts else {}),
    }


_EXPERTS = ("experts", "experts_per_token", "expert_width", "shared_expert")


def parameters(shape: Shape, vocab_size: int) -> dict[str, int]:
    """Parameters by part, exactly: ``embedding``, ``positions``, ``attention``, ``mlp``, ``vectors``, ``head``.

    ``mlp`` holds all experts and their routers. ``vectors`` are the gains of norms, the taps of convolutions and all
    biases; ``head`` is 0 where it is tied.
    """
    s = shape
    queries, keys = s.heads * s.head_size, s.kv_heads * s.head_size
    norm = s.width * (2 if s.layer_norm else 1)
    biases = queries + 2 * keys + 2 * s.width + (2 if s.gated else 1) * s.mlp_width
    a_layer = 2 * norm + 2 * s.taps * s.width + (2 * s.head_size if s.qk_norm else 0) + (biases if s.biases else 0)
    return {
        "embedding": s.width * vocab_size,
        "positions": s.width * s.context if s.learned_positions else 0,
        "attention": s.layers * s.width * 2 * (queries + keys),
        "mlp": s.layers * _mlp(s, s.experts),
        "vectors": s.layers * a_layer + norm,
        "head": 0 if s.tied_embeddings else s.width * vocab_size,
    }


def _mlp(s: Shape, experts: int) -> int:
    """A layer's MLP, or so many of its experts, with the router and the shared expert."""
    inner = experts * (s.expert_width or s.mlp_width) + s.shared_expert if s.experts else s.mlp_width
    return s.width * (inner * (3 if s.gated else 2) + s.experts)


def active(shape: Shape, vocab_size: int) -> dict[str, int]:
    """``parameters`` of which a token uses its part: of the experts those that its router chooses."""
    return parameters(shape, vocab_size) | {"mlp": shape.layers * _mlp(shape, shape.experts_per_token)}


def total(shape: Shape, vocab_size: int) -> int:
    """All parameters."""
    return sum(parameters(shape, vocab_size).values())


def body(shape: Shape) -> int:
    """Parameters without embeddings, positions and head: the N of most scaling laws."""
    parts = parameters(shape, 0)
    return parts["attention"] + parts["mlp"] + parts["vectors"]
