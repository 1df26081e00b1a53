"""Decision transformer: what was done, from what was seen and the return that was still to come (Chen et al. 2021)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.linear import Linear
from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums
from seedstock.objectives.configs.decision import DecisionConfig

FIELDS = ("observations", "actions", "returns", "first", "length", "present")


class Doing(nn.Module):
    """Hidden states to actions, or to scores of actions, fp32; begins at zero."""

    def __init__(self, width: int, actions: int, squash: bool) -> None:
        super().__init__()
        self.out, self.squash = Linear(width, actions, True), squash
        with torch.no_grad():
            self.out.weight.zero_()
            self.out.bias.zero_()  # type: ignore[union-attr]

    def roles(self) -> dict[str, str]:
        """An output matrix."""
        return {"out.weight": "head", "out.bias": "vector"}

    def forward(self, hidden: Tensor) -> Tensor:
        found = self.out(hidden).float()
        return found.tanh() if self.squash else found


class Decision(Objective):
    """Squared error of continuous actions, cross-entropy of discrete ones; nothing else is learned."""

    exports = "decision_transformer"

    def __init__(self, config: DecisionConfig | None = None, spec: Spec | None = None) -> None:
        self.config, self.spec = config or DecisionConfig(), spec or Spec(vocab_size=0, context=0)

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """The fields of ``TrajectoriesConfig``, and ``present`` ``[B]``."""
        return {name: items[name] for name in FIELDS if name in items}

    def counts(self, batch: Batch) -> Sums:
        """``actions``: the steps that are real."""
        return {"actions": self._real(batch).sum()}

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """Normalised windows; returns of zero where none are given."""
        observations, returns = self.normalised(batch["observations"], batch.get("returns"))
        given = returns, observations, batch["actions"], batch["first"]
        return nets["network"].inputs(*given, batch.get("examples"))

    def normalised(self, observations: Tensor, returns: Tensor | None) -> tuple[Tensor, Tensor]:
        """Observations ``[B, T, O]`` and returns ``[B, T]`` as the network reads them."""
        config, device = self.config, observations.device
        if config.mean is not None:
            observations = observations - torch.tensor(config.mean, device=device)
        if config.deviation is not None:
            observations = observations / torch.tensor(config.deviation, device=device)
        if config.given == "nothing" or returns is None:
            return observations, torch.zeros(observations.shape[:2], device=device)
        return observations, returns / (config.scale or 1.0)

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``actions``: summed over steps, the mean squared error of their numbers or the nats of the one chosen; of
        these the metric ``found``: how many are the likeliest one."""
        real, drawn = self._real(batch), self.actions(nets, output.hidden)
        if not self.spec.model.discrete:
            return {"actions": ((drawn - batch["actions"]).square().mean(-1) * real).sum()}, {}
        wanted = batch["actions"].long()
        nats = F.cross_entropy(drawn.transpose(1, 2), wanted, reduction="none")
        found = (drawn.detach().argmax(-1) == wanted) & real
        return {"actions": (nats * real).sum()}, {"found": found.sum()}

    def actions(self, nets: Any, hidden_BTD: Tensor) -> Tensor:
        """What is done at each step, ``[B, T, action]``, told from the place of what is seen there."""
        return nets["doing"](hidden_BTD[:, 1::3])

    def nets(self) -> dict[str, nn.Module]:
        """The output matrix."""
        model = self.spec.model
        return {"doing": Doing(model.width, model.action, self.config.squash and not model.discrete)}

    def floors(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Of discrete actions ``frequencies``, their entropy, and ``last action``, the nats of an action after the one
        before it; of continuous ones ``mean action`` and ``no action``, squared errors of these."""
        if self.spec.model.discrete:
            return self._floors_of_choices(batches)
        rows = torch.cat([batch["actions"][self._real(batch)].double() for batch in batches])
        away = (rows - rows.mean(0)).square().mean()
        return {"mean action": float(away), "no action": float(rows.square().mean())}

    def _floors_of_choices(self, batches: Iterable[Batch]) -> dict[str, float]:
        count = self.spec.model.action
        pairs = torch.zeros(count + 1, count, dtype=torch.float64)
        for batch in batches:
            actions, real = batch["actions"].long(), self._real(batch)
            before = F.pad(actions, (1, 0), value=count)[:, :-1]
            pairs += torch.bincount((before * count + actions)[real], minlength=pairs.numel()).view_as(pairs)
        total, alone = pairs.sum().clamp(min=1), pairs.sum(0)
        shares = pairs / pairs.sum(1, keepdim=True).clamp(min=1)
        return {
            "frequencies": float(-(alone * (alone / total).clamp_min(1e-12).log()).sum() / total),
            "last action": float(-(pairs * shares.clamp_min(1e-12).log()).sum() / total),
        }

    def expect(self, spec: Spec) -> Expectation:
        """The output begins at zero: all actions alike, or none."""
        if spec.model.discrete:
            return Expectation(
                first={"actions": math.log(spec.model.action)},
                floor="the entropy of actions, and of an action after the one before it",
                collapse="the loss stays at the entropy of actions: what is seen is not used",
                collapse_at={"actions": "frequencies"},
                metrics={"found": "share of steps whose action is the likeliest"},
            )
        return Expectation(
            first={"actions": "no action"},
            floor="the mean action at every step",
            collapse="the error stays at that of the mean action: what is seen is not used",
            collapse_at={"actions": "mean action"},
        )

    def _real(self, batch: Batch) -> Tensor:
        steps = torch.arange(batch["observations"].shape[1], device=batch["length"].device)
        return (steps < batch["length"][:, None]) & batch["present"][:, None]
