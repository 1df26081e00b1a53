"""The configuration of BART's denoising."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from seedstock.config import Fraction
from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Spec
    from seedstock.objectives.denoising import Denoising


class DenoisingConfig(ObjectiveConfig):
    """A whole text from one whose sentences are out of order and whose spans are masks (Lewis et al. 2019).

    ``rate`` of the tokens are hidden in spans whose lengths are Poisson numbers of ``mean_span``, each behind one
    mask; ``permute`` shuffles the sentences of each document first.
    """

    kind: Literal["denoising"] = "denoising"
    rate: Annotated[Fraction, Field(gt=0, lt=1)] = 0.3
    mean_span: Annotated[float, Field(gt=0, le=100)] = 3.0
    permute: bool = True
    z_loss: Annotated[float, Field(ge=0)] = 0.0

    def specials(self) -> tuple[str, ...]:
        """The mask."""
        return ("mask",)

    def build(self, spec: Spec | None = None) -> Denoising:
        """The objective; imports torch. Raises RecipeError for a model that reads no source."""
        from seedstock.objectives.denoising import Denoising

        return Denoising(self, spec)
