"""What objectives over two views of a picture share: they differ in what they make of the two."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seedstock.objectives.base import Batch, Objective, Sums
from seedstock.objectives.pictures import features
from seedstock.objectives.views import view

NAMES = ("first", "second")


class TwoViews(Objective):
    """Two views, drawn alike, in one pass. ``config`` is a ``ViewsConfig``."""

    config: Any
    spec: Any

    @property
    def exports(self) -> str:  # type: ignore[override]
        """The map of the network's shape."""
        return "clip_vision" if getattr(self.spec.model, "shape", "") == "clip" else "vit"

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``image`` uint8 ``[B, H, W, C]`` and ``present`` ``[B]``."""
        return {name: items[name] for name in ("image", "present")}

    def corrupt(self, batch: Batch, keys: Any) -> Batch:
        """Adds ``first`` and ``second``, fp32 ``[B, H, W, C]``: two views."""
        drawn = self.config.drawn()
        return batch | {name: view(batch["image"], keys, name, **drawn) for name in NAMES}

    def counts(self, batch: Batch) -> Sums:
        """``view``: views of pictures that are there."""
        return {"view": 2 * batch["present"].sum()}

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """Both views in one pass, ``[2 B, …]``, the first ones before the second ones."""
        return nets["network"].inputs(*both(batch))

    def features(self, nets: Any, batch: Batch) -> Tensor:
        """The mean over the patches ``[B, D]``."""
        return features(nets, batch)


def both(batch: Batch) -> tuple[Tensor, Tensor]:
    """The views ``[2 B, H, W, C]``, and a number of each ``[2 B]``, by which dropout is drawn."""
    examples = torch.cat([2 * batch["examples"], 2 * batch["examples"] + 1])
    return torch.cat([batch[name] for name in NAMES]), examples
