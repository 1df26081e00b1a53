"""The configuration of codecs: sounds from the codes of several codebooks, one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from seedstock.config import Fraction
from seedstock.errors import RecipeError
from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Objective, Spec


class ResidualCodesConfig(ObjectiveConfig):
    """A sound is played again from the nearest vectors of several codebooks, each for what the ones before left
    (Zeghidour et al. 2021, SoundStream; Défossez et al. 2022, EnCodec).

    ``spectra`` weighs the distance of spectra of several window lengths against that of the samples, ``commitment``
    how far latents are from their vectors. That of the samples is the ``absolute`` error, as in those papers, or
    ``relative``: the squared error as a part of the clip's mean square, which silence does not make small and loud
    clips do not rule. In training a share ``fewer`` of the clips, drawn at every look, is played from the first few
    books alone, so that any number of them is a codec; a share ``unrounded`` from the latents as they are (Défossez et
    al. 2024, Moshi), so that both halves find their way before the codebooks do. ``codebook``, ``decay`` and
    ``revive``: as in ``vq``.
    """

    kind: Literal["residual-vq"] = "residual-vq"
    wave: Literal["absolute", "relative"] = "absolute"
    spectra: Annotated[float, Field(ge=0)] = 0.1
    bands: Annotated[int, Field(gt=0, le=256, description="of the mel scale, in the longer windows")] = 64
    commitment: Annotated[float, Field(ge=0)] = 0.25
    fewer: Annotated[Fraction, Field(ge=0, le=1)] = 0.0
    unrounded: Annotated[Fraction, Field(ge=0, lt=1)] = 0.0
    codebook: Literal["ema", "gradient"] = "ema"
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.99
    revive: Annotated[Fraction, Field(ge=0, lt=1)] = 0.05

    def build(self, spec: Spec | None = None) -> Objective:
        """Raises RecipeError where the model is no codec for clips of the input's length and rate."""
        from seedstock.objectives.residual_codes import ResidualCodes

        if spec is not None:
            self._check(spec)
        return ResidualCodes(self, spec)

    def _check(self, spec: Spec) -> None:
        if "waveform" not in spec.fields:
            what = f"the objective {self.kind} learns from samples of sounds"
            raise RecipeError(what, where="input", fix="write input: {kind: waveform, rate: 24000, seconds: 1}")
        (samples,) = spec.fields["waveform"]
        if getattr(spec.model, "kind", None) != "codec":
            what = f"the objective {self.kind} needs an autoencoder of sounds"
            raise RecipeError(what, where="model.kind", fix=f"write model: {{kind: codec, samples: {samples}}}")
        if spec.model.samples != samples:
            what = f"the model is for clips of {spec.model.samples:,} samples, the input gives {samples:,}"
            raise RecipeError(what, where="model.samples", fix=f"write model.samples: {samples}")
