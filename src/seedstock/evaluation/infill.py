"""Can the model write between two parts? A line is taken out of a document and must come back to the letter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from seedstock.evaluation.tally import ratio
from seedstock.inputs.keys import Keys

Writer = Callable[[str, str], str]
LONGEST = 96  # characters of a line: more are rare, and cost as many passes


@dataclass(frozen=True)
class Gap:
    """A document without one of its lines: what is before it, the line without its end, what comes after."""

    before: str
    line: str
    after: str


def gaps(texts: list[str], *, lines: int, seed: int = 1, shortest: int = 4) -> Iterator[Gap]:
    """Up to ``lines`` lines of each text, drawn by (seed, number of the text), neither the first nor the last.

    A gap begins after the line's indentation and ends before the white space at its end (single-line infilling,
    Bavarian et al. 2022, section 4.1). Lines have at least ``shortest`` characters besides white space.
    """
    for number, text in enumerate(texts):
        rows = text.split("\n")
        fit = [row for row in range(1, len(rows) - 1) if shortest <= len(rows[row].strip()) <= LONGEST]
        order = np.argsort(Keys(seed, np.array([number])).uniform("gaps", len(fit))[0], kind="stable")
        for row in np.array(fit, np.int64)[order[:lines]].tolist():
            whole = rows[row].rstrip()
            indent = whole[: len(whole) - len(whole.lstrip())]
            after = "\n".join([rows[row][len(whole) :], *rows[row + 1 :]])
            yield Gap("\n".join([*rows[:row], indent]), whole[len(indent) :], after)


def exact_match(write: Writer, asked: list[Gap]) -> dict[str, Any]:
    """The share of gaps that ``write(before, after)`` fills to the letter, white space at the ends aside.

    ``written`` are the texts; the standard error is that of a share.
    """
    written = [write(gap.before, gap.after) for gap in asked]
    right = np.array([text.strip() == gap.line for text, gap in zip(written, asked, strict=True)], np.float64)
    mean, error = ratio(right, np.ones(len(right)))
    return {"exact_match": mean, "standard_error": error, "gaps": len(asked), "written": written}


def infiller(network: Any, tokenizer: Any, *, spm: bool = False, new_tokens: int = 48) -> Writer:
    """Writes the middle by the marks of fill-in-the-middle, greedily, up to ``eos``.

    What has no room in the context is left out of the document's far ends, as much on either side.
    """
    from seedstock.models.generate import generate
    from seedstock.objectives.fim import arrange

    specials = tokenizer.specials
    room = network.config.context - new_tokens - 4

    def write(before: str, after: str) -> str:
        prefix, suffix = (tokenizer.encode(text).tolist() for text in (before, after))
        kept = min(len(suffix), max(room - len(prefix), room // 2))
        begin = [specials["bos"]] if len(prefix) <= room - kept else []
        prompt = begin + arrange(specials, prefix[max(0, len(prefix) - (room - kept)) :], suffix[:kept], spm=spm)
        return tokenizer.decode(generate(network, prompt, new_tokens, temperature=0, stop={specials["eos"]}))

    return write


def continuer(network: Any, tokenizer: Any, *, new_tokens: int = 48) -> Writer:
    """Writes the middle from what comes before it alone, greedily, up to the end of the line."""
    from seedstock.models.generate import stream

    specials = tokenizer.specials

    def write(before: str, after: str) -> str:
        ids = tokenizer.encode(before).tolist()
        room = network.config.context - new_tokens - 1
        prompt = ids[-room:] if len(ids) > room else [specials["bos"], *ids]
        written: list[int] = []
        for token in stream(network, prompt, new_tokens, temperature=0, stop={specials["eos"]}):
            written.append(token)
            if "\n" in tokenizer.decode(written).lstrip("\n"):
                break
        return tokenizer.decode(written).lstrip("\n").split("\n")[0]

    return write
