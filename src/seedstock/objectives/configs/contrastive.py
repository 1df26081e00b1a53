"""The configuration of telling which text belongs to which picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from seedstock.config import Fraction
from seedstock.errors import RecipeError
from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Objective, Spec

Positive = Annotated[int, Field(gt=0)]


class ContrastiveConfig(ObjectiveConfig):
    """A picture's caption is to be told from all others of the batch, and a caption's picture.

    ``loss``: ``softmax`` over the batch (Radford et al. 2021, CLIP) or a ``sigmoid`` for each pair (Zhai et al. 2023,
    SigLIP). Both towers end in ``embedding`` numbers. ``crop`` and ``flip`` are as in ``mae``; ``smallest`` instead
    cuts out at least that share of each picture's area and brings it to size, and ``jitter`` changes its colours, both
    as in ``simclr``. Pairs of a batch with the same caption, or the same picture, are right as well.

    ``scale_limit`` is the most that the learned scale of the cosines may come to, and at most what it begins at: at 100
    (Radford et al. 2021, section 2.5) few pictures soon have a loss near zero, by heart.
    """

    kind: Literal["contrastive"] = "contrastive"
    loss: Literal["softmax", "sigmoid"] = "softmax"
    embedding: Positive = 128
    crop: Annotated[int, Field(ge=0)] = 0
    flip: bool = False
    smallest: Annotated[Fraction, Field(gt=0, le=1)] | None = None
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.0
    scale_limit: Annotated[float, Field(ge=1, le=100)] = 100.0

    @model_validator(mode="after")
    def _views(self) -> ContrastiveConfig:
        if self.smallest is None and self.jitter:
            raise ValueError("jitter is of views: write smallest too, 1 for whole pictures")
        if self.smallest is not None and self.crop:
            raise ValueError("smallest takes the place of crop: leave one of them out")
        return self

    def build(self, spec: Spec | None = None) -> Objective:
        """Raises RecipeError where the input gives no pairs of pictures and captions, the model has no towers for
        them, or a batch has but one pair."""
        from seedstock.objectives.contrastive import Contrastive

        if spec is not None:
            self._check(spec)
        return Contrastive(self, spec)

    def _check(self, spec: Spec) -> None:
        if not {"image", "tokens"} <= spec.fields.keys():
            what = f"the objective {self.kind} learns from pictures with captions"
            raise RecipeError(what, where="input", fix="write input: {kind: images, size: 32, caption: 24}")
        model = spec.model
        if getattr(model, "kind", None) != "towers":
            what = f"the objective {self.kind} needs a network for pictures and one for texts"
            fix = "write model: {kind: towers, picture: {kind: vision, …}, text: {kind: decoder, …}}"
            raise RecipeError(what, where="model.kind", fix=fix)
        size, _, channels = spec.fields["image"]
        if (model.picture.image, model.picture.channels) != (size, channels):
            sees = f"{model.picture.image} pixels and {model.picture.channels} channels"
            what = f"the picture tower is for {sees}, the input gives {size} and {channels}"
            raise RecipeError(what, where="model.picture.image", fix=f"write image: {size}, channels: {channels}")
        if model.text.context < spec.fields["tokens"][0]:
            what = f"captions of {spec.fields['tokens'][0]} tokens do not fit the text tower's {model.text.context}"
            raise RecipeError(what, where="model.text.context", fix="make them equal")
        if (model.shape == "siglip") != (self.loss == "sigmoid"):
            what = f"towers of the shape {model.shape} are not made for a {self.loss} loss"
            fix = "write model.shape: siglip for loss: sigmoid, clip for softmax"
            raise RecipeError(what, where="objective.loss", fix=fix)
        if model.shape == "siglip" and self.embedding != model.picture.width:
            what = f"of the shape siglip a picture's vector has the width of its tower, {model.picture.width}"
            raise RecipeError(what, where="objective.embedding", fix=f"write embedding: {model.picture.width}")
        if spec.batch == 1:
            what = "a pair alone in its batch has no other to be told from"
            raise RecipeError(what, where="training.batch_examples", fix="take 64 and more")
