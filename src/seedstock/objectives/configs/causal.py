"""The configuration of next-token prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Spec
    from seedstock.objectives.causal import Causal


class CausalConfig(ObjectiveConfig):
    """Each token from those before it in its document (Radford et al. 2018).

    ``token_weights`` are weights of tokens in the loss by patterns of special tokens' names, the first that fits; all
    others weigh 1. The loss is then the weighted mean of nats, whatever the weights' sum.
    """

    weighs: ClassVar[bool] = True
    """Whether ``token_weights`` are heeded."""

    kind: Literal["causal"] = "causal"
    z_loss: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="weight of the squared log-partition, which keeps logits small (PaLM: 1e-4)"
    )
    token_weights: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        default={}, description="weights in the loss by patterns of special tokens' names ({code_*: 0.1}); 1 for others"
    )

    @model_validator(mode="after")
    def _heeded(self) -> Self:
        if self.token_weights and not self.weighs:
            raise ValueError(f"token_weights has no meaning for the objective {self.kind}")
        return self

    def build(self, spec: Spec | None = None) -> Causal:
        """The objective; imports torch."""
        from seedstock.objectives.causal import Causal

        return Causal(self, spec)
