"""The configuration of a network over episodes: returns, observations and actions, read from left to right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from seedstock.config import Count
from seedstock.models.configs.transformer import Positive, TransformerConfig

if TYPE_CHECKING:
    from seedstock.models.trajectory import TrajectoryNetwork


class TrajectoryConfig(TransformerConfig):
    """A causal stack over ``steps`` steps of three places each: the return to go, what is seen, what is done.

    ``decision``: Chen et al. 2021: each is brought to the width by a matrix of its own, the three of a step share a
    learned vector of the step's number (below ``longest``), and a norm stands before the first layer. Actions are
    ``action`` numbers, or where they are ``discrete`` one of so many. It has no head: what hidden states are for, an
    objective says.
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "decision": {"norm": "layer", "norm_epsilon": 1e-5, "position": "timesteps", "activation": "relu"}
        | {"biases": True, "qk_norm": False, "initialisation": "normal"},
    }
    experts: ClassVar[int | None] = None
    rope_scaling: ClassVar[None] = None
    window: ClassVar[None] = None
    local_rope_base: ClassVar[None] = None
    post_norm: ClassVar[bool] = False
    bare_start: ClassVar[bool] = False
    embedding_norm: ClassVar[bool] = True

    kind: Literal["trajectory"] = "trajectory"
    shape: Literal["decision"] = "decision"
    steps: Positive = Field(default=20, description="of a window, as the input has them")
    observation: Positive = Field(default=1, description="numbers that are seen at a step")
    action: Positive = Field(default=1, description="numbers that are done at a step, or how many actions there are")
    discrete: bool = False
    longest: Annotated[Count, Field(gt=0, description="steps of the longest episode")] = 1000
    context: Count = Field(default=0, description="places, three a step")
    position: Literal["timesteps"] | None = None  # type: ignore[assignment]
    convolution: Literal[0] = 0
    tied_embeddings: Literal[True] = True

    @model_validator(mode="before")
    @classmethod
    def _places(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        steps = values.get("steps", cls.model_fields["steps"].default)
        if not isinstance(steps, int):
            return values  # which the fields refuse
        if values.get("context") not in (None, 0, 3 * steps):
            raise ValueError(f"the context follows from steps: {3 * steps}; leave it out")
        return {**values, "context": 3 * steps}

    @property
    def front(self) -> tuple[tuple[float, float, float], ...]:
        """What stands before the stack, for whoever counts (``planning.parameters.Shape.front``)."""
        read = 1 + self.observation + self.action
        return (0, read + self.longest, 0), (0, 3, 0), (0, read / 3, 0), (0, 0, 0)

    def build(self, vocab_size: int = 0, seed: int = 1, device: str = "cpu") -> TrajectoryNetwork:
        """The network, its weights keyed by (seed, parameter name). Raises RecipeError while sizes are missing."""
        from seedstock.models.trajectory import TrajectoryNetwork

        return TrajectoryNetwork(self.resolved(), vocab_size, seed, device)
