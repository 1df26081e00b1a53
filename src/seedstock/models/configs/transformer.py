"""What the configurations of every transformer share: sizes, the preset of a shape, and choices that few make."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from seedstock.config import Config, Count, Fraction
from seedstock.errors import RecipeError

Positive = Annotated[int, Field(gt=0)]
Scale = Annotated[float, Field(gt=0)]
SIZES = ("width", "layers", "heads", "kv_heads", "head_size", "mlp_width")
GATED = ("swiglu", "geglu", "geglu_exact")


class TransformerConfig(Config):
    """``shape`` fills the choices, ``size`` the sizes; what is written out stands.

    A kind lists its shapes in ``PRESETS`` and says in ``problems`` what does not fit together. It has ``post_norm``,
    ``bare_start``, ``window``, ``local_rope_base``, ``rope_scaling``, ``experts`` and ``convolution``, as fields or as
    what all its shapes choose.
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {}
    cross: ClassVar[bool] = False
    """Whether the backbone reads a source first and its blocks attend to it."""

    kind: str
    shape: str
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

    norm: Literal["rms", "layer", "layer_no_bias", "layer_plain"] | None = None
    norm_epsilon: Scale | None = None
    position: Literal["rope", "learned", "relative"] | None = None
    rope_base: Scale | None = None
    activation: (
        Literal["swiglu", "geglu", "geglu_exact", "gelu", "gelu_exact", "quick_gelu", "relu", "relu2"] | None
    ) = None
    qk_norm: bool | None = None
    biases: bool | None = None
    tied_embeddings: bool | None = None
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
    def _makes_sense(self) -> Self:
        full = self.filled(check=False)
        for problem in full.problems():
            raise ValueError(problem)
        return self

    def problems(self) -> list[str]:
        """What does not fit together in a filled configuration, in words."""
        return problems(self)

    def filled(self, *, check: bool = True) -> Self:
        """With the preset's choices, and with the sizes that follow from width and heads."""
        values = self.model_dump()
        preset = self.PRESETS[self.shape]
        if values["position"] in ("learned", "relative"):
            preset = {**preset, "rope_base": None}
        values |= {key: value for key, value in preset.items() if values[key] is None}
        width, heads = self.width, self.heads
        if heads and self.kv_heads is None:
            values["kv_heads"] = heads
        if width and heads and self.head_size is None and width % heads == 0:
            values["head_size"] = width // heads
        if width and self.mlp_width is None:
            # A gated MLP has three matrices: two thirds of the width keep its parameter count (Shazeer 2020).
            times = 8 / 3 if values["activation"] in GATED else 4
            values["mlp_width"] = max(64, 64 * round(times * width / 64))
        return type(self)(**values) if check else self.model_construct(**values)

    @property
    def missing(self) -> list[str]:
        """The sizes that neither the recipe nor the size dial has given yet."""
        return [name for name in SIZES if getattr(self.filled(check=False), name) is None]

    def resolved(self) -> Self:
        """``filled()``, every size known. Raises RecipeError that names what is missing."""
        c = self.filled()
        if c.missing:
            raise RecipeError(
                f"the model's {', '.join(c.missing)} are not known", where="model", fix="give them, or a size"
            )
        return c

    @property
    def depth(self) -> int:
        """Layers of the stack whose output the head reads."""
        return self.layers  # type: ignore[return-value]

    @property
    def attention_scale(self) -> float | None:
        """What scores of queries and keys are multiplied by; None: one by the root of the head's size."""
        return None

    def initial_scale(self, name: str, role: str) -> float:
        """A factor on a parameter's initial weights, by its name and role."""
        return 1.0

    @property
    def last_dropout(self) -> bool:
        """Whether there is dropout after a stack's last norm too."""
        return False

    @property
    def auxiliary(self) -> tuple[str, ...]:
        """Names of the network's own losses, in ``Output.aux``."""
        return ()

    def is_local(self, layer: int) -> bool:
        """Whether a layer looks near by only (``window``)."""
        return False

    @property
    def export_class(self) -> str | None:
        """The class of ``transformers`` that computes the same function, or None where there is none."""
        return None


def problems(c: Any) -> list[str]:
    """What does not fit together in any transformer."""
    found = []
    if c.heads and c.kv_heads and c.heads % c.kv_heads:
        found.append(f"heads ({c.heads}) is not a multiple of kv_heads ({c.kv_heads})")
    if c.width and c.heads and c.head_size is None:
        found.append(f"width ({c.width}) is not a multiple of heads ({c.heads}); change one, or give head_size")
    if c.position == "rope" and c.head_size and c.head_size % 2:
        found.append(f"head_size ({c.head_size}) is odd; rotary positions turn pairs of dimensions")
    if c.position != "rope" and c.rope_base:
        found.append(f"rope_base has no meaning with {c.position} positions; remove it or set position: rope")
    if c.initialisation == "zero" and c.tied_embeddings:
        found.append("initialisation: zero needs tied_embeddings: false (a head of zeros cannot be the embedding)")
    if c.dropout >= 1:
        found.append("dropout of everything leaves nothing; give less than 1")
    return found
