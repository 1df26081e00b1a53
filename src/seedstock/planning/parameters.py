"""How many parameters a transformer has, by part, from its configuration alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from seedstock.planning import convolutions

GATED = ("swiglu", "geglu", "geglu_exact")


@dataclass(frozen=True)
class Shape:
    """What the size of a transformer follows from; every number is known. The defaults are a decoder's."""

    width: int
    layers: int
    """Of the stack, or of the encoder where there are two."""
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
    cross: bool = False
    """Whether there is an encoder before the decoder, which attends to it."""
    decoder_layers: int = 0
    """0: as many as the encoder's."""
    post_norm: bool = False
    bare_start: bool = False
    embedding_norm: bool = False
    token_types: int = 0
    masked_head: bool = False
    """Whether a dense layer, a norm and a bias of the vocabulary make the head of a masked model."""
    buckets: int = 0
    """Ranges of distance with a number for each head, in each stack."""
    offset: int = 0
    """Rows of learned positions that stand for none."""
    local_layers: int = 0
    sight: int = 0
    """Positions that a local layer sees."""
    patch: int = 0
    """Numbers in a patch of a picture, which a matrix takes to the width; 0: the input is tokens."""
    class_token: bool = False
    patch_bias: bool = False
    conditioned: bool = False
    """Whether a vector modulates each block; its norms have no gains of their own then."""
    front: tuple[tuple[float, float, float], ...] = ()
    """What stands before the stack of a network over sounds: matrix elements, other parameters, multiplications a frame
    and numbers that a clip's layers give, each as a polynomial of the width (constant, times the width, its square)."""
    source: int = 0
    """Positions of the encoder where they are not as many as the decoder's."""
    key_biases: bool = True
    """Whether keys have biases where queries and values have."""
    beside: tuple[Shape, ...] = ()
    """Further networks, which read sequences of their own; their parts are added to this one's."""
    walked: tuple[Any, ...] = ()
    """Every layer of a network that is no stack (``models.configs.autoencoder.Layer``); then the rest counts nothing,
    but for the context and the ``codebook``'s elements."""
    codebook: int = 0
    sampled: bool = False
    """Whether few rows of the head are multiplied for a token: as many as twice its example has positions."""

    @classmethod
    def of(cls, model: Any) -> Shape:
        """The shape of a model's configuration, of its first part where it has several. Raises RecipeError while sizes
        are missing."""
        c = model.resolved()
        if parts := getattr(c, "parts", ()):
            first, *others = map(cls.of, parts)
            return replace(first, beside=tuple(others))
        if hasattr(c, "walk"):
            return cls(c.width, *(0,) * 5, c.context, **_NO_STACK, walked=(*c.walk(),), codebook=_codebook(c))
        found = choices(c)
        if c.window:
            found["local_layers"] = sum(map(c.is_local, range(c.layers)))
            found["sight"] = (2 if c.kind == "encoder" else 1) * c.window + 1
        return cls(*(c.width, c.layers, c.heads, c.kv_heads, c.head_size, c.mlp_width, c.context), **found)

    @property
    def stacks(self) -> tuple[tuple[int, bool], ...]:
        """Layers of each stack, and whether they attend to another one."""
        return ((self.layers, False), (self.depth, True)) if self.cross else ((self.layers, False),)

    @property
    def depth(self) -> int:
        """Layers of the stack whose output the head reads."""
        return self.decoder_layers or self.layers if self.cross else self.layers


def _codebook(c: Any) -> int:
    return c.codes * c.latent * getattr(c, "books", 1) if c.shape in ("vq", "encodec") else 0


_NO_STACK: dict[str, Any] = dict.fromkeys(
    ("gated", "layer_norm", "qk_norm", "biases", "learned_positions", "tied_embeddings", "taps"), 0
)


def choices(filled: Any) -> dict[str, Any]:
    """What a preset or the recipe chose, of the things that change a count."""
    relative = filled.position == "relative"
    return {
        "gated": filled.activation in GATED,
        "layer_norm": filled.norm == "layer",
        "qk_norm": filled.qk_norm,
        "biases": filled.biases,
        "learned_positions": filled.position == "learned",
        "tied_embeddings": filled.tied_embeddings,
        "taps": filled.convolution,
        **({name: getattr(filled, name) or 0 for name in _EXPERTS} if filled.experts else {}),
        "cross": filled.cross,
        "decoder_layers": getattr(filled, "decoder_layers", None) or 0,
        "post_norm": filled.post_norm,
        "bare_start": filled.bare_start,
        "embedding_norm": bool(getattr(filled, "embedding_norm", False)),
        "token_types": getattr(filled, "token_types", None) or 0,
        "masked_head": filled.kind == "encoder",
        "buckets": filled.buckets if relative else 0,
        "offset": getattr(filled, "offset", 0),
        "patch": getattr(filled, "patch_values", 0),
        "class_token": getattr(filled, "class_token", False),
        "patch_bias": bool(getattr(filled, "patch_bias", False)),
        "conditioned": getattr(filled, "conditioned", False),
        "sampled": getattr(filled, "sampled", False),
        "front": getattr(filled, "front", ()),
        "source": getattr(filled, "source", 0),
        "key_biases": getattr(filled, "key_biases", True),
    }


