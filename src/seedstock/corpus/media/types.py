"""What bytes are, by how they begin; and the error of those that are not what they should be."""

from __future__ import annotations

import importlib
from typing import Any

from seedstock.errors import SeedstockError

NPZ = "application/x-npz"
TOKENS = "application/x-tokens"  # token ids of a tokenizer made elsewhere: little-endian uint32
COARSE = "coarse"  # ``provenance`` in the meta: a part of a file whose documents nobody can tell apart any more
LONGEST = 256 * 2**20  # bytes of one picture, sound or clip: it is held in memory, and stored in one row

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"FORM", "audio/aiff"),
    (b".snd", "audio/basic"),
    (b"\x1aE\xdf\xa3", "video/x-matroska"),
    (b"FLV\x01", "video/x-flv"),
    (b"\x00\x00\x01\xba", "video/mpeg"),
    (b"PK\x03\x04", NPZ),
    (b"\x93NUMPY", "application/x-npy"),
)
_RIFF = {b"WAVE": "audio/wav", b"WEBP": "image/webp", b"AVI ": "video/x-msvideo"}


class Undecodable(ValueError):
    """Bytes that are no picture, sound or clip, or a damaged or too large one; the message says why in a few words."""


def sniff(data: bytes) -> str | None:
    """The MIME type that the first bytes show, or None where they show none that is known here."""
    for beginning, name in _BEGINNINGS:
        if data.startswith(beginning):
            return name
    if data[:4] in (b"RIFF", b"RF64"):
        return _RIFF.get(data[8:12])
    if data[4:8] == b"ftyp":
        return "video/mp4"
    if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3].isspace():
        return "image/x-portable-anymap"
    if len(data) > 3 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2:
        return "audio/mpeg"  # an MPEG frame of layer III, without a tag before it
    if len(data) > 188 and data[0] == data[188] == 0x47:
        return "video/mp2t"
    return None


def needs(module: str, package: str) -> Any:
    """An optional module. Raises SeedstockError, naming the extra that brings it, where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise SeedstockError(f"{package} is not installed", fix="pip install 'seedstock[media]'") from None
