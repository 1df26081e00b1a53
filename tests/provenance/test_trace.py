"""Every trained token leads to its document, every document to the steps that saw it, and a text to its places."""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from seedstock import answers, views
from seedstock.corpus.build import build
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.reader import Corpus
from seedstock.corpus.sources.jsonl import JsonLines
from seedstock.errors import DataError
from seedstock.inputs.loader import Loader
from seedstock.inputs.plan import DataPlan
from seedstock.inputs.segments import Segment
from seedstock.inputs.shards import Shards
from seedstock.inputs.tokenizers import Tokenizer
from seedstock.inputs.tokenizers.config import BpeConfig
from seedstock.inputs.tokenizers.train import train
from seedstock.inputs.write import write
from seedstock.ledger.store import Store
from seedstock.progress import Silent
from seedstock.provenance import search as search_module
from seedstock.provenance.trace import trace_document, trace_step, trace_text

STEPS = 40


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A corpus of real modules, with its tokenizer, shards and a plan that changes its length."""
    folder = tmp_path_factory.mktemp("trace")
    library = Path(sysconfig.get_paths()["stdlib"])
    names = ["bisect", "colorsys", "heapq", "queue", "sched", "shlex", "textwrap", "stat", "keyword", "token", "copy"]
    lines = [
        {"text": (library / f"{n}.py").read_text(), "id": n, "url": f"https://example.org/{n}", "license": "PSF-2.0"}
        for n in names
    ]
    (folder / "documents.jsonl").write_text("\n".join(map(json.dumps, lines)))
    store = Store(folder / "runs")
    source = JsonLines(name="library", path=str(folder / "documents.jsonl"))
    config = CorpusConfig(policy={"rules": [], "signals": []}, held_out=0.2)
    key = bytes(32)
    corpus = Corpus(build([source], config, seed=1, key=key, store=store, reporter=Silent(), workers=0))
    chosen = {"seed": 1, "store": store, "reporter": Silent()}
    tokenizer = Tokenizer(train(BpeConfig(vocab_size=1024), corpus, **chosen))
    shards = Shards(write(corpus, tokenizer, store=store, reporter=Silent()))
    tokens = {s.stratum: s.tokens for s in shards.strata("train")}
    weights = {n: float(count) for n, count in tokens.items()}
    plan = DataPlan(tokens, [Segment(0, weights, 64, 4), Segment(80, weights, 32, 8)], seed=1)
    return corpus, tokenizer, shards, plan


def test_a_step_names_the_documents_of_every_token_it_read(house):
    corpus, tokenizer, shards, plan = house
    for step in (0, 13, 30):
        batch, seen = Loader(shards, plan).batch(step), trace_step(step, plan, shards, corpus=corpus)
        for row, example in enumerate(batch["examples"].tolist()):
            spans = [span for span in seen if span.example == example]
            inside = int((batch["documents"][row] >= 0).sum())
            assert sum(span.stop - span.start for span in spans) == inside
            assert len(spans) == batch["documents"][row].max() + 1
            for number, span in enumerate(spans):
                own = batch["tokens"][row][batch["documents"][row] == number]
                text = tokenizer.decode(own.tolist(), skip_specials=True)
                assert text.strip("\ufffd") in corpus.document(span.document)["edited"]
                assert span.origin.url == corpus.document(span.document)["url"]
                assert (span.origin.licence, span.origin.source) == ("PSF-2.0", "library")


def test_a_document_names_exactly_the_steps_that_read_it(house):
    corpus, _, shards, plan = house
    steps = {}
    for step in range(STEPS):
        for span in trace_step(step, plan, shards):
            steps.setdefault(span.document, set()).add((span.epoch, span.example, step))
    kept = [row for split in ("train", "held_out") for b in corpus.texts(split) for row in b["id"].to_pylist()]
    for document in kept:
        found = trace_document(document, plan, shards, steps=STEPS, checkpoints=[0, 10, 20, 40], corpus=corpus)
        assert set(found.exposures) == steps.get(document.hex(), set())
        assert found.steps == sorted({step for _, _, step in found.exposures})
        if found.steps:
            assert found.checkpoints == [step for step in (10, 20, 40) if step > found.steps[0]]
        else:
            assert found.checkpoints == []
        assert found.origin.locator
    held_out = next(iter(corpus.texts("held_out")))["id"][0].as_py()
    found = trace_document(held_out.hex(), plan, shards, steps=STEPS, checkpoints=[40], corpus=corpus)
    assert [place.split for place in found.occurrences] == ["held_out"] and not found.steps


def test_nothing_was_seen_before_the_first_step(house):
    corpus, _, shards, plan = house
    document = next(iter(corpus.texts("train")))["id"][0].as_py()
    found = trace_document(document, plan, shards, steps=0, checkpoints=[0])
    assert found.exposures == found.steps == found.checkpoints == [] and found.occurrences


@pytest.mark.parametrize("chunk", [7, 1 << 20])
def test_a_text_is_found_wherever_its_tokens_begin(house, monkeypatch, chunk):
    corpus, tokenizer, shards, _ = house
    monkeypatch.setattr(search_module, "CHUNK", chunk)
    batch = next(iter(corpus.texts("train")))
    ids, texts = batch["id"].to_pylist(), batch["text"].to_pylist()
    generator = np.random.default_rng(1)
    number = int(generator.integers(len(texts)))
    start = int(generator.integers(len(texts[number]) - 40))
    for passage in (texts[number][start : start + 33], texts[number][start : start + 400], "def "):
        expected = {
            identity.hex(): sum(text.startswith(passage, k) for k in range(len(text)))
            for split in ("train", "held_out")
            for b in corpus.texts(split)
            for identity, text in zip(b["id"].to_pylist(), b["text"].to_pylist(), strict=True)
        }
        found = trace_text(passage, shards, tokenizer, limit=10_000, corpus=corpus)
        counts = dict.fromkeys(expected, 0)
        for match in found:
            counts[match.document] += 1
            tokens = shards.read(match.split, match.stratum, np.array([match.start]), match.stop - match.start)[0]
            assert passage in b"".join(tokenizer.bytes_of(tokens.tolist())).decode("utf-8", "replace")
            inner = b"".join(tokenizer.bytes_of(tokens[1:].tolist())).decode("utf-8", "replace")
            assert passage not in inner
            if match.raw is not None:  # these sources give UTF-8 files: the text is the raw document, edits aside
                document = corpus.document(match.document)
                data = document["text"].encode()
                assert passage in b"".join(data[low:high] for low, high in match.raw).decode()
        assert all(match.raw for match in found[:40])
        assert counts == expected and ids[number].hex() in counts


def test_a_text_does_not_run_over_a_documents_end(house):
    corpus, tokenizer, shards, _ = house
    texts = next(iter(corpus.texts("train")))["text"].to_pylist()
    assert trace_text(texts[0][-9:] + texts[1][:9], shards, tokenizer) == []
    assert trace_text("<|bos|>", shards, tokenizer) == []
    assert len(trace_text("e", shards, tokenizer, limit=3)) == 3


def test_questions_without_an_answer_say_so(house):
    corpus, tokenizer, shards, plan = house
    with pytest.raises(DataError, match="no such document"):
        trace_document(bytes(16), plan, shards, steps=1, corpus=corpus)
    with pytest.raises(DataError, match="32 hexadecimal"):
        trace_document("xyz", plan, shards, steps=1)
    with pytest.raises(DataError, match="no text"):
        trace_text("", shards, tokenizer)


def test_a_step_is_answered_for_before_a_checkpoint_has_it(house):
    corpus, _, shards, plan = house
    causal = SimpleNamespace(kind="causal")
    recipe = SimpleNamespace(
        training=SimpleNamespace(steps=STEPS), objective=causal, input=SimpleNamespace(unit="tokens")
    )
    body = {"step": 4, "from": 9, "by": "guard", "without": [7, 9], "why": "the loss is nan"}
    records = {"skipped": [{"step": 10, "why": "the loss is inf"}], "rewound": [{"step": 1, "from": 3}, body]}
    chain = SimpleNamespace(last=lambda kind: None, of=records.__getitem__)
    run = SimpleNamespace(recipe=recipe, steps_done=10, folder="run", chain=chain, corpus=corpus)
    run.shards, run.plan = shards, plan
    done, next_one = answers.step(run, 10), answers.step(run, 11)
    assert done["on_record"] and not next_one["on_record"]
    first, count = plan.examples(10)
    assert {span["example"] for span in next_one["spans"]} == set(range(first, first + count))
    assert "beyond the newest checkpoint" in views.answer(next_one).renderables[0].title
    assert done["skipped"] == "the loss is inf" and next_one["skipped"] is None
    assert "skipped (the loss is inf)" in views.answer(done).renderables[0].title
    left_out = "left out after a rewind to step 4: the loss is nan"
    assert [answers.step(run, number)["skipped"] for number in (6, 7, 9)] == [None, left_out, left_out]
    for number in (0, STEPS + 1):
        with pytest.raises(DataError, match=f"not one of the {STEPS} steps"):
            answers.step(run, number)


def test_partners_windows_are_traced_both_ways(house):
    _, _, shards, plan = house
    read = {}  # document → steps, from what a loader hands over
    for step in range(STEPS):
        seen = trace_step(step, plan, shards, partners=2)
        batch = Loader(shards, plan, partners=2, prepare=lambda batch, keys: dict(batch)).batch(step)
        inside = (batch["documents"] >= 0).sum() + (batch["partner_documents"] >= 0).sum()
        assert sum(span.stop - span.start for span in seen) == inside
        for span in seen:
            read.setdefault(span.document, set()).add(step)
    for document, steps in read.items():
        assert trace_document(document, plan, shards, steps=STEPS, partners=2).steps == sorted(steps)
