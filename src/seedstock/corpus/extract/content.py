"""Which lines of a page are its content: a small network over the features of each line.

It was fitted on pages of seven kinds that people had marked (``benchmarks/extraction_fit.py``); no language and no site
is known to it. Nothing here needs a package beside numpy.
"""

from __future__ import annotations

import html
from functools import cache
from pathlib import Path

import numpy as np

from seedstock.corpus.extract.features import measure
from seedstock.corpus.extract.markup import Page

WEIGHTS = Path(__file__).with_name("lines.npz")


def texts(page: Page) -> list[str]:
    """The lines of a page as they read: entities decoded, whitespace collapsed."""
    source, found = page.source, []
    for line in page.lines:
        text = "".join([source[start:stop] for start, stop in line.runs])
        if "&" in text:
            text = html.unescape(text)
        found.append(" ".join(text.split()) or " ")
    return found


def probabilities(page: Page, lines: list[str]) -> np.ndarray:
    """float32 [lines]: how likely each line is content."""
    if not lines:
        return np.zeros(0, np.float32)
    weights = _weights()
    inputs = np.clip((measure(page, lines) - weights["mean"]) * weights["scale"], -5, 5)
    hidden = np.maximum(inputs @ weights["w1"] + weights["b1"], 0)
    return 1 / (1 + np.exp(-(hidden @ weights["w2"] + weights["b2"])))


def doubt(likely: np.ndarray, lines: list[str]) -> float:
    """How unsure the choice is: words by which it may be wrong over words taken; 0 for a clear page."""
    words = np.array([text.count(" ") + 1 for text in lines], float)
    return float((words * np.minimum(likely, 1 - likely)).sum() / (words[likely > 0.5].sum() + 1))


@cache
def _weights() -> dict[str, np.ndarray]:
    with np.load(WEIGHTS) as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}
