"""Restoration: the clean picture from a spoilt one, by noise (Vincent et al. 2008) or a hole (Pathak et al. 2016)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seedstock.models.patches import normalised, unpatchify
from seedstock.objectives import fills
from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums
from seedstock.objectives.configs.restoration import RestorationConfig
from seedstock.objectives.heads import Prediction
from seedstock.objectives.pictures import crops, features, flips


class Restoration(Objective):
    """Mean squared error of pixels from -1 to 1: of all, or of those in the hole."""

    exports = "vit"

    def __init__(self, config: RestorationConfig | None = None, spec: Spec | None = None) -> None:
        self.config, self.spec = config or RestorationConfig(), spec or Spec(vocab_size=0, context=0)

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``image`` uint8 ``[B, H, W, C]``, cropped and flipped, and ``present`` ``[B]``."""
        images = crops(items["image"], keys, self.config.crop)
        return {"image": flips(images, keys) if self.config.flip else images, "present": items["present"]}

    def corrupt(self, batch: Batch, keys: Any) -> Batch:
        """Adds ``spoilt`` fp32 ``[B, H, W, C]`` and ``counted`` bool ``[B, H, W]``."""
        clean = normalised(batch["image"])
        b, h, w, c = clean.shape
        device, level = clean.device, self.config.level
        counted = batch["present"][:, None, None].expand(b, h, w)
        if self.config.damage == "hole":
            side = round(h * level)
            top, left = torch.from_numpy(keys.integers("hole", 0, h - side + 1, 2)).to(device).T
            rows, columns = (torch.arange(h, device=device) - at[:, None] for at in (top, left))
            hole = ((rows >= 0) & (rows < side))[:, :, None] & ((columns >= 0) & (columns < side))[:, None]
            return {**batch, "spoilt": clean.masked_fill(hole[..., None], 0.0), "counted": counted & hole}
        if self.config.damage == "speckle":
            fate, shade = (
                torch.from_numpy(keys.uniform(name, h * w)).reshape(b, h, w, 1).to(device) for name in ("hit", "shade")
            )
            dot = torch.where(shade < 0.5, -1.0, 1.0).float()
            return {**batch, "spoilt": torch.where(fate < level, dot, clean), "counted": counted}
        first, second = (torch.from_numpy(keys.uniform(name, h * w * c)).to(device) for name in ("radius", "angle"))
        noise = (-2 * torch.log1p(-first)).sqrt() * torch.cos(2 * torch.pi * second)  # Box and Muller 1958
        return {**batch, "spoilt": clean + level * noise.reshape(clean.shape).float(), "counted": counted}

    def counts(self, batch: Batch) -> Sums:
        """``pixels``: those that are counted."""
        return {"pixels": batch["counted"].sum()}

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """The spoilt picture."""
        return nets["network"].inputs(batch["spoilt"], batch["examples"])

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``pixels``: the sum over pixels of the mean squared error of their channels."""
        errors = (self._drawn(nets, output) - normalised(batch["image"])).square().mean(dim=-1)
        return {"pixels": (errors * batch["counted"]).sum()}, {}

    def nets(self) -> dict[str, nn.Module]:
        """A linear layer from each patch's hidden state to its pixels."""
        model = self.spec.model
        return {"draw": Prediction(model.width, model.patch_values, self.spec.seed, "draw", std=0.002)}

    def features(self, nets: Any, batch: Batch) -> Tensor:
        """The mean over the patches of clean pictures ``[B, D]``."""
        return features(nets, batch)

    def pictures(self, nets: Any, batch: Batch) -> np.ndarray:
        """Rows of: the picture, what is shown of it, what is drawn."""
        drawn = self._drawn(nets, nets["network"].backbone(**self.inputs(nets, batch)))
        if self.config.damage == "hole":
            drawn = torch.where(batch["counted"][..., None], drawn, batch["spoilt"])
        whole = torch.stack([normalised(batch["image"]), batch["spoilt"], drawn])
        return ((whole.clamp(-1, 1) + 1) * 127.5).round().byte().cpu().numpy()

    def floors(self, batches: Iterable[Batch]) -> dict[str, float]:
        """What fills and linear filters come to; see ``objectives.fills``."""
        return fills.floors(batches, hole=self.config.damage == "hole")

    def expect(self, spec: Spec) -> Expectation:
        """Before training grey is drawn: the mean square of the pictures' own pixels."""
        hole = self.config.damage == "hole"
        best = "the hole filled by lines between its edges" if hole else "a linear filter of what is around each pixel"
        return Expectation(
            first={"pixels": "grey"},
            floor=best,
            collapse="the error stays at that of one colour for everything",
            collapse_at={"pixels": "mean of the rest" if hole else "mean of the picture"},
        )

    def _drawn(self, nets: Any, output: Any) -> Tensor:
        model = self.spec.model
        return unpatchify(nets["draw"](output.hidden[:, int(model.class_token) :]), model.patch, model.channels)
