"""Personal data in text, as spans to redact or to drop by. What is found is never written anywhere but as offsets."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from seedstock.corpus.signals.base import Signal

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

KINDS = ("iban", "card", "id", "email", "phone", "ip", "name")  # of two finds in one place, the earlier kind stands
Kind = Literal["card", "iban", "id", "email", "phone", "ip", "name"]
Names = Callable[[list[str]], list[list[tuple[int, int]]]]
BEFORE, AFTER = 48, 40  # bytes around a run of numbers that say what it is
PIECE = 1 << 20


class Personal(Signal):
    """Spans of personal data with their kinds, and how many of each there are.

    ``find`` says which kinds: e-mail addresses, telephone numbers, public IP addresses, payment cards (Luhn, issuer),
    bank accounts (IBAN), numbers that states give to people (``national_ids``). Names of people are found where
    ``names`` gives a local model: ``package.module:function``, from a list of texts to a list of (start, end) pairs, in
    characters, for each; ``revision`` says which model it is, so that another one's finds are not taken for its own.

    A quick look over the raw bytes leaves runs of numbers to look at; texts without any cost no more than that.
    """

    version: ClassVar[int] = 1
    columns: ClassVar[dict[str, str]] = {
        "spans": "spans",
        "kinds": "strings",
        "count": "int32",
        **{f"{kind}s": "int32" for kind in KINDS},
    }
    kind: Literal["personal"] = "personal"
    find: tuple[Kind, ...] = ("card", "iban", "id", "email", "phone", "ip")
    names: Annotated[str, Field(pattern=r"^[\w.]+:[\w.]+$")] | None = None
    revision: str = ""

    @field_validator("names")
    @classmethod
    def _imports(cls, names: str | None) -> str | None:
        if names:
            _model(names)
        return names

    def compute(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Finds the personal data of each text of a batch."""
        import numpy as np

        from seedstock.corpus.signals.emails import addresses
        from seedstock.corpus.utf8 import spans

        text = batch.column("text")
        found: dict[int, list[tuple[int, int, str]]] = {}
        if "email" in self.find:
            for row, pairs in addresses(text).items():
                found.setdefault(row, []).extend((start, end, "email") for start, end in pairs)
        for row, start, end, kind in _numbers(text, self.find):
            found.setdefault(row, []).append((start, end, kind))
        if self.names:
            for row, start, end in _names(text.to_pylist(), _model(self.names)):
                found.setdefault(row, []).append((start, end, "name"))
        kept = {row: _apart(listed) for row, listed in found.items()}
        counts = {kind: np.zeros(len(batch), np.int32) for kind in KINDS}
        for row, listed in kept.items():
            for *_, kind in listed:
                counts[kind][row] += 1
        places = {row: [(start, end) for start, end, _ in listed] for row, listed in kept.items()}
        return self.batch(
            spans=spans(len(batch), places),
            kinds=[[kind for *_, kind in kept.get(row, ())] for row in range(len(batch))],
            count=sum(counts.values()),
            **{f"{kind}s": counts[kind] for kind in KINDS},
        )


def _numbers(text: pa.Array, kinds: tuple[str, ...]) -> Iterator[tuple[int, int, int, str]]:
    """(row, start, end, kind) of what the finders see in the runs of numbers of a large_string array."""
    from seedstock.corpus.signals.personal_numbers import FINDERS
    from seedstock.corpus.utf8 import raw
    from seedstock.corpus.words import pieces

    wanted = [(kind, FINDERS[kind]) for kind in FINDERS if kind in kinds]
    first_row = 0
    for piece in pieces(text, PIECE) if wanted else ():
        data, offsets = raw(piece)
        view = data.data
        for row, start, end in zip(*(part.tolist() for part in _runs(data, offsets)), strict=True):
            floor, ceiling = int(offsets[row]), int(offsets[row + 1])
            begin = max(floor, start - BEFORE)
            window = bytes(view[begin : min(ceiling, end + AFTER)])
            for kind, finder in wanted:
                for at, stop in finder(window):
                    # What lies around the run has a run, and a window, of its own.
                    if at < end - begin and stop > start - begin:
                        yield first_row + row, begin + at - floor, begin + stop - floor, kind
        first_row += len(piece)


