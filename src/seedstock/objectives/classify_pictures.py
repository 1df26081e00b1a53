"""Classification of pictures: a head over one state of the network, and the whole of it learns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import Tensor, nn

from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums
from seedstock.objectives.class_heads import ClassHead, class_loss
from seedstock.objectives.configs.classify_pictures import ClassifyPicturesConfig
from seedstock.objectives.pictures import crops, features, flips


class ClassifyPictures(Objective):
    """Cross-entropy of the class. A picture without one, and one that was erased, teaches nothing."""

    chooses = "right"
    exports = "vit_classifier"

    def __init__(self, config: ClassifyPicturesConfig | None = None, spec: Spec | None = None) -> None:
        self.config, self.spec = config or ClassifyPicturesConfig(), spec or Spec(vocab_size=0, context=0)
        self.pool = self.config.pool
        if self.pool == "auto":
            self.pool = "class" if getattr(self.spec.model, "class_token", False) else "mean"

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``image`` uint8 ``[B, H, W, C]``, cropped and flipped, and ``label`` int64 ``[B]``, -1 for none."""
        images = crops(items["image"], keys, self.config.crop)
        label = np.where(items["present"], items["label"], -1).astype(np.int64)
        return {"image": flips(images, keys) if self.config.flip else images, "label": label}

    def counts(self, batch: Batch) -> Sums:
        """``classify``: pictures with a class."""
        return {"classify": (batch["label"] >= 0).sum()}

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """The whole pictures."""
        return nets["network"].inputs(batch["image"], batch.get("examples"))

    def logits(self, nets: Any, output: Any, batch: Batch) -> Tensor:
        """``[B, C]`` in fp32."""
        hidden = output.hidden
        if self.pool == "class":
            state = hidden[:, 0]
        else:
            state = hidden[:, int(self.spec.model.class_token) :].float().mean(dim=1).to(hidden.dtype)
        return nets["class_head"](state, batch.get("examples"))

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``classify``: nats of the class; the metric ``right`` is how often the likeliest one is it."""
        return class_loss(self.logits(nets, output, batch), batch["label"])

    def nets(self) -> dict[str, nn.Module]:
        """The head."""
        width, classes, dropout = self.spec.model.width, len(self.spec.labels), self.config.dropout
        return {"class_head": ClassHead(width, classes, dense=False, bias=True, dropout=dropout, seed=self.spec.seed)}

    def features(self, nets: Any, batch: Batch) -> Tensor:
        """The mean over the patches ``[B, D]``."""
        return features(nets, batch)

    def expect(self, spec: Spec) -> Expectation:
        """Before training every class is as likely as any other: ln C nats."""
        classes = max(2, len(spec.labels))
        return Expectation(
            first={"classify": math.log(classes)},
            floor="the share of the most frequent class; then the same network from random weights",
            collapse="every picture gets the most frequent class: the network is not asked, or the rate was too high",
            metrics={"right": "share of pictures whose class is right"},
            collapse_at={"classify": math.log(classes)},
        )
