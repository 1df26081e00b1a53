"""Sounds: what their header says, and their samples as float32."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from seedstock.corpus.media.types import LONGEST, Undecodable, needs

SAMPLES = 2**28  # of all channels: 1 GiB as float32, 97 minutes of 48 kHz mono
RATES = (1000, 2**20)  # samples a second: a header can claim any number, and clips are brought to one rate
_BLOCK = 1 << 18  # frames decoded at once
_CROSSINGS, _ROLL_OFF = 16, 0.945  # of the resampling filter: zero crossings a side, cutoff as a part of Nyquist's


def describe(data: bytes) -> dict[str, Any]:
    """Decodes all of it and says: format, subtype, sample_rate (Hz), channels, frames, seconds. Raises Undecodable.

    Memory is one block, whatever the length.
    """
    with _open(data) as file:
        frames = sum(len(block) for block in _blocks(file))
        return {
            "format": file.format.lower(),
            "subtype": file.subtype.lower(),
            "sample_rate": file.samplerate,
            "channels": file.channels,
            "frames": frames,
            "seconds": round(frames / file.samplerate, 6),
        }


def sound(data: bytes) -> tuple[np.ndarray, int]:
    """(float32 ``[samples]`` in -1 … 1, the mean of all channels; samples a second). Nothing is resampled.

    Raises Undecodable for what is damaged, cut off, empty, not finite or longer than ``SAMPLES``.
    """
    with _open(data) as file:
        mono = [block.mean(axis=1, dtype=np.float32) for block in _blocks(file)]
        return np.concatenate(mono), file.samplerate


def resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """float32 ``[samples]`` at ``rate`` a second → at ``wanted``: ⌈samples · wanted / rate⌉ of them.

    Band-limited interpolation (Smith and Gossett 1984): a sinc below the lower of both Nyquist frequencies, under a
    Hann window of 16 zero crossings a side, whatever the two rates. Each place between samples has its own taps, so
    that memory is a block. Raises ValueError for rates that are not positive.
    """
    if min(rate, wanted) < 1:
        raise ValueError(f"{rate} and {wanted} samples a second: both must be positive")
    if rate == wanted:
        return samples
    cutoff = min(1.0, wanted / rate) * _ROLL_OFF  # of a sample, in half a cycle
    reach = int(np.ceil(_CROSSINGS / cutoff))
    padded = np.pad(samples, reach)
    count = -(-len(samples) * wanted // rate)
    found = np.empty(count, np.float32)
    steps, size = np.arange(2 * reach), max(1, _BLOCK // (2 * reach))
    for start in range(0, count, size):
        at = np.arange(start, min(start + size, count), dtype=np.int64) * rate
        first, part = at // wanted, (at % wanted) / wanted
        away = (part[:, None] + reach - 1 - steps) * cutoff  # from place ``first - reach + 1 + step``
        inside = np.abs(away) < _CROSSINGS
        taps = np.sinc(away) * np.cos(np.pi * away / (2 * _CROSSINGS)) ** 2 * inside * cutoff
        found[start : start + len(at)] = (padded[first[:, None] + 1 + steps] * taps).sum(axis=1)
    return found


def _open(data: bytes) -> Any:
    soundfile = needs("soundfile", "soundfile")
    if not data:
        raise Undecodable("the sound is empty")
    if len(data) > LONGEST:
        raise Undecodable(f"the sound is longer than {LONGEST} bytes")
    if (lacking := _cut_off(data)) > 0:
        raise Undecodable(f"the sound breaks off: {lacking} bytes are missing")
    try:
        file = soundfile.SoundFile(io.BytesIO(data))
    except Exception as error:
        raise Undecodable(_why(error)) from error
    if not RATES[0] <= file.samplerate <= RATES[1]:
        raise Undecodable(f"{file.samplerate} samples a second: no sound has so many or so few")
    return file


def _blocks(file: Any) -> Iterator[np.ndarray]:
    """Float32 ``[frames, channels]``, all finite."""
    promised, read = file.frames, 0
    while True:
        try:
            block = file.read(_BLOCK, dtype="float32", always_2d=True)
        except Exception as error:
            raise Undecodable(f"{_why(error)} after {read} frames") from error
        if not len(block):
            break
        read += len(block)
        if read * file.channels > SAMPLES:
            raise Undecodable(f"the sound is longer than {SAMPLES} samples")
        if not np.isfinite(block).all():
            raise Undecodable("the sound has samples that are not finite")
        yield block
    if not read:
        raise Undecodable("the sound has no samples")
    if read < promised:
        raise Undecodable(f"the sound breaks off after {read} of {promised} frames")


def _cut_off(data: bytes) -> int:
    """How many bytes of a WAV file's samples are missing; the decoder plays what is there and says nothing."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return 0
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        if name == b"data":
            streamed = size in (0, 0xFFFFFFFF)  # written to a pipe: the length was not known
            return 0 if streamed else at + 8 + size - len(data)
        at += 8 + size + size % 2
    return 0


def _why(error: Exception) -> str:
    text = str(getattr(error, "error_string", error)).splitlines()  # its own text holds where in memory the file lies
    return f"damaged or unknown sound: {text[0][:200] if text else type(error).__name__}"
