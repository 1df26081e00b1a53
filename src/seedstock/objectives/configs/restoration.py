"""The configuration of restoring pictures: from noise, or where a part is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from seedstock.config import Fraction
from seedstock.errors import RecipeError
from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Objective, Spec


class RestorationConfig(ObjectiveConfig):
    """A spoilt picture goes in, the clean one is wanted (Vincent et al. 2008; Pathak et al. 2016).

    ``damage`` is what is done: ``noise``, normal with deviation ``level`` of pixels from -1 to 1; ``speckle``, a share
    ``level`` of pixels black or white; ``hole``, a square of a side ``level`` of the picture's, grey, somewhere: then
    only its pixels are counted. ``crop`` and ``flip`` are as in ``mae``.
    """

    kind: Literal["restoration"] = "restoration"
    damage: Literal["noise", "speckle", "hole"] = "noise"
    level: Annotated[Fraction, Field(gt=0, lt=1)] = 0.5
    crop: Annotated[int, Field(ge=0)] = 0
    flip: bool = False

    def build(self, spec: Spec | None = None) -> Objective:
        """Raises RecipeError where the model is no vision transformer over such pictures, or the hole has no pixel."""
        from seedstock.objectives.pictures import insist
        from seedstock.objectives.restoration import Restoration

        if spec is not None:
            insist(self.kind, spec)
            if self.damage == "hole" and not 0 < round(spec.model.image * self.level) < spec.model.image:
                what = f"a hole of {self.level:.0%} of {spec.model.image} pixels is nothing, or all"
                raise RecipeError(what, where="objective.level", fix="take a half, say")
        return Restoration(self, spec)
