"""The configuration of next-token prediction over episodes, of what is done alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from seedstock.objectives.configs.causal import CausalConfig

if TYPE_CHECKING:
    from seedstock.objectives.action_tokens import ActionTokens
    from seedstock.objectives.base import Spec


class ActionTokensConfig(CausalConfig):
    """Each action, and each token of texts, from what comes before it; what is seen is read, and not told (Reed et al.
    2022, equation 2)."""

    weighs: ClassVar[bool] = False

    kind: Literal["action-tokens"] = "action-tokens"  # type: ignore[assignment]

    def build(self, spec: Spec | None = None) -> ActionTokens:
        """Raises RecipeError where the input has no episodes as tokens."""
        from seedstock.objectives.action_tokens import ActionTokens

        return ActionTokens(self, spec)
