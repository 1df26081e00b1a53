"""BYOL: a teacher's view of a picture, predicted from another view (Grill et al. 2020)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from seedstock.objectives.base import Batch, Expectation, Spec, Sums
from seedstock.objectives.configs.views import ByolConfig
from seedstock.objectives.projection import Projector, copy_of, follow, momentum_at, spread, teacher_of
from seedstock.objectives.two_views import TwoViews, both

TEACHERS = {"teacher": "network", "teacher_projector": "projector"}


class Byol(TwoViews):
    """2 - 2 · cosine of what is predicted of the one view and what the teacher makes of the other, both ways."""

    def __init__(self, config: ByolConfig | None = None, spec: Spec | None = None) -> None:
        self.config, self.spec = config or ByolConfig(), spec or Spec(vocab_size=0, context=0)

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``view``: the sum over views; the metric ``spread`` is how far the network's features scatter."""
        pooled = nets["network"].pooled(output.hidden)
        predicted = F.normalize(nets["predictor"](nets["projector"](pooled)), dim=-1)
        with torch.no_grad():
            teacher = nets["teacher"]
            seen = teacher.pooled(teacher.backbone(**teacher.inputs(*both(batch))).hidden)
            first, second = F.normalize(nets["teacher_projector"](seen), dim=-1).chunk(2)
        errors = 2 - 2 * (predicted * torch.cat([second, first])).sum(dim=-1)
        there = batch["present"].repeat(2)
        far = spread(pooled.detach()) if len(pooled) > 2 else pooled.new_zeros(())
        return {"view": (errors * there).sum()}, {"spread": far * there.sum()}

    def nets(self) -> dict[str, nn.Module]:
        """Projector and predictor, and the teacher with a projector of its own."""
        c, model, seed = self.config, self.spec.model, self.spec.seed
        return {
            "projector": Projector(model.width, c.hidden, c.outputs, seed, "projector"),
            "predictor": Projector(c.outputs, c.hidden, c.outputs, seed, "predictor"),
            "teacher": teacher_of(model.build(self.spec.vocab_size, seed)),
            "teacher_projector": teacher_of(Projector(model.width, c.hidden, c.outputs, seed, "projector")),
        }

    def assembled(self, nets: Any) -> None:
        """Teachers begin as copies."""
        for teacher, student in TEACHERS.items():
            copy_of(nets, teacher, student)

    def after_step(self, nets: Any, example: int) -> None:
        """Teachers follow."""
        stays = momentum_at(self.config, self.spec, example)
        for teacher, student in TEACHERS.items():
            follow(nets[teacher], nets[student], stays)

    def expect(self, spec: Spec) -> Expectation:
        """A fresh predictor points anywhere: the mean of 2 - 2 · cosine is 2."""
        return Expectation(
            first={"view": 2.0},
            tolerance=0.25,
            floor="none: the loss falls as well where everything becomes alike; look at the spread and at the probes",
            collapse="the spread goes to 0: all pictures look alike",
            metrics={"spread": "how far features scatter: 1 as random directions do, 0 where all are alike"},
            collapse_at={"view": 2.0},
            collapse_below={"spread": 0.1},
        )