_EXPERTS = ("experts", "experts_per_token", "expert_width", "shared_expert")


def parameters(shape: Shape, vocab_size: int) -> dict[str, int]:
    """Parameters by part, exactly: ``embedding``, ``positions``, ``attention``, ``mlp``, ``vectors``, ``head``.

    ``embedding`` is of tokens or of patches; ``positions`` holds kinds of segment and the class token too, ``mlp`` all
    experts and their routers; ``head`` is a masked model's dense layer, and the output matrix where it is not tied.
    ``vectors`` are the gains of norms, the taps of convolutions, relative positions and all biases; ``modulation``,
    where a condition modulates blocks, their matrices and biases for it.
    """
    s = shape
    if s.beside:
        alone = [parameters(one, vocab_size) for one in (replace(s, beside=()), *s.beside)]
        return {name: sum(one.get(name, 0) for one in alone) for name in alone[0]}
    if s.walked:
        return convolutions.parameters(s.walked, s.codebook)
    vocab_size = 0 if s.patch or (s.front and not s.cross) else vocab_size
    sides = 2 if s.cross and not s.front else 1  # a spectrum's places are fixed
    rows = sides * (s.context + s.offset) if s.learned_positions else 0
    return {
        "embedding": s.width * (vocab_size + s.patch) + round(before(s, 0)),
        "positions": s.width * (rows + s.token_types + s.class_token),
        "attention": sum(layers * (2 if cross else 1) for layers, cross in s.stacks) * attention(s),
        "mlp": sum(layers for layers, _ in s.stacks) * _mlp(s, s.experts),
        "vectors": sum(_vectors(s, layers, cross) for layers, cross in s.stacks) + _vectors_of_ends(s, vocab_size),
        "head": (0 if s.tied_embeddings else s.width * vocab_size) + dense(s),
        **({"modulation": s.layers * 6 * s.width * (s.width + 1)} if s.conditioned else {}),
    }


def before(s: Shape, what: int) -> float:
    """One of the numbers of ``Shape.front`` at the shape's width; 0 where there is none."""
    return sum(times * s.width**power for power, times in enumerate(s.front[what])) if s.front else 0


def attention(s: Shape) -> int:
    """Matrix elements of one layer's queries, keys, values and output."""
    return 2 * s.width * (s.heads + s.kv_heads) * s.head_size


def dense(s: Shape) -> int:
    """Matrix elements between the backbone and the output matrix."""
    return s.width * s.width if s.masked_head else 0


def _vectors(s: Shape, layers: int, cross: bool) -> int:
    """Of a stack: its layers' norms, taps and biases, relative positions, and the last norm."""
    norm = 0 if s.conditioned else s.width * (2 if s.layer_norm else 1)
    queries, keys = s.heads * s.head_size, s.kv_heads * s.head_size
    each = (2 * s.head_size if s.qk_norm else 0) + (queries + (1 + s.key_biases) * keys + s.width if s.biases else 0)
    attentions = 2 if cross else 1
    a_layer = (1 + attentions) * norm + attentions * each + 2 * s.taps * s.width
    a_layer += s.width + (2 if s.gated else 1) * s.mlp_width if s.biases else 0
    ends = (0 if s.post_norm else norm) - (norm if s.bare_start and layers else 0)
    return layers * a_layer + s.buckets * s.heads + ends


def _vectors_of_ends(s: Shape, vocab_size: int) -> int:
    """Of embeddings and head: norms and biases."""
    norm = 0 if s.conditioned else s.width * (2 if s.layer_norm else 1)
    embeddings = (2 if s.cross else 1) * norm if s.embedding_norm else 0
    embeddings += (s.width if s.patch_bias else 0) + round(before(s, 1))
    return embeddings + (norm + (s.width if s.biases else 0) + vocab_size if s.masked_head else 0)


def _mlp(s: Shape, experts: int) -> int:
    """A layer's MLP, or so many of its experts, with the router and the shared expert."""
    inner = experts * (s.expert_width or s.mlp_width) + s.shared_expert if s.experts else s.mlp_width
    return s.width * (inner * (3 if s.gated else 2) + s.experts)


def active(shape: Shape, vocab_size: int) -> dict[str, int]:
    """``parameters`` of which a token uses its part: of the experts those that its router chooses."""
    if not shape.experts:
        return parameters(shape, vocab_size)
    layers = sum(layers for layers, _ in shape.stacks)
    return parameters(shape, vocab_size) | {"mlp": layers * _mlp(shape, shape.experts_per_token)}


def total(shape: Shape, vocab_size: int) -> int:
    """All parameters."""
    return sum(parameters(shape, vocab_size).values())


def body(shape: Shape) -> int:
    """Parameters without embeddings, positions and head: the N of most scaling laws."""
    parts = parameters(shape, 0)
    return parts["attention"] + parts["mlp"] + parts["vectors"] + parts.get("convolutions", 0)
