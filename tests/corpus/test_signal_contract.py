"""What every signal promises, ours and those of other packages."""

import time
from typing import Any, ClassVar, Literal

import pyarrow as pa
import pytest
from batches import documents, library
from trained_models import needed

from seedstock import kinds
from seedstock.corpus.signals.base import Signal, span_type

SIGNALS = [kinds.load("signals", name)(**needed().get(name, {})) for name in kinds.TABLE["signals"]]


class Shouting(Signal):
    """The signal of the documentation: one text at a time."""

    kind: Literal["shouting"] = "shouting"
    version: ClassVar[int] = 3
    columns: ClassVar[dict[str, str]] = {"share": "float32", "loud": "spans", "words": "strings"}

    def measure(self, text: str) -> dict[str, Any]:
        loud = [word for word in text.split() if word.isupper()]
        places = [text.index(word) for word in loud]
        spans = [{"start": at, "end": at + len(word)} for at, word in zip(places, loud, strict=True)]
        return {"share": len(loud) / max(1, len(text.split())), "loud": spans, "words": loud}


MIXED = documents(
    ["", "mail me@here.org NOW", "Größe 語 " * 40, "# SPDX-License-" + "Identifier: MIT\nx = 1\n", *library(150_000)],
    domain="code",
)


@pytest.mark.parametrize("signal", [*SIGNALS, Shouting()], ids=lambda signal: signal.name)
def test_the_columns_are_the_schema_s_and_row_by_row(signal):
    found = signal.compute(MIXED)
    assert found.schema == signal.schema()
    assert found.schema.names == list(signal.types())
    assert found.num_rows == MIXED.num_rows
    found.validate(full=True)


@pytest.mark.parametrize("signal", [*SIGNALS, Shouting()], ids=lambda signal: signal.name)
def test_a_row_does_not_depend_on_its_batch(signal):
    whole = signal.compute(MIXED)
    assert signal.compute(MIXED).equals(whole)
    for begin, end in ((0, 0), (0, 1), (1, 4), (3, MIXED.num_rows)):
        assert signal.compute(MIXED.slice(begin, end - begin)).equals(whole.slice(begin, end - begin))


def test_a_signal_of_another_package_needs_only_a_measure():
    found = Shouting().compute(documents(["be QUIET", ""]))
    assert found.schema.field("loud").type == span_type()
    assert found.to_pylist()[0] == {"share": 0.5, "loud": [{"start": 3, "end": 8}], "words": ["QUIET"]}


def test_a_signal_without_a_function_says_so():
    class Idle(Signal):
        kind: Literal["idle"] = "idle"

    with pytest.raises(NotImplementedError, match="neither compute nor measure"):
        Idle().compute(documents(["x"]))


HOSTILE = {
    "one long line": "x" * 4_000_000,
    "one word over and over": "a " * 2_000_000,
    "addresses": "john.doe@mail.com " * 100_000,
    "at signs": "a@" * 2_000_000,
    "domains": "a@" + "b." * 2_000_000,
    "web tokens": "eyJaaaaaaaaaaaaaaaaaaa." * 200_000,
    "key headers": ("-----BEGIN PRIVATE " + "KEY-----") * 150_000,
    "assignments": 'secret = "' * 400_000,
    "url passwords": "://a:" * 800_000,
    "brackets": "(" * 4_000_000,
    "licence tags": ("# SPDX-License-" + "Identifier: ((((MIT\n") * 100_000,
    "line feeds": "\n" * 4_000_000,
    "combining marks": "e" + "\u0301" * 2_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_time_for_hostile_texts_is_bounded(name):
    """Anything that grows with the square of four megabytes takes hours; what is linear takes a second or two."""
    batch = documents([HOSTILE[name]])
    begin = time.process_time()
    for signal in SIGNALS:
        assert signal.compute(batch).num_rows == 1
    assert time.process_time() - begin < 30


def test_a_batch_of_nothing():
    empty = pa.RecordBatch.from_pylist([], schema=MIXED.schema)
    assert [signal.compute(empty).num_rows for signal in SIGNALS] == [0] * len(SIGNALS)
