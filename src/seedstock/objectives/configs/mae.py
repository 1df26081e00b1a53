"""The configuration of masked autoencoders over patches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from seedstock.config import Fraction
from seedstock.errors import RecipeError
from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Objective, Spec

Positive = Annotated[int, Field(gt=0)]


class MaeConfig(ObjectiveConfig):
    """Patches are hidden by chance, and a small decoder draws them (He et al. 2022).

    ``mask`` is the share that is hidden. The decoder has ``decoder_layers`` blocks of ``decoder_width``. With
    ``normalise`` a patch is to be drawn up to its own mean and deviation. ``crop`` pads a picture by so many pixels and
    cuts a square of its size out at random; ``flip`` mirrors half of the pictures.
    """

    decoder_bias: ClassVar[bool] = True
    """Whether the matrix into the decoder has one."""

    kind: Literal["mae"] = "mae"
    mask: Annotated[Fraction, Field(gt=0, lt=1)] = 0.75
    decoder_width: Positive = 128
    decoder_layers: Positive = 2
    decoder_heads: Positive = 4
    normalise: bool = True
    crop: Annotated[int, Field(ge=0)] = 0
    flip: bool = False

    def build(self, spec: Spec | None = None) -> Objective:
        """Raises RecipeError where the model is no vision transformer over such pictures, or nothing would be shown."""
        from seedstock.objectives.mae import Mae
        from seedstock.objectives.pictures import insist

        if spec is not None:
            insist(self.kind, spec)
            self.insist_on_both(spec.model.patches, "patches")
        self.insist_on_widths()
        return Mae(self, spec)

    def insist_on_both(self, places: int, what: str) -> None:
        """Raises RecipeError where none of so many would be hidden, or none seen."""
        if not 0 < round(places * self.mask) < places:
            told = f"of {places} {what} {self.mask:.0%} leave none to see or none to draw"
            raise RecipeError(told, where="objective.mask", fix="take smaller patches, or another share")

    def insist_on_widths(self) -> None:
        """Raises RecipeError where the decoder's width does not divide."""
        if self.decoder_width % self.decoder_heads or self.decoder_width % 4:
            what = f"a width of {self.decoder_width} does not divide into {self.decoder_heads} heads and four parts"
            raise RecipeError(what, where="objective.decoder_width", fix="take a multiple of both")
