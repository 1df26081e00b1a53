"""Can the model write between two parts? A line or word is taken out of a document and must come back to the letter."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from seedstock.evaluation.tally import LN2, ratio
from seedstock.inputs.keys import Keys

Writer = Callable[[str, str], str]
Prompt = Callable[[str, str], list[int]]
LONGEST = 96  # characters of a line: more are rare, and cost as many passes
WORD = re.compile(r" ?\w+")


@dataclass(frozen=True)
class Gap:
    """A document without one of its lines or words: what is before it, what is missing, what comes after."""

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


def words(texts: list[str], *, count: int, seed: int = 1, shortest: int = 3) -> Iterator[Gap]:
    """Up to ``count`` words of each text, drawn by (seed, number of the text), neither on the first nor the last line.

    Short random spans (Bavarian et al. 2022, section 4.1) that are one identifier, number or word of ``shortest``
    characters or more. A gap begins before the space in front of a word, if there is one: tokens begin there too, so
    that a model which only continues is asked nothing that it never saw.
    """
    for number, text in enumerate(texts):
        low, high = text.find("\n") + 1, text.rfind("\n")
        fit = [match.span() for match in WORD.finditer(text, low, max(low, high)) if shortest <= len(match[0].strip())]
        fit = [(start, stop) for start, stop in fit if stop - start <= LONGEST]
        order = np.argsort(Keys(seed, np.array([number])).uniform("words", len(fit))[0], kind="stable")
        for start, stop in np.array(fit, np.int64).reshape(-1, 2)[order[:count]].tolist():
            yield Gap(text[:start], text[start:stop], text[stop:])


def exact_match(write: Writer, asked: list[Gap]) -> dict[str, Any]:
    """The share of gaps that ``write(before, after)`` fills to the letter, white space at the ends aside.

    ``written`` are the texts; the standard error is that of a share.
    """
    written = [write(gap.before, gap.after) for gap in asked]
    right = np.array([text.strip() == gap.line.strip() for text, gap in zip(written, asked, strict=True)], np.float64)
    mean, error = ratio(right, np.ones(len(right)))
    return {"exact_match": mean, "standard_error": error, "gaps": len(asked), "written": written}


def marked(tokenizer: Any, room: int, *, spm: bool = False) -> Prompt:
    """Prompts by the marks of fill-in-the-middle, of at most ``room`` tokens.

    What has no room is left out of the document's far ends, as much on either side.
    """
    from seedstock.objectives.fim import arrange

    specials, room = tokenizer.specials, room - 4

    def prompt(before: str, after: str) -> list[int]:
        prefix, suffix = (tokenizer.encode(text).tolist() for text in (before, after))
        kept = min(len(suffix), max(room - len(prefix), room // 2))
        begin = [specials["bos"]] if len(prefix) <= room - kept else []
        return begin + arrange(specials, prefix[max(0, len(prefix) - (room - kept)) :], suffix[:kept], spm=spm)

    return prompt


def plain(tokenizer: Any, room: int) -> Prompt:
    """Prompts of what comes before alone, the last ``room`` tokens of it."""

    def prompt(before: str, after: str) -> list[int]:
        ids = tokenizer.encode(before).tolist()
        return ids[-room:] if len(ids) >= room else [tokenizer.specials["bos"], *ids]

    return prompt


def bits_per_byte(network: Any, tokenizer: Any, prompt: Prompt, asked: list[Gap]) -> dict[str, Any]:
    """Bits a byte of the lines that are missing, each after its prompt: what exact matches say more coarsely.

    The standard error is over lines, of a ratio estimator.
    """
    import torch
    import torch.nn.functional as F

    device, nats = network.head.matrix.device, []
    for gap in asked:
        ids, line = prompt(gap.before, gap.after), tokenizer.encode(gap.line).tolist()
        with torch.inference_mode():
            logits = network(torch.tensor([[*ids, *line[:-1]]], device=device))[0, len(ids) - 1 :]
            nats.append(float(F.cross_entropy(logits, torch.tensor(line, device=device), reduction="sum")))
    mean, error = ratio(np.array(nats) / LN2, np.array([len(gap.line.encode()) for gap in asked], np.float64))
    return {"bits_per_byte": mean, "standard_error": error, "gaps": len(asked)}


def infiller(network: Any, tokenizer: Any, *, spm: bool = False, new_tokens: int = 48, word: bool = False) -> Writer:
    """Writes the middle by the marks of fill-in-the-middle, greedily, up to ``eos``; of that the first ``word``."""
    from seedstock.models.generate import generate

    prompt = marked(tokenizer, network.config.context - new_tokens, spm=spm)

    def write(before: str, after: str) -> str:
        ends = {tokenizer.specials["eos"]}
        text = tokenizer.decode(generate(network, prompt(before, after), new_tokens, temperature=0, stop=ends))
        return match[0] if word and (match := WORD.match(text)) else text

    return write


def continuer(network: Any, tokenizer: Any, *, new_tokens: int = 48, word: bool = False) -> Writer:
    """Writes the middle from what comes before it alone, greedily, up to the end of the line, or of the first
    ``word``."""
    from seedstock.models.generate import stream

    prompt = plain(tokenizer, network.config.context - new_tokens)

    def write(before: str, after: str) -> str:
        written: list[int] = []
        ends = {tokenizer.specials["eos"]}
        for token in stream(network, prompt(before, after), new_tokens, temperature=0, stop=ends):
            written.append(token)
            if word and (whole := WORD.match(tokenizer.decode(written))) and whole.end() < len(whole.string):
                return whole[0]
            if "\n" in tokenizer.decode(written).lstrip("\n"):
                break
        return tokenizer.decode(written).lstrip("\n").split("\n")[0]

    return write
