"""The configuration of multi-token prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Spec
    from seedstock.objectives.multi_token import MultiToken


class MultiTokenConfig(ObjectiveConfig):
    """The next ``heads`` tokens, each by a head of its own on a shared trunk (Gloeckle et al. 2024, section 2).

    The network is the first head; ``weight`` is that of each other one's loss beside it (1 in the paper). With 0 there
    are no other heads: next-token prediction.
    """

    kind: Literal["multi-token"] = "multi-token"
    heads: Annotated[int, Field(ge=1, le=16)] = 4
    weight: Annotated[float, Field(ge=0)] = 1.0
    z_loss: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="weight of the squared log-partition, for the next token alone"
    )

    def build(self, spec: Spec | None = None) -> MultiToken:
        """The objective; imports torch. Raises RecipeError for a network of one layer."""
        from seedstock.objectives.multi_token import MultiToken

        return MultiToken(self, spec)
