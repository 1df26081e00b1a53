"""The configuration of distillation from another run's model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from seedstock.config import Count, Fraction
from seedstock.objectives.configs.base import ObjectiveConfig
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.objectives.configs.masked import MaskedConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Spec
    from seedstock.objectives.distillation import Distillation


class DistillationConfig(ObjectiveConfig):
    """Each token from text, and from what a teacher would have said (Hinton et al. 2015).

    The loss is ``share`` of the divergence from the teacher at ``temperature``, and the rest of the text's own
    cross-entropy. The teacher is another run's model, ``run:NAME`` or ``run:NAME@step``, with the same tokenizer, and
    ``of`` what both are trained to do: ``causal``, or ``masked`` (Sanh et al. 2019, DistilBERT).
    """

    kind: Literal["distillation"] = "distillation"
    teacher: Annotated[str, Field(pattern=r"^run:[^@]+(@\d+)?$")]
    share: Annotated[Fraction, Field(gt=0, le=1)] = 0.5
    temperature: Annotated[float, Field(gt=0)] = 1.0
    of: Annotated[CausalConfig | MaskedConfig, Field(discriminator="kind")] = CausalConfig()
    stored: Annotated[Count, Field(gt=0)] | None = Field(
        default=None,
        description="so many of the teacher's likeliest tokens are written down once, before the first step, and read"
        " in its place; without it the teacher runs beside the student",
    )

    @model_validator(mode="after")
    def _storable(self) -> DistillationConfig:
        if self.stored and self.of.kind != "causal":
            raise ValueError(
                "stored: what is hidden is drawn anew at each visit, so a masked teacher runs beside; leave it out"
            )
        return self

    def specials(self) -> tuple[str, ...]:
        """Those of what is distilled."""
        return self.of.specials()

    def parents(self) -> tuple[str, ...]:
        """The teacher."""
        return (self.teacher,)

    def networks(self) -> tuple[str, ...]:
        """The teacher's, unless what it says is stored."""
        return () if self.stored else self.parents()

    def disk(self, tokens: float, vocab_size: int) -> float:
        """The stored logits of ``tokens`` positions; windows that are seen again are stored once."""
        from seedstock.inputs.logits import a_token

        return tokens * a_token(self.stored, vocab_size) if self.stored else 0

    def build(self, spec: Spec | None = None) -> Distillation:
        """The objective; imports torch. Raises RecipeError for a teacher of another vocabulary or a shorter context."""
        from seedstock.objectives.distillation import Distillation

        return Distillation(self, spec)
