"""Autoencoders of pictures: what lies between is rounded to codes (VQ-VAE), or a Gaussian (KL-VAE)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seedstock.models.codebook import straight_through
from seedstock.models.patches import normalised
from seedstock.objectives import linear_codes
from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums
from seedstock.objectives.configs.codes import KlConfig, PicturesAgain, VqConfig
from seedstock.objectives.noise import normal
from seedstock.objectives.pictures import crops, flips


class Again(Objective):
    """Mean squared error of the pixels that are drawn again, from -1 to 1."""

    def __init__(self, config: PicturesAgain, spec: Spec | None = None) -> None:
        self.config, self.spec = config, spec or Spec(vocab_size=0, context=0)

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``image`` uint8 ``[B, H, W, C]``, cropped and flipped, and ``present`` ``[B]``."""
        images = crops(items["image"], keys, self.config.crop)
        return {"image": flips(images, keys) if self.config.flip else images, "present": items["present"]}

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """Whole pictures."""
        return nets["network"].inputs(batch["image"])

    def features(self, nets: Any, batch: Batch) -> Tensor:
        """All latents of a picture ``[B, T · E]``."""
        return nets["network"].latents(batch["image"]).flatten(1)

    def pictures(self, nets: Any, batch: Batch) -> np.ndarray:
        """Rows of: the picture; what is drawn from its codes, or from the means of its latents."""
        rows = torch.stack([normalised(batch["image"]), nets["network"](batch["image"])])
        return ((rows.clamp(-1, 1) + 1) * 127.5).round().byte().cpu().numpy()

    def floors(self, batches: Iterable[Batch]) -> dict[str, float]:
        """``grey``: nothing drawn; ``mean picture``: the training pictures' mean; ``PCA``: so many numbers of a linear
        code as there are places (of kl: latents); of vq also ``linear, same bits`` (``objectives.linear_codes``)."""
        found = [normalised(one["image"])[one["present"]].flatten(1) for one in batches]
        pictures = torch.cat(found) if found else torch.zeros(0, 1)
        if not len(pictures):
            return {}
        model = self.spec.model
        numbers = model.context * (1 if model.shape == "vq" else model.latent)
        bits = model.context * math.log2(model.codes) if model.shape == "vq" else None
        return linear_codes.errors(pictures, linear_codes.training(self.spec.shards), numbers, bits)

    def _errors(self, nets: Any, latents: Tensor, batch: Batch) -> Tensor:
        """Of each picture ``[B]``."""
        drawn = nets["network"].decode(latents)
        return (drawn - normalised(batch["image"])).square().mean(dim=(1, 2, 3)) * batch["present"]

    def _expected(self, **more: Any) -> Expectation:
        return Expectation(
            first={"pixels": "grey"},
            tolerance=0.1,
            floor="the mean picture; a linear code of as many numbers (PCA)",
            collapse_at={"pixels": "mean picture"},
            **more,
        )


class Vq(Again):
    """From codes: straight-through gradients; the latents are held to their vectors."""

    exports = "vq"

    def __init__(self, config: VqConfig | None = None, spec: Spec | None = None) -> None:
        super().__init__(config or VqConfig(), spec)
        self.config: VqConfig

    def assembled(self, nets: Any) -> None:
        """Says how the codebook moves."""
        c = self.config
        nets["network"].codebook.follow(c.decay, c.revive, learned=c.codebook == "gradient")

    def counts(self, batch: Batch) -> Sums:
        """Pictures that are there, of every loss."""
        there = batch["present"].sum()
        return {"pixels": there, "commitment": there} | (
            {"codebook": there} if self.config.codebook == "gradient" else {}
        )

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``pixels``; ``commitment``, its weight in it, and ``codebook``: squared distances of latents and vectors,
        means over a picture. Metrics: ``perplexity``, the exponential of the entropy of the codes that the micro-batch
        uses, and ``rounding``, the squared distance as a part of the latents' variance."""
        book, there = nets["network"].codebook, batch["present"]
        latents = output.hidden.float()
        codes = book.nearest(latents)
        book.note(latents, codes, there)
        vectors = book(codes)
        sums = {"pixels": self._errors(nets, straight_through(latents, vectors), batch).sum()}
        far = (latents - vectors.detach()).square().mean(dim=(1, 2)) * there
        sums["commitment"] = self.config.commitment * far.sum()
        if self.config.codebook == "gradient":
            sums["codebook"] = ((latents.detach() - vectors).square().mean(dim=(1, 2)) * there).sum()
        each = there[:, None].expand(codes.shape).flatten()
        used = torch.zeros(len(book.weight), device=codes.device).index_add_(0, codes.flatten(), each.float())
        shares = used / used.sum().clamp_min(1)
        around = latents.detach().flatten(0, 1).var(dim=0, correction=0).mean().clamp_min(1e-12)
        return sums, {
            "perplexity": torch.special.entr(shares).sum().exp() * there.sum(),
            "rounding": far.detach().sum() / around,
        }

    def expect(self, spec: Spec) -> Expectation:
        """Before training next to nothing is drawn; how far latents are from their vectors nobody can say."""
        return self._expected(
            collapse="few codes are used: the perplexity falls to 1; or all that is drawn is the mean picture",
            metrics={
                "perplexity": f"codes in use, of {spec.model.codes:,}, as evenly used ones; of a micro-batch",
                "rounding": "what is lost between latents and codes, as a part of the latents' variance",
            },
            collapse_below={"perplexity": 2.0},
        )


class Kl(Again):
    """From a sample of the Gaussian, whose divergence from the standard one is a loss."""

    exports = "kl"

    def __init__(self, config: KlConfig | None = None, spec: Spec | None = None) -> None:
        super().__init__(config or KlConfig(), spec)
        self.config: KlConfig

    def corrupt(self, batch: Batch, keys: Any) -> Batch:
        """Adds ``noise`` ``[B, T, E]``."""
        model = self.spec.model
        return {**batch, "noise": normal(keys, "latents", (model.context, model.latent)).to(batch["image"].device)}

    def counts(self, batch: Batch) -> Sums:
        """Pictures that are there."""
        return {"pixels": batch["present"].sum(), "kl": batch["present"].sum()}

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``pixels``; ``kl``: nats of a picture over the number of its pixels' values, the weight in it, so that both
        weigh as sums would. The metric ``nats``: of one latent number."""
        there = batch["present"]
        mean, spread = output.hidden.float().chunk(2, dim=-1)
        spread = spread.clamp(-30, 20)
        latents = mean + (0.5 * spread).exp() * batch["noise"]
        nats = 0.5 * (mean.square() + spread.exp() - 1 - spread).flatten(1)
        values = batch["image"][0].numel()
        kl = self.config.weight * (nats.sum(1) * there).sum() / values
        metrics = {"nats": (nats.mean(1) * there).sum().detach()}
        return {"pixels": self._errors(nets, latents, batch).sum(), "kl": kl}, metrics

    def expect(self, spec: Spec) -> Expectation:
        """Before training next to nothing is drawn; the divergence is of random layers."""
        return self._expected(
            collapse="no latent says anything: the divergence goes to 0, and the mean picture is drawn",
            metrics={"nats": "divergence of one latent number: what it may say of the picture"},
            collapse_below={"nats": 0.01},
        )
