"""The configuration of writing what is heard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from seedstock.config import Fraction
from seedstock.errors import RecipeError
from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Objective, Spec


class TranscriptionConfig(ObjectiveConfig):
    """The text of a sound, token by token, from its spectrum (Radford et al. 2022). ``z_loss`` as in ``causal``.

    While it trains, and then alone, spectra may be spoilt: up to ``hide_frames`` frames and ``hide_bins`` bins in a row
    become the clip's mean (Park et al. 2019, SpecAugment), all is moved up or down by up to ``shift`` bins, as another
    voice would, and stretched or shortened in time by up to a part ``stretch``.
    """

    kind: Literal["transcription"] = "transcription"
    z_loss: Annotated[float, Field(ge=0)] = 0.0
    hide_frames: Annotated[int, Field(ge=0)] = 0
    hide_bins: Annotated[int, Field(ge=0)] = 0
    shift: Annotated[int, Field(ge=0)] = 0
    stretch: Annotated[Fraction, Field(ge=0, lt=1)] = 0.0

    def build(self, spec: Spec | None = None) -> Objective:
        """Raises RecipeError where the input gives no spectra with texts, or the model reads none of that shape."""
        from seedstock.objectives.transcription import Transcription

        if spec is not None:
            if "spectrum" not in spec.fields or "tokens" not in spec.fields:
                what = "the objective transcription learns from spectra with texts"
                raise RecipeError(what, where="input", fix="write input: {kind: log-mel, caption: 64}")
            if getattr(spec.model, "kind", None) != "speech":
                what = "the objective transcription needs a network that hears and writes"
                raise RecipeError(what, where="model.kind", fix="write model: {kind: speech, …}")
            frames, bins = spec.fields["spectrum"]
            if (spec.model.frames, spec.model.bins) != (frames, bins):
                what = f"the model reads {spec.model.frames} frames of {spec.model.bins} bins, the input gives {frames}"
                what += f" of {bins}"
                raise RecipeError(what, where="model.frames", fix=f"write model.frames: {frames}, model.bins: {bins}")
            (length,) = spec.fields["tokens"]
            if length - 1 > spec.model.context:
                what = f"texts of {length - 1} tokens do not fit the model's context of {spec.model.context}"
                raise RecipeError(what, where="input.caption", fix=f"write input.caption: {spec.model.context + 1}")
        return Transcription(self, spec)
