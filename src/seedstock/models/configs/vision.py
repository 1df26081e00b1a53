"""The configuration of a vision transformer: a bidirectional stack over the patches of a picture or a clip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from seedstock.config import Count
from seedstock.models.configs.transformer import TransformerConfig, problems

if TYPE_CHECKING:
    from seedstock.models.vision import VisionNetwork


class VisionConfig(TransformerConfig):
    """A stack over ``(image / patch)²`` patches of ``image`` pixels a side, after a class token where there is one.

    ``vit``: Dosovitskiy et al. 2021, learned positions; ``mae``: the same with fixed sines and cosines of rows and
    columns (He et al. 2022); ``dit``: blocks that a condition modulates (Peebles and Xie 2023), without a class token;
    ``clip`` and ``siglip``: the picture towers of Radford et al. 2021 and Zhai et al. 2023. With ``frames`` it reads
    clips, in patches of ``tubelet`` frames; ``videomae``: Tong et al. 2022, fixed sines and cosines of the tubelets in
    a row, without a class token. It has no head: what hidden states are for, an objective says.
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "vit": {"norm": "layer", "norm_epsilon": 1e-12, "position": "learned", "activation": "gelu_exact"}
        | {"biases": True},
        "mae": {"norm": "layer", "norm_epsilon": 1e-12, "position": "sines", "activation": "gelu_exact"}
        | {"biases": True},
        "dit": {"norm": "layer_plain", "norm_epsilon": 1e-6, "position": "sines", "activation": "gelu"}
        | {"biases": True},
        "clip": {"norm": "layer", "norm_epsilon": 1e-5, "position": "learned", "activation": "gelu_exact"}
        | {"biases": True, "embedding_norm": True, "patch_bias": False},
        "videomae": {"norm": "layer", "norm_epsilon": 1e-5, "position": "sines", "activation": "gelu_exact"}
        | {"biases": True},
        "siglip": {"norm": "layer", "norm_epsilon": 1e-6, "position": "learned", "activation": "gelu"}
        | {"biases": True},
    }
    experts: ClassVar[int | None] = None
    rope_scaling: ClassVar[None] = None
    window: ClassVar[None] = None
    local_rope_base: ClassVar[None] = None
    post_norm: ClassVar[bool] = False
    bare_start: ClassVar[bool] = False

    kind: Literal["vision"] = "vision"
    shape: Literal["vit", "mae", "dit", "clip", "siglip", "videomae"] = "vit"
    image: Annotated[int, Field(gt=0, description="pixels a side")] = 32
    patch: Annotated[int, Field(gt=0, description="pixels a side")] = 4
    channels: Annotated[int, Field(gt=0, le=256, description="1, 3, or the numbers of a latent")] = 3
    frames: Annotated[int, Field(gt=0, description="of a clip; 1: it reads pictures")] = 1
    tubelet: Annotated[int, Field(gt=0, description="frames of a patch")] = 1
    class_token: bool | None = Field(
        default=None, description="a position before the patches; dit, siglip, videomae: none"
    )
    embedding_norm: bool | None = Field(default=None, description="a norm between the embeddings and the first layer")
    patch_bias: bool | None = Field(default=None, description="a bias of what brings patches to the width")
    context: Count = Field(default=0, description="positions, which follow from image and patch")
    position: Literal["rope", "learned", "relative", "sines"] | None = None  # type: ignore[assignment]
    qk_norm: bool | None = None
    convolution: Literal[0] = 0
    tied_embeddings: Literal[True] = True

    @model_validator(mode="before")
    @classmethod
    def _positions(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        sizes = (values.get(name, cls.model_fields[name].default) for name in ("image", "patch", "frames", "tubelet"))
        image, patch, frames, tubelet = sizes
        if not all(isinstance(size, int) and size > 0 for size in (image, patch, frames, tubelet)):
            return values  # which the fields refuse
        if frames % tubelet:
            raise ValueError(f"patches of {tubelet} frames do not divide a clip of {frames}")
        if image % patch:
            raise ValueError(f"patches of {patch} pixels do not divide a picture of {image}")
        token = values.get("class_token")
        token = values.get("shape") not in ("dit", "siglip", "videomae") if token is None else token
        context = frames // tubelet * (image // patch) ** 2 + int(bool(token))
        if values.get("context") not in (None, 0, context):
            raise ValueError(f"the context follows from image, patch, frames and tubelet: {context}; leave it out")
        return {**values, "context": context, "class_token": token}

    @property
    def pool(self) -> str:
        """What stands for a whole picture: its class token, or the mean of its patches."""
        return "class" if self.shape == "clip" else "mean"

    @property
    def conditioned(self) -> bool:
        """Whether its blocks are modulated by a vector that the backbone is handed."""
        return self.shape == "dit"

    @property
    def patches(self) -> int:
        """Of a picture, or of a clip."""
        return self.frames // self.tubelet * (self.image // self.patch) ** 2

    @property
    def patch_values(self) -> int:
        """Numbers in a patch."""
        return self.tubelet * self.patch**2 * self.channels

    def filled(self, *, check: bool = True) -> VisionConfig:
        """With the preset's choices, and with the sizes that follow from width and heads."""
        given = self.model_dump()
        values = {"qk_norm": False, "initialisation": "normal", "embedding_norm": False, "patch_bias": True}
        values |= self.PRESETS[self.shape]
        values = {key: value for key, value in values.items() if given[key] is None}
        return super(VisionConfig, self.model_construct(**{**given, **values})).filled(check=check)

    def problems(self) -> list[str]:
        """What does not fit together in a filled configuration, in words."""
        found = problems(self)
        if self.position == "sines" and self.width and self.width % 4:
            found.append(f"width ({self.width}) is not a multiple of 4, which sines of rows and columns need")
        if self.frames > 1 and self.position == "sines" and self.shape != "videomae":
            found.append("sines of rows and columns are for pictures; take shape: videomae or learned positions")
        if (self.norm == "layer_plain") != self.conditioned:
            found.append(
                "norms without a gain are for blocks that a condition modulates (shape: dit), and the other way"
            )
        if self.position == "relative":
            found.append("relative positions are of sequences, not of pictures")
        return found

    def build(self, vocab_size: int = 0, seed: int = 1, device: str = "cpu") -> VisionNetwork:
        """The network, its weights keyed by (seed, parameter name). Raises RecipeError while sizes are missing."""
        from seedstock.models.vision import VisionNetwork

        return VisionNetwork(self.resolved(), vocab_size, seed, device)
