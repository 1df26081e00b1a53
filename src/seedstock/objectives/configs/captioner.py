"""The configuration of telling pictures from each other by their captions, and of writing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from seedstock.objectives.configs.contrastive import ContrastiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Objective, Spec


class CaptionerConfig(ContrastiveConfig):
    """Captions are told from each other as in ``contrastive``, and written token by token (Yu et al. 2022, CoCa).

    ``layers`` more layers on top of the text tower see the picture's patches and write the caption; the tower below
    sees texts alone, and so stands for one. Both losses count alike: one in nats a pair, the other in nats a token.
    Tokens are scored by the text tower's embedding, or unless ``tied`` by a matrix of their own. What is written is the
    likeliest token after each other; with ``candidates`` that one of so many captions drawn which takes the fewest
    edits to the others (minimum Bayes risk, Kumar and Byrne 2004): of a model that is not sure, a shorter one.
    """

    kind: Literal["captioner"] = "captioner"  # type: ignore[assignment]
    loss: Literal["softmax"] = "softmax"
    layers: Annotated[int, Field(gt=0)] = 2
    tied: bool = True
    candidates: Annotated[int, Field(ge=0, le=256)] = 0

    def build(self, spec: Spec | None = None) -> Objective:
        """Raises RecipeError where ``contrastive`` does."""
        from seedstock.objectives.captioner import Captioner

        if spec is not None:
            self._check(spec)
        return Captioner(self, spec)
