"""The configuration of masked prediction of units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from seedstock.config import Fraction
from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Objective, Spec

Positive = Annotated[int, Field(gt=0)]


class SpansConfig(ObjectiveConfig):
    """What objectives share that hide spans of frames: a share ``start`` of the frames, drawn without replacement,
    begin spans of ``span`` frames, which may overlap. No span is longer than half of its clip."""

    start: Annotated[Fraction, Field(gt=0, le=1)] = 0.08
    span: Positive = 10
    probe_layer: Positive | None = Field(default=None, description="whose output probes read; the last one's")

    def _check(self, spec: Spec | None) -> None:
        from seedstock.objectives.sounds import insist

        if spec is not None:
            insist(self.kind, spec, self.probe_layer)


class HubertConfig(SpansConfig):
    """The units of hidden frames are to be told, as clusters that k-means finds beforehand (Hsu et al. 2021).

    There are ``units`` of them, found once on up to ``frames`` frames of training clips: of cepstral coefficients
    (MFCC with two orders of differences), or with ``teacher`` of what layer ``layer`` of another run's network gives
    (``run:NAME@step``). With ``centred`` each clip's mean is taken away first. A unit is a vector of ``code_width``;
    cosines with the projected hidden states are divided by ``temperature``.
    """

    kind: Literal["hubert"] = "hubert"
    units: Annotated[int, Field(gt=1, le=65_536)] = 100
    teacher: str | None = None
    layer: Positive = 6
    centred: bool = False
    frames: Positive = 200_000
    code_width: Positive = 256
    temperature: Annotated[float, Field(gt=0)] = 0.1

    def parents(self) -> tuple[str, ...]:
        """The run that units are made by, if one is named."""
        return () if self.teacher is None else (self.teacher,)

    def build(self, spec: Spec | None = None) -> Objective:
        """Finds the units where nobody has. Raises RecipeError where the model reads no such sounds."""
        from seedstock.objectives.hubert import Hubert

        self._check(spec)
        return Hubert(self, spec)
