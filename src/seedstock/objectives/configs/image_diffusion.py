"""The configuration of diffusion over pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

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

    With ``latents`` (``run:NAME`` or ``run:NAME@step``, of the objective ``kl``) pictures are samples of that
    autoencoder's latents, times ``scale`` (measured on training pictures where it is not given), and what is sampled is
    drawn by it (Rombach et al. 2022).
    """

    kind: Literal["image-diffusion"] = "image-diffusion"
    process: Literal["flow", "ddpm"] = "flow"
    labelled: bool = True
    unlabelled: Annotated[Fraction, Field(ge=0, lt=1)] = 0.1
    steps: Positive = 50
    guidance: Annotated[float, Field(ge=0)] = 2.0
    crop: Annotated[int, Field(ge=0)] = 0
    flip: bool = False
    latents: str | None = None
    scale: Annotated[float, Field(gt=0)] | None = None

    def parents(self) -> tuple[str, ...]:
        """The run whose latents they are, if one is named."""
        return () if self.latents is None else (self.latents,)

    def build(self, spec: Spec | None = None) -> Objective:
        """Raises RecipeError where the model is no vision transformer over such pictures whose blocks take a
        condition."""
        from seedstock.objectives.image_diffusion import ImageDiffusion
        from seedstock.objectives.pictures import insist

        if spec is not None:
            if self.latents is None:
                insist(self.kind, spec)
            else:
                self._fits(spec, spec.models[self.latents].config)
            if not spec.model.conditioned:
                what = f"the shape {spec.model.shape} cannot be told the time and the class"
                raise RecipeError(what, where="model.shape", fix="write model.shape: dit")
            if self.labelled and not spec.labels:
                what = "the pictures have no labels to be told"
                raise RecipeError(
                    what, where="input.label", fix="name the key of the meta, or set objective.labelled: false"
                )
        return ImageDiffusion(self, spec)

    def _fits(self, spec: Spec, c: Any) -> None:
        """Raises RecipeError where the parent has no such latents, or the model is none for them."""
        if (c.kind, getattr(c, "shape", None)) != ("autoencoder", "kl"):
            what = f"{self.latents} is no autoencoder with Gaussian latents"
            raise RecipeError(what, where="objective.latents", fix="name a run of the objective kl")
        if spec.fields.get("image") != (c.image, c.image, c.channels):
            what = f"{self.latents} reads pictures of {c.image} pixels and {c.channels} channels"
            fix = f"write input: {{kind: images, size: {c.image}, channels: {c.channels}}}"
            raise RecipeError(what, where="input", fix=fix)
        side = c.image // c.factor
        if getattr(spec.model, "kind", None) != "vision" or (spec.model.image, spec.model.channels) != (side, c.latent):
            size = f"{side} × {side} places of {c.latent} numbers"
            what = f"latents of {self.latents} are {size}, which this model does not read"
            fix = f"write model: {{kind: vision, shape: dit, image: {side}, channels: {c.latent}, patch: 1}}"
            raise RecipeError(what, where="model", fix=fix)
