"""The nearest training documents share the most telling passages, and these are shown as they are."""

import itertools

import numpy as np
import pytest
import small_ledger
from hypothesis import given, settings
from hypothesis import strategies as st

from seedstock.corpus.reader import Corpus
from seedstock.inputs.plan import DataPlan
from seedstock.inputs.tokenizers import Tokenizer
from seedstock.provenance import matches
from seedstock.provenance.matches import Query
from seedstock.provenance.nearest import nearest


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return small_ledger.make(tmp_path_factory.mktemp("nearest") / "runs")


@pytest.fixture(scope="module")
def ask(small):
    corpus, tokenizer = Corpus(small.folder("corpus")), Tokenizer(small.folder("tokenizer"))
    return lambda text, k=5, **more: nearest(text, corpus, small.shards, tokenizer, k, **more)


class Streams:
    """The part of the shard reader that a scan uses, over one stream in memory."""

    def __init__(self, tokens):
        self.tokens, self.stratum, self.stream = len(tokens), 0, np.array(tokens, np.uint16)

    def strata(self, split):
        return [self]

    def read(self, split, stratum, starts, length):
        return self.stream[starts[0] : starts[0] + length][None]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=60),
    st.lists(st.integers(0, 3), min_size=2, max_size=12),
    st.integers(2, 4),
    st.integers(1, 9),
)
def test_a_scan_finds_every_maximal_shared_passage_whatever_the_chunks(stream, text, order, chunk):
    order = min(order, len(text))
    query = Query(np.array(text), order)
    patch = pytest.MonkeyPatch()
    patch.setattr(matches, "CHUNK", chunk)
    patch.setattr(matches, "_MOST_OFFSETS", 99)
    with patch.context():
        found = [
            (int(position), int(offset), int(length))
            for some in query.scan(Streams(stream))
            for position, offset, length in zip(some.positions, some.offsets, some.lengths, strict=True)
        ]
    patch.undo()
    wanted = []
    for position, offset in itertools.product(range(len(stream)), range(len(text))):
        if position and offset and stream[position - 1] == text[offset - 1]:
            continue
        pairs = zip(stream[position:], text[offset:], strict=False)
        length = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        if length >= order:
            wanted.append((position, offset, length))
    assert sorted(found) == sorted(wanted)
    grams = [tuple(text[at : at + order]) for at in range(len(text) - order + 1)]
    windows = [tuple(stream[at : at + order]) for at in range(len(stream) - order + 1)]
    assert [query.counts[query.gram_of[at]] for at in range(len(grams))] == [windows.count(gram) for gram in grams]


def test_a_passage_of_a_document_is_traced_to_it(small, ask):
    for name in ("shlex", "calendar", "textwrap"):
        text = small.document(name).text
        passage = text[len(text) // 3 :][:300]
        first, *others = ask(f"something of its own; {passage} and something else")
        assert first.id == small.document(name).id.hex() and first.locator == f"{name}.py"
        assert first.passage in text and len(first.passage) > 250 and first.passage.strip() in passage
        assert (first.licence, first.language, first.source) == ("PSF-2.0", "en", "modules")
        assert 0.5 < first.score < 1 and all(first.score > other.score for other in others)


def test_what_is_rare_weighs_more_than_what_everybody_writes(small, ask):
    rare = "Guido's amazing heap"
    text = small.document("heapq").text
    line = next(line for line in text.splitlines() if len(line) > 40 and "import" not in line and '"""' not in line)
    found = ask(f"    def __init__(self):\n        self.{rare[:3]} = None\n{line}")
    assert found[0].locator == "heapq.py"


def test_every_shown_passage_is_shared_verbatim_and_documents_are_shown_once(small, ask):
    text = small.document("queue").text[500:900]
    found = ask(text, k=8)
    assert len({one.id for one in found}) == len(found) == 8
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    for one in found:
        own = next(other for other in small.documents if other.id.hex() == one.id)
        assert own.split == "train" and one.passage.strip("�") in own.text and one.passage.strip("�") in text
    assert found[0].record()["locator"] == "queue.py"


def test_held_out_text_and_nothing_shared(small, ask):
    assert ask("") == []
    assert all(one.locator != "keyword.py" for one in ask(small.document("keyword").text[:200]))
    assert ask("\u2603\u2603\u2603", k=2) == [] or all(one.score <= 1 for one in ask("\u2603\u2603\u2603"))


def test_the_steps_that_saw_the_passage_can_be_asked_for(small, ask):
    plan = DataPlan.from_json(small.chain.last("plan")["plan"])

    def steps(stratum, start, stop):
        return sorted({plan.step(example) for _, example in plan.find(stratum, np.arange(start, stop), 2000)})

    text = small.document("sched").text
    [one] = ask(text[200:400], k=1, steps=steps)
    [(_, stratum, start, tokens)] = small.shards.occurrences(small.document("sched").id)
    assert one.steps and set(one.steps) <= set(steps(stratum, start, start + tokens))
