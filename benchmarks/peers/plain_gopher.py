"""Gopher's filters and the grouping of MinHash bands in plain Python and numpy, for engines that bring neither."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}
BULLETS = "•‣◦▪▫●○■□▶◀"
TOP = {2: 0.2, 3: 0.18, 4: 0.16}
DUPLICATE = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}


def keep(text: str) -> bool:
    """Whether a text passes the thresholds of the job."""
    words = text.split()
    count = len(words)
    if not 50 <= count <= 100_000:
        return False
    lengths = [len(word) for word in words]
    letters = sum(lengths)
    if not 3 <= letters / count <= 10 or text.count("#") / count > 0.1:
        return False
    if (text.count("...") + text.count("…")) / count > 0.1:
        return False
    if sum(any(map(str.isalpha, word)) for word in words) / count < 0.8:
        return False
    if len({word.lower().strip(".,;:!?\"'()[]{}`*_") for word in words} & STOP_WORDS) < 2:
        return False
    paragraphs: list[list[str]] = [[]]
    for line in map(str.strip, text.split("\n")):
        if line:
            paragraphs[-1].append(line)
        elif paragraphs[-1]:
            paragraphs.append([])
    lines = [line for paragraph in paragraphs for line in paragraph]
    if sum(line[0] in BULLETS or line.split()[0] in ("-", "*", "+") for line in lines) / len(lines) > 0.9:
        return False
    if sum(line.endswith(("...", "…")) for line in lines) / len(lines) > 0.3:
        return False
    for items, total in ((lines, len(lines)), ([tuple(p) for p in paragraphs if p], sum(map(bool, paragraphs)))):
        seen, again = set(), []
        for item in items:
            if item in seen:
                again.append(item if isinstance(item, str) else "".join(item))
            seen.add(item)
        if len(again) / total > 0.3 or sum(len("".join(item.split())) for item in again) / letters > 0.2:
            return False
    return all(_share(words, lengths, n, letters) <= most for n, most in (TOP | DUPLICATE).items())


def _share(words: list[str], lengths: list[int], n: int, letters: int) -> float:
    grams = list(zip(*(words[at:] for at in range(n)), strict=False))
    if n in TOP:
        counts = Counter(grams)
        most = max(counts.values())
        if most < 2:
            return 0
        places = defaultdict(list)
        for place, gram in enumerate(grams):
            if counts[gram] == most:
                places[gram].append(place)
        chosen = places[max(places, key=lambda gram: (sum(map(len, gram)), -places[gram][0]))]
    else:
        seen, chosen = set(), []
        for place, gram in enumerate(grams):
            if gram in seen:
                chosen.append(place)
            seen.add(gram)
    inside = {place + ahead for place in chosen for ahead in range(n)}
    return sum(lengths[at] for at in inside) / letters


def unique(signatures: np.ndarray, bands: int = 14, rows: int = 8) -> np.ndarray:
    """Which documents stay, bool [n], where those that share a band are one; ``signatures`` uint [n, bands * rows]."""
    parent = np.arange(len(signatures))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = int(parent[at])
        return at

    for band in range(bands):
        part = np.ascontiguousarray(signatures[:, band * rows : (band + 1) * rows])
        keys = part.view(np.dtype((np.void, part.itemsize * rows))).ravel()
        order = np.argsort(keys, kind="stable")
        same = np.flatnonzero(keys[order][1:] == keys[order][:-1])
        for at in same.tolist():
            a, b = root(int(order[at])), root(int(order[at + 1]))
            parent[max(a, b)] = min(a, b)
    return parent == np.arange(len(parent))
