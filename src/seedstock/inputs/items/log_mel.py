"""Sounds as log-mel spectra, as Whisper reads them."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field as Given

from seedstock.inputs.items import mel
from seedstock.inputs.items.config import Field, Item
from seedstock.inputs.items.waveform import SoundConfig

WINDOW, HOP = 0.025, 0.01  # seconds


class LogMelConfig(SoundConfig):
    """``spectrum`` float32 ``[frames, bins]`` of a clip with its silence, and ``length`` in frames (of 10 ms).

    As Radford et al. 2022 have it: windows of 25 ms around every 10 ms, mirrored at both ends; log10 of the power in
    ``bins`` mel bands, no more than 8 below the clip's largest, plus 4, divided by 4.
    """

    kind: Literal["log-mel"] = "log-mel"
    bins: Annotated[int, Given(ge=4, le=256)] = 80

    @property
    def frames(self) -> int:
        """Of a clip."""
        return self.samples // round(HOP * self.rate)

    def fields(self) -> dict[str, Field]:
        """``spectrum``, ``length``, and what is asked for beside them."""
        return {"spectrum": Field("<f4", (self.frames, self.bins)), **self.beside()}

    def sound(self, samples: np.ndarray, length: int) -> Item:
        """The spectrum."""
        hop = round(HOP * self.rate)
        frames = min(self.frames, -(-length // hop))
        return {"spectrum": spectrum(samples, self.rate, self.bins), "length": np.array(frames, "<i4")}


def spectrum(samples: np.ndarray, rate: int, bins: int) -> np.ndarray:
    """float32 ``[samples]`` → float32 ``[samples // hop, bins]``; see ``LogMelConfig``."""
    points, hop = round(WINDOW * rate), round(HOP * rate)
    edges = points // 2
    padded = np.pad(samples.astype(np.float64), edges, mode="reflect" if len(samples) > edges else "constant")
    found = mel.log_mel(padded, rate, bins, points, hop)[: len(samples) // hop]
    return ((np.maximum(found, found.max() - 8) + 4) / 4).astype(np.float32)
