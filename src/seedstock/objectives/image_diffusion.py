"""Diffusion over pictures: flow matching (Lipman et al. 2023) and DDPM (Ho et al. 2020), told the class, by a DiT
(Peebles and Xie 2023)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.initialise import fill
from seedstock.models.keys import generator, key64
from seedstock.models.linear import Linear
from seedstock.models.patches import normalised, unpatchify
from seedstock.objectives import noise as ways
from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums
from seedstock.objectives.configs.image_diffusion import ImageDiffusionConfig
from seedstock.objectives.latents import Latents
from seedstock.objectives.pictures import crops, flips

FREQUENCIES = 256


class Condition(nn.Module):
    """Time and class as one vector: sines of the time through two layers, and a row for each class and for none."""

    def __init__(self, width: int, classes: int, seed: int) -> None:
        super().__init__()
        self.first, self.second = Linear(FREQUENCIES, width, True), Linear(width, width, True)
        self.classes = nn.Parameter(torch.zeros(classes + 1, width)) if classes else None
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                fill(parameter, 0.02 if parameter.ndim == 2 else 0.0, key64("condition", seed), name)

    def forward(self, time_B: Tensor, labels_B: Tensor) -> Tensor:
        """``[B, D]`` fp32; a label of -1 is none."""
        half = FREQUENCIES // 2
        rates = torch.exp(-math.log(10_000.0) * torch.arange(half, device=time_B.device) / (half - 1))
        angles = time_B.float()[:, None] * rates
        told_BD = self.second(F.silu(self.first(torch.cat([angles.cos(), angles.sin()], dim=-1))))
        return told_BD if self.classes is None else told_BD + self.classes[labels_B % len(self.classes)]

    def roles(self) -> dict[str, str]:
        """Small matrices that every layout leaves whole."""
        table = {"first.weight": "head", "second.weight": "head", "classes": "head"}
        return {name: table.get(name, "vector") for name, _ in self.named_parameters()}


class Draw(nn.Module):
    """What the last norm gave, shifted and scaled by the condition, and a layer to pixels; zero at the start."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.modulation, self.linear = Linear(width, 2 * width, True), Linear(width, outputs, True)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, hidden_BTD: Tensor, condition_BD: Tensor) -> Tensor:
        """Pixels of patches ``[B, T, P]`` fp32."""
        shift, scale = self.modulation(F.silu(condition_BD).to(hidden_BTD.dtype))[:, None].chunk(2, dim=-1)
        return self.linear(hidden_BTD * (1 + scale) + shift).float()

    def roles(self) -> dict[str, str]:
        """Small matrices that every layout leaves whole."""
        return {name: "head" if name.endswith("weight") else "vector" for name, _ in self.named_parameters()}


