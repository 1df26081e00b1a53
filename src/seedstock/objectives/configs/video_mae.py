"""The configuration of masked autoencoders over clips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from seedstock.config import Fraction
from seedstock.errors import RecipeError
from seedstock.objectives.configs.mae import MaeConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Objective, Spec


class VideoMaeConfig(MaeConfig):
    """Tubes of a clip are hidden, the same places in every frame, and a small decoder draws them (Tong et al. 2022).

    With ``normalise`` a tubelet is to be drawn up to its own mean and deviation in each channel. What the error is
    worth, only one without that says: ``normalise: false`` is held against the mean over time and the nearest seen.
    """

    decoder_bias: ClassVar[bool] = False

    kind: Literal["video-mae"] = "video-mae"  # type: ignore[assignment]
    mask: Annotated[Fraction, Field(gt=0, lt=1)] = 0.9
    crop: Literal[0] = 0
    flip: Literal[False] = False

    def build(self, spec: Spec | None = None) -> Objective:
        """Raises RecipeError where the model reads no such clips, or nothing would be shown."""
        from seedstock.objectives.video_mae import VideoMae

        if spec is not None:
            self._check(spec)
            places = (spec.model.image // spec.model.patch) ** 2
            self.insist_on_both(places, "places")
        self.insist_on_widths()
        return VideoMae(self, spec)

    def _check(self, spec: Spec) -> None:
        model = spec.model
        if "clip" not in spec.fields:
            fix = "write input: {kind: video, frames: 16, size: 32}"
            raise RecipeError(f"the objective {self.kind} learns from clips", where="input", fix=fix)
        frames, size, _, channels = spec.fields["clip"]
        if getattr(model, "kind", None) != "vision":
            fix = f"write model: {{kind: vision, shape: videomae, frames: {frames}, image: {size}}}"
            raise RecipeError(f"the objective {self.kind} needs a model of patches", where="model.kind", fix=fix)
        if (model.frames, model.image, model.channels) != (frames, size, channels):
            sees = f"{model.frames} frames of {model.image} pixels and {model.channels} channels"
            what = f"the model is for clips of {sees}, the input gives {frames}, {size} and {channels}"
            fix = f"write model.frames: {frames}, model.image: {size}, model.channels: {channels}"
            raise RecipeError(what, where="model", fix=fix)
