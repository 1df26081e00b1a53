"""The configuration of writing one text for another: text to text, the second stage of T5, and of any decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from seedstock.errors import RecipeError
from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.answer import Answer
    from seedstock.objectives.base import Spec


class AnswerConfig(ObjectiveConfig):
    """A text for a text (Raffel et al. 2020, section 2.4: every task, classes in words too).

    An encoder-decoder reads the one and writes the other. A decoder reads ``bos TEXT im_end ANSWER eos``, and learns
    from the answer alone.
    """

    second_stage: ClassVar[bool] = True

    kind: Literal["text-to-text"] = "text-to-text"
    z_loss: Annotated[float, Field(ge=0)] = 0.0

    def build(self, spec: Spec | None = None) -> Answer:
        """The objective; imports torch. Raises RecipeError for a network that writes nothing."""
        from seedstock.objectives.answer import Answer

        if spec is not None and spec.model.kind == "encoder":
            raise RecipeError(
                "the objective text-to-text writes text, which an encoder does not",
                where="model.kind",
                fix="choose an encoder-decoder or a decoder, or objective: {kind: classify}",
            )
        return Answer(self, spec)
