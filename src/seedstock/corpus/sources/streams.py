"""Byte streams of plain and compressed files, on this machine or in any store that fsspec knows."""

from __future__ import annotations

import io
import lzma
import os
import re
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import pyarrow as pa

COMPRESSED = (".gz", ".zst", ".bz2", ".lz4", ".xz")
_TARS = {".tgz": ".gz", ".tbz2": ".bz2", ".txz": ".xz", ".tzst": ".zst"}
BUFFER = 1 << 16  # bytes: a damaged end costs at most as many
RATIO = 500  # how much a compressed file may grow, once it gave FREE bytes: text grows 3 to 30 times
FREE = 256 * 2**20
XZ_MEMORY = 128 * 2**20  # bytes that an .xz file may ask for its dictionary
_ARROW = re.compile(r"^(?:Failed|Cannot) .*\[errno \d+\] (.+)")  # Arrow's words before that hold the path
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(::|://)")


def is_url(path: str) -> bool:
    """Whether a path is a URL of a store, as in ``s3://bucket/key``, rather than a file's name."""
    return bool(_URL.match(path))


def compressed(name: str) -> str:
    """The suffix of a file's compression, in small letters, or ""."""
    suffix = Path(_plain(name)).suffix.lower()
    return _TARS.get(suffix) or (suffix if suffix in COMPRESSED else "")


def stem(name: str) -> str:
    """A file's name without the suffix of its compression."""
    if not compressed(name):
        return name
    plain = _plain(name)
    suffix = Path(plain).suffix
    return plain[: -len(suffix)] + (".tar" if suffix.lower() in _TARS else "")


def _plain(name: str) -> str:
    """A web address without its query, which may hold a signature."""
    return re.split(r"[?#]", name, maxsplit=1)[0] if name.startswith(("http://", "https://")) else name


def raw(path: str, *, seekable: bool = True) -> pa.NativeFile:
    """A file as it is stored, opened by Arrow; a local name need not be UTF-8. Raises OSError."""
    import pyarrow as pa

    if is_url(path):
        from seedstock.corpus.sources import remote

        return pa.PythonFile(remote.open_file(path, seekable=seekable), mode="r")
    return pa.OSFile(os.fsencode(path))


def stream(path: str, seek: int = 0) -> IO[bytes]:
    """A byte stream of a file from ``seek`` on, decompressed by its suffix.

    Reading raises OSError where the archive is damaged, or grows as no text does (see ``RATIO``).
    """
    import pyarrow as pa

    opened = raw(path, seekable=seek > 0)
    if seek:
        opened.seek(seek)
    suffix = compressed(path)
    if not suffix:
        return cast(IO[bytes], io.BufferedReader(opened, buffer_size=BUFFER))
    inner = _Xz(opened) if suffix == ".xz" else pa.CompressedInputStream(opened, pa.Codec.detect(f"_{suffix}").name)
    # Arrow takes a .zst file that was cut off for one that ends.
    check = partial(_whole, path, seek) if suffix == ".zst" and not is_url(path) else None
    return io.BufferedReader(_Bounded(inner, opened, seek, check), BUFFER)


def _whole(path: str, seek: int) -> None:
    from seedstock.corpus.sources import zstd_frames

    with raw(path) as file:
        deque(zstd_frames.frames(file, seek), maxlen=0)


class _Bounded(io.RawIOBase):
    """Stops a compressed stream that grows without end."""

    def __init__(self, inner: Any, stored: pa.NativeFile, seek: int, at_end: Callable[[], None] | None = None) -> None:
        self.inner, self.stored, self.seek_, self.given, self.at_end = inner, stored, seek, 0, at_end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self.inner.readinto(buffer)
        if not count and self.at_end is not None:
            self.at_end()
        self.given += count
        if self.given > FREE and self.given > RATIO * max(1, self.stored.tell() - self.seek_):
            raise OSError(f"it grows more than {RATIO} times by decompression: that is no text")
        return count

    def close(self) -> None:
        if not self.closed:
            self.inner.close()
            self.stored.close()
        super().close()


class _Xz:
    """The .xz streams of a file, one after another, in bounded memory."""

    def __init__(self, stored: pa.NativeFile) -> None:
        self.stored, self.rest, self.decoder = stored, b"", self._new()

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(memlimit=XZ_MEMORY)

    def readinto(self, buffer: Any) -> int:
        try:
            while True:
                if self.decoder.eof:
                    self.rest = self.decoder.unused_data.lstrip(b"\0") or self.stored.read(BUFFER).lstrip(b"\0")
                    if not self.rest:
                        return 0
                    self.decoder = self._new()
                elif self.decoder.needs_input and not self.rest:
                    self.rest = self.stored.read(BUFFER)
                    if not self.rest:
                        raise OSError("the compressed file ends before its end mark")
                data = self.decoder.decompress(self.rest, len(buffer))
                self.rest = b""
                if data:
                    buffer[: len(data)] = data
                    return len(data)
        except lzma.LZMAError as error:
            raise OSError(str(error)) from None

    def close(self) -> None:
        self.rest = b""


def problem(error: BaseException) -> str:
    """What went wrong while reading, in words and without the path."""
    text = str(getattr(error, "strerror", None) or error) or type(error).__name__
    told = _ARROW.search(text)
    return (told[1] if told else text).splitlines()[0]
