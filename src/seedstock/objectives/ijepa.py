"""I-JEPA: a teacher's features of hidden blocks, predicted from the rest of the picture (Assran et al. 2023)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.mask import Mask
from seedstock.models.patches import normalised, patchify
from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums
from seedstock.objectives.configs.ijepa import IjepaConfig
from seedstock.objectives.pictures import crops, features, flips
from seedstock.objectives.predictor import Predictor, block
from seedstock.objectives.projection import copy_of, follow, momentum_at, spread, teacher_of


class Ijepa(Objective):
    """Smooth L1 between predicted features and the teacher's, which are normalised at each place."""

    exports = "ijepa"

    def __init__(self, config: IjepaConfig | None = None, spec: Spec | None = None) -> None:
        self.config, self.spec = config or IjepaConfig(), spec or Spec(vocab_size=0, context=0)

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``image`` uint8 ``[B, H, W, C]``, cropped and flipped, and ``present`` ``[B]``."""
        images = crops(items["image"], keys, self.config.crop)
        return {"image": flips(images, keys) if self.config.flip else images, "present": items["present"]}

    def corrupt(self, batch: Batch, keys: Any) -> Batch:
        """Adds ``wanted``, bool ``[B, targets, T]``, the places of each target, and ``shown`` ``[B, T]``."""
        c, device, side = self.config, batch["image"].device, self.spec.model.image // self.spec.model.patch
        wanted = torch.stack([block(keys, f"target {n}", side, c.target, 0.75, 1.5) for n in range(c.targets)], 1)
        context = block(keys, "context", side, c.context, 1.0, 1.0)
        places, covered = context.shape[1], wanted.any(1)
        # Where targets cover nearly all of the context, some places are shown all the same, and not asked for.
        order = torch.from_numpy(keys.uniform("kept", places)) + 1.0 * covered + 2.0 * ~context
        few = order.argsort(1).argsort(1) < max(1, round(c.least * places))
        shown = (context & ~covered) | few
        return {**batch, "wanted": (wanted & ~shown[:, None]).to(device), "shown": shown.to(device)}

    def counts(self, batch: Batch) -> Sums:
        """``feature``: wanted places of pictures that are there."""
        return {"feature": (batch["wanted"] & batch["present"][:, None, None]).sum()}

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """The shown patches; the others are in their places, and seen from nowhere."""
        network, examples = nets["network"], batch.get("examples")
        patches = patchify(normalised(batch["image"]), self.spec.model.patch) * batch["shown"][..., None]
        places = torch.arange(patches.shape[1], device=patches.device)
        x = network.embed(patches, places.expand(patches.shape[:2]), examples)
        attention = Mask.over(torch.where(batch["shown"], 0, -1), "full")
        return {"x": x, "positions": places[None], "attention": attention, "examples": examples}

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``feature``: the sum over wanted places of the mean over dimensions; the metric is the network's spread."""
        teacher = nets["teacher"]
        with torch.no_grad():
            seen = teacher.backbone(**teacher.inputs(batch["image"])).hidden.float()
            targets = F.layer_norm(seen, seen.shape[-1:])
        total = output.hidden.new_zeros((), dtype=torch.float32)
        for wanted in batch["wanted"].unbind(1):
            found = nets["predictor"](output.hidden, batch["shown"], wanted)
            errors = F.smooth_l1_loss(found, targets, reduction="none").mean(-1)
            total = total + (errors * (wanted & batch["present"][:, None])).sum()
        shown = batch["shown"][..., None]
        pooled = (output.hidden.detach().float() * shown).sum(1) / shown.sum(1)
        far = spread(pooled) if len(pooled) > 1 else pooled.new_zeros(())
        return {"feature": total}, {"spread": far * self.counts(batch)["feature"]}

    def nets(self) -> dict[str, nn.Module]:
        """The predictor, and the teacher."""
        teacher = self.spec.model.build(self.spec.vocab_size, self.spec.seed)
        return {"predictor": Predictor(self.config, self.spec), "teacher": teacher_of(teacher)}

    def assembled(self, nets: Any) -> None:
        """The teacher begins as a copy."""
        copy_of(nets, "teacher", "network")

    def after_step(self, nets: Any, example: int) -> None:
        """The teacher follows."""
        follow(nets["teacher"], nets["network"], momentum_at(self.config, self.spec, example))

    def features(self, nets: Any, batch: Batch) -> Tensor:
        """The teacher's mean over the patches ``[B, D]``."""
        return features({"network": nets["teacher"]}, batch)

    def expect(self, spec: Spec) -> Expectation:
        """Against numbers of mean 0 and deviation 1, zero comes to about 0.355 (a normal distribution's smooth L1)."""
        return Expectation(
            first={"feature": SMOOTH},
            tolerance=0.15,
            floor="none: the loss falls as well where everything becomes alike; look at the spread and at the probes",
            collapse="the spread goes to 0: all pictures look alike",
            metrics={"spread": "how far features scatter: 0 where all pictures are alike"},
            collapse_below={"spread": 0.05},
        )


def _normal_smooth_l1() -> float:
    """E[smooth L1(x)] for x of a standard normal distribution: ½ E[x²; |x| < 1] + E[|x| - ½; |x| ≥ 1]."""
    inside, density = math.erf(1 / math.sqrt(2)), math.exp(-0.5) / math.sqrt(2 * math.pi)
    return 0.5 * (inside - 2 * density) + 2 * density - 0.5 * (1 - inside)


SMOOTH = _normal_smooth_l1()
