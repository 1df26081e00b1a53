"""Short-time spectra of sounds in bands of the mel scale; numpy alone."""

from __future__ import annotations

from functools import cache

import numpy as np

_LINEAR = 200 / 3  # Hz a mel below _BREAK
_BREAK, _STEP = 1000.0, np.log(6.4) / 27


@cache
def filters(rate: int, points: int, bands: int) -> np.ndarray:
    """Triangles over the bins of a Fourier transform of ``points``: float64 ``[points // 2 + 1, bands]``.

    Slaney's mel scale (linear below 1 kHz, logarithmic above) from 0 to half of ``rate``, each triangle of area one
    (Slaney 1998, Auditory Toolbox).
    """
    edges = _hertz(np.linspace(0, _mel(rate / 2), bands + 2))
    bins = np.linspace(0, rate // 2, points // 2 + 1)
    slopes = edges[None] - bins[:, None]
    width = np.diff(edges)
    rising, falling = -slopes[:, :-2] / width[:-1], slopes[:, 2:] / width[1:]
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))


def power(samples: np.ndarray, points: int, hop: int) -> np.ndarray:
    """Power of frames of ``points`` samples under a periodic Hann window: float64 ``[…, frames, points // 2 + 1]``.

    ``samples`` ``[…, samples]``; a frame begins every ``hop`` samples, and none goes over the end.
    """
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(points) / points)
    frames = np.lib.stride_tricks.sliding_window_view(samples, points, axis=-1)[..., ::hop, :]
    spectrum = np.fft.rfft(frames * window, axis=-1)
    return spectrum.real**2 + spectrum.imag**2


def log_mel(samples: np.ndarray, rate: int, bands: int, points: int, hop: int, floor: float = 1e-10) -> np.ndarray:
    """Base-10 logarithms of the bands' powers, float64 ``[…, frames, bands]``."""
    return np.log10(np.maximum(power(samples, points, hop) @ filters(rate, points, bands), floor))


def mfcc(samples: np.ndarray, rate: int, points: int, hop: int, coefficients: int = 13, bands: int = 40) -> np.ndarray:
    """Cepstral coefficients of the mel bands (Davis and Mermelstein 1980) with their first and second differences over
    ±2 frames: float64 ``[…, frames, 3 · coefficients]``."""
    energies = log_mel(samples, rate, bands, points, hop)
    angles = np.pi / bands * (np.arange(bands)[:, None] + 0.5) * np.arange(coefficients)
    found = energies @ (np.cos(angles) * np.sqrt(2 / bands))
    first = _differences(found)
    return np.concatenate([found, first, _differences(first)], axis=-1)


def _differences(frames: np.ndarray) -> np.ndarray:
    """Slopes of the lines fitted to five frames; the ends are repeated."""
    edges = [(0, 0)] * (frames.ndim - 2) + [(2, 2), (0, 0)]
    padded, count = np.pad(frames, edges, mode="edge"), frames.shape[-2]
    part = [padded[..., at : at + count, :] for at in range(5)]
    return (2 * (part[4] - part[0]) + part[3] - part[1]) / 10


def middles(lowest: float, highest: float, bands: int) -> np.ndarray:
    """In Hz, float64 ``[bands]``: the middles of bands that lie side by side from ``lowest`` to ``highest`` Hz."""
    low, high = _mel(lowest), _mel(highest)
    return _hertz(low + (np.arange(bands) + 0.5) * (high - low) / bands)


def _mel(hertz: float) -> float:
    linear = hertz / _LINEAR
    return linear if hertz < _BREAK else _BREAK / _LINEAR + float(np.log(hertz / _BREAK) / _STEP)


def _hertz(mels: np.ndarray) -> np.ndarray:
    at = _BREAK / _LINEAR
    return np.where(mels < at, mels * _LINEAR, _BREAK * np.exp(_STEP * (np.maximum(mels, at) - at)))
