"""The questions both ways: what a step saw, which steps saw a document, and where a text stands in the training data.

All of it is worked out from the shards and the data plan; nothing is logged while training. Steps count from 0, and
the checkpoint of step N holds what steps 0 to N - 1 taught.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from seedstock.errors import DataError
from seedstock.inputs import partners as pairing
from seedstock.provenance.origin import Origin, origins
from seedstock.provenance.search import SEPARATOR, search

if TYPE_CHECKING:
    from seedstock.corpus.reader import Corpus
    from seedstock.inputs.plan import DataPlan
    from seedstock.inputs.shards import Shards
    from seedstock.inputs.tokenizers import Tokenizer

RawLength = Callable[[int], int]
RESOLVED = 40  # places of a text whose raw bytes are looked up: each may be in another document


def one_more(length: int) -> int:
    """The stored tokens that next-token prediction reads for a window: one more, the last target."""
    return length + 1


@dataclass(frozen=True)
class Seen:
    """A document's span in one example: stream positions [start, stop) of the stratum's train stream."""

    example: int
    epoch: int
    stratum: int
    document: str
    start: int
    stop: int
    origin: Origin


@dataclass(frozen=True)
class Occurrence:
    """Where a document lies in the shards: ``tokens`` from stream position ``start``, BOS and EOS among them."""

    split: str
    stratum: int
    start: int
    tokens: int


@dataclass(frozen=True)
class DocumentTrace:
    """Where a document lies, the (epoch, example, step) that read a part of it, and the checkpoints that learnt it."""

    document: str
    origin: Origin
    occurrences: list[Occurrence]
    exposures: list[tuple[int, int, int]]
    steps: list[int]
    checkpoints: list[int]


@dataclass(frozen=True)
class Match:
    """A place where a text stands: stream positions [start, stop) hold it, inside one document.

    ``raw`` are the ranges of bytes of the raw document that it comes from (``Corpus.resolve``), of the first
    ``RESOLVED`` places; None for the others, and where the tokenizer changes the text.
    """

    split: str
    stratum: int
    document: str
    start: int
    stop: int
    origin: Origin
    raw: list[tuple[int, int]] | None = None


def trace_step(
    step: int,
    plan: DataPlan,
    shards: Shards,
    *,
    corpus: Corpus | None = None,
    raw_length: RawLength = one_more,
    partners: int = 0,
) -> list[Seen]:
    """Every document's span that a step read, by example number and place; ``partners`` as the loader has it."""
    first, count = plan.examples(step)
    own = np.arange(first, first + count)
    windows = np.concatenate([own[:, None], pairing.partners(plan.seed, own, partners, plan.capacity)], axis=1)
    examples, located = np.repeat(own, 1 + partners), plan.locate(windows.ravel())
    lengths = np.repeat(plan.locate(own).lengths, 1 + partners)  # a partner's window is read as far as its own
    spans = []
    rows = zip(examples, located.epochs, located.strata, located.starts, lengths, strict=True)
    for example, epoch, stratum, start, length in (tuple(map(int, row)) for row in rows):
        for identity, begin, stop in shards.spans("train", stratum, start, start + raw_length(length)):
            spans.append((example, epoch, stratum, identity, begin, stop))
    known = _origins(corpus, (span[3] for span in spans))
    return [
        Seen(example, epoch, stratum, identity.hex(), begin, stop, known.get(identity, Origin()))
        for example, epoch, stratum, identity, begin, stop in spans
    ]


def trace_document(
    document: bytes | str,
    plan: DataPlan,
    shards: Shards,
    *,
    steps: int,
    checkpoints: Iterable[int] = (),
    corpus: Corpus | None = None,
    raw_length: RawLength = one_more,
    partners: int = 0,
) -> DocumentTrace:
    """Where a document lies and which of the first ``steps`` steps read a part of it, as an example or a partner.

    ``checkpoints`` are the steps of those that exist; the answer keeps the ones at or after the first exposure. Raises
    DataError where neither the shards nor the corpus know the document.
    """
    identity = _identity(document)
    occurrences = [Occurrence(*place) for place in shards.occurrences(identity)]
    known = _origins(corpus, [identity])
    if not occurrences and identity not in known:
        raise DataError(
            "no such document", where=identity.hex(), fix="find its id by --url or --text, or by the corpus's documents"
        )
    horizon = sum(plan.examples(steps - 1)) if steps else 0
    trained = [place for place in occurrences if place.split == "train"]
    found = {pair for place in trained for pair in _readers(place, plan, horizon, raw_length, partners)}
    exposures = [(epoch, example, plan.step(example)) for example, epoch in sorted(found)]
    seen = sorted({step for _, _, step in exposures})
    return DocumentTrace(
        document=identity.hex(),
        origin=known.get(identity, Origin()),
        occurrences=occurrences,
        exposures=exposures,
        steps=seen,
        checkpoints=[step for step in sorted(checkpoints) if seen and step > seen[0]],
    )


