"""Documents that hold pieces of evaluation items are found, whatever was done to case, punctuation and spaces."""

import csv
import gzip
import json
import random
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedstock.corpus import decontaminate, evaluation_items, ngrams
from seedstock.corpus.config import CorpusConfig, Decontamination
from seedstock.errors import DataError

WORDS = "the quick brown fox jumps over the lazy dog while seven wise owls watch from above in silence tonight"
LISTED = WORDS.split()


def array(*texts):
    return pa.array(texts, pa.large_string())


def index(folder, **options):
    return decontaminate.Index(decontaminate.files([str(folder)]), **options)


def lines(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


latin = st.characters(codec="utf-8", categories=("L", "N", "P", "Z", "S", "C"), max_codepoint=0x2FFF)


@given(st.lists(st.text(latin, max_size=40), max_size=6))
def test_words_are_what_unicode_calls_letters_and_digits_between_signs(texts):
    hashes, row = ngrams.words(array(*texts))
    names = [ngrams.spelled(text) for text in texts]
    assert np.bincount(row, minlength=len(texts)).tolist() == list(map(len, names))
    flat = [name for listed in names for name in listed]
    assert len({*zip(flat, hashes.tolist(), strict=True)}) == len(set(flat)) == len(set(hashes.tolist()))


@given(st.lists(st.text("ab c.Ä_", max_size=60), max_size=5), st.integers(1, 5))
def test_runs_of_words_are_equal_where_the_words_are_and_stay_in_their_text(texts, size):
    hashes, row = ngrams.words(array(*texts))
    runs, first = ngrams.grams(hashes, row, size)
    names = [tuple(re.findall(r"[^\W_]+", text.lower())) for text in texts]
    wanted = [listed[at : at + size] for listed in names for at in range(len(listed) - size + 1)]
    assert len(runs) == len(wanted) == len(first)
    assert len({*zip(wanted, runs.tolist(), strict=True)}) == len(set(wanted)) == len(set(runs.tolist()))
    assert ngrams.grams_at(hashes, first, size).tolist() == runs.tolist()


def test_texts_longer_than_a_block_hash_as_short_ones_do():
    text = " ".join(f"w{n % 1013}" for n in range(300_000))
    hashes, row = ngrams.words(array("some text before", text, "x" * 2_000_000))
    few, _ = ngrams.words(array(" ".join(f"w{n}" for n in range(1013))))
    assert np.array_equal(hashes[3:-1], np.resize(few, 300_000))
    runs, first = ngrams.grams(hashes, row, 13)
    assert len(runs) == 300_000 - 12
    assert np.array_equal(runs[:1013], ngrams.grams(few.repeat(1)[np.arange(1025) % 1013], np.zeros(1025), 13)[0])
    assert first[0] == 3


def test_scripts_without_spaces_are_matched_by_character(tmp_path):
    item = "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"
    found = index(lines(tmp_path / "a.jsonl", {"q": item}))
    assert found.match("前書き。" + item.replace("、", " ") + "後書き").where == "a.jsonl:1"
    assert found.match("すべての人間は生まれる。") is None


@pytest.mark.parametrize(
    "change",
    [
        str,
        str.upper,
        lambda text: text.replace(" ", "\n\t  "),
        lambda text: "**" + text.replace(" ", "_") + "**!",
        lambda text: text.replace(" ", "\u00a0\u2014\u201c"),
        lambda text: "He said: " + text + " and left.",
    ],
)
def test_case_punctuation_and_white_space_make_no_difference(tmp_path, change):
    found = index(lines(tmp_path / "test.jsonl", {"a": "unrelated"}, {"q": [{"x": WORDS}]}))
    hit = found.match(change(WORDS))
    assert (hit.where, hit.words, hit.matched, hit.total) == ("test.jsonl:2", 13, 7, 7)


def test_a_changed_word_in_every_thirteen_is_no_match(tmp_path):
    found = index(lines(tmp_path / "test.jsonl", {"q": WORDS}))
    assert found.match(" ".join([*LISTED[:12], "other", *LISTED[13:]])) is None
    assert found.match(" ".join(LISTED[:13])).matched == 1


def test_the_words_stay_out_of_the_reason_unless_they_are_asked_for(tmp_path):
    hit = index(lines(tmp_path / "test.jsonl", {"q": WORDS})).match(WORDS)
    assert not set(hit.reason().split()) & {"quick", "brown", "owls"}
    assert re.fullmatch(r"shares 13 words in a row with test\.jsonl:1 \(7 of 7, digest [0-9a-f]{16}\)", hit.reason())
    assert hit.reason(quote=True).endswith(": " + " ".join(LISTED[:13]))


def test_items_too_short_for_a_run_are_matched_whole_and_without_what_most_begin_with(tmp_path):
    rng = random.Random(1)
    names = [f"{a}{b}" for a in ("ka", "lo", "mi", "ru", "se") for b in ("tor", "pan", "del", "fin", "gus")]
    questions = [" ".join(rng.sample(names, 9)) for _ in range(20)]
    found = index(lines(tmp_path / "qa.jsonl", *({"query": f"Question: {text}?", "gold": 1} for text in questions)))
    assert found.match(f"quiz: {questions[4].upper()}!").where == "qa.jsonl:5"
    assert found.match(questions[4]).words == 9
    assert found.match(" ".join(questions[4].split()[:8])) is None


def test_what_is_shorter_than_the_shortest_is_counted_as_not_covered(tmp_path):
    lines(tmp_path / "a.jsonl", {"q": "far too short"}, {"q": WORDS})
    assert index(tmp_path).coverage() == {"a.jsonl": (1, 2)}
    assert index(tmp_path).match("this is far too short") is None
    assert index(tmp_path, shortest=3).match("this is far too short").where == "a.jsonl:1"


def test_templates_numbers_and_repetitions_are_no_evidence(tmp_path):
    template = "choose the letter of the answer that fits best and explain in one sentence why"
    counted = " ".join(map(str, range(40)))
    records = [{"q": f"{template} item{n} " + " ".join(f"w{n}x{k}" for k in range(20))} for n in range(9)]
    found = index(lines(tmp_path / "a.jsonl", *records, {"q": counted + " end"}, {"q": "no " * 30}))
    assert [found.match(text) for text in (template, counted, "no " * 50)] == [None] * 3
    assert found.match(records[3]["q"]).where == "a.jsonl:4"


def test_common_runs_count_only_where_half_of_the_item_is_there(tmp_path):
    proverb = WORDS
    item = " ".join(f"own{n}" for n in range(60)) + " " + proverb
    found = index(lines(tmp_path / "a.jsonl", {"q": item}), common=3)
    texts = [f"document {n}: {proverb}" for n in range(5)] + [item]
    matches = found.search(array(*texts))
    held = found.documents(matches)
    assert [found.verdict(runs, held) is not None for _, runs in sorted(matches.items())] == [False] * 5 + [True]
    few = found.search(array(*texts[:3]))
    assert all(found.verdict(runs, found.documents(few)) for runs in few.values())


@given(st.integers(0, 6), st.integers(0, 5))
def test_the_answer_does_not_depend_on_the_batch(start, size):
    texts = ["", WORDS, "x", " ".join(LISTED[2:]), "nothing of it", "", " ".join(LISTED[5:18])]
    found = _fixed()
    whole = found.search(array(*texts))
    part = found.search(array(*texts).slice(start, size))
    assert {row + start: runs.tolist() for row, runs in part.items()} == {
        row: runs.tolist() for row, runs in whole.items() if start <= row < start + size
    }


def _fixed(known=[]):  # noqa: B006 - made once
    if not known:
        import tempfile
        from pathlib import Path

        with tempfile.TemporaryDirectory() as folder:
            known.append(index(lines(Path(folder) / "a.jsonl", {"q": WORDS})))
    return known[0]


def test_every_kind_of_file_is_read_item_by_item(tmp_path):
    text = WORDS
    (tmp_path / "a.json").write_text(json.dumps({"version": 1, "data": [{"q": "short"}, {"q": {"deep": [text]}}]}))
    (tmp_path / "b.csv").write_text(f'id,q\n1,"short"\n2,"{text}"\n')
    (tmp_path / "c.tsv").write_text(f"1\t{text}\n")
    (tmp_path / "d.txt").write_text(f"\n\n{text}\n")
    (tmp_path / "e.jsonl.gz").write_bytes(gzip.compress(json.dumps({"q": text}).encode()))
    pq.write_table(pa.table({"q": ["short", text]}), tmp_path / "f.parquet")
    for name, number in {"a.json": 2, "b.csv": 3, "c.tsv": 1, "d.txt": 3, "e.jsonl.gz": 1, "f.parquet": 2}.items():
        assert index(tmp_path / name).match(text).where == f"{name}:{number}"


@pytest.mark.parametrize(
    "name, content",
    [
        ("broken.jsonl", b'{"q": "x"}\n{"q": '),
        ("deep.jsonl", b"[" * 200_000),
        ("latin.txt", b"caf\xe9"),
        ("broken.json", b'{"q": [1, 2'),
        ("cut.jsonl.gz", gzip.compress(b'{"q": "x"}\n' * 1000, mtime=0)[:20]),
        ("not.parquet", b"PAR1 but no"),
        ("nul.csv", b'"' + b"x" * 200_000 + b'"\n'),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_what_to_do(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    csv.field_size_limit(131_072)  # Python's own; it holds for the whole process, and sources raise it
    with pytest.raises(DataError, match="cannot be read as an evaluation file") as caught:
        index(tmp_path)
    assert caught.value.where == f"corpus.decontaminate: {name}" and caught.value.fix


def test_empty_files_and_empty_items_hold_nothing(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"q": ""}\n[]\n3\n\n')
    (tmp_path / "b.txt").write_text("")
    found = index(tmp_path)
    assert found.match(WORDS) is None
    assert found.search(array()) == {}


def test_a_list_of_files_and_settings_written_out():
    assert CorpusConfig(decontaminate=["a.jsonl"]).model_dump(mode="json")["decontaminate"] == ["a.jsonl"]
    written = {"files": ["a.jsonl"], "words": 8, "shortest": 5, "common": None, "quote": True}
    config = CorpusConfig(decontaminate=written)
    assert config.decontaminate == Decontamination(files=("a.jsonl",), words=8, shortest=5, common=None, quote=True)
    assert config.model_dump(mode="json")["decontaminate"] == written
    assert CorpusConfig(decontaminate=config.decontaminate) == config


def test_real_items_are_found_and_real_books_are_let_pass(data_pack):
    found = decontaminate.Index(
        evaluation_items.files(["${SEEDSTOCK_DATA}/eval/gsm8k-test.jsonl.zst", "${SEEDSTOCK_DATA}/eval/HumanEval*"])
    )
    assert len(found.items) == 1319 + 164
    assert all(covered == items for covered, items in found.coverage().values())
    question = "Janet’s ducks lay 16 eggs per day. She eats three for breakfast every morning and bakes muffins"
    assert found.match("Here is one: " + question).where == "gsm8k-test.jsonl.zst:1"
    rng = random.Random(4)
    for item in rng.sample(found.items, 60):
        assert found.match(item.text.upper()).where == item.where
    from seedstock.corpus.sources.jsonl import JsonLines

    books = JsonLines(name="b", path="${SEEDSTOCK_DATA}/text/books.jsonl.zst", limit="2 MB")
    texts = [item.text for part in books.partitions() for item in books.read(part)][:100]
    assert found.search(array(*texts)) == {}
