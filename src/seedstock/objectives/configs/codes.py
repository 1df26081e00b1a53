"""The configurations of autoencoders of pictures: codes of a codebook, or Gaussian latents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from seedstock.config import Fraction
from seedstock.errors import RecipeError
from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Objective, Spec


class PicturesAgain(ObjectiveConfig):
    """What both share: ``crop`` pads a picture by so many pixels and cuts a square of its size out at random; ``flip``
    mirrors half of the pictures."""

    crop: Annotated[int, Field(ge=0)] = 0
    flip: bool = False

    def _check(self, spec: Spec | None) -> None:
        from seedstock.objectives.pictures import insist

        if spec is None:
            return
        insist(self.kind, spec, "autoencoder")
        if spec.model.shape != self.kind:
            what = f"the objective {self.kind} needs an autoencoder of that shape, not of {spec.model.shape}"
            raise RecipeError(what, where="model.shape", fix=f"write model.shape: {self.kind}")


class VqConfig(PicturesAgain):
    """A picture is drawn again from the numbers of the nearest vectors of a codebook (van den Oord et al. 2017).

    ``commitment`` weighs how far latents are from their vectors. With ``codebook: ema`` a vector is the moving mean of
    its latents, with ``decay``; with ``gradient`` it goes towards them by a loss of its own. A vector that is used less
    than ``revive`` times as often as an even share would be begins anew beside another one; 0: none does.
    """

    kind: Literal["vq"] = "vq"
    commitment: Annotated[float, Field(ge=0)] = 0.25
    codebook: Literal["ema", "gradient"] = "ema"
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.99
    revive: Annotated[Fraction, Field(ge=0, lt=1)] = 0.05

    def build(self, spec: Spec | None = None) -> Objective:
        """Raises RecipeError where the model is no autoencoder with a codebook, or its pictures are others."""
        from seedstock.objectives.codes import Vq

        self._check(spec)
        return Vq(self, spec)


class KlConfig(PicturesAgain):
    """A picture is drawn again from a sample of the Gaussian that was found for it (Kingma and Welling 2014), which a
    divergence from the standard one, of a small ``weight``, holds together (Rombach et al. 2022)."""

    kind: Literal["kl"] = "kl"
    weight: Annotated[float, Field(ge=0)] = 1e-4

    def build(self, spec: Spec | None = None) -> Objective:
        """Raises RecipeError where the model is no autoencoder with Gaussian latents, or its pictures are others."""
        from seedstock.objectives.codes import Kl

        self._check(spec)
        return Kl(self, spec)
