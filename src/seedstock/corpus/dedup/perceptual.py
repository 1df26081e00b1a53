"""Perceptual hashes of pictures: 64 bits that change little where a picture is scaled or compressed again.

All arithmetic is on whole numbers, so that a picture has one hash on every machine.
"""

from __future__ import annotations

from functools import cache

import numpy as np

SIDE, LOW = 32, 8  # the picture is scaled to SIDE x SIDE; LOW x LOW of its lowest frequencies are looked at
FLAT = 2  # grey levels: what varies less has no hash of its own


def grey(pixels: np.ndarray) -> np.ndarray:
    """uint8 [height, width, 3] → [height, width], by the weights of ITU-R BT.601."""
    weights = np.array([299, 587, 114], np.int64)
    return ((pixels.astype(np.int64) @ weights + 500) // 1000).astype(np.uint8)


def scaled(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """The mean grey of each cell of a grid over the picture, in 16ths of a level: int64 [height, width]."""
    sums = np.zeros((picture.shape[0] + 1, picture.shape[1] + 1), np.int64)
    np.cumsum(np.cumsum(picture, axis=0, dtype=np.int64), axis=1, out=sums[1:, 1:])
    rows = _at(sums, picture.shape[0], height)  # a cell's edge lies between pixels: sums are interpolated
    both = _at(rows.T, picture.shape[1], width).T
    cells = np.diff(np.diff(both, axis=0), axis=1)
    return (16 * cells) // (picture.shape[0] * picture.shape[1])


def _at(sums: np.ndarray, size: int, cells: int) -> np.ndarray:
    """``cells`` times the sums at the edges of ``cells`` equal parts of ``size``."""
    place = np.arange(cells + 1) * size
    whole, rest = np.divmod(place, cells)
    after = np.minimum(whole + 1, size)
    return sums[whole] * (cells - rest)[:, None] + sums[after] * rest[:, None]


@cache
def _cosines() -> np.ndarray:
    """The first rows of the DCT-II, in 4096ths: int64 [LOW, SIDE]."""
    place, wave = np.arange(SIDE), np.arange(LOW)
    return np.rint(4096 * np.cos(np.pi * wave[:, None] * (2 * place[None, :] + 1) / (2 * SIDE))).astype(np.int64)


def phash(picture: np.ndarray) -> int | None:
    """Which low frequencies of a grey picture are above their median (Zauner 2010); None where it is flat."""
    if int(picture.max()) - int(picture.min()) < FLAT:
        return None
    cells = scaled(picture, SIDE, SIDE)
    waves = (_cosines() @ cells @ _cosines().T).ravel()[1:]  # the first is the mean, and tells nothing
    return _number(np.concatenate([[False], 2 * waves > _doubled_median(waves)]))


def dhash(picture: np.ndarray) -> int | None:
    """Which cells of a grey picture are brighter than their left neighbours; None where it is flat."""
    if int(picture.max()) - int(picture.min()) < FLAT:
        return None
    cells = scaled(picture, LOW, LOW + 1)
    return _number((cells[:, 1:] > cells[:, :-1]).ravel())


def _doubled_median(values: np.ndarray) -> int:
    ordered = np.sort(values)
    return int(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2])


def _number(bits: np.ndarray) -> int:
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def neighbours(hashes: np.ndarray, distance: int) -> np.ndarray:
    """Pairs (i < j) of distinct hashes that differ in at most ``distance`` (0 to 7) bits: int64 [pairs, 2].

    Of the four 16-bit quarters of two such hashes, one differs in no bit (up to distance 3) or in one (up to 7): so all
    pairs are found (Manku, Jain and Sarma 2007). ``hashes`` are distinct, uint64.
    """
    found = [np.zeros((0, 2), np.int64)]
    flips = [0] if distance < 4 else [0, *(1 << bit for bit in range(16))]
    for quarter in range(4) if distance else ():
        part = (hashes >> np.uint64(16 * quarter)).astype(np.int64) & 0xFFFF
        order = np.argsort(part, kind="stable")
        ordered = part[order]
        for flip in flips:
            begin, end = (np.searchsorted(ordered, part ^ flip, side=side) for side in ("left", "right"))
            for some in _slices(end - begin):
                count = (end - begin)[some]
                left = np.repeat(np.arange(len(hashes))[some], count)
                right = order[np.repeat(begin[some] - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))]
                once = left < right
                left, right = left[once], right[once]
                near = np.bitwise_count(hashes[left] ^ hashes[right]) <= distance
                found.append(np.stack([left[near], right[near]], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _slices(counts: np.ndarray, limit: int = 1 << 22) -> list[slice]:
    """Runs of rows whose counts add up to about ``limit``."""
    ends = np.cumsum(counts)
    cuts = np.searchsorted(ends, np.arange(limit, int(ends[-1]) if len(ends) else 0, limit))
    bounds = np.unique([0, *cuts.tolist(), len(counts)])
    return [slice(a, b) for a, b in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)]