class ImageDiffusion(Objective):
    """Mean squared error of the velocity, or of the noise, at times drawn evenly."""

    exports = "dit"

    def __init__(self, config: ImageDiffusionConfig | None = None, spec: Spec | None = None) -> None:
        self.config, self.spec = config or ImageDiffusionConfig(), spec or Spec(vocab_size=0, context=0)
        self.way: Any = ways.PROCESSES[self.config.process]()
        name = self.config.latents
        own = self.spec.models.get(name) if name is not None else None
        self.latents = None if own is None else Latents(own, self.spec.shards, self.config.scale)

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``image``, cropped and flipped, ``present``, and ``label`` int64 ``[B]``, -1 where there is none."""
        images = crops(items["image"], keys, self.config.crop)
        label = items["label"].astype(np.int64) if self.config.labelled else np.full(len(images), -1, np.int64)
        found = {"image": flips(images, keys) if self.config.flip else images, "present": items["present"]}
        return found | {"label": label}

    def corrupt(self, batch: Batch, keys: Any) -> Batch:
        """Adds ``time`` ``[B]``, ``mixed`` and ``wanted`` ``[B, H, W, C]`` (of latents where they are asked for), and
        ``told``, the labels that are told."""
        device = batch["image"].device
        picture = normalised(batch["image"]) if self.latents is None else self.latents.of(batch["image"], keys)
        time, hide = (torch.from_numpy(keys.uniform(name, 1)[:, 0]).float().to(device) for name in ("time", "label"))
        noise = ways.normal(keys, "noise", tuple(picture.shape[1:])).to(device)
        mixed, wanted = self.way.mixed(picture, noise, time[:, None, None, None])
        told = torch.where(hide < self.config.unlabelled, -1, batch["label"])
        return {**batch, "time": time, "mixed": mixed, "wanted": wanted, "told": told}

    def counts(self, batch: Batch) -> Sums:
        """The target's name: pictures; ``near`` and ``far``: those with less and more noise than picture."""
        there, late = batch["present"], batch["time"] >= 0.5
        return {self.way.target: there.sum(), "near": (there & ~late).sum(), "far": (there & late).sum()}

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """Mixtures, with the time and the class as the condition."""
        condition = nets["condition"](self.way.time(batch["time"]), batch["told"])
        return {**nets["network"].inputs(batch["mixed"], batch["examples"]), "condition": condition}

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """The sum over pictures of their mean squared error; metrics: the same where noise is less and more."""
        condition = nets["condition"](self.way.time(batch["time"]), batch["told"])
        errors = (self._drawn(nets, output, condition) - batch["wanted"]).square().mean(dim=(1, 2, 3))
        there, late = batch["present"], batch["time"] >= 0.5
        return {self.way.target: (errors * there).sum()}, {
            "near": (errors * (there & ~late)).sum().detach(),
            "far": (errors * (there & late)).sum().detach(),
        }

    def nets(self) -> dict[str, nn.Module]:
        """What makes the condition, and the last layer."""
        model, classes = self.spec.model, len(self.spec.labels) if self.config.labelled else 0
        condition = Condition(model.width, classes, self.spec.seed)
        return {"condition": condition, "draw": Draw(model.width, model.patch_values)}

    @torch.no_grad()
    def sample(self, nets: Any, labels: Tensor, seed: int, guidance: float | None = None) -> Tensor:
        """Pictures of classes ``[B]`` (-1: of any), fp32 ``[B, H, W, C]`` from -1 to 1."""
        model, strength = self.spec.model, self.config.guidance if guidance is None else guidance
        shape = (len(labels), model.image, model.image, model.channels)
        x = torch.randn(shape, generator=generator("samples", seed)).to(labels.device)

        def predict(x: Tensor, t: Tensor) -> Tensor:
            own = self._predict(nets, x, t, labels)
            if strength == 1.0 or bool((labels < 0).all()):
                return own
            return self._predict(nets, x, t, torch.full_like(labels, -1)).lerp(own, strength)

        found = self.way.walk(predict, x, self.config.steps, bounded=self.latents is None)
        return (found if self.latents is None else self.latents.pictures(found)).clamp(-1, 1)

    def pictures(self, nets: Any, batch: Batch) -> np.ndarray:
        """Samples: a column for each class, or of any."""
        classes = min(10, len(self.spec.labels)) if self.config.labelled else 0
        labels = torch.arange(classes or 8, device=batch["image"].device).repeat(4)
        found = self.sample(nets, labels if classes else torch.full_like(labels, -1), seed=self.spec.seed)
        pixels = ((found + 1) * 127.5).round().byte().cpu().numpy()
        return pixels.reshape(4, -1, *pixels.shape[1:])

    def floors(self, batches: Iterable[Batch]) -> dict[str, float]:
        """``zero``: nothing predicted."""
        wanted = [one["wanted"] for one in batches]
        return {"zero": float(torch.cat(wanted).square().mean())} if wanted else {}

    def expect(self, spec: Spec) -> Expectation:
        """Before training nothing is drawn: the targets' mean square, of noise 1, of velocities 1 and the pictures'."""
        return Expectation(
            first={self.way.target: "zero"},
            floor="the mean square of what is predicted",
            collapse="the error stays at the targets' mean square: nothing is drawn",
            metrics={"near": "the error where noise is less than picture", "far": "where it is more"},
            collapse_at={self.way.target: "zero"},
        )

    def _predict(self, nets: Any, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        condition = nets["condition"](self.way.time(t), labels)
        output = nets["network"].backbone(**nets["network"].inputs(x), condition=condition)
        return self._drawn(nets, output, condition)

    def _drawn(self, nets: Any, output: Any, condition: Tensor) -> Tensor:
        model = self.spec.model
        return unpatchify(nets["draw"](output.hidden, condition), model.patch, model.channels)
