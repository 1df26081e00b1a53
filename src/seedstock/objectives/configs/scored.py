"""The configurations of objectives that know how good each document is: tags, unlikelihood, reward-weighted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from seedstock.config import Fraction
from seedstock.errors import RecipeError
from seedstock.objectives.configs.causal import CausalConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Spec
    from seedstock.objectives.reward_weighted import RewardWeighted
    from seedstock.objectives.tags import Tags
    from seedstock.objectives.unlikelihood import Unlikelihood


class ScoredConfig(CausalConfig):
    """Which documents are good: those whose ``score`` lies on the ``good`` side of ``threshold``, or on it.

    The threshold is a number, or the score below which ``quantile`` of the scored training documents lie (by default
    half of them); it is measured once and then stands in the recipe.
    """

    weighs: ClassVar[bool] = False

    score: Annotated[str, Field(pattern=r"^[^.]+\.[^.]+$", description="SIGNAL.COLUMN, as rules name it")]
    good: Literal["below", "above"] = "below"
    threshold: Annotated[float, Field(allow_inf_nan=False)] | None = None
    quantile: Annotated[Fraction, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _a_signal(self) -> Self:
        if self.score.startswith("document."):
            raise ValueError(f"{self.score} is a text, not a score; name a signal's column, such as toxicity.score")
        return self

    def scores(self) -> tuple[str, ...]:
        """The score."""
        return (self.score,)

    def measured(self, shards: Any, say: Callable[[str], None]) -> Self:
        """With the threshold. Raises RecipeError where all training documents lie on one side of it."""
        import numpy as np

        scores, tokens = shards.document_scores("train", self.score)
        known = np.isfinite(scores)
        scores, tokens = scores[known], tokens[known]
        threshold, quantile = self.threshold, self.quantile or 0.5
        if threshold is None:
            kept = quantile if self.good == "below" else 1 - quantile
            threshold = float(np.quantile(scores, kept, method="lower" if self.good == "below" else "higher"))
        good = scores <= threshold if self.good == "below" else scores >= threshold
        if good.all() or not good.any():
            where = f"from {scores.min():.4g} to {scores.max():.4g}" if len(scores) else "none"
            raise RecipeError(
                f"all {len(scores):,} scored training documents lie on one side of the threshold {threshold:.4g}: "
                f"{self.score} is {where}",
                where="objective.threshold",
                fix="choose a threshold between them, or a quantile that divides them",
            )
        share = tokens[good].sum() / tokens.sum()
        none = f"; {(~known).mean():.1%} of all documents have no score" if (~known).any() else ""
        told = f"{good.mean():.1%} of the scored documents and {share:.1%} of their tokens are good"
        say(f"   {self.score}: {told} ({self.good} {threshold:.4g}){none}")
        return self.model_copy(update={"threshold": threshold})

    def settled(self, spec: Spec | None) -> None:
        """For ``build``. Raises RecipeError where the threshold was not measured yet, or a special token is missing."""
        self.insist(spec)
        if self.threshold is None:
            what = "the threshold was not measured yet"
            raise RecipeError(what, where="objective.threshold", fix="train the run, or write a number")


class TagsConfig(ScoredConfig):
    """Conditional training (Korbak et al. 2023): each document begins with a tag that says whether it is good.

    ``untagged`` of the documents begin with BOS as always, so that the network can be used and scored without a tag.
    """

    kind: Literal["tags"] = "tags"  # type: ignore[assignment]
    untagged: Fraction = Field(default=0.1, description="share of documents that are shown without a tag")

    def specials(self) -> tuple[str, ...]:
        """The two tags."""
        return ("good", "bad")

    def build(self, spec: Spec | None = None) -> Tags:
        """The objective; imports torch. Raises RecipeError as ``settled`` does."""
        from seedstock.objectives.tags import Tags

        self.settled(spec)
        return Tags(self, spec)


class UnlikelihoodConfig(ScoredConfig):
    """Likelihood of good documents and unlikelihood of bad ones (Welleck et al. 2019; Korbak et al. 2023).

    ``alpha`` is the weight of the mean over bad tokens beside the mean over good ones.
    """

    kind: Literal["unlikelihood"] = "unlikelihood"  # type: ignore[assignment]
    alpha: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0

    def build(self, spec: Spec | None = None) -> Unlikelihood:
        """The objective; imports torch. Raises RecipeError as ``settled`` does."""
        from seedstock.objectives.unlikelihood import Unlikelihood

        self.settled(spec)
        return Unlikelihood(self, spec)


class RewardWeightedConfig(ScoredConfig):
    """Next tokens weighted by how good their document is (Peters and Schaal 2007; Korbak et al. 2023).

    A document's weight is exp(r / ``beta``), at most ``most``, where r is how far its score lies on the good side of
    the threshold (negative on the other); without a score it is 1.
    """

    kind: Literal["reward-weighted"] = "reward-weighted"  # type: ignore[assignment]
    beta: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    most: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 20.0

    def build(self, spec: Spec | None = None) -> RewardWeighted:
        """The objective; imports torch. Raises RecipeError as ``settled`` does."""
        from seedstock.objectives.reward_weighted import RewardWeighted

        self.settled(spec)
        return RewardWeighted(self, spec)
