"""One spelling for each language, and an identifier that is py3langid's, only faster."""

import json
from functools import cache

import pytest
from batches import documents
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from seedstock.corpus.languages import BIBLIOGRAPHIC, MEANS, SHORT, normalise
from seedstock.corpus.policy import Policy
from seedstock.corpus.signals.language import LANGUAGES, NATURAL, QUICK, Language
from seedstock.corpus.signals.scripts import scripts


@cache
def peer():
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def lines(path):
    import zstandard

    return [
        json.loads(line) for line in zstandard.ZstdDecompressor().stream_reader(path.open("rb")).read().splitlines()
    ]


def test_every_spelling_of_a_language_is_one():
    assert {*map(normalise, ["eng", "en", "EN", "en-GB", "eng_Latn", "__label__en", " en_US"])} == {"en"}
    assert [*map(normalise, ["cmn_Hans", "zh-TW", "zho", "chi"])] == ["zh"] * 4
    assert [*map(normalise, ["ger", "deu", "de-1996", "nob", "nb", "nno", "iw", "fil"])] == [
        *["de"] * 3,
        *["no"] * 2,
        "nn",
        "he",
        "tl",
    ]
    assert [*map(normalise, ["nds", "und", "Python", "c++", "objective-c", "English", ""])] == [
        *("nds", "und", "python", "c++", "objective-c", "english", "")
    ]


@given(st.one_of(st.sampled_from([*SHORT, *BIBLIOGRAPHIC, *MEANS, *LANGUAGES]), st.text(max_size=12)))
def test_a_normal_code_stays(label):
    assert normalise(normalise(label)) == normalise(label)


def test_the_codes_of_the_declarations_agree(data_pack):
    rows = lines(data_pack / "multilingual/udhr.jsonl.zst")
    both = [(row["iso639_3"], row["bcp47"]) for row in rows if row["bcp47"] != "und"]
    apart = {pair for pair in both if normalise(pair[0]) != normalise(pair[1])}
    # Bikol, Bernese, Zhuang, Mandinka and Hmong: groups of languages, whose members stay apart.
    assert len(both) > 400 and {code for _, code in apart} <= {"bik", "za", "man", "hmn", "rmn-x-lovari"}


def test_the_model_says_what_is_listed():
    from seedstock.corpus.signals.language_kernel import model

    assert {*model().labels} == {*NATURAL}
    assert {*map(normalise, LANGUAGES)} == {*LANGUAGES}
    assert len(NATURAL) > 100


def same(texts):
    from seedstock.corpus.signals.language_kernel import classify

    labels, confidence = classify(texts)
    for text, label, sure in zip(texts, labels, confidence, strict=True):
        theirs, theirs_sure = peer().classify(text)
        if label == "und":
            assert sure == 0 and theirs_sure < 0.02
        elif theirs_sure > 0.5:  # below, two labels may be as good as equal
            assert (label, pytest.approx(float(sure), abs=0.01)) == (normalise(theirs), theirs_sure)


@settings(deadline=None)  # the first example loads both models
@given(st.lists(st.text(max_size=200), max_size=6))
def test_the_kernel_is_py3langid_on_anything(texts):
    same(texts)


def test_the_kernel_is_py3langid_on_real_texts(data_pack):
    same([row["text"][:3000] for row in lines(data_pack / "multilingual/udhr.jsonl.zst")[::2]])
    same([row["text"] for row in lines(data_pack / "multilingual/sib200-30.jsonl.zst")[::40]])


def test_a_first_look_and_a_whole_look_agree(data_pack):
    texts = [row["text"] for row in lines(data_pack / "multilingual/udhr.jsonl.zst")]
    found = Language().compute(documents(texts)).to_pylist()
    whole = [peer().classify(text[max(0, (len(text) - 1000) // 2) :][:1000]) for text in texts]
    sure = [(row, label) for row, (label, confidence) in zip(found, whole, strict=True) if confidence > 0.9]
    assert len(sure) > 100 and all(row["language"] == normalise(label) for row, label in sure)


def test_a_doubt_is_settled_by_the_whole_sample():
    text = "12 " * QUICK + "Der Ausschuss traf sich am Dienstag, um über die Pläne zu sprechen." + " 34" * QUICK
    assert Language(sample=5000).compute(documents([text])).to_pylist()[0]["language"] == "de"


def test_accuracy_on_the_declarations_is_that_of_the_whole_text(data_pack):
    rows = [row for row in lines(data_pack / "multilingual/udhr.jsonl.zst") if normalise(row["bcp47"]) in NATURAL]
    found = Language().compute(documents([row["text"] for row in rows])).column("language").to_pylist()
    # What is missed is written in an unusual script or orthography, or is one of two close languages.
    assert sum(normalise(row["bcp47"]) == name for row, name in zip(rows, found, strict=True)) / len(rows) > 0.9


def test_scripts_of_the_declarations(data_pack):
    rows = [row for row in lines(data_pack / "multilingual/udhr.jsonl.zst") if row["bcp47"] != "und"]
    means = {"Hans": "Hani", "Hant": "Hani", "Jpan": ("Hira", "Hani", "Kana"), "Kore": "Hang"}
    for row, found in zip(rows, scripts([row["text"][:1000] for row in rows]), strict=True):
        assert found in means.get(row["script"], row["script"]), row["title"]


@given(st.text(st.characters(exclude_categories=["Cn", "Cs"]), max_size=50))  # the unassigned may be letters one day
def test_only_letters_have_a_script(text):
    assert scripts([text, "ａｂ"])[1] == "Latn"
    if not any(map(str.isalpha, text)):
        assert scripts([text]) == ["Zyyy"]


def policy(**rule):
    return Policy.model_validate({"signals": ["language", "gopher"], "rules": [rule]})


def test_rules_name_languages_by_any_code_and_none_that_is_never_found():
    rule = policy(signal="language.language", not_in=["eng", "deu_Latn"]).rules[0]
    assert rule.not_in == ("en", "de")
    assert policy(signal="gopher.words", below=9, language="nob").rules[0].language == ("no",)
    for bad in (
        {"signal": "language.language", "is": "xx"},
        {"signal": "gopher.words", "below": 9, "language": ["en", "tlh"]},
        {"signal": "gopher.words", "below": 9, "by_language": {"english": 3}},
    ):
        with pytest.raises(ValidationError, match="never finds"):
            policy(**bad)
    with pytest.raises(ValidationError, match="bounds of below or above"):
        policy(signal="language.language", **{"is": "en"}, by_language={"de": 1})


def test_a_language_may_have_a_bound_of_its_own():
    import pyarrow as pa

    chosen = policy(signal="gopher.words", below=50, by_language={"zho": 2, "ja": None})
    languages, words = ["en", "zh", "zh", "ja", "de", "en"], [49, 3, 1, 0, 49, 51]
    signals = {
        "language": pa.RecordBatch.from_pydict({"language": languages}),
        "gopher": pa.RecordBatch.from_pydict({"words": words}),
    }
    decided = chosen.decide(documents(["x"] * 6), signals).column("decision").to_pylist()
    assert decided == ["dropped", "kept", "dropped", "kept", "dropped", "kept"]
    assert Policy.model_validate(chosen.model_dump(mode="json")) == chosen
