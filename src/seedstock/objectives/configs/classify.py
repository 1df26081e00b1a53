"""The configuration of classification: the second stage of a base model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from seedstock.config import Fraction
from seedstock.errors import RecipeError
from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Spec
    from seedstock.objectives.classify import Classify

POOLS = {"bert": "first", "esm2": "first", "modernbert": "mean"}


class ClassifyConfig(ObjectiveConfig):
    """The class of a text from one vector of the network (Devlin et al. 2018, section 4.1).

    ``pool`` says which: ``first`` (the first token's: BERT, ESM-2), ``mean`` (over all tokens: ModernBERT), ``last``
    (the last token's, which alone has read everything where tokens look back: decoders). A network that reads a source
    gives the first vector of its target. ``dropout`` is on that vector.
    """

    second_stage: ClassVar[bool] = True

    kind: Literal["classify"] = "classify"
    pool: Literal["auto", "first", "mean", "last"] = "auto"
    dropout: Annotated[Fraction, Field(lt=1)] = 0.1

    def export_class(self, model: Any) -> str | None:
        """``…ForSequenceClassification``; None for a state that it does not ask (a T5's, BERT's mean), or no class."""
        base, pool = model.export_class, self.pooled(model)
        if base is None or model.kind == "encoder-decoder":
            return None
        fits = {"bert": ("first",), "esm2": ("first",), "modernbert": ("first", "mean")}.get(model.shape, ("last",))
        name = base.removesuffix("ForMaskedLM").removesuffix("ForCausalLM").removesuffix("LMHeadModel")
        return f"{name}ForSequenceClassification" if pool in fits else None

    def pooled(self, model: Any) -> str:
        """The state that is asked of a network of this configuration."""
        if self.pool != "auto":
            return self.pool
        return POOLS.get(model.shape, "last" if model.kind == "decoder" else "first")

    def build(self, spec: Spec | None = None) -> Classify:
        """The objective; imports torch. Raises RecipeError where there are fewer than two classes."""
        from seedstock.objectives.classify import Classify

        if spec is not None and len(spec.labels) < 2:
            raise RecipeError(
                f"the training documents have {len(spec.labels)} classes, and there is nothing to tell apart",
                where="input.label",
                fix="name the column or key of the class: input: {kind: labelled-text, label: …}",
            )
        return Classify(self, spec)
