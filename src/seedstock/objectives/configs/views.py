"""The configurations of objectives that compare views of one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from seedstock.config import Fraction
from seedstock.errors import RecipeError
from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Objective, Spec

Positive = Annotated[int, Field(gt=0)]
Scale = Annotated[float, Field(gt=0)]


class ViewsConfig(ObjectiveConfig):
    """What is drawn of a picture: crops of an area from ``smallest`` on, colours changed by ``jitter`` (0: never), a
    share ``grey`` of views without colour, half of them mirrored where ``flip``."""

    smallest: Annotated[Fraction, Field(gt=0, le=1)] = 0.2
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.5
    grey: Annotated[Fraction, Field(ge=0, le=1)] = 0.2
    flip: bool = True

    def drawn(self) -> dict[str, Any]:
        """For ``objectives.views.view``."""
        return {"scale": (self.smallest, 1.0), "jitter": self.jitter, "grey": self.grey, "flip": self.flip}

    def _check(self, spec: Spec | None) -> None:
        from seedstock.objectives.pictures import insist

        if spec is not None:
            insist(self.kind, spec)


class SimclrConfig(ViewsConfig):
    """Two views of a picture are to be each other's nearest among all views of the batch (Chen et al. 2020).

    ``temperature`` divides the cosines; the projector has ``hidden`` units inside and ``outputs``.
    """

    kind: Literal["simclr"] = "simclr"
    temperature: Scale = 0.2
    hidden: Positive = 512
    outputs: Positive = 128

    def build(self, spec: Spec | None = None) -> Objective:
        """Raises RecipeError where the model is no vision transformer over such pictures."""
        from seedstock.objectives.simclr import Simclr

        self._check(spec)
        if spec is not None and spec.batch == 1:
            what = "a picture alone in its batch has no other to be told from"
            raise RecipeError(what, where="training.batch_examples", fix="take 64 and more")
        return Simclr(self, spec)


class ByolConfig(ViewsConfig):
    """What a teacher makes of one view is predicted from the other; the teacher follows the network (Grill et al.
    2020). ``momentum`` is how much of the teacher stays at a step; over a run whose length is known it goes to
    ``momentum_end`` along half a cosine, where that is given (1: the teacher comes to rest)."""

    kind: Literal["byol"] = "byol"
    momentum: Annotated[Fraction, Field(ge=0, lt=1)] = 0.99
    momentum_end: Annotated[Fraction, Field(ge=0, le=1)] | None = None
    hidden: Positive = 512
    outputs: Positive = 128

    def build(self, spec: Spec | None = None) -> Objective:
        """Raises RecipeError where the model is no vision transformer over such pictures."""
        from seedstock.objectives.byol import Byol

        self._check(spec)
        return Byol(self, spec)
