"""Where the documents lie in token files that other programs wrote: each format's index, read into one form.

``Stored`` is one file of tokens: bytes from ``offset`` on, of one type; ``starts`` are where documents begin, and last
where they end, in tokens (None where the format does not say).
"""

from __future__ import annotations

import csv
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from seedstock.corpus.sources.streams import problem, raw, stream

MEGATRON = b"MMIDIDX\x00\x00"
MEGATRON_TYPES = {1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2"}
LLM_C = 20240520  # the magic number of llm.c's files, which modded-nanogpt reads too
TYPES = {"uint16": "<u2", "uint32": "<u4", "int32": "<i4", "int64": "<i8"}


class Damaged(ValueError):
    """Why a file of tokens cannot be read, in a few words."""


@dataclass(frozen=True)
class Stored:
    path: str
    dtype: str
    offset: int
    tokens: int
    starts: np.ndarray | None = None
    about: list[dict[str, str]] | None = None  # what the index says of each document

    def of(self, number: int) -> dict[str, str]:
        """What the index says of a document."""
        return dict(self.about[number]) if self.about else {}

    def read(self, start: int, stop: int) -> np.ndarray:
        """Tokens [start, stop), uint32. Raises Damaged for negative ids, OSError where the file is shorter."""
        size = np.dtype(self.dtype).itemsize
        with raw(self.path) as file:
            file.seek(self.offset + start * size)
            data = file.read((stop - start) * size)
        if len(data) < (stop - start) * size:
            raise OSError("the file is shorter than its index says")
        return as_ids(np.frombuffer(data, self.dtype))


def as_ids(values: np.ndarray) -> np.ndarray:
    """Token ids as uint32. Raises Damaged where they cannot be ids."""
    if values.dtype.kind not in "iu" or values.ndim != 1:
        raise Damaged(f"an array of type {values.dtype} and {values.ndim} dimensions is not a row of token ids")
    if len(values) and (int(values.min()) < 0 or int(values.max()) >= 1 << 32):
        raise Damaged("it holds negative numbers, or larger ones than any vocabulary")
    return values.astype(np.uint32)


def size_of(path: str) -> int:
    """The bytes of a file as it is stored."""
    with raw(path) as file:
        return int(file.size())


def plain(path: str, dtype: str | None) -> Stored:
    """nanoGPT: nothing but ids, uint16 unless ``dtype`` says otherwise; or llm.c's file, with its header."""
    size = size_of(path)
    with raw(path) as file:
        head = file.read(16)
    if len(head) == 16 and struct.unpack_from("<i", head)[0] == LLM_C and size >= 1024:
        version, tokens = struct.unpack_from("<ii", head, 4)
        kind = dtype or ("uint32" if version == 7 else "uint16")  # 7: Llama 3's vocabulary
        have = (size - 1024) // np.dtype(TYPES[kind]).itemsize
        if have < tokens:
            raise Damaged(f"it has {have} of the {tokens} tokens that its header announces")
        return Stored(path, TYPES[kind], 1024, tokens)
    kind = dtype or "uint16"
    tokens, rest = divmod(size, np.dtype(TYPES[kind]).itemsize)
    if rest:
        raise Damaged(f"{size} bytes are no whole number of {kind}")
    return Stored(path, TYPES[kind], 0, tokens)


def megatron(path: str) -> Stored:
    """``NAME.bin`` with ``NAME.idx``: each sequence's length (int32) and offset (int64), and which begin a document."""
    index = path.removesuffix(".bin") + ".idx"
    with raw(index) as file:
        head = file.read(34)
        if len(head) < 34 or head[:9] != MEGATRON:
            raise Damaged(f"the index {index.rpartition('/')[2]} is not Megatron's")
        version, code, sequences, documents = struct.unpack("<QBQQ", head[9:])
        if version != 1 or code not in MEGATRON_TYPES:
            raise Damaged(f"the index has version {version} and type {code}; version 1 of integers is known")
        need = sequences * 12 + documents * 8
        data = file.read(need) if need <= size_of(index) else b""
    if len(data) < need:
        raise Damaged("the index breaks off")
    lengths = np.frombuffer(data, "<i4", sequences)
    pointers = np.frombuffer(data, "<i8", sequences, sequences * 4)
    first = np.frombuffer(data, "<i8", documents, sequences * 12)
    dtype = np.dtype(MEGATRON_TYPES[code])
    ends = np.zeros(sequences + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    if (lengths < 0).any() or not np.array_equal(pointers, ends[:-1] * dtype.itemsize):
        raise Damaged("its sequences do not follow one another")
    if len(first) and ((np.diff(first) < 0).any() or first[0] < 0 or first[-1] > sequences):
        raise Damaged("its documents are not in order")
    bounds = first if len(first) and first[0] == 0 else np.insert(first, 0, 0)
    if bounds[-1] != sequences:
        bounds = np.append(bounds, sequences)
    starts = ends[bounds]
    return Stored(path, dtype.str, 0, int(ends[-1]), starts[np.append(True, np.diff(starts) > 0)])


def datatrove(path: str, dtype: str | None) -> Stored:
    """``NAME.ds`` with ``NAME.ds.index``, the documents' ends (uint64): the sizes of both say how wide a token is."""
    size = size_of(path)
    try:
        with stream(f"{path}.index") as file:
            data = file.read()
    except FileNotFoundError:
        return plain(path, dtype)
    if len(data) % 8:
        raise Damaged("the index breaks off")
    ends = np.frombuffer(data, "<u8").astype(np.int64)
    total = int(ends[-1]) if len(ends) else 0
    if (np.diff(ends) < 0).any() or total < 0:
        raise Damaged("the ends of its documents are not in order")
    width = next((width for width in (2, 4) if total * width == size), 0)
    if total and not width:
        raise Damaged(f"{size} bytes are not those of {total} tokens; it or its index breaks off")
    return Stored(path, f"<u{width or 2}", 0, total, _distinct(np.insert(ends, 0, 0)))


def dolma(path: str, dtype: str | None) -> Stored:
    """``NAME.npy``, mostly a plain array without numpy's header, and ``NAME.csv.gz``: start, end, id, source, line."""
    with raw(path) as file:
        head = file.read(12)
    stored = _numpy(path) if head.startswith(b"\x93NUMPY") else plain(path, dtype)
    beside = path.removesuffix(".npy") + ".csv.gz"
    try:
        with stream(beside) as file:
            rows = list(csv.reader(io.TextIOWrapper(file, "utf-8", newline="")))
    except FileNotFoundError:
        return stored
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Damaged(f"its table of documents cannot be read: {problem(error)}") from error
    try:
        bounds = np.array([[int(row[0]), int(row[1])] for row in rows], np.int64).reshape(-1, 2)
    except (ValueError, IndexError):
        raise Damaged("its table of documents has no start and end in each row") from None
    starts = np.append(bounds[:, 0], bounds[-1:, 1])
    if len(bounds) and (not np.array_equal(bounds[1:, 0], bounds[:-1, 1]) or (np.diff(starts) <= 0).any()):
        raise Damaged("its documents do not follow one another")
    if len(starts) and (starts[-1] > stored.tokens or starts[0] != 0):
        raise Damaged(f"its table is of {starts[-1]} tokens, the file has {stored.tokens}")
    names = ("document", "source", "line")
    about = [{name: value for name, value in zip(names, row[2:], strict=False) if value} for row in rows]
    return Stored(path, stored.dtype, stored.offset, stored.tokens, starts, about)


def _numpy(path: str) -> Stored:
    with stream(path) as file:
        try:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
        except ValueError as error:
            raise Damaged(f"not a whole .npy file: {problem(error)}") from None
        if len(shape) != 1 or dtype.kind not in "iu":
            raise Damaged(f"an array of type {dtype} and {len(shape)} dimensions is not a row of token ids")
        return Stored(path, dtype.str, file.tell(), shape[0])


def _distinct(starts: np.ndarray) -> np.ndarray:
    """Without the documents that have no tokens."""
    return starts[np.append(True, np.diff(starts) > 0)]


def mds_rows(data: bytes, names: list[str], sizes: list[int | None]) -> Iterator[dict[str, bytes]]:
    """The samples of a shard of mosaic's streaming format, each column's bytes by name. Raises Damaged."""
    if len(data) < 8:
        raise Damaged("the shard is empty")
    (count,) = struct.unpack_from("<I", data)
    if len(data) < 4 * (count + 2):
        raise Damaged("the shard breaks off")
    offsets = np.frombuffer(data, "<u4", count + 1, 4).tolist()
    for start, stop in pairwise(offsets):
        if not start <= stop <= len(data):
            raise Damaged("the shard breaks off")
        at, lengths = start, []
        for size in sizes:
            if size:
                lengths.append(size)
            else:
                if at + 4 > stop:
                    raise Damaged("a sample breaks off")
                lengths.append(struct.unpack_from("<I", data, at)[0])
                at += 4
        row = {}
        for name, size in zip(names, lengths, strict=True):
            if at + size > stop:
                raise Damaged("a sample breaks off")
            row[name], at = data[at : at + size], at + size
        yield row


_MDS_TYPES = {8: "u1", 16: "<u2", 17: "<i2", 32: "<u4", 33: "<i4", 64: "<u8", 65: "<i8"}


def mds_ids(value: bytes, encoding: str, dtype: str | None) -> np.ndarray:
    """The ids of a column: ``bytes`` (int64 unless ``dtype`` says otherwise) or ``ndarray[:TYPE[:SHAPE]]``."""
    name, _, rest = encoding.partition(":")
    if name == "bytes":
        kind: Any = np.dtype(TYPES[dtype or "int64"])
        if len(value) % kind.itemsize:
            raise Damaged(f"{len(value)} bytes are no whole number of {dtype or 'int64'}")
        return as_ids(np.frombuffer(value, kind))
    if name != "ndarray":
        raise Damaged(f"a column of encoding {encoding!r} holds no token ids")
    own, _, shape = rest.partition(":")
    at = 0
    if own:
        kind = np.dtype(own)
    else:
        if value[:1] not in {bytes([code]) for code in _MDS_TYPES}:
            raise Damaged("the array is of no integers")
        kind, at = np.dtype(_MDS_TYPES[value[0]]), 1
    if not shape:
        if at >= len(value):
            raise Damaged("the array breaks off")
        at += 1 + (value[at] >> 2) * 2 ** (value[at] % 4)  # one byte of dimensions and their width, then they
    if kind.kind not in "iu" or (len(value) - at) % kind.itemsize:
        raise Damaged("the array breaks off, or is of no integers")
    return as_ids(np.frombuffer(value[at:], kind))
