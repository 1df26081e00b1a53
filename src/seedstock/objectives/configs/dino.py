"""The configuration of self-distillation without labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from seedstock.config import Fraction
from seedstock.errors import RecipeError
from seedstock.objectives.configs.views import Positive, Scale, ViewsConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Objective, Spec


class DinoConfig(ViewsConfig):
    """A teacher's shares over ``prototypes`` for two large crops, learned from every other crop, ``small`` ones of
    ``small_size`` pixels among them (Caron et al. 2021; ``patches`` and ``scatter`` are those of DINOv2, Oquab et al.
    2024).

    ``patches`` is the weight of the same loss for patches that the student is not shown (iBOT, Zhou et al. 2022): a
    share ``hidden_patches`` of those of half of the large crops. ``scatter`` is the weight of KoLeo (Sablayrolles et
    al. 2019), which keeps features apart. ``smallest`` is the least area of large crops, which small ones stay below.
    ``momentum`` and ``momentum_end`` are as in ``byol``. ``centring`` says how the teacher's shares are kept apart: a
    running ``mean`` of what it says is taken off, or ``sinkhorn``: over each batch all prototypes get as much (SwAV,
    Caron et al. 2020; DINOv2). Of hidden patches the mean is always taken off.
    """

    kind: Literal["dino"] = "dino"
    prototypes: Positive = 1024
    hidden: Positive = 512
    bottleneck: Positive = 128
    momentum: Annotated[Fraction, Field(ge=0, lt=1)] = 0.99
    momentum_end: Annotated[Fraction, Field(ge=0, le=1)] | None = None
    centring: Literal["mean", "sinkhorn"] = "mean"
    centre_momentum: Annotated[Fraction, Field(ge=0, lt=1)] = 0.9
    temperature: Scale = 0.1
    teacher_temperature: Scale = 0.04
    small: Annotated[int, Field(ge=0)] = 4
    small_size: Positive = 16
    smallest: Annotated[Fraction, Field(gt=0, lt=1)] = 0.4
    patches: Annotated[float, Field(ge=0)] = 0.0
    hidden_patches: Annotated[Fraction, Field(gt=0, lt=1)] = 0.3
    scatter: Annotated[float, Field(ge=0)] = 0.0

    def build(self, spec: Spec | None = None) -> Objective:
        """Raises RecipeError where the model is no vision transformer over such pictures, or small crops do not divide
        into its patches."""
        from seedstock.objectives.dino import Dino

        self._check(spec)
        if spec is not None and self.small:
            model = spec.model
            if self.small_size % model.patch or self.small_size > model.image:
                what = f"crops of {self.small_size} pixels do not divide into patches of {model.patch}"
                fix = f"take a multiple of {model.patch} up to {model.image}, or small: 0"
                raise RecipeError(what, where="objective.small_size", fix=fix)
        return Dino(self, spec)
