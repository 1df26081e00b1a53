"""Pictures, sounds, clips and archives made for tests: whole ones and every kind of broken one."""

from __future__ import annotations

import io
import tarfile
import zlib
from fractions import Fraction

import av
import numpy as np
import soundfile
from PIL import Image


def picture(form: str = "PNG", size: tuple[int, int] = (12, 8), mode: str = "RGB", seed: int = 0, **options) -> bytes:
    rng = np.random.default_rng(seed)
    bands = {"L": 0, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    shape = (size[1], size[0], bands) if bands else (size[1], size[0])
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, shape, np.uint8), mode).save(out, form, **options)
    return out.getvalue()


def animation(frames: int = 3) -> bytes:
    images = [Image.new("RGB", (6, 4), color) for color in ("red", "blue", "green")[:frames]]
    out = io.BytesIO()
    images[0].save(out, "GIF", save_all=True, append_images=images[1:])
    return out.getvalue()


def deep(values: np.ndarray) -> bytes:
    """A 16-bit grey PNG."""
    out = io.BytesIO()
    Image.fromarray(values.astype(np.uint16)).save(out, "PNG")
    return out.getvalue()


def bomb(side: int) -> bytes:
    """A PNG of a few bytes whose header claims ``side`` x ``side`` pixels."""
    data = bytearray(picture())
    data[16:24] = side.to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


def sound(form: str = "WAV", rate: int = 8000, channels: int = 1, seconds: float = 0.1, **options) -> bytes:
    time = np.arange(int(rate * seconds)) / rate
    wave = np.stack([np.sin(2 * np.pi * 440 * time) * 0.5 / (channel + 1) for channel in range(channels)], 1)
    out = io.BytesIO()
    soundfile.write(out, wave, rate, format=form, **options)
    return out.getvalue()


def clip(times: list[float] | None = None, form: str = "mp4", codec: str = "mpeg4", size=(32, 16), title="") -> bytes:
    """A clip whose k-th frame, shown from ``times[k]`` on, is grey of value 20 k."""
    times = [number / 10 for number in range(10)] if times is None else times
    out = io.BytesIO()
    with av.open(out, "w", format=form) as container:
        container.metadata.update({"title": title} if title else {})
        stream = container.add_stream(codec, rate=1000)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        stream.codec_context.gop_size = 1
        stream.bit_rate = 4_000_000
        for number, time in enumerate(times):
            pixels = np.full((size[1], size[0], 3), min(255, 20 * number), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return out.getvalue()


def tar(members: dict[str, bytes], extra: list[tarfile.TarInfo] = ()) -> bytes:  # type: ignore[assignment]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as archive:
        for info in extra:
            archive.addfile(info)
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()
