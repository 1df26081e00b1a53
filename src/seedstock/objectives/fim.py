"""Fill-in-the-middle (Bavarian et al. 2022): next-token prediction over documents whose middle comes last."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from seedstock.errors import RecipeError
from seedstock.objectives.base import Batch, Spec
from seedstock.objectives.causal import Causal
from seedstock.objectives.configs.fim import FimConfig

PREFIX, MIDDLE, SUFFIX = "fim_prefix", "fim_middle", "fim_suffix"
Parts = tuple[np.ndarray, np.ndarray, np.ndarray]


class FillInTheMiddle(Causal):
    """``prepare`` rearranges; the loss is that of every next token, the marks among them, as in the paper."""

    config: FimConfig

    def __init__(self, config: FimConfig | None = None, spec: Spec | None = None) -> None:
        super().__init__(config or FimConfig(), spec)
        self.specials = dict(spec.specials) if spec is not None else {}
        self.tokenizer = spec.tokenizer if spec is not None else None
        missing = [name for name in (*self.config.specials(), "bos", "eos", "pad") if name not in self.specials]
        if missing:
            raise RecipeError(f"the tokenizer has no {', '.join(missing)}", where="objective", fix="train one anew")
        if self.config.split == "characters" and not getattr(self.tokenizer, "exact", False):
            what = "parts of a text cannot be tokenized by themselves: this tokenizer changes what it reads"
            raise RecipeError(what, where="objective.split", fix="write split: tokens")

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``tokens``, ``documents`` and ``positions`` ``[B, T+1]`` with documents rearranged in place.

        No token leaves its document or its window. A rearranged document has three marks more, and an ``eos`` where
        the window cut it. What then has no room in the window is dropped: the end of the last document's text before
        it is cut, and as far as its parts have more tokens than the whole, the end of its suffix; where that is too
        short, the document is left as it is.
        """
        tokens, documents = items["tokens"], items["documents"]
        rows, length = tokens.shape
        made = np.full((rows, length), self.specials["pad"], np.int64)
        numbers = np.full((rows, length), -1, np.int64)
        most = int(documents.max(initial=0)) + 1
        draws = keys.uniform("fill in the middle", 4 * most).reshape(rows, most, 4)
        spans, parts = self._parts(tokens, documents, draws)
        filled = np.zeros(rows, np.int64)
        for (row, number, start, stop), cut in zip(spans, parts, strict=True):
            at = int(filled[row])
            whole = tokens[row, start:stop]
            if cut is not None:
                spm = draws[row, number, 1] < self.config.spm
                whole = self._arranged(whole, cut, spm=spm, room=length - at)
            end = min(length, at + len(whole))
            made[row, at:end], numbers[row, at:end] = whole[: end - at], number
            filled[row] = end
        return {"tokens": made, "documents": numbers, "positions": _positions(numbers)}

    def _parts(self, tokens: np.ndarray, documents: np.ndarray, draws: np.ndarray) -> tuple[list[Any], list[Any]]:
        """The documents of all windows (row, number, start, stop), and of those to rearrange the three parts."""
        spans, chosen, texts = [], [], []
        reserved = np.array(sorted(self.specials.values()))
        for row in range(len(tokens)):
            filled = 0
            edges = np.flatnonzero(np.diff(documents[row])) + 1
            for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), documents.shape[1]], strict=True):
                number = int(documents[row, start])
                if number < 0:
                    continue
                spans.append((row, number, start, stop))
                body = self._body(tokens[row, start:stop])
                room = max(0, documents.shape[1] - filled - int(tokens[row, start] == self.specials["bos"]) - 4)
                filled += stop - start
                if draws[row, number, 0] < self.config.rate and len(body[:room]) and not np.isin(body, reserved).any():
                    filled += 3
                    chosen.append(len(spans) - 1)
                    texts.append(body[:room])
        places = [draws[spans[one][0], spans[one][1], 2:] for one in chosen]
        cuts = self._characters(texts, places) if self.config.split == "characters" else map(self._cut, texts, places)
        parts: list[Any] = [None] * len(spans)
        for one, three in zip(chosen, cuts, strict=True):
            parts[one] = three
        return spans, parts

    def _characters(self, bodies: list[np.ndarray], places: list[np.ndarray]) -> list[Parts]:
        """Three parts of each document, cut between characters and tokenized anew.

        A character that the window's edge cut in half is left out.
        """
        assert self.tokenizer is not None
        texts = [b"".join(self.tokenizer.bytes_of(body.tolist())).decode("utf-8", "ignore") for body in bodies]
        pieces = [piece for text, place in zip(texts, places, strict=True) for piece in self._cut(text, place)]
        found = self.tokenizer.encode_batch(pieces)
        return [tuple(found[at : at + 3]) for at in range(0, len(found), 3)]

    def _cut(self, whole: Any, place: np.ndarray) -> tuple[Any, Any, Any]:
        """Three parts; both cuts are equally likely anywhere, the ends among the places. With ``longest`` the middle's
        length has a uniform logarithm, from 1 on, and lies as likely anywhere."""
        if self.config.longest is None:
            low, high = sorted((place * (len(whole) + 1)).astype(np.int64).tolist())
        else:
            size = int((min(self.config.longest, len(whole)) + 1) ** place[0])
            low = int(place[1] * (len(whole) - size + 1))
            high = low + size
        return whole[:low], whole[low:high], whole[high:]

    def _body(self, whole: np.ndarray) -> np.ndarray:
        """A document's tokens without its ``bos`` and ``eos``."""
        begin = int(whole[0] == self.specials["bos"])
        return whole[begin : len(whole) - int(len(whole) > begin and whole[-1] == self.specials["eos"])]

    def _arranged(self, whole: np.ndarray, parts: Parts, *, spm: bool, room: int) -> np.ndarray:
        """``bos`` and marks around the parts, with ``eos`` after the middle; at most ``room`` tokens, or as it was."""
        prefix, middle, suffix = (part.astype(np.int64) for part in parts)
        begin = whole[: int(whole[0] == self.specials["bos"])]
        over = len(begin) + len(prefix) + len(middle) + len(suffix) + 4 - room
        if over > len(suffix):
            return whole
        suffix = suffix[: len(suffix) - max(over, 0)]
        return np.concatenate([begin, arrange(self.specials, prefix, suffix, middle, spm=spm), [self.specials["eos"]]])


def arrange(
    specials: Any, prefix: Iterable[int], suffix: Iterable[int], middle: Iterable[int] = (), *, spm: bool = False
) -> list[int]:
    """PSM: mark, prefix, mark, suffix, mark, middle. SPM: the prefix follows the suffix, and the middle follows it
    (Bavarian et al. 2022, section 3: the order of marks that lets both be trained together)."""
    first, second, third = specials[PREFIX], specials[SUFFIX], specials[MIDDLE]
    if spm:
        return [first, second, *suffix, third, *prefix, *middle]
    return [first, *prefix, second, *suffix, third, *middle]


def _positions(documents: np.ndarray) -> np.ndarray:
    """Positions that restart at every document."""
    at = np.broadcast_to(np.arange(documents.shape[1]), documents.shape)
    starts = np.zeros_like(documents)
    starts[:, 1:] = np.where(documents[:, 1:] != documents[:, :-1], at[:, 1:], 0)
    return at - np.maximum.accumulate(starts, axis=1)