def _runs(data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(row, start, end) of the runs of numbers that may be personal data.

    A run is digits with at most three signs (space, dot, dash, slash, bracket) between them. It has seven digits or
    more, three dots, capitals before it (IBAN, Italian and British numbers) or the form of an IPv6 address.
    """
    import numpy as np

    base, stop = int(offsets[0]), int(offsets[-1])
    some = data[base:stop]
    digit = (some - np.uint8(48)) < 10
    edges = np.flatnonzero(digit[1:] != digit[:-1]) + 1
    if len(digit):
        edges = np.concatenate([[0] if digit[0] else [], edges, [len(digit)] if digit[-1] else []]).astype(np.int64)
    starts, ends = edges[0::2], edges[1::2]
    cuts = (offsets[1:-1] - base)[:, None]
    if len(cuts) and len(starts):
        # A number that runs on into the next text is two.
        inside = cuts[digit[np.minimum(cuts, len(digit) - 1)] & digit[np.maximum(cuts - 1, 0)] & (cuts < len(digit))]
        inside = np.unique(inside[inside > 0])
        starts, ends = np.union1d(starts, inside), np.union1d(ends, inside)
    if not len(starts):
        return starts, starts, starts
    rows = np.searchsorted(offsets - base, starts, side="right") - 1
    gap = starts[1:] - ends[:-1]
    joined = (gap <= 3) & (rows[1:] == rows[:-1])
    for ahead in range(3):
        at = np.minimum(ends[:-1] + ahead, len(some) - 1)
        joined &= _SIGN()[some[at]] | (gap <= ahead)
    opens = np.flatnonzero(np.concatenate([[True], ~joined]))
    count = np.add.reduceat(ends - starts, opens)
    dotted = np.concatenate([joined & (gap == 1) & (some[ends[:-1]] == ord(".")), [False]])
    likely = (count >= 7) | (np.add.reduceat(dotted.astype(np.int64), opens) >= 3)
    floor = offsets[rows] - base
    near = np.maximum(starts - 1 - (some[np.maximum(starts - 1, 0)] == ord(" ")), 0)
    upper = [(some[at] - np.uint8(65)) < 26 for at in (near, np.maximum(near - 1, 0))]
    capital = (near - 1 >= floor) & upper[0] & upper[1]
    after = some[np.minimum(starts + 4, len(some) - 1)] == ord(":")
    likely |= np.add.reduceat((capital | after).astype(np.int64), opens) > 0
    closes = np.append(opens[1:], len(starts)) - 1
    # A number inside a name or a hexadecimal constant is none.
    edge = (starts[opens] > floor[opens]) & _LOWER()[some[np.maximum(starts[opens] - 1, 0)]]
    ceiling = offsets[rows[opens] + 1] - base
    edge |= (ends[closes] < ceiling) & _LOWER()[some[np.minimum(ends[closes], len(some) - 1)]]
    likely &= ~(edge & (opens == closes) & ~after[opens])
    return rows[opens][likely], (starts[opens] + base)[likely], (ends[closes] + base)[likely]


@cache
def _SIGN() -> np.ndarray:
    import numpy as np

    table = np.zeros(256, bool)
    table[list(b" .-()/+")] = True
    return table


@cache
def _LOWER() -> np.ndarray:
    import numpy as np

    table = np.zeros(256, bool)
    table[list(b"abcdefghijklmnopqrstuvwxyz_")] = True
    return table


def _apart(found: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Finds in their order, none over another: the kind that comes first stands, then the longer one."""
    kept: list[tuple[int, int, str]] = []
    for one in sorted(set(found), key=lambda one: (KINDS.index(one[2]), one[0] - one[1], one[0])):
        at = bisect(kept, one)
        if (at == 0 or kept[at - 1][1] <= one[0]) and (at == len(kept) or kept[at][0] >= one[1]):
            kept.insert(at, one)
    return kept


@cache
def _model(name: str) -> Names:
    from importlib import import_module

    module, _, attribute = name.partition(":")
    try:
        found = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"the model of names {name!r} does not import: {error}") from error
    if not callable(found):
        raise ValueError(f"the model of names {name!r} is no function")
    return found


def _names(texts: list[str], model: Names) -> Iterator[tuple[int, int, int]]:
    """(row, start, end) in bytes of the names that a model finds by characters."""
    answers = model(texts)
    if len(answers) != len(texts):
        raise ValueError(f"the model of names gave {len(answers)} answers for {len(texts)} texts")
    for row, (text, pairs) in enumerate(zip(texts, answers, strict=True)):
        for start, end in pairs:
            if not 0 <= start < end <= len(text):
                raise ValueError(f"the model of names gave the span {start} to {end} in {len(text)} characters")
            yield row, len(text[:start].encode()), len(text[:end].encode())
