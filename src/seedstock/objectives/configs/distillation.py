"""The configuration of distillation from another run's model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from seedstock.config import Fraction
from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Spec
    from seedstock.objectives.distillation import Distillation


class DistillationConfig(ObjectiveConfig):
    """Each next token from text, and from what a teacher would have said (Hinton et al. 2015).

    The loss is ``share`` of the divergence from the teacher at ``temperature``, and the rest of the text's own
    cross-entropy. The teacher is another run's model, ``run:NAME`` or ``run:NAME@step``, with the same tokenizer.
    """

    kind: Literal["distillation"] = "distillation"
    teacher: Annotated[str, Field(pattern=r"^run:[^@]+(@\d+)?$")]
    share: Annotated[Fraction, Field(gt=0, le=1)] = 0.5
    temperature: Annotated[float, Field(gt=0)] = 1.0

    def parents(self) -> tuple[str, ...]:
        """The teacher."""
        return (self.teacher,)

    def build(self, spec: Spec | None = None) -> Distillation:
        """The objective; imports torch. Raises RecipeError for a teacher of another vocabulary or a shorter context."""
        from seedstock.objectives.distillation import Distillation

        return Distillation(self, spec)
