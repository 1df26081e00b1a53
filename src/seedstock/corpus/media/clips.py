"""Video clips: what their container says, and frames as RGB arrays."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from seedstock.corpus.media.types import LONGEST, Undecodable, needs, sniff

PIXELS = 2**28  # of all frames that are asked for: 768 MiB as RGB
FRAME_PIXELS = 2**26
# The demuxer is chosen by the first bytes: one that FFmpeg guesses may be a playlist, which opens other files.
_DEMUXERS = {
    "video/mp4": "mov",
    "video/x-matroska": "matroska",
    "video/x-msvideo": "avi",
    "video/x-flv": "flv",
    "video/mp2t": "mpegts",
    "video/mpeg": "mpeg",
    "audio/ogg": "ogg",
    "image/gif": "gif",
}


def describe(data: bytes) -> dict[str, Any]:
    """What is in a clip: format, codec, width, height, frames, frames_per_second (average), seconds, variable, sound.

    Goes through every packet, decodes the first frame, and raises Undecodable where the clip is empty or breaks off.
    """
    with _opened(data) as (container, stream):
        promised, size = stream.frames, 0
        times = []
        for packet in container.demux(stream):
            if packet.size:
                size += 1
                if packet.pts is not None:
                    times.append(packet.pts)
        if size < promised:
            raise Undecodable(f"the clip breaks off after {size} of {promised} frames")
        times.sort()
        steps = np.diff(times)
        scale = float(stream.time_base or 0)
        seconds = (times[-1] - times[0] + (float(np.median(steps)) if len(steps) else 0.0)) * scale if times else 0.0
        found = {
            "format": container.format.name.split(",")[0],
            "codec": stream.codec_context.name,
            "width": stream.codec_context.width,
            "height": stream.codec_context.height,
            "frames": size,
            "frames_per_second": round(size / seconds, 4) if seconds > 0 else None,
            "seconds": round(seconds, 6),
            # A time base of a millisecond rounds equal steps to two neighbouring numbers.
            "variable": bool(len(steps) and int(steps.max() - steps.min()) > 1),
            "sound": bool(container.streams.audio),
        }
    frames(data, count=1)
    return found


def frames(
    data: bytes, count: int, *, rate: float | None = None, start: float = 0.0, size: tuple[int, int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(uint8 ``[T, height, width, 3]``, seconds ``[T]`` from the clip's beginning): at most ``count`` frames.

    With ``rate`` they are those shown at ``start``, ``start + 1 / rate``, …, whatever the clip's own rate, constant or
    not; without, every stored frame from ``start`` on. ``size`` is (height, width) to scale to. Raises Undecodable
    for what is damaged, has no frame from ``start`` on, or is larger than ``PIXELS`` in all.
    """
    taken: list[np.ndarray] = []
    times: list[float] = []
    with _opened(data) as (container, stream):
        shown: tuple[float, Any] | None = None
        for time, frame in _decoded(container, stream):
            if rate is None:
                if time >= start - 1e-6:
                    _take(taken, times, time, frame, size, count)
            else:
                # A frame is shown until the next one begins.
                while shown and len(taken) < count and start + len(taken) / rate < time - 1e-6:
                    _take(taken, times, shown[0], shown[1], size, count)
                shown = time, frame
            if len(taken) >= count:
                break
        else:
            if rate is not None and shown and len(taken) < count and start + len(taken) / rate <= shown[0] + 1e-6:
                _take(taken, times, shown[0], shown[1], size, count)
    if not taken:
        raise Undecodable(f"the clip has no frame from second {start:g} on" if start else "the clip has no frames")
    return np.stack(taken), np.array(times)


def _take(
    taken: list[np.ndarray], times: list[float], time: float, frame: Any, size: tuple[int, int] | None, count: int
) -> None:
    height, width = size or (frame.height, frame.width)
    if height * width > FRAME_PIXELS or height * width * count > PIXELS:
        raise Undecodable(f"{count} frames of {width} x {height} pixels are more than the limit of {PIXELS} pixels")
    pixels = frame.to_ndarray(format="rgb24", width=width, height=height)
    if taken and pixels.shape != taken[0].shape:
        raise Undecodable("the clip's frames change their size; ask for one size")
    taken.append(pixels)
    times.append(time)


def _decoded(container: Any, stream: Any) -> Iterator[tuple[float, Any]]:
    first: float | None = None
    try:
        for frame in container.decode(stream):
            if frame.width * frame.height > FRAME_PIXELS:
                raise Undecodable(f"frames of {frame.width} x {frame.height} pixels are more than the limit")
            time = float(frame.time or 0.0)
            first = time if first is None else first
            yield time - first, frame
    except Undecodable:
        raise
    except Exception as error:  # decoders of damaged files raise whatever they stumble over
        raise Undecodable(_why(error)) from error


@contextlib.contextmanager
def _opened(data: bytes) -> Iterator[tuple[Any, Any]]:
    av = needs("av", "PyAV")
    demuxer = _DEMUXERS.get(sniff(data) or "")
    if not data:
        raise Undecodable("the clip is empty")
    if len(data) > LONGEST:
        raise Undecodable(f"the clip is longer than {LONGEST} bytes")
    if demuxer is None:
        raise Undecodable("not a clip of a known container (MP4, Matroska, AVI, Ogg, FLV, MPEG, GIF)")
    try:
        with av.open(io.BytesIO(data), format=demuxer, metadata_errors="replace") as container:
            if not container.streams.video:
                raise Undecodable("there is no video in it")
            stream = container.streams.video[0]
            stream.thread_count = 1  # one core a worker
            width, height = stream.codec_context.width, stream.codec_context.height
            if width * height > FRAME_PIXELS:
                raise Undecodable(f"frames of {width} x {height} pixels are more than the limit")
            yield container, stream
    except Undecodable:
        raise
    except Exception as error:  # of a damaged container: FFmpeg's own, and whatever its numbers lead to
        raise Undecodable(_why(error)) from error


def _why(error: Exception) -> str:
    text = str(getattr(error, "strerror", None) or error).splitlines()
    return f"damaged clip: {text[0][:200] if text else type(error).__name__}"
