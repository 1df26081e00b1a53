"""Which sequences are kin: families by shared words, so that a held-out split does not hold out a copy's copy."""

from __future__ import annotations

import numpy as np

LETTERS = 6  # of a word: proteins that share several words of six letters do so by descent
SHARED = 4  # words: what two long sequences seldom share by chance
SHARE = 0.03  # of the words of the shorter one
NEIGHBOURS = 64  # of the sequences that have a word, how many each is compared with
WORDS = 1 << 25  # held at once; of more, a sample by hash is taken (FracMinHash, Irber et al. 2022)


def families(sequences: list[bytes]) -> np.ndarray:
    """The family of each sequence, int64 ``[N]``: the number of its first member.

    Two sequences are kin where they share ``SHARED`` words of ``LETTERS`` letters and ``SHARE`` of the shorter one's;
    kinship is passed on (single linkage, as in Steinegger and Söding 2018, Linclust, with all pairs of near rows in
    the place of one centre). Memory is about 50 bytes for each of at most ``WORDS`` words.
    """
    words, owners = _words(sequences)
    sizes = np.bincount(owners, minlength=len(sequences))
    order = np.argsort(words, kind="stable")  # owners stay in order inside of a word
    words, owners = words[order], owners[order]
    shared: dict[str, list[np.ndarray]] = {"pairs": [], "counts": []}
    for step in range(1, NEIGHBOURS):
        same = np.flatnonzero(words[step:] == words[:-step])
        if not len(same):
            break
        pairs, counts = np.unique(owners[same] * len(sequences) + owners[same + step], return_counts=True)
        shared["pairs"].append(pairs)
        shared["counts"].append(counts)
    parents = np.arange(len(sequences))
    if shared["pairs"]:
        pairs, which = np.unique(np.concatenate(shared["pairs"]), return_inverse=True)
        counts = np.bincount(which, np.concatenate(shared["counts"]))
        left, right = np.divmod(pairs, len(sequences))
        kin = (counts >= SHARED) & (counts >= SHARE * np.minimum(sizes[left], sizes[right]))
        for one, other in zip(left[kin].tolist(), right[kin].tolist(), strict=True):
            _join(parents, one, other)
    return np.array([_root(parents, row) for row in range(len(sequences))], np.int64)


def _words(sequences: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """The different words of each sequence, and whose they are; a sample of them where there are too many."""
    from seedstock.corpus.words import mix

    total = sum(map(len, sequences))
    kept = np.uint64(2**64 - 1) // np.uint64(max(1, -(-total // WORDS)))
    found, owners = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for row, sequence in enumerate(sequences):
        letters = np.frombuffer(sequence.upper(), np.uint8).astype(np.uint64) & np.uint64(31)
        if len(letters) < LETTERS:
            continue
        words = np.zeros(len(letters) - LETTERS + 1, np.uint64)
        for place in range(LETTERS):
            words = words << np.uint64(5) | letters[place : place + len(words)]
        words = np.unique(words)
        words = words[mix(words) <= kept]
        found.append(words)
        owners.append(np.full(len(words), row, np.int64))
    return np.concatenate(found), np.concatenate(owners)


def _root(parents: np.ndarray, row: int) -> int:
    while parents[row] != row:
        parents[row] = parents[parents[row]]
        row = int(parents[row])
    return row


def _join(parents: np.ndarray, one: int, other: int) -> None:
    one, other = _root(parents, one), _root(parents, other)
    parents[max(one, other)] = min(one, other)
