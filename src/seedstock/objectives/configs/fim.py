"""The configuration of fill-in-the-middle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from seedstock.config import Count, Fraction
from seedstock.objectives.configs.causal import CausalConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Spec
    from seedstock.objectives.fim import FillInTheMiddle


class FimConfig(CausalConfig):
    """Next-token prediction over documents whose middle was moved to their end (Bavarian et al. 2022).

    Each document of a window is cut at two places and rearranged with probability ``rate``: into prefix, suffix,
    middle (PSM), or with probability ``spm`` into suffix, prefix, middle (SPM).
    """

    kind: Literal["fim"] = "fim"  # type: ignore[assignment]
    rate: Fraction = Field(default=0.5, description="share of documents that are rearranged")
    spm: Fraction = Field(default=0.5, description="share of these that begin with the suffix, not the prefix")
    split: Literal["characters", "tokens"] = Field(
        default="characters",
        description="where documents are cut: between any two characters, the parts being tokenized anew, or between"
        " two tokens",
    )

    longest: Annotated[Count, Field(ge=1)] | None = Field(
        default=None,
        description="most characters (or tokens) of a middle, every doubling of its length as likely; without it both"
        " cuts are as likely anywhere, so that middles are long and their ends rare",
    )

    def specials(self) -> tuple[str, ...]:
        """The three marks, which every tokenizer that is trained here has anyway."""
        return ("fim_prefix", "fim_middle", "fim_suffix")

    def build(self, spec: Spec | None = None) -> FillInTheMiddle:
        """The objective; imports torch. Raises RecipeError where the tokenizer cannot be used on parts of a text."""
        from seedstock.objectives.fim import FillInTheMiddle

        return FillInTheMiddle(self, spec)
