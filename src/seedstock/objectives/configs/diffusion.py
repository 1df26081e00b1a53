"""The configuration of masked text diffusion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from seedstock.config import Count
from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Spec
    from seedstock.objectives.diffusion import Diffusion


class DiffusionConfig(ObjectiveConfig):
    """Tokens hidden at a share drawn for each example, and found again from both sides (Nie et al. 2025, LLaDA, arXiv
    2502.09992, algorithm 1; Sahoo et al. 2024, MDLM, arXiv 2406.07524).

    ``least`` is the smallest share that is hidden, which bounds the weight of a token. ``draws`` is how many shares
    each held-out window is scored at: the estimate of the bound gets narrower, and scoring that many times slower.
    ``block`` writes texts from left to right in blocks of so many tokens, each of which is diffused by itself (Arriola
    et al. 2025, BD3-LM, arXiv 2503.09573): 1 is next-token prediction, without it the whole text is one block.
    """

    kind: Literal["diffusion"] = "diffusion"
    least: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    draws: Annotated[Count, Field(ge=1)] = 8

    block: Annotated[Count, Field(ge=1)] | None = Field(default=None, description="tokens of a block; null: no blocks")

    def specials(self) -> tuple[str, ...]:
        """The mask."""
        return ("mask",)

    def build(self, spec: Spec | None = None) -> Diffusion:
        """The objective; imports torch. Raises RecipeError for a model or a tokenizer that it cannot do with."""
        from seedstock.objectives.block_diffusion import BlockDiffusion
        from seedstock.objectives.diffusion import Diffusion

        self.insist(spec)
        return Diffusion(self, spec) if self.block is None else BlockDiffusion(self, spec)
