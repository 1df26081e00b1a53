"""DINO: what a teacher sees in one crop, learned from the others (Caron et al. 2021), with the patches of iBOT and the
scatter of KoLeo where DINOv2 has them (Oquab et al. 2024)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.patches import normalised, patchify
from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums
from seedstock.objectives.configs.dino import DinoConfig
from seedstock.objectives.pictures import features
from seedstock.objectives.projection import copy_of, follow, momentum_at, spread, teacher_of
from seedstock.objectives.prototypes import Centre, Prototypes, koleo, sinkhorn
from seedstock.objectives.views import view

LARGE = ("first", "second")


class Dino(Objective):
    """Cross-entropy between a centred, sharpened teacher and the student, over pairs of different crops."""

    coupling = "batch"
    exports = "dinov2"

    def __init__(self, config: DinoConfig | None = None, spec: Spec | None = None) -> None:
        self.config, self.spec = config or DinoConfig(), spec or Spec(vocab_size=0, context=0)

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``image`` uint8 ``[B, H, W, C]`` and ``present`` ``[B]``."""
        return {name: items[name] for name in ("image", "present")}

    def corrupt(self, batch: Batch, keys: Any) -> Batch:
        """Adds two large crops, the small ones, and ``hidden_first`` and ``hidden_second`` ``[B, T]``, which of the
        large ones' patches the student is not shown."""
        c, image, patches = self.config, batch["image"], self.spec.model.patches
        drawn = c.drawn()
        found = {name: view(image, keys, name, **drawn) for name in LARGE}
        drawn |= {"scale": (0.05, c.smallest), "size": c.small_size}
        found |= {f"small_{n}": view(image, keys, f"small {n}", **drawn) for n in range(c.small)}
        if c.patches:
            for name in LARGE:
                order = torch.from_numpy(keys.uniform(f"hidden {name}", patches + 1)).to(image.device)
                few = order[:, :-1].argsort(1).argsort(1) < round(c.hidden_patches * patches)
                found[f"hidden_{name}"] = few & (order[:, -1:] < 0.5)
        return batch | found

    def counts(self, batch: Batch) -> Sums:
        """``crop``: pairs of crops; ``patch``: hidden patches; ``scatter``: large crops."""
        there = batch["present"].sum()
        found = {"crop": there * (2 * (1 + self.config.small))}
        if self.config.patches:
            found["patch"] = sum((batch[f"hidden_{one}"] & batch["present"][:, None]).sum() for one in LARGE)
        return found | ({"scatter": 2 * there} if self.config.scatter else {})

    def inputs(self, nets: Any, batch: Batch) -> list[dict[str, Any]]:
        """The large crops in one pass, ``[2 B, …]``; the small ones in another, ``[small · B, …]``."""
        network, small = nets["network"], [batch[f"small_{n}"] for n in range(self.config.small)]
        passes = [self._embedded(network, batch, [batch[name] for name in LARGE], nets["head"].blank)]
        return [*passes, *([self._embedded(network, batch, small)] if small else [])]

    def represent(self, nets: Any, output: Any, batch: Batch) -> Sums:
        """Logits of student and teacher ``[B, crops, prototypes]``, features, and nats of hidden patches ``[B]``."""
        network, head, count = nets["network"], nets["head"], len(batch["present"])
        pooled = [network.pooled(one.hidden) for one in output]
        large = pooled[0].unflatten(0, (2, count)).transpose(0, 1)
        with torch.no_grad():
            teacher = nets["teacher"]
            whole = self._embedded(teacher, batch, [batch[name] for name in LARGE])
            seen = teacher.backbone(**whole).hidden
            taught = nets["teacher_head"](teacher.pooled(seen)).unflatten(0, (2, count)).transpose(0, 1)
        crops = [one.unflatten(0, (-1, count)).transpose(0, 1) for one in pooled]
        found = {"student": head(torch.cat(crops, dim=1)), "teacher": taught, "present": batch["present"]}
        found["features"] = F.normalize(large, dim=-1)
        if self.config.patches:
            hidden = torch.stack([batch[f"hidden_{one}"] for one in LARGE], 1) & batch["present"][:, None, None]
            first = int(self.spec.model.class_token)
            own, other = (one[:, first:].unflatten(0, (2, count)).transpose(0, 1) for one in (output[0].hidden, seen))
            with torch.no_grad():
                said = nets["teacher_head"](other)
                wanted = nets["patch_centre"].shares(said, self.config.teacher_temperature)
                found |= {"said": (said * hidden[..., None]).sum((1, 2)), "hidden": hidden.sum((1, 2))}
            nats = -(wanted * (head(own) / self.config.temperature).log_softmax(-1)).sum(-1)
            found["patch"] = (nats * hidden).sum((1, 2))
        return found

    def couple(self, nets: Any, represented: Sums) -> tuple[Sums, Sums]:
        """``crop``: nats over pairs; ``patch`` and ``scatter``, each with its weight in it; metrics: ``spread``, and
        ``sharpness``, one minus the entropy of the teacher's shares as a part of what is possible."""
        c, centre, there = self.config, nets["centre"], represented["present"].bool()
        if c.centring == "sinkhorn":
            wanted = sinkhorn(represented["teacher"], c.teacher_temperature, there)
        else:
            wanted = centre.shares(represented["teacher"], c.teacher_temperature)
        centre.note(represented["teacher"][there].flatten(0, 1), 2 * there.sum())
        logs = (represented["student"] / c.temperature).log_softmax(-1)
        pairs = -torch.einsum("btk,bsk->bts", wanted, logs)  # teacher's crop, student's crop
        own = torch.zeros(pairs.shape[1:], dtype=torch.bool, device=pairs.device)
        own.fill_diagonal_(True)
        sums = {"crop": (pairs.masked_fill(own, 0.0).sum((1, 2)) * there).sum()}
        if c.patches:
            sums["patch"] = c.patches * (represented["patch"] * there).sum()
            nets["patch_centre"].note(represented["said"], represented["hidden"].sum())
        found = represented["features"][there]
        if c.scatter:
            sums["scatter"] = c.scatter * torch.stack([koleo(one) for one in found.unbind(1)]).sum()
        each = 2 * (1 + c.small)  # pairs of a picture, by whose number metrics are divided
        far = spread(found.detach().flatten(0, 1)) if len(found) > 1 else found.new_zeros(())
        entropy = -(wanted * wanted.clamp_min(1e-12).log()).sum(-1).mean(1) / math.log(c.prototypes)
        return sums, {"spread": far * there.sum() * each, "sharpness": ((1 - entropy) * there).sum() * each}

    def nets(self) -> dict[str, nn.Module]:
        """The student's head; the teacher and its head; the centres of what teachers say."""
        c, spec = self.config, self.spec
        sizes = (spec.model.width, c.hidden, c.bottleneck, c.prototypes, spec.model.patch_values, spec.seed)
        found = {
            "head": Prototypes(*sizes),
            "teacher": teacher_of(spec.model.build(spec.vocab_size, spec.seed)),
            "teacher_head": teacher_of(Prototypes(*sizes)),
            "centre": Centre(c.prototypes, c.centre_momentum),
        }
        return found | ({"patch_centre": Centre(c.prototypes, c.centre_momentum)} if c.patches else {})

    def assembled(self, nets: Any) -> None:
        """Teachers begin as copies."""
        copy_of(nets, "teacher", "network")
        copy_of(nets, "teacher_head", "head")

    def after_step(self, nets: Any, example: int) -> None:
        """Teachers and centres follow."""
        stays = momentum_at(self.config, self.spec, example)
        follow(nets["teacher"], nets["network"], stays)
        follow(nets["teacher_head"], nets["head"], stays)
        for name in ("centre", "patch_centre") if self.config.patches else ("centre",):
            nets[name].move()

    def features(self, nets: Any, batch: Batch) -> Tensor:
        """The teacher's mean over the patches ``[B, D]``."""
        return features({"network": nets["teacher"]}, batch)

    def expect(self, spec: Spec) -> Expectation:
        """A fresh student gives every prototype about the same share: ln K; more where the teacher's are evened
        out over a batch, and so no longer lean to where the student's do."""
        chance = math.log(self.config.prototypes)
        own = {"patch": self.config.patches * chance} if self.config.patches else {}
        return Expectation(
            first={"crop": chance, **own},
            tolerance=0.1 if self.config.centring == "mean" else 0.2,
            floor=f"ln K = {chance:.3f} nats: every prototype alike",
            collapse="the loss stays at ln K (every share alike), or goes to 0 with the spread (one prototype for all)",
            metrics={
                "spread": "how far features scatter",
                "sharpness": "0: the teacher gives all prototypes one share",
            },
            collapse_at={"crop": chance},
            collapse_below={"spread": 0.1},
        )

    def _embedded(self, network: Any, batch: Batch, crops: list[Tensor], blank: Tensor | None = None) -> dict[str, Any]:
        """Crops of one size one after another, in the middle of the grid of positions; hidden patches blank."""
        model, count = self.spec.model, len(crops)
        patches = patchify(normalised(torch.cat(crops)), model.patch)
        if blank is not None and self.config.patches:
            hidden = torch.cat([batch[f"hidden_{name}"] for name in LARGE])
            patches = torch.where(hidden[..., None], blank.to(patches.dtype), patches)
        side, whole = crops[0].shape[1] // model.patch, model.image // model.patch
        at = torch.arange(side, device=patches.device) + (whole - side) // 2
        places = (at[:, None] * whole + at[None]).flatten().expand(len(patches), -1)
        examples = torch.cat([batch["examples"] * 16 + number for number in range(count)])  # for dropout
        return network.given(network.embed(patches, places, examples), examples)
