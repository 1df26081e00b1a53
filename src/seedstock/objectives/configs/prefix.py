"""The configuration of the prefix language model."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from seedstock.objectives.configs.causal import CausalConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Spec
    from seedstock.objectives.prefix import Prefix


class PrefixConfig(CausalConfig):
    """Each token after a document's prefix, which is seen from both sides (Liu et al. 2018; Raffel et al. 2020).

    Where the prefix ends is drawn for each document of a window by itself, as likely after any token but its last.
    """

    weighs: ClassVar[bool] = False

    kind: Literal["prefix"] = "prefix"  # type: ignore[assignment]

    def build(self, spec: Spec | None = None) -> Prefix:
        """The objective; imports torch. Raises RecipeError for a model that is not a decoder."""
        from seedstock.objectives.prefix import Prefix

        return Prefix(self, spec)
