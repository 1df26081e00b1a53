"""Pictures that are equal, or look nearly the same by their perceptual hashes.

Captions of one picture in several languages are several documents with one picture: only documents of one declared
language are compared, or all but one language would be lost.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from seedstock.corpus.dedup import perceptual
from seedstock.corpus.dedup.clusters import Forest
from seedstock.corpus.dedup.config import Pictures
from seedstock.corpus.dedup.exact import KEY, first_equal
from seedstock.corpus.dedup.parts import Part, firsts
from seedstock.corpus.media import Undecodable, sniff
from seedstock.progress import Reporter


def link(step: Pictures, parts: Sequence[Part], rows: np.ndarray, forest: Forest, reporter: Reporter) -> np.ndarray:
    """Unites rows (int64, ascending) whose pictures look the same; returns the pixels of each, int64 [all rows].

    Media that are no pictures, or cannot be decoded, are compared byte by byte. Needs the extra ``media``.
    """
    begins = firsts(parts)
    pixels = np.zeros(int(begins[-1]), np.int64)
    keys = np.zeros(len(rows), KEY)
    hashes, hashed = np.zeros(len(rows), np.uint64), np.zeros(len(rows), bool)
    languages = np.zeros(len(rows), np.int64)
    known: dict[str, int] = {}
    make = getattr(perceptual, step.hash)
    bounds = np.searchsorted(rows, begins)
    with reporter.bar("looking at pictures", len(rows), "pictures") as bar:
        for number, part in enumerate(parts):
            own = slice(bounds[number], bounds[number + 1])
            if own.start == own.stop:
                continue
            column, metas = part.read(["media"])["media"], part.read(["meta"])["meta"]
            for at, row in enumerate(rows[own], own.start):
                place = int(row - begins[number])
                data = column[place].as_py() or b""
                language = str(json.loads(metas[place].as_py() or "{}").get("language") or "")
                languages[at] = known.setdefault(language, len(known))
                marked = hashlib.blake2b(data, digest_size=16, person=language.encode()[:16]).digest()
                keys[at] = np.frombuffer(marked, KEY)[0]
                if (found := _hash(data, make)) is not None:
                    hashes[at], hashed[at] = found[0], True
                    pixels[row] = found[1]
            bar.advance(own.stop - own.start)
    same = first_equal(keys)
    forest.join(zip(rows[same].tolist(), rows.tolist(), strict=True))
    for number in range(len(known)):
        own = hashed & (languages == number)
        distinct, first, inverse = np.unique(hashes[own], return_index=True, return_inverse=True)
        lead = rows[own][first]  # the first row of each hash
        forest.join(zip(lead[inverse].tolist(), rows[own].tolist(), strict=True))
        forest.join(lead[perceptual.neighbours(distinct, step.distance)].tolist())
    return pixels


def _hash(data: bytes, make) -> tuple[int, int] | None:
    """(perceptual hash, pixels); None for what is no picture, is damaged, or is of one colour."""
    from seedstock.corpus.media.pictures import picture

    if not (sniff(data) or "").startswith("image/"):
        return None
    try:
        decoded = picture(data)
    except Undecodable:
        return None
    found = make(perceptual.grey(decoded))
    return None if found is None else (found, decoded.shape[0] * decoded.shape[1])
