"""BYOL: a teacher's view of a picture, predicted from another view (Grill et al. 2020)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums
from seedstock.objectives.configs.views import ByolConfig
from seedstock.objectives.pictures import features
from seedstock.objectives.projection import Projector, copy_of, follow, spread, teacher_of
from seedstock.objectives.views import view

TEACHERS = {"teacher": "network", "teacher_projector": "projector"}


class Byol(Objective):
    """2 - 2 · cosine of what is predicted of the one view and what the teacher makes of the other, both ways."""

    exports = "vit"

    def __init__(self, config: ByolConfig | None = None, spec: Spec | None = None) -> None:
        self.config, self.spec = config or ByolConfig(), spec or Spec(vocab_size=0, context=0)

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``image`` uint8 ``[B, H, W, C]`` and ``present`` ``[B]``."""
        return {name: items[name] for name in ("image", "present")}

    def corrupt(self, batch: Batch, keys: Any) -> Batch:
        """Adds ``first`` and ``second``, fp32 ``[B, H, W, C]``: two views."""
        drawn = self.config.drawn()
        return batch | {name: view(batch["image"], keys, name, **drawn) for name in ("first", "second")}

    def counts(self, batch: Batch) -> Sums:
        """``view``: views of pictures that are there."""
        return {"view": 2 * batch["present"].sum()}

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """Both views in one pass, ``[2 B, …]``, the first ones before the second ones."""
        return nets["network"].inputs(*self._both(batch))

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``view``: the sum over views; the metric ``spread`` is how far the network's features scatter."""
        pooled = nets["network"].pooled(output.hidden)
        predicted = F.normalize(nets["predictor"](nets["projector"](pooled)), dim=-1)
        with torch.no_grad():
            teacher = nets["teacher"]
            seen = teacher.pooled(teacher.backbone(**teacher.inputs(*self._both(batch))).hidden)
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
        for teacher, student in TEACHERS.items():
            follow(nets[teacher], nets[student], self.config.momentum)

    def features(self, nets: Any, batch: Batch) -> Tensor:
        """The mean over the patches ``[B, D]``."""
        return features(nets, batch)

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

    @staticmethod
    def _both(batch: Batch) -> tuple[Tensor, Tensor]:
        examples = torch.cat([2 * batch["examples"], 2 * batch["examples"] + 1])  # for dropout
        return torch.cat([batch["first"], batch["second"]]), examples