def trace_text(
    text: str,
    shards: Shards,
    tokenizer: Tokenizer,
    *,
    splits: Iterable[str] = ("train", "held_out"),
    limit: int = 100,
    corpus: Corpus | None = None,
) -> list[Match]:
    """The first ``limit`` places where the exact text stands in the shards. Raises DataError for an empty text."""
    if not text:
        raise DataError("there is no text to look for", where="--text", fix="give some")
    places = ((split, *place) for split in splits for place in search(text, shards, tokenizer, split))
    found = [
        (split, stratum, shards.document_at(split, stratum, start)[0], start, stop)
        for split, stratum, start, stop in islice(places, limit)
    ]
    known = _origins(corpus, (row[2] for row in found))
    return [
        Match(
            *(split, stratum, identity.hex(), start, stop, known.get(identity, Origin())),
            raw=_raw(text, shards, tokenizer, corpus, row)
            if corpus is not None and number < RESOLVED and not hasattr(shards, "fields")
            else None,
        )
        for number, row in enumerate(found)
        for split, stratum, identity, start, stop in [row]
    ]


def _raw(
    text: str, shards: Shards, tokenizer: Tokenizer, corpus: Corpus, place: tuple[str, int, bytes, int, int]
) -> list[tuple[int, int]] | None:
    """The raw bytes of a place, by the bytes of the tokens before it in its document."""
    split, stratum, identity, start, stop = place
    begin = shards.document_at(split, stratum, start)[1]
    tokens = shards.read(split, stratum, np.array([begin]), stop - begin)[0]
    before, needle = tokens[: start - begin], text.encode()
    pieces = [piece if tokenizer.byte_lengths[number] else SEPARATOR for number, piece in _bytes(tokens, tokenizer)]
    # Some tokenizers put a space before every text.
    led = b"".join(pieces[:4]).lstrip(SEPARATOR).startswith(b" ") and not tokenizer.decode(
        [number for number in tokens[:4].tolist() if tokenizer.byte_lengths[number]]
    ).startswith(" ")
    inside = b"".join(pieces[len(before) :]).find(needle)
    at = int(tokenizer.byte_lengths[before].sum()) + inside - led
    return corpus.resolve(identity, at, at + len(needle), split, needle) if inside >= 0 else None


def _bytes(tokens: np.ndarray, tokenizer: Tokenizer) -> list[tuple[int, bytes]]:
    numbers = tokens.tolist()
    return list(zip(numbers, tokenizer.bytes_of(numbers), strict=True))


def _readers(
    place: Occurrence, plan: DataPlan, horizon: int, raw_length: RawLength, partners: int
) -> set[tuple[int, int]]:
    """The (example, epoch) before ``horizon`` that read stored tokens of a document, in their window or a partner's."""
    if not horizon:
        return set()
    # An example may read further than its window, and a partner's window as far as its own.
    reach = max(raw_length(segment.length) for segment in plan.segments)
    positions = np.arange(place.start - reach, place.start + place.tokens)
    # A window beyond the horizon may be the partner of an example before it.
    end = pairing.block_end(horizon, plan.capacity) if partners else horizon
    near = plan.find(place.stratum, positions, end)
    windows = np.array([example for _, example in near], np.int64)
    starts = plan.locate(windows).starts[:, None]
    readers = np.concatenate([windows[:, None], pairing.readers(plan.seed, windows, partners, plan.capacity)], axis=1)
    lengths = plan.locate(readers.ravel()).lengths
    stops = starts + np.array([raw_length(length) for length in lengths.tolist()], np.int64).reshape(readers.shape)
    reads = (starts < place.start + place.tokens) & (stops > place.start) & (readers < horizon)
    epochs = np.broadcast_to(np.array([epoch for epoch, _ in near], np.int64)[:, None], readers.shape)
    return set(zip(readers[reads].tolist(), epochs[reads].tolist(), strict=True))


def _origins(corpus: Corpus | None, ids: Iterable[bytes]) -> dict[bytes, Origin]:
    return {} if corpus is None else origins(corpus, ids)


def _identity(document: bytes | str) -> bytes:
    try:
        identity = bytes.fromhex(document) if isinstance(document, str) else document
    except ValueError:
        identity = b""
    if len(identity) != 16:
        raise DataError("a document's id is 32 hexadecimal digits", where=str(document), fix="copy it whole")
    return identity
