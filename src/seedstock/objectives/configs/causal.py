"""The configuration of next-token prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Spec
    from seedstock.objectives.causal import Causal


class CausalConfig(ObjectiveConfig):
    """Each token from those before it in its document (Radford et al. 2018)."""

    kind: Literal["causal"] = "causal"
    z_loss: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="weight of the squared log-partition, which keeps logits small (PaLM: 1e-4)"
    )

    def build(self, spec: Spec | None = None) -> Causal:
        """The objective; imports torch."""
        from seedstock.objectives.causal import Causal

        return Causal(self, spec)
