"""The configuration of classification of pictures: the second stage of a base model of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from seedstock.config import Fraction
from seedstock.errors import RecipeError
from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Objective, Spec


class ClassifyPicturesConfig(ObjectiveConfig):
    """The class of a picture from its class token, or from the ``mean`` of its patches (Dosovitskiy et al. 2021).

    ``dropout`` is on that vector; ``crop`` and ``flip`` are as in ``mae``.
    """

    second_stage: ClassVar[bool] = True

    kind: Literal["classify-pictures"] = "classify-pictures"
    pool: Literal["auto", "class", "mean"] = "auto"
    dropout: Annotated[Fraction, Field(lt=1)] = 0.0
    crop: Annotated[int, Field(ge=0)] = 0
    flip: bool = False

    def export_class(self, model: Any) -> str | None:
        """The map says so (``transfer.items``)."""
        return None

    def build(self, spec: Spec | None = None) -> Objective:
        """Raises RecipeError where the model is no vision transformer over such pictures, or there are fewer than two
        classes."""
        from seedstock.objectives.classify_pictures import ClassifyPictures
        from seedstock.objectives.pictures import insist

        if spec is not None:
            insist(self.kind, spec)
            if len(spec.labels) < 2:
                what = f"the training pictures have {len(spec.labels)} classes, and there is nothing to tell apart"
                raise RecipeError(what, where="input.label", fix="write input: {kind: images, label: …}")
            if self.pool == "class" and not spec.model.class_token:
                what = "there is no class token to ask"
                raise RecipeError(what, where="objective.pool", fix="set pool: mean, or model.class_token: true")
        return ClassifyPictures(self, spec)
