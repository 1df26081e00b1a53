"""IDX files, in which MNIST and its kin come: one header, then all pictures as plain bytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import IO

import numpy as np

_BYTES = 0x08  # the header's code for unsigned bytes


def header(file: IO[bytes]) -> tuple[int, ...]:
    """The shape of the array that follows. Raises ValueError where it is no IDX file of unsigned bytes."""
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] != _BYTES or not 1 <= head[3] <= 4:
        raise ValueError("not an IDX file of unsigned bytes")
    sizes = file.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise ValueError("the header breaks off")
    return struct.unpack(f">{head[3]}I", sizes)


def pictures(file: IO[bytes], shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """uint8 ``[height, width]`` or ``[height, width, 3]`` one after another. Raises EOFError at an early end."""
    size = int(np.prod(shape[1:], dtype=np.int64))
    for _ in range(shape[0]):
        data = file.read(size)
        if len(data) < size:
            raise EOFError
        yield np.frombuffer(data, np.uint8).reshape(shape[1:])


def png(pixels: np.ndarray) -> bytes:
    """A picture as a PNG file without loss: uint8 ``[height, width]`` or ``[height, width, 3]`` (W3C PNG, 3rd ed.)."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + pixels.nbytes // height), np.uint8)  # each row begins with its filter: 0, none
    rows[:, 1:] = pixels.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, 0 if pixels.ndim == 2 else 2, 0, 0, 0)
    body = zlib.compress(rows.tobytes(), 6)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
