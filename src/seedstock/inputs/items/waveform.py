"""Sounds as samples: clips of one length at one rate."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field as Given

from seedstock.config import Count
from seedstock.corpus.media.types import Undecodable
from seedstock.inputs.items.captions import caption
from seedstock.inputs.items.config import Document, Field, InputConfig, Item

Rate = Annotated[Count, Given(ge=1000, le=192_000, description="samples a second")]
FULL = 32767.0  # what the largest sample is stored as


class SoundConfig(InputConfig):
    """What every input of sounds has: clips of ``seconds`` at ``rate``, one after another out of each sound.

    All channels become one, their mean; other rates are resampled. The last clip of a sound is filled up with silence,
    and ``length`` says how much of it is sound; it is left out where it is shorter than ``shortest`` seconds and not
    the only one. ``label``, ``caption``: as in ``ImagesConfig``. ``group`` names the key of the meta by which probes
    leave one group out after another (``split_group`` is what a source's ``group`` becomes): items then have ``group``,
    int32, a number of its name.
    """

    media: ClassVar[str | None] = "audio/"
    modality: ClassVar[str] = "audio"
    unit: ClassVar[str] = "clips"

    rate: Rate = 16_000
    seconds: Annotated[float, Given(gt=0, le=600)] = 1.0
    shortest: Annotated[float, Given(ge=0)] = 0.25
    label: str | None = None
    group: str | None = None
    caption: Annotated[int, Given(ge=3, description="tokens, BOS and EOS among them")] | None = None

    @property
    def samples(self) -> int:
        """Of a clip."""
        return max(1, round(self.seconds * self.rate))

    @property
    def tokenized(self) -> bool:
        """Captions become tokens."""
        return self.caption is not None

    def beside(self) -> dict[str, Field]:
        """The fields beside the sound itself."""
        found = {"length": Field("<i4")}
        found |= {name: Field("<i4") for name in ("label", "group") if getattr(self, name) is not None}
        return found | ({"tokens": Field("<i4", (self.caption,))} if self.caption is not None else {})

    def items(self, document: Document, tokenizer: Any = None) -> Iterator[Item]:
        """Its clips, in order. Raises Undecodable for what is damaged or empty."""
        if document.media is None:
            return
        about: Item = {}
        if self.label is not None:
            about["label"] = np.array(document.label, "<i4")
        if self.group is not None:
            name = str(document.meta.get(self.group, ""))
            about["group"] = np.array(zlib.crc32(name.encode()) & 0x7FFFFFFF if name else -1, "<i4")
        if self.caption is not None:
            about["tokens"] = caption(document.text, tokenizer, self.caption)
        for samples, length in clips(document.media, self.rate, self.samples, round(self.shortest * self.rate)):
            yield {**self.sound(samples, length), **about}

    def sound(self, samples: np.ndarray, length: int) -> Item:
        """The fields of a clip, float32 ``[samples]`` of which ``length`` are sound: ``length`` among them."""
        raise NotImplementedError


class WaveformConfig(SoundConfig):
    """``waveform`` int16 ``[samples]``, and ``length`` in samples."""

    kind: Literal["waveform"] = "waveform"

    def fields(self) -> dict[str, Field]:
        """``waveform``, ``length``, and what is asked for beside them."""
        return {"waveform": Field("<i2", (self.samples,)), **self.beside()}

    def sound(self, samples: np.ndarray, length: int) -> Item:
        """As 16-bit samples."""
        stored = np.rint(np.clip(samples, -1, 1) * FULL).astype("<i2")
        return {"waveform": stored, "length": np.array(length, "<i4")}


def clips(data: bytes, rate: int, size: int, shortest: int = 0) -> Iterator[tuple[np.ndarray, int]]:
    """Clips of a sound, float32 ``[size]``, and how much of each is sound. Raises Undecodable where there is none."""
    from seedstock.corpus.media.sounds import SAMPLES, resampled, sound

    samples, own = sound(data)
    if len(samples) * rate // own > SAMPLES:
        raise Undecodable(f"at {rate} samples a second the sound is longer than {SAMPLES} samples")
    samples = resampled(samples, own, rate)
    if not len(samples):
        raise Undecodable("the sound has no samples")
    for start in range(0, len(samples), size):
        part = samples[start : start + size]
        if start and len(part) < min(shortest, size):
            return
        yield np.pad(part, (0, size - len(part))), len(part)
