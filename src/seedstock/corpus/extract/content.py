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
    return judge(measure(page, lines)) if lines else np.zeros(0, np.float32)


def judge(columns: np.ndarray) -> np.ndarray:
    """float32 [lines]: how likely lines of these features are content."""
    weights = _weights()
    inputs = columns - weights["mean"]
    inputs *= weights["scale"]
    np.clip(inputs, -5, 5, out=inputs)
    hidden = inputs @ weights["w1"]
    hidden += weights["b1"]
    np.maximum(hidden, 0, out=hidden)
    return 1 / (1 + np.exp(-(hidden @ weights["w2"] + weights["b2"])))


def doubt(likely: np.ndarray, words: np.ndarray) -> float:
    """How unsure the choice is: words by which it may be wrong over words taken; 0 for a clear page."""
    return float((words * np.minimum(likely, 1 - likely)).sum() / (words[likely > 0.5].sum() + 1))


@cache
def _weights() -> dict[str, np.ndarray]:
    with np.load(WEIGHTS) as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}
