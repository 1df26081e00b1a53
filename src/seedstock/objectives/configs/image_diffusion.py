"""The configuration of diffusion over pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from seedstock.config import Fraction
from seedstock.errors import RecipeError
from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Objective, Spec

Positive = Annotated[int, Field(gt=0)]


class ImageDiffusionConfig(ObjectiveConfig):
    """Noise is taken off pictures, step by step.

    ``process``: ``flow``, a straight way between picture and noise whose velocity is learned (Lipman et al. 2023), or
    ``ddpm``, a thousand steps whose noise is (Ho et al. 2020). Where pictures have labels it is told the
    class, but for a share ``unlabelled`` of them, so that samples can be guided (Ho and Salimans 2022). ``steps`` and
    ``guidance`` are for samples: how many evaluations, and how far beyond the class's own prediction (1: not at all).
    ``crop`` and ``flip`` are as in ``mae``.
    """

    kind: Literal["image-diffusion"] = "image-diffusion"
    process: Literal["flow", "ddpm"] = "flow"
    labelled: bool = True
    unlabelled: Annotated[Fraction, Field(ge=0, lt=1)] = 0.1
    steps: Positive = 50
    guidance: Annotated[float, Field(ge=0)] = 2.0
    crop: Annotated[int, Field(ge=0)] = 0
    flip: bool = False

    def build(self, spec: Spec | None = None) -> Objective:
        """Raises RecipeError where the model is no vision transformer over such pictures whose blocks take a
        condition."""
        from seedstock.objectives.image_diffusion import ImageDiffusion
        from seedstock.objectives.pictures import insist

        if spec is not None:
            insist(self.kind, spec)
            if not spec.model.conditioned:
                what = f"the shape {spec.model.shape} cannot be told the time and the class"
                raise RecipeError(what, where="model.shape", fix="write model.shape: dit")
            if self.labelled and not spec.labels:
                what = "the pictures have no labels to be told"
                raise RecipeError(
                    what, where="input.label", fix="name the key of the meta, or set objective.labelled: false"
                )
        return ImageDiffusion(self, spec)
