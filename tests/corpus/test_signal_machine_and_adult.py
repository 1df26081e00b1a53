"""Scores of machine-written text and of adult vocabulary; odd texts, over which no signal of quality may stumble."""

import json

import numpy as np
import pytest
from batches import documents, library
from trained_models import needed

from seedstock import kinds
from seedstock.corpus.signals.adult import Adult
from seedstock.corpus.signals.machine_text import FAVOURITES, MachineText

MADE = [
    "As an AI language model, I cannot browse the internet. However, here is what I know.",
    "I’m sorry, but I can't help with that. As of my last knowledge update in 2021, the law had not changed.",
    "Certainly! Here's a short essay about rivers. Rivers are vital. Let me know if you have any questions!",
    "Dear [insert name of recipient], it is a pleasure to write to you about the [insert subject].",
    "Als KI-Sprachmodell habe ich keine Meinung dazu.",
]
HUMAN = [
    "An AI language model is a program that predicts words; the paper describes how one was trained.",
    "I am sorry that I cannot come. Let me know if the boat is there.",
    "He asked for a model of the ship, and certainly she had one; here it was.",
]


def scores(texts):
    return MachineText().compute(documents(texts)).to_pylist()


def test_what_chatbots_say_of_themselves_is_found():
    assert all(row["telling"] >= 1 and row["score"] > 0.89 for row in scores(MADE))
    assert all(row["telling"] == 0 and row["score"] < 0.5 for row in scores(HUMAN))


def test_weak_marks_alone_stay_weak():
    fond = " ".join(f"The {word} thing is here." for word in FAVOURITES * 3)
    (row,) = scores([fond])
    assert row["favourites"] > 100 and row["evenness"] > 0.9 and row["score"] == pytest.approx(0.5, abs=0.01)
    (row,) = scores(["One. Two words here. " + "Then a sentence that goes on and on for very long. " * 3 + "End."])
    assert row["evenness"] < 0.5
    assert scores(["Four. Are. Too. Few."])[0]["evenness"] is None


def test_people_s_books_and_specifications_stay_low(data_pack):
    import zstandard

    for name, high in (("text/books.jsonl.zst", 0.01), ("text/specs.jsonl.zst", 0.012)):
        data = zstandard.ZstdDecompressor().stream_reader((data_pack / name).open("rb")).read()
        texts = [json.loads(line)["text"] for line in data.splitlines()[::4]]
        rows = scores(texts)
        assert sum(row["telling"] > 0 for row in rows) == 0
        assert np.mean([row["score"] > 0.3 for row in rows]) < high
        assert max(Adult().compute(documents(texts)).column("score").to_pylist()) == 0


def test_medicine_and_identity_are_not_adult():
    plain = (
        "The gay couple spoke of sex education, breast cancer, the vagina and the penis, and of transgender rights. "
    )
    page = "Free porn videos: milf gangbang, blowjob and cumshot clips. "
    low, high, quoted = Adult().compute(documents([plain * 20, page * 20, "He was accused of porn. " * 3])).to_pylist()
    assert low["words"] == 0 and low["score"] == 0
    assert high["score"] == 1 and high["distinct"] == 5
    assert quoted["score"] == 0


ODD = {
    "empty": "",
    "space": " \t\n\r ",
    "a word": "word",
    "digits": "1234567890 " * 1000,
    "emoji": "😀👩‍👩‍👧" * 1000,
    "scripts": "The Привет 世界 مرحبا नमस्ते ሰላም " * 50,
    "nul": "a\0b\0\0 c." * 100,
    "marks": "e" + "\u0301" * 5000,
    "controls": "".join(map(chr, range(1, 160))),
    "unassigned": "\u0378\ufffe\U000e0001\U0010ffff" * 10,
    "one line": "x" * 200_000,
    "no break space": "a\u00a0b\u3000c\u2028d " * 100,
    "line feeds": "\n" * 10_000,
    "right to left": "\u202eabc\u202c שלום" * 50,
}
KINDS = ("language", "fineweb", "stop_words", "classifier", "toxicity", "perplexity", "adult", "machine_text")


def made(name):
    return kinds.load("signals", name)(**needed().get(name, {}))


@pytest.mark.parametrize("name", KINDS)
def test_odd_texts_have_finite_values(name):
    found = made(name).compute(documents(list(ODD.values())))
    assert found.num_rows == len(ODD)
    for column in found.columns:
        if str(column.type) in ("float", "double"):
            values = column.drop_null().to_numpy(zero_copy_only=False)
            assert np.isfinite(values).all() and (values >= 0).all()


@pytest.mark.parametrize("name", KINDS)
def test_ten_megabytes_are_measured(name):
    text = ("\n".join(library(500_000)) * 24)[:10_000_000]
    assert made(name).compute(documents([text])).num_rows == 1
