"""Codecs: sounds played again from the codes of several codebooks, each for what the ones before it left."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seedstock.models.codebook import straight_through
from seedstock.models.codec import floating
from seedstock.objectives import linear_codes, spectra
from seedstock.objectives.base import Batch, Expectation, Objective, Spec, Sums
from seedstock.objectives.configs.residual_codes import ResidualCodesConfig
from seedstock.objectives.sounds import SAMPLES, pooled_spectra

BLOCK = 512  # samples that a linear code takes together, at most
QUIET = 1e-6
"""The mean square that a clip has at least, where errors are parts of it: 60 dB below the loudest."""


class ResidualCodes(Objective):
    """Error of samples, distance of spectra, and of latents from their vectors."""

    exports = "encodec"

    def __init__(self, config: ResidualCodesConfig | None = None, spec: Spec | None = None) -> None:
        self.config, self.spec = config or ResidualCodesConfig(), spec or Spec(vocab_size=0, context=0)

    def assembled(self, nets: Any) -> None:
        """Says how the codebooks move."""
        c = self.config
        for book in nets["network"].books:
            book.follow(c.decay, c.revive, learned=c.codebook == "gradient")

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``waveform`` int16 ``[B, S]``, ``length`` and ``present`` ``[B]``."""
        return {name: items[name] for name in SAMPLES}

    def corrupt(self, batch: Batch, keys: Any) -> Batch:
        """Adds ``books`` int64 ``[B]``: how many a clip is played from; and ``unrounded`` bool ``[B]``: from none."""
        count, device = self.spec.model.books, batch["present"].device
        draws = torch.from_numpy(keys.uniform("fewer", 2))
        few = draws[:, 0] < self.config.fewer
        books = torch.where(few, 1 + (draws[:, 1] * count).long().clamp(max=count - 1), count)
        bare = torch.from_numpy(keys.uniform("unrounded", 1))[:, 0] < self.config.unrounded
        return {**batch, "books": books.to(device), "unrounded": bare.to(device)}

    def counts(self, batch: Batch) -> Sums:
        """Clips that are there, of every loss."""
        names = ("wave", "spectra", "commitment", *["codebook"] * (self.config.codebook == "gradient"))
        return dict.fromkeys(names, batch["present"].sum())

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """Whole clips."""
        return nets["network"].inputs(batch["waveform"])

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``wave``; ``spectra`` and ``commitment``, their weights in them, and ``codebook``: of each clip the error of
        its samples, the distance of ``objectives.spectra``, and the squared distances of latents and vectors, added up
        over books. Metrics: ``perplexity``, the exponential of the entropy of a micro-batch's codes, of the book where
        it is least; ``noise``, the mean squared error of samples over their mean square."""
        network, there, wanted = nets["network"], batch["present"], floating(batch["waveform"])
        latents, count = output.hidden.float(), batch["books"]
        if not network.training:  # what is judged is played from all that there are
            count = torch.full_like(count, len(network.books))
        codes, given, vectors = network.rounded(latents)
        used = there[:, None] & (torch.arange(len(vectors), device=there.device) < count[:, None])
        whole, far, learned, least = torch.zeros_like(latents), 0.0, 0.0, torch.tensor(float("inf"))
        for number, (book, left, vector) in enumerate(zip(network.books, given, vectors, strict=True)):
            own = used[:, number]
            book.note(left, codes[..., number], own)
            whole = whole + vector * (count > number)[:, None, None]
            far = far + ((left - vector.detach()).square().mean(dim=(1, 2)) * own).sum()
            if self.config.codebook == "gradient":
                learned = learned + ((left.detach() - vector).square().mean(dim=(1, 2)) * own).sum()
            least = torch.minimum(least.to(own.device), _perplexity(codes[..., number], own, len(book.weight)))
        kept = (batch["unrounded"] & network.training)[:, None, None]
        played = network.decode(torch.where(kept, latents, straight_through(latents, whole)))
        error = played - wanted
        away = error.abs().mean(1)
        if self.config.wave == "relative":
            away = error.square().mean(1) / wanted.square().mean(1).clamp_min(QUIET)
        apart = spectra.distances(played, wanted, self.spec.model.rate, self.config.bands)
        sums = {
            "wave": (away * there).sum(),
            "spectra": self.config.spectra * (apart * there).sum(),
            "commitment": self.config.commitment * far,
        }
        if self.config.codebook == "gradient":
            sums["codebook"] = learned
        lost, power = ((one.square().mean(1) * there).sum() for one in (error.detach(), wanted))
        noise = lost / power.clamp_min(1e-12)
        return sums, {"perplexity": least * there.sum(), "noise": noise * there.sum()}

    def features(self, nets: Any, batch: Batch) -> Tensor:
        """Means and deviations over time of the latents ``[B, 2 · E]``."""
        latents = nets["network"].latents(batch["waveform"])
        return torch.cat([latents.mean(1), latents.std(1, correction=0)], dim=1)

    def plain(self, batch: Batch) -> Tensor:
        """Means and deviations of spectra, which probes hold the features against."""
        return pooled_spectra(batch, self.spec.model.rate)

    def pictures(self, nets: Any, batch: Batch) -> np.ndarray:
        """Rows of spectra, time from left to right and the mel scale upwards: of the clip; of it played again."""
        clips = torch.stack([floating(batch["waveform"]), nets["network"](batch["waveform"])])
        drawn = spectra.drawn(clips.flatten(0, 1).float().cpu(), self.spec.model.rate, self.config.bands)
        return drawn.reshape(*clips.shape[:2], *drawn.shape[1:])

    def floors(self, batches: Iterable[Batch]) -> dict[str, float]:
        """``silence``: the error of playing nothing; ``silent spectra``: its distance of spectra, weighted as
        in the loss; ``linear, same bits``: the noise that the best linear code of blocks of samples would leave of
        Gaussian data with as many bits (``objectives.linear_codes``)."""
        found = [floating(one["waveform"])[one["present"]].cpu() for one in batches]
        clips = torch.cat(found) if found else torch.zeros(0, 1)
        if not len(clips):
            return {}
        model = self.spec.model
        size = max(1, min(BLOCK, model.samples) // model.hop) * model.hop
        bits = size / model.hop * model.books * math.log2(model.codes)
        blocks, known = (one.unfold(1, size, size).flatten(0, 1) for one in (clips, self._known(clips)))
        lost = linear_codes.errors(blocks, known, 1, bits)
        noise = {name: lost[name] / max(lost["grey"], 1e-12) for name in ("linear, same bits",) if name in lost}
        far = self.config.spectra * _from_silence(clips, model.rate, self.config.bands)
        square = clips.square().mean(1)
        lone = clips.abs().mean() if self.config.wave == "absolute" else (square / square.clamp_min(QUIET)).mean()
        return {"silence": float(lone), "silent spectra": far, **noise}

    def expect(self, spec: Spec) -> Expectation:
        """Before training next to nothing is played; how far that is in logarithms of spectra nobody can say."""
        return Expectation(
            first={"wave": "silence"},
            tolerance=0.1,
            floor="silence; of the noise, the best linear code of as many bits",
            collapse="few codes of a book are used: its perplexity falls to 1; or nothing is played",
            metrics={
                "perplexity": f"codes in use, of {spec.model.codes:,}, as evenly used ones; the fewest of all books",
                "noise": "squared error of samples, as a part of their mean square",
            },
            collapse_at={"spectra": "silent spectra"},
            collapse_below={"perplexity": 2.0},
        )

    def _known(self, clips: Tensor) -> Tensor:
        """Training clips, up to 2,000 of them, evenly taken."""
        found = linear_codes.sampled(self.spec.shards, "waveform", 2000)
        return clips[:0] if found is None else floating(found)


def _from_silence(clips_BS: Tensor, rate: int, bands: int) -> float:
    parts = [spectra.distances(torch.zeros_like(one), one, rate, bands).sum() for one in clips_BS.split(64)]
    return float(sum(parts)) / len(clips_BS)


def _perplexity(codes_BT: Tensor, there_B: Tensor, size: int) -> Tensor:
    weights = there_B[:, None].expand(codes_BT.shape).flatten().float()
    used = torch.zeros(size, device=codes_BT.device).index_add_(0, codes_BT.flatten(), weights)
    return torch.special.entr(used / used.sum().clamp_min(1)).sum().exp()
