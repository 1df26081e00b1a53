"""The configuration of actions given a return: decision transformers and behaviour cloning."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field

from seedstock.errors import RecipeError
from seedstock.objectives.configs.base import ObjectiveConfig

if TYPE_CHECKING:
    from seedstock.objectives.base import Objective, Spec

SAMPLE = 20_000  # windows that means and deviations are measured on


class DecisionConfig(ObjectiveConfig):
    """The actions of episodes are learned from what was seen and from the return that was still to come (Chen et al.
    2021); the squared error of continuous ones, the cross-entropy of discrete ones.

    With ``given: nothing`` returns are not shown: behaviour cloning by the same network. ``squash`` holds continuous
    actions between -1 and 1 (tanh). Observations are normalised by their ``mean`` and ``deviation``, returns divided by
    ``scale``: measured on the training windows where they are not given, and frozen in the recipe.
    """

    kind: Literal["decision"] = "decision"
    given: Literal["returns", "nothing"] = "returns"
    squash: bool = True
    mean: tuple[float, ...] | None = None
    deviation: tuple[Annotated[float, Field(gt=0)], ...] | None = None
    scale: Annotated[float, Field(gt=0)] | None = None

    def measured(self, shards: Any, say: Callable[[str], None]) -> Self:
        """With means, deviations and scale of (an even sample of) the real steps of training windows."""
        import numpy as np

        if "observations" not in getattr(shards, "fields", {}):
            return self  # which ``build`` refuses
        strata = shards.strata("train")
        every = max(1, sum(one.tokens for one in strata) // SAMPLE)
        seen, returns = [], [0.0]
        for stratum in strata:
            items = shards.items("train", stratum.stratum, np.arange(0, stratum.tokens, every))
            real = np.arange(items["observations"].shape[1]) < items["length"][:, None]
            real &= items["present"].astype(bool)[:, None]
            seen.append(items["observations"][real].astype(np.float64))
            if "returns" in items:
                returns.append(float(np.abs(items["returns"][real], dtype=np.float64).max(initial=0.0)))
        rows = np.concatenate(seen)
        if not len(rows):
            return self
        spread = np.where(rows.std(axis=0) > 1e-6, rows.std(axis=0), 1.0)
        found: dict[str, Any] = {
            "mean": tuple(round(float(one), 6) for one in rows.mean(axis=0)),
            "deviation": tuple(float(f"{one:.6g}") for one in spread),
            "scale": float(f"{max(returns):.6g}") or 1.0,
        }
        say(f"   {len(rows):,} steps measured; the largest return is {max(returns):g}")
        return self.model_copy(update={name: one for name, one in found.items() if getattr(self, name) is None})

    def build(self, spec: Spec | None = None) -> Objective:
        """Raises RecipeError where the input gives no episodes, no returns, or others than the model is for."""
        from seedstock.objectives.decision import Decision

        if spec is not None:
            self._check(spec)
        return Decision(self, spec)

    def _check(self, spec: Spec) -> None:
        model, fields = spec.model, spec.fields
        if "observations" not in fields:
            what = f"the objective {self.kind} learns from episodes"
            fix = "write input: {kind: trajectories, observation: …, action: …}"
            raise RecipeError(what, where="input", fix=fix)
        if getattr(model, "kind", None) != "trajectory":
            what = f"the objective {self.kind} needs a network over episodes"
            raise RecipeError(what, where="model.kind", fix="write model: {kind: trajectory}")
        if self.given == "returns" and "returns" not in fields:
            what = "the input gives no returns"
            raise RecipeError(what, where="input.returns", fix="leave it out, or write objective.given: nothing")
        (steps, numbers), actions = fields["observations"], tuple(fields["actions"])
        own = (model.steps,) if model.discrete else (model.steps, model.action)
        if (model.steps, model.observation) != (steps, numbers) or own != actions:
            what = f"the model is for {model.steps} steps of {model.observation} numbers and actions {own}"
            fix = f"the input gives {steps} steps of {numbers} numbers and actions {actions}: write the same in both"
            raise RecipeError(what, where="model", fix=fix)
        for name in ("mean", "deviation"):
            if getattr(self, name) is not None and len(getattr(self, name)) != numbers:
                raise RecipeError(f"{numbers} numbers are needed", where=f"objective.{name}", fix="leave it out")
