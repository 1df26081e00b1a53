"""VideoMAE: tubes of a clip are hidden, and drawn again from the few places that are seen (Tong et al. 2022)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seedstock.models.patches import untubelets
from seedstock.objectives.base import Batch
from seedstock.objectives.configs.video_mae import VideoMaeConfig
from seedstock.objectives.mae import EPSILON, Mae, at


class VideoMae(Mae):
    """Mean squared error of hidden tubelets; ``seen`` and ``hidden`` are numbers of tubelets, frame by frame."""

    exports = "videomae"
    reads = "clip"
    config: VideoMaeConfig

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``clip`` uint8 ``[B, F, H, W, C]`` and ``present`` ``[B]``."""
        return {"clip": items["clip"], "present": items["present"]}

    def corrupt(self, batch: Batch, keys: Any) -> Batch:
        """Adds ``seen`` and ``hidden``, ``[B, …]`` each, in order: the same places of all frames."""
        model = self.spec.model
        places = (model.image // model.patch) ** 2
        order = torch.from_numpy(keys.uniform("mask", places)).argsort(dim=1).to(batch["clip"].device)
        count = round(places * self.config.mask)
        each = torch.arange(model.frames // model.tubelet, device=order.device)[None, :, None] * places
        hidden, seen = order[:, :count].sort(dim=1).values, order[:, count:].sort(dim=1).values
        return {**batch, "seen": (each + seen[:, None]).flatten(1), "hidden": (each + hidden[:, None]).flatten(1)}

    def features(self, nets: Any, batch: Batch) -> Tensor:
        """The mean over the tubelets of whole clips ``[B, D]``."""
        network = nets["network"]
        return network.pooled(network.backbone(**network.inputs(batch["clip"])).hidden)

    def floors(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Beside those of pictures, and where tubelets are not normalised: ``temporal mean``, every hidden pixel drawn
        as its own mean over the clip, which nobody is shown; ``nearest seen``, as the nearest seen tubelet of the same
        frames."""
        totals: dict[str, float] = {}
        batches, count = list(batches), 0
        found = super().floors(batches)
        if self.config.normalise:
            return found
        for batch in batches:
            patches = self._patches(batch)
            hidden, still = at(patches, batch["hidden"]), at(self._still(patches), batch["hidden"])
            for name, drawn in {"temporal mean": still, "nearest seen": self._nearest(batch)}.items():
                errors = (drawn - hidden).square().mean(dim=-1)
                totals[name] = totals.get(name, 0.0) + float((errors * batch["present"][:, None]).sum())
            count += int(batch["present"].sum()) * hidden.shape[1]
        return found | {name: total / max(1, count) for name, total in totals.items()}

    @property
    def numbers(self) -> int:
        """Of a tubelet that share a mean and a deviation: each channel has its own."""
        return self.spec.model.patch_values // self.spec.model.channels

    def _still(self, patches: Tensor) -> Tensor:
        """Every pixel as its mean over the clip."""
        model = self.spec.model
        b, t, values = patches.shape
        each = patches.view(b, model.frames // model.tubelet, -1, model.tubelet, values // model.tubelet)
        return each.mean(dim=(1, 3), keepdim=True).expand_as(each).reshape(b, t, values)

    def _nearest(self, batch: Batch) -> Tensor:
        """For each hidden tubelet the nearest seen one of the same frames."""
        model, seen, hidden = self.spec.model, batch["seen"], batch["hidden"]
        side = model.image // model.patch

        def where(numbers: Tensor) -> Tensor:
            rows = numbers % side**2
            # Other frames are further away than any place of the same ones.
            return torch.stack([numbers // side**2 * 4 * side, rows // side, rows % side], dim=-1).float()

        nearest = torch.cdist(where(hidden), where(seen)).argmin(dim=-1)
        return at(self._patches(batch), seen.gather(1, nearest))

    def pictures(self, nets: Any, batch: Batch) -> np.ndarray:
        """Of the first two clips, frame by frame: the clip; what is seen of it; what is drawn, its own mean and
        deviation lent where it was normalised by them."""
        model = self.spec.model
        batch = {name: value[:2] for name, value in batch.items()}
        patches, hidden = self._patches(batch), batch["hidden"]
        output = nets["network"].backbone(**self.inputs(nets, batch))
        drawn = nets["decoder"](output.hidden, batch["seen"], hidden, batch["examples"])
        if self.config.normalise:
            mean, scale = self._scales(at(patches, hidden))
            drawn = (drawn.unflatten(-1, (-1, model.channels)) * scale + mean).flatten(-2)
        where = hidden[..., None].expand(-1, -1, patches.shape[-1])
        rows = [patches, patches.scatter(1, where, torch.zeros_like(drawn)), patches.scatter(1, where, drawn)]
        whole = torch.stack([untubelets(row, model.patch, model.tubelet, model.image // model.patch) for row in rows])
        whole = whole.transpose(0, 1).flatten(0, 1)
        return ((whole.clamp(-1, 1) + 1) * 127.5).round().byte().cpu().numpy()

    def _scales(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each channel of tubelets, ``[B, T, 1, C]``."""
        each = patches.unflatten(-1, (-1, self.spec.model.channels))
        return each.mean(dim=-2, keepdim=True), (each.var(dim=-2, keepdim=True) + EPSILON).sqrt()

    def _targets(self, patches: Tensor) -> Tensor:
        if not self.config.normalise:
            return patches
        mean, scale = self._scales(patches)
        return ((patches.unflatten(-1, (-1, self.spec.model.channels)) - mean) / scale).flatten(-2)
