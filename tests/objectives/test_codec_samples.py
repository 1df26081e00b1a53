"""Codecs come nearer to samples than silence does, not to spectra alone; what is judged is played from all books."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawn_sounds import WORDS, word

from seedstock.models.configs.codec import CodecConfig
from seedstock.objectives.base import Spec
from seedstock.objectives.configs.residual_codes import ResidualCodesConfig

CODEC = CodecConfig(samples=1000, rate=2000, filters=8, ratios=(4, 5), recurrent=1, latent=8, codes=16, books=3)
FIELDS = {"waveform": (1000,)}


def clips(count=16):
    """Words with as much silence behind them."""
    rng = np.random.default_rng(3)
    words = [word(WORDS[number % 4], rng)[:1000] for number in range(count)]
    stored = np.stack([np.pad(one, (0, 1000 - len(one))) for one in words])
    return {
        "waveform": torch.from_numpy((stored * 32767).astype(np.int16)),
        "length": torch.tensor([len(one) for one in words]),
        "present": torch.ones(count, dtype=torch.bool),
    }


def made(**options):
    config = ResidualCodesConfig(**options)
    nets = torch.nn.ModuleDict({"network": CODEC.build()})
    objective = config.build(Spec(vocab_size=0, context=50, model=CODEC, fields=FIELDS))
    objective.assembled(nets)
    return objective, nets


def sums(objective, nets, batch):
    return objective.loss(nets, nets["network"].backbone(**objective.inputs(nets, batch)), batch)


def drawn(batch, books=3, *, unrounded=False):
    count = len(batch["present"])
    return batch | {"books": torch.full((count,), books), "unrounded": torch.full((count,), unrounded)}


def test_samples_are_found_beside_their_spectra():
    # With the absolute error and the same weights 0.83 is left of the power, of the first recipe's sounds all of it.
    objective, nets = made(wave="relative", spectra=0.05, commitment=0.05)
    batch, steps = drawn(clips(8)), 60
    optimizer = torch.optim.AdamW([one for one in nets.parameters() if one.requires_grad], 0.003, betas=(0.8, 0.99))
    for number in range(steps):
        losses, _ = sums(objective, nets, drawn(clips(8), unrounded=number < 0.75 * steps))
        optimizer.zero_grad()
        (sum(losses.values()) / 8).backward()
        optimizer.step()
        nets["network"].after_step()
    nets.eval()
    with torch.inference_mode():
        losses, metrics = sums(objective, nets, batch)
        assert float(metrics["noise"]) / 8 < 0.5
        assert float(losses["spectra"]) / 8 < 0.6 * objective.floors([batch])["silent spectra"]


@torch.inference_mode()
def test_loud_clips_count_as_quiet_ones_and_silence_is_no_division_by_nothing():
    objective, nets = made(wave="relative")
    batch = drawn(clips())
    quiet = batch | {"waveform": (batch["waveform"] // 8)}
    nets["network"].decoder.layers[-1].length.zero_()
    for one in (batch, quiet):
        assert float(sums(objective, nets, one)[0]["wave"]) / 16 == pytest.approx(1, abs=1e-4)
        assert objective.floors([one])["silence"] == pytest.approx(1, abs=1e-4)
    silent = batch | {"waveform": torch.zeros_like(batch["waveform"])}
    assert float(sums(objective, nets, silent)[0]["wave"]) == 0
    assert objective.floors([silent])["silence"] == 0


@torch.inference_mode()
def test_only_training_plays_from_fewer_books_or_from_latents():
    objective, nets = made(wave="relative")
    whole, one, bare = drawn(clips()), drawn(clips(), 1), drawn(clips(), unrounded=True)
    training = [float(sums(objective, nets, batch)[0]["wave"]) for batch in (whole, one, bare)]
    assert len(set(training)) == 3
    nets.eval()
    judged = [float(sums(objective, nets, batch)[0]["wave"]) for batch in (whole, one, bare)]
    assert len(set(judged)) == 1
