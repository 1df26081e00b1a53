"""The configuration of prediction in feature space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from seedstock.config import Fraction
from seedstock.errors import RecipeError
from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Objective, Spec

Positive = Annotated[int, Field(gt=0)]


class IjepaConfig(ObjectiveConfig):
    """What a teacher makes of blocks of a picture is predicted from the rest (Assran et al. 2023).

    Each of ``targets`` blocks covers about ``target`` of the picture; the context is a block of about ``context``,
    without what the targets cover, at least ``least`` of the patches. The predictor has ``predictor_layers`` blocks of
    ``predictor_width``. ``momentum`` and ``momentum_end`` are as in ``byol``, ``crop`` and ``flip`` as in ``mae``.
    """

    kind: Literal["ijepa"] = "ijepa"
    targets: Positive = 4
    target: Annotated[Fraction, Field(gt=0, lt=1)] = 0.18
    context: Annotated[Fraction, Field(gt=0, le=1)] = 0.9
    least: Annotated[Fraction, Field(gt=0, lt=1)] = 0.2
    predictor_width: Positive = 128
    predictor_layers: Positive = 2
    predictor_heads: Positive = 4
    momentum: Annotated[Fraction, Field(ge=0, lt=1)] = 0.996
    momentum_end: Annotated[Fraction, Field(ge=0, le=1)] | None = None
    crop: Annotated[int, Field(ge=0)] = 0
    flip: bool = False

    def build(self, spec: Spec | None = None) -> Objective:
        """Raises RecipeError where the model is no vision transformer over such pictures, or has a class token."""
        from seedstock.objectives.ijepa import Ijepa
        from seedstock.objectives.pictures import insist

        if spec is not None:
            insist(self.kind, spec)
            if spec.model.class_token:
                what = "features of places are predicted, and a class token has none"
                raise RecipeError(what, where="model.class_token", fix="write model.class_token: false")
        return Ijepa(self, spec)
