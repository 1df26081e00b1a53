"""The configuration of skip-gram with negative samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from seedstock.errors import RecipeError
from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Spec
    from seedstock.objectives.skip_gram import SkipGram


class SkipGramConfig(ObjectiveConfig):
    """The words around each word, told from words that are drawn (Mikolov et al. 2013, word2vec).

    A word's neighbours are those within a distance drawn for it from 1 to ``window``. A pair of neighbours counts
    against ``negatives`` words of the noise, which is the training text's frequencies to the power ``noise_power``. A
    word of frequency f is left out with probability ``1 - sqrt(subsample / f)``, at each visit anew; 0: never.
    """

    kind: Literal["skip-gram"] = "skip-gram"
    window: Annotated[int, Field(gt=0)] = 5
    negatives: Annotated[int, Field(gt=0)] = 5
    subsample: Annotated[float, Field(ge=0, lt=1)] = 1e-3
    noise_power: Annotated[float, Field(ge=0, le=1)] = 0.75

    def build(self, spec: Spec | None = None) -> SkipGram:
        """The objective; imports torch. Raises RecipeError for a model with layers, which would see the neighbours."""
        from seedstock.objectives.skip_gram import SkipGram

        if spec is not None and spec.model is not None and spec.model.kind != "embedding":
            what = f"skip-gram compares vectors of single words, and a model of kind {spec.model.kind} reads several"
            raise RecipeError(what, where="model.kind", fix="choose model: {kind: embedding}")
        return SkipGram(self, spec)
