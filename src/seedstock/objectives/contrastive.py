"""Which text belongs to which picture: CLIP (Radford et al. 2021) and SigLIP (Zhai et al. 2023)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.mask import Mask
from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums
from seedstock.objectives.configs.contrastive import ContrastiveConfig
from seedstock.objectives.joint import Joint
from seedstock.objectives.pictures import crops, flips
from seedstock.objectives.projection import spread
from seedstock.objectives.views import view


class Contrastive(Objective):
    """Nats of each picture's caption and of each caption's picture among the batch's; or of every pair alone."""

    coupling = "batch"

    @property
    def exports(self) -> str:  # type: ignore[override]
        """The map of the towers' shape."""
        return self.spec.model.shape

    def __init__(self, config: ContrastiveConfig | None = None, spec: Spec | None = None) -> None:
        self.config, self.spec = config or ContrastiveConfig(), spec or Spec(vocab_size=0, context=0)

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``image`` uint8 ``[B, H, W, C]``, ``tokens`` int64 ``[B, T]``, ``present`` ``[B]``; ``marks`` ``[B, 2]``, by
        which equal pictures and captions are known however the pictures are cut."""
        images, tokens = crops(items["image"], keys, self.config.crop), items["tokens"].astype(np.int64)
        images = flips(images, keys) if self.config.flip and self.config.smallest is None else images
        marks = np.stack([mark(items["image"]), mark(tokens)], axis=1)
        return {"image": images, "tokens": tokens, "marks": marks, "present": items["present"]}

    def corrupt(self, batch: Batch, keys: Any) -> Batch:
        """``image`` as views of the pictures, fp32 from -1 to 1, where ``smallest`` asks for them."""
        c = self.config
        if c.smallest is None:
            return batch
        found = view(batch["image"], keys, "picture", scale=(c.smallest, 1.0), jitter=c.jitter, grey=0.0, flip=c.flip)
        return {**batch, "image": found}

    def counts(self, batch: Batch) -> Sums:
        """``pair``: pairs that are there, and so pictures and captions."""
        return {"pair": batch["present"].sum()}

    def inputs(self, nets: Any, batch: Batch) -> list[dict[str, Any]]:
        """The pictures, then the captions."""
        network, examples = nets["network"], batch.get("examples")
        return [network.pictures(batch["image"], examples), self._texts(network, batch["tokens"], examples)]

    def represent(self, nets: Any, output: Any, batch: Batch) -> Sums:
        """``picture`` and ``text`` ``[B, embedding]``; and what tells equal captions and pictures."""
        seen, read = output
        joint, tokens = nets["joint"], batch["tokens"]
        picture, text = joint.pictures(nets["network"], seen.hidden), joint.texts(read.hidden, self._places(tokens))
        return {"picture": picture, "text": text, "marks": batch["marks"], "present": batch["present"]}

    def couple(self, nets: Any, represented: Sums) -> tuple[Sums, Sums]:
        """``pair``: nats; metrics: how often the nearest caption and the nearest picture are right, and the spread."""
        there = represented["present"].bool()
        picture, text, marks = (represented[name][there] for name in ("picture", "text", "marks"))
        joint, count = nets["joint"], len(picture)
        logits = picture @ text.T * joint.scale.clamp(max=joint.limit).exp()
        if count < 2:
            return {"pair": logits.sum() * 0.0}, {name: logits.new_zeros(()) for name in METRICS}
        same = (marks[:, None] == marks[None]).any(-1)
        if self.config.loss == "sigmoid":
            signs = torch.where(same, 1.0, -1.0)
            nats = -F.logsigmoid(signs * (logits + joint.bias)).sum()
        else:
            shares = same / same.sum(1, keepdim=True)
            both = (logits.log_softmax(1) * shares).sum() + (logits.log_softmax(0) * shares).sum()
            nats = -both / 2
        rows = torch.arange(count, device=logits.device)
        found = {"caption": same[rows, logits.argmax(1)].sum(), "image": same[logits.argmax(0), rows].sum()}
        return {"pair": nats}, {**found, "spread": spread(torch.cat([picture, text]).detach()) * count}

    def nets(self) -> dict[str, nn.Module]:
        """The space that both towers share."""
        c = self.config
        return {"joint": Joint(self.spec.model, c.embedding, c.loss, self.spec.seed, c.scale_limit)}

    def after_step(self, nets: Any, example: int) -> None:
        """The scale stays below its limit (Radford et al. 2021, section 2.5)."""
        with torch.no_grad():
            nets["joint"].scale.clamp_(max=nets["joint"].limit)

    def features(self, nets: Any, batch: Batch) -> Tensor:
        """The pictures' unit vectors ``[B, embedding]``."""
        hidden = nets["network"].backbone(**nets["network"].pictures(batch["image"])).hidden
        return nets["joint"].pictures(nets["network"], hidden)

    def described(self, nets: Any, tokens: Tensor) -> Tensor:
        """The unit vectors ``[B, embedding]`` of captions ``[B, T]``."""
        hidden = nets["network"].backbone(**self._texts(nets["network"], tokens)).hidden
        return nets["joint"].texts(hidden, self._places(tokens))

    def expect(self, spec: Spec) -> Expectation:
        """By chance every caption of the batch fits: ln B. A pair's sigmoid begins at a bias of -10, which a right one
        pays for, and which a scale of 10 times a fresh network's cosines moves: what it comes to is not known."""
        batch = max(2, spec.batch)
        sigmoid = self.config.loss == "sigmoid"
        return Expectation(
            first={} if sigmoid else {"pair": math.log(batch)},
            tolerance=0.3,
            floor=f"ln B = {math.log(batch):.3f} nats by chance in batches of {batch}",
            collapse="the loss stays where it is by chance, and the spread goes to 0: all pictures look alike",
            metrics={
                "caption": "share of pictures whose nearest caption is right",
                "image": "share of captions whose nearest picture is right",
                "spread": "how far the vectors scatter",
            },
            collapse_at={} if sigmoid else {"pair": math.log(batch)},
            collapse_below={"spread": 0.1},
        )

    def _texts(self, network: Any, tokens: Tensor, examples: Tensor | None = None) -> dict[str, Any]:
        return network.texts(tokens, Mask("full" if self.spec.model.shape == "siglip" else "causal"), examples)

    def _places(self, tokens: Tensor) -> Tensor:
        """Where the hidden state stands for a caption: at its end, or in the last position."""
        if self.spec.model.shape == "siglip":
            return torch.full((len(tokens),), tokens.shape[1] - 1, device=tokens.device)
        return (tokens == self.spec.specials["eos"]).int().argmax(dim=1)


METRICS = ("caption", "image", "spread")


def mark(values: np.ndarray) -> np.ndarray:
    """A number by which equal rows of integers ``[B, …]`` are known, fp64 ``[B]``: 52 bits of a sum of products with
    odd words, which wraps (Carter and Wegman 1979)."""
    flat = values.reshape(len(values), -1).astype(np.uint64)
    words = np.arange(1, flat.shape[1] + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(29))) | np.uint64(1)
    return (((flat + np.uint64(1)) * words).sum(axis=1) & np.uint64(2**52 - 1)).astype(np.float64)
