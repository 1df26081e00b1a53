"""FineWeb's lines against a plain reading, stop words by language, and bounds carried over between languages."""

import json

import numpy as np
import pyarrow as pa
import pytest
from batches import documents, library
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from seedstock.corpus.rules import Rule
from seedstock.corpus.signals.fineweb import CLOSING, ENDS, FineWeb
from seedstock.corpus.signals.stop_word_lists import LISTS
from seedstock.corpus.signals.stop_words import StopWords
from seedstock.corpus.thresholds import propose
from seedstock.errors import DataError


def plain(text):
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    seen, again = set(), 0
    for line in lines:
        again += len(line) if line in seen else 0
        seen.add(line)
    ended = sum(line[-8:].rstrip(CLOSING)[-1:] in tuple(ENDS) for line in lines)
    breaks = text.count("\n")
    return {
        "punctuated_lines": ended / len(lines) if lines else 0,
        "short_lines": sum(len(line) <= 30 for line in lines) / len(lines) if lines else 0,
        "duplicate_characters": again / (len(text) - breaks) if len(text) > breaks else 0,
        "line_breaks": breaks / len(text.split()) if text.split() else 0,
    }


def compare(texts):
    for text, found in zip(texts, FineWeb().compute(documents(texts)).to_pylist(), strict=True):
        assert found == pytest.approx(plain(text), abs=1e-6), text[:100]


# Arrow and Python agree on white space but for the four information separators, which Arrow does not count.
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\x1c\x1d\x1e\x1f")


@given(st.lists(st.text(st.one_of(st.sampled_from("ab \n.?!\"')。।"), LETTERS), max_size=80), max_size=5))
def test_lines_are_measured_as_in_the_paper(texts):
    compare(texts)


def test_lines_of_real_documents():
    compare(library(1_000_000))


def test_lines_of_real_prose(data_pack):
    import zstandard

    for name in ("text/books.jsonl.zst", "multilingual/udhr.jsonl.zst"):
        data = zstandard.ZstdDecompressor().stream_reader((data_pack / name).open("rb")).read()
        compare([json.loads(line)["text"] for line in data.splitlines()[::5]])


def test_stop_words_are_of_the_declared_language_or_of_the_one_that_is_found():
    english, german = "The cat is in the house, and it was not amused.", "Der Hund ist in dem Haus und schläft nicht."
    meta = ["{}", "{}", '{"language": "deu"}', '{"language": "tlh"}', "{}"]
    found = StopWords().compute(documents([english, german, german, german, "12 34"], meta=meta)).to_pylist()
    assert found[0]["distinct"] == 7 and 0.7 < found[0]["share"] < 0.8
    assert found[1] == found[2] and found[1]["distinct"] >= 5
    assert found[3] == {"distinct": None, "share": None} == found[4]
    own = StopWords(words={"tlh": ["Hund", "haus"]}).compute(documents([german], meta=['{"language": "tlh"}']))
    assert own.to_pylist()[0]["distinct"] == 2


def test_stop_words_of_several_characters_are_found_where_nothing_sets_words_apart():
    thai = "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ"
    own = StopWords(words={"th": ["และ", "ใน", "ไม่"], "zh": ["我们", "的"], "en": ["of the"]})
    texts = [thai, "我们的家，他们的家", "我 家 们", "the rest of the rest of it", "of\nthe"]
    meta = [json.dumps({"language": name}) for name in ("th", "zh", "zh", "en", "en")]
    found = own.compute(documents(texts, meta=meta)).to_pylist()
    assert [row["distinct"] for row in found] == [2, 2, 0, 1, 1]
    assert found[0]["share"] == pytest.approx(8 / len(thai))  # three characters twice, two once
    assert found[1]["share"] == pytest.approx(4 / 9)  # the comma is a word too
    assert found[3]["share"] == pytest.approx(2 / 7) and found[4]["share"] == 1


@given(st.lists(st.text("การทมี的我们 \n", max_size=30), max_size=6))
def test_runs_of_characters_are_found_as_a_plain_search_finds_them(texts):
    meta = [json.dumps({"language": "th"})] * len(texts)
    found = StopWords(words={"th": ["การ", "มี", "的"]}).compute(documents(texts, meta=meta)).to_pylist()
    for text, row in zip(texts, found, strict=True):
        closed = "".join(text.split())
        assert row["distinct"] == sum(word in closed for word in ("การ", "มี", "的"))


def test_declarations_have_stop_words(data_pack):
    import zstandard

    from seedstock.corpus.languages import normalise

    data = zstandard.ZstdDecompressor().stream_reader((data_pack / "multilingual/udhr.jsonl.zst").open("rb")).read()
    rows = [json.loads(line) for line in data.splitlines()]
    rows = [row for row in rows if normalise(row["bcp47"]) in LISTS and len(row["text"]) > 2000]
    meta = [json.dumps({"language": row["bcp47"]}) for row in rows]
    found = StopWords().compute(documents([row["text"] for row in rows], meta=meta)).column("distinct").to_numpy()
    assert len(rows) > 90 and (found >= 2).mean() > 0.93  # the others are in another script than the list


class Measured:
    """What a corpus folder gives to read, with a table of each signal."""

    folder = "corpus"
    parts = ("part-0.parquet",)

    def __init__(self, folder, **tables):
        import pyarrow.parquet as pq

        self.folder, self.names = folder, [*tables]
        for name, table in tables.items():
            (folder / "signals" / name).mkdir(parents=True)
            pq.write_table(pa.table(table), folder / "signals" / name / self.parts[0])

    def signals(self):
        return self.names


def test_a_proposed_bound_cuts_off_the_share_that_it_does_in_the_reference(tmp_path):
    rng = np.random.default_rng(0)
    values = {"en": rng.normal(10, 2, 1000), "de": rng.normal(12, 3, 600), "fi": rng.normal(20, 5, 50)}
    language = [name for name, found in values.items() for _ in found]
    words = np.concatenate([*values.values()])
    corpus = Measured(tmp_path, **{"language@2": {"language": language}, "gopher@2": {"words": words}})
    below, above, other = propose(
        corpus,
        tuple(
            Rule.model_validate({"signal": "gopher.words", **test}) for test in ({"below": 8}, {"above": 13}, {"is": 3})
        ),
        "eng",
    )
    cut = (values["en"] < 8).mean(), (values["en"] > 13).mean()
    assert set(below["by_language"]) == {"de"} and "by_language" not in other
    assert (values["de"] < below["by_language"]["de"]).mean() == pytest.approx(cut[0], abs=0.003)
    assert (values["de"] > above["by_language"]["de"]).mean() == pytest.approx(cut[1], abs=0.003)
    assert Rule.model_validate(below).by_language == below["by_language"]
    with pytest.raises(DataError, match="documents are in 'fi'"):
        propose(corpus, (), "fi")


def test_stop_words_need_words():
    with pytest.raises(ValidationError):
        StopWords(words={"en": [3]})
