"""Transcription: the text of a sound, from its spectrum (Radford et al. 2022)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seedstock.errors import SeedstockError
from seedstock.models.mask import Mask
from seedstock.objectives.answer import Answer
from seedstock.objectives.base import Batch, Expectation, Spec
from seedstock.objectives.configs.transcription import TranscriptionConfig


class Transcription(Answer):
    """Cross-entropy of the text's tokens and of its end, each from the sound and from the text before it."""

    chooses = None  # type: ignore[assignment]
    exports = "whisper"

    def __init__(self, config: TranscriptionConfig | None = None, spec: Spec | None = None) -> None:
        self.config: Any = config or TranscriptionConfig()
        self.spec, self.cross = spec or Spec(vocab_size=0, context=0), True

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``spectrum`` fp32 ``[B, frames, bins]``, ``tokens``, ``documents`` and ``targets`` ``[B, T]`` (-1: not to be
        predicted), ``present`` ``[B]``."""
        tokens = items["tokens"].astype(np.int64)
        specials = self.spec.specials
        wanted = (tokens != specials["pad"]) & items["present"][:, None]
        # The stored text is BOS, tokens, EOS: what a text begins with here is the network's own start.
        start = np.full_like(tokens[:, :1], specials[self.spec.model.start])
        return {
            "spectrum": items["spectrum"],
            "tokens": np.concatenate([start, tokens[:, 1:-1]], 1),
            "documents": np.where(wanted[:, 1:], 0, -1),
            "targets": np.where(wanted[:, 1:], tokens[:, 1:], -1),
            "present": items["present"],
        }

    def corrupt(self, batch: Batch, keys: Any) -> Batch:
        """Adds ``draws`` fp32 ``[B, 6]``, by which spectra are spoilt in training."""
        return {**batch, "draws": torch.from_numpy(keys.uniform("spoilt", 6)).float().to(batch["tokens"].device)}

    def inputs(self, nets: Any, batch: Batch) -> dict[str, Any]:
        """The text's tokens, each after those before it, and the sound. Padding comes last, where nothing sees it."""
        network, examples, tokens = nets["network"], batch.get("examples"), batch["tokens"]
        places = torch.arange(tokens.shape[1], device=tokens.device)[None]
        spectrum = spoilt(batch["spectrum"], batch["draws"], self.config) if network.training else batch["spectrum"]
        x, cross = network.embed(tokens, places, examples), network.hear(spectrum, examples)
        return {"x": x, "positions": places, "attention": Mask("causal"), "cross": cross, "examples": examples}

    def generate(self, nets: Any, ids: list[int], tokens: int, *, seed: int, **options: Any) -> list[int]:
        """Raises SeedstockError: texts are written of sounds, and of no prompt."""
        what = f"the objective {self.config.kind} trains a model that writes what it hears, and a prompt is no sound"
        raise SeedstockError(what, fix="`seedstock export` it: the release's card shows how a sound is written down")

    def features(self, nets: Any, batch: Batch) -> Tensor:
        """The mean over what the encoder gives, ``[B, D]``."""
        return nets["network"].encode(batch["spectrum"]).float().mean(1)

    def plain(self, batch: Batch) -> Tensor:
        """Means and deviations of the spectrum over the frames of sound, ``[B, 2 · bins]``."""
        spectrum, length = batch["spectrum"].float(), batch["length"].clamp(min=1)[:, None]
        there = (torch.arange(spectrum.shape[1], device=spectrum.device) < length)[..., None]
        mean = (spectrum * there).sum(1) / length
        away = ((spectrum - mean[:, None]).square() * there).sum(1) / length
        return torch.cat([mean, away.sqrt()], 1)

    def floors(self, batches: Iterable[Batch]) -> dict[str, float]:
        """``text alone``: the entropy of tokens after the one before them, in these same texts: what can be written of
        them without listening."""
        pairs: Tensor | None = None
        size = self.spec.vocab_size
        for batch in batches:
            chosen = batch["targets"] >= 0
            places = batch["tokens"][chosen] * size + batch["targets"][chosen]
            found = torch.bincount(places, minlength=size * size).double()
            pairs = found if pairs is None else pairs + found
        if pairs is None or not bool(pairs.sum()):
            return {}
        pairs = pairs.view(size, size)
        shares = pairs / pairs.sum(1, keepdim=True).clamp(min=1)
        return {"text alone": float(-torch.xlogy(pairs, shares).sum() / pairs.sum())}

    def expect(self, spec: Spec) -> Expectation:
        """Before training every token is as likely as any other: ln V nats."""
        return Expectation(
            first={"answer": math.log(spec.vocab_size)},
            floor="the entropy of the texts' tokens after the one before them",
            collapse="texts are written without listening: the loss is that of the text alone",
            collapse_at={"answer": "text alone"},
            metrics={"exact": "share of sounds whose text is what greedy writing gives"},
        )


def spoilt(spectrum_BTF: Tensor, draws_B6: Tensor, config: TranscriptionConfig) -> Tensor:
    """Spectra stretched, moved and partly hidden, by uniform draws."""
    _, frames, bins = spectrum_BTF.shape
    at_T, at_F = (torch.arange(size, device=spectrum_BTF.device) for size in (frames, bins))
    u = draws_B6[:, :, None]
    found = spectrum_BTF
    if config.stretch:
        from_BT = (at_T * (1 + config.stretch * (2 * u[:, 0] - 1))).round().long().clamp(max=frames - 1)
        found = found.gather(1, from_BT[..., None].expand(-1, -1, bins))
    if config.shift:
        from_BF = (at_F + (u[:, 1] * (2 * config.shift + 1)).floor().long() - config.shift).clamp(0, bins - 1)
        found = found.gather(2, from_BF[:, None].expand(-1, frames, -1))
    hidden_BT = _stretch(at_T, u[:, 2], u[:, 3], config.hide_frames)
    hidden_BF = _stretch(at_F, u[:, 4], u[:, 5], config.hide_bins)
    mean = found.mean(dim=(1, 2), keepdim=True)
    return torch.where(hidden_BT[:, :, None] | hidden_BF[:, None], mean, found)


def _stretch(at: Tensor, wide: Tensor, first: Tensor, most: int) -> Tensor:
    """Up to ``most`` places in a row, anywhere: bool ``[B, size]``."""
    width = (wide * (min(most, len(at) - 1) + 1)).floor()
    start = (first * (len(at) - width + 1)).floor()
    return (at >= start) & (at < start + width)
