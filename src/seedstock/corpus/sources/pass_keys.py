"""Generated retrieval documents: a number is told once within a text and asked for at its end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b
from struct import unpack
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from seedstock.config import Count
from seedstock.corpus.sources.base import LONGEST, Item, Partition, Source, Unreadable
from seedstock.corpus.sources.files import find, problem, stream

NEEDLE, QUESTION = " The pass key is {}. Remember it: {} is the pass key.", " What is the pass key? The pass key is"
DIGITS = 5
UNSEEN = 7
"""Keys divisible by this are in no document: they are for tests (``evaluation.retrieval``)."""
_PIECE = 500  # documents of a partition
_WORD = re.compile(r"\S+")


def unseen(key: int) -> bool:
    """Whether a key is kept for tests."""
    return key % UNSEEN == 0


class PassKeys(Source):
    """Documents for retrieval over a distance (Mohtashami and Jaggi 2023, arXiv 2305.16300, section 4.2).

    A passage of ``shortest`` to ``longest`` words (as likely in every doubling) of the plain text files at ``path``,
    with a key of five digits told at a place that is as likely anywhere, and asked for at the end, where it stands
    again. Key, place and passage are in each document's meta; its licence is that of the text, which the entry says.
    The same files, ``seed`` and sizes give the same documents.
    """

    version: ClassVar[int] = 1
    kind: Literal["pass-keys"] = "pass-keys"
    path: str | list[str]
    documents: Annotated[Count, Field(ge=1)]
    shortest: Annotated[Count, Field(ge=0)] = 8
    longest: Annotated[Count, Field(ge=1)] = 64
    seed: int = 1
    domain: str | None = "retrieval"
    acquisition: str | None = "generated: pass keys within passages of a text; key and passage stand in each meta"

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.shortest > self.longest:
            raise ValueError(f"shortest ({self.shortest}) is more than longest ({self.longest})")
        return self

    def partitions(self) -> list[Partition]:
        from seedstock.ledger.ids import digest

        files = find(self.path, (".txt",), f"source {self.name!r}")
        asked = [self.documents, self.shortest, self.longest, self.seed]
        mark = digest([[[file.name, file.fingerprint] for file in files], asked])
        size = 8 * (self.longest + 32) * _PIECE
        firsts = range(0, self.documents, _PIECE)
        return [Partition(f"{first // _PIECE:05}", mark, size, payload=(files, first)) for first in firsts]

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        files, first = partition.payload
        last = min(first + _PIECE, self.documents)
        texts = []
        for file in files:
            try:
                with stream(file.path) as opened:
                    texts.append((file.name, opened.read(LONGEST).decode("utf-8", "replace")))
            except OSError as error:
                yield Unreadable(file.name, f"cannot be read: {problem(error)}")
        words = [(name, text, [match.span() for match in _WORD.finditer(text)]) for name, text in texts]
        words = [one for one in words if len(one[2]) >= self.longest]
        if not words:
            yield Unreadable(partition.name, f"no file has a passage of {self.longest} words")
            return
        yield from (self._made(number, *words[number % len(words)]) for number in range(first, last))

    def _made(self, number: int, name: str, text: str, words: list[tuple[int, int]]) -> Item:
        drawn = blake2b(f"pass keys/{self.seed}/{number}".encode(), digest_size=32).digest()
        size, start, place, digits = (word / 2**64 for word in unpack("<4Q", drawn))
        count = round((self.shortest + 1) * ((self.longest + 1) / (self.shortest + 1)) ** size) - 1
        begin = int(start * (len(words) - count + 1))
        spans = words[begin : begin + count]
        low = 10 ** (DIGITS - 1)
        key = low + int(digits * 9 * low)
        key += unseen(key)  # never the last one, which is not divisible
        cut = int(place * (count + 1))
        before = text[spans[0][0] : spans[cut - 1][1]] if cut else ""
        after = text[spans[cut - 1][1] if cut else spans[0][0] : spans[-1][1]] if cut < count else ""
        passage = before + NEEDLE.format(key, key) + (" " if after and not cut else "") + after
        meta = {"key": key, "place": cut, "words": count, "passage": {"file": name, "first_word": begin}}
        return Item(f"{self.seed}#{number}", text=f"{passage}{QUESTION} {key}.", meta={"generator": self.kind, **meta})
