"""The configuration of masked-token prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from seedstock.config import Fraction
from seedstock.errors import RecipeError
from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Spec
    from seedstock.objectives.masked import Masked


class MaskedConfig(ObjectiveConfig):
    """Hidden tokens from those around them (Devlin et al. 2018, section 3.1).

    Of each example ``rate`` of the tokens are chosen, at least one: ``masked`` of these become the mask token,
    ``random`` another token, the rest stay. ``next_sentence`` also asks whether a second segment follows the first.
    ModernBERT: rate 30 %; ESM-2: 15 %.
    """

    kind: Literal["masked"] = "masked"
    rate: Annotated[Fraction, Field(gt=0, le=1)] = 0.15
    masked: Fraction = 0.8
    random: Fraction = 0.1
    next_sentence: bool = False

    @model_validator(mode="after")
    def _shares(self) -> MaskedConfig:
        if self.masked + self.random > 1:
            raise ValueError("masked and random come to more than the whole")
        return self

    def specials(self) -> tuple[str, ...]:
        """The mask, and what parts two segments."""
        return ("mask", "sep") if self.next_sentence else ("mask",)

    def build(self, spec: Spec | None = None) -> Masked:
        """The objective; imports torch. Raises RecipeError for a model or a tokenizer that it cannot do with."""
        from seedstock.objectives.masked import Masked

        self.insist(spec)
        model = spec.model if spec else None
        if self.next_sentence and model is not None:
            if getattr(model, "token_types", 0) < 2:
                what = f"next_sentence needs two kinds of segment, which the shape {model.shape} does not have"
                raise RecipeError(what, where="model.shape", fix="choose model: {kind: encoder, shape: bert}")
            if model.context < 8:
                what = f"a context of {model.context} has no room for two segments and what parts them"
                raise RecipeError(what, where="model.context", fix="give at least 8")
        return Masked(self, spec)
