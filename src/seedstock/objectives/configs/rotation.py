"""The configuration of telling how a picture was turned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Objective, Spec


class RotationConfig(ObjectiveConfig):
    """Every picture is shown four times, turned by 0, 90, 180 and 270 degrees, and the network says by how much
    (Gidaris et al. 2018). ``crop`` and ``flip`` are as in ``mae``."""

    kind: Literal["rotation"] = "rotation"
    crop: Annotated[int, Field(ge=0)] = 0
    flip: bool = True

    def build(self, spec: Spec | None = None) -> Objective:
        """Raises RecipeError where the model is no vision transformer over such pictures."""
        from seedstock.objectives.pictures import insist
        from seedstock.objectives.rotation import Rotation

        if spec is not None:
            insist(self.kind, spec)
        return Rotation(self, spec)
