import json

import numpy as np
from batches import documents

from seedstock.corpus.signals import language_kernel
from seedstock.corpus.signals.language import Language

SENTENCES = {
    "en": ("Latn", "The committee met on Tuesday to discuss the plans for the new library and its gardens."),
    "de": ("Latn", "Der Ausschuss traf sich am Dienstag, um über die Pläne für die neue Bücherei zu sprechen."),
    "ru": ("Cyrl", "Комитет собрался во вторник, чтобы обсудить планы новой библиотеки и её садов."),
    "el": ("Grek", "Η επιτροπή συνεδρίασε την Τρίτη για να συζητήσει τα σχέδια για τη νέα βιβλιοθήκη."),
    "ar": ("Arab", "اجتمعت اللجنة يوم الثلاثاء لمناقشة خطط المكتبة الجديدة وحدائقها."),
    "ja": ("Hira", "委員会は火曜日にあつまり、あたらしい図書館とその庭のけいかくについてはなしあった。"),
}


def test_natural_languages_and_their_scripts():
    found = Language().compute(documents([text for _, text in SENTENCES.values()])).to_pylist()
    assert [(row["language"], row["script"]) for row in found] == [(key, SENTENCES[key][0]) for key in SENTENCES]
    assert all(0.5 < row["confidence"] <= 1 and not row["programming"] for row in found)


def test_the_language_of_code_is_that_of_its_file_or_as_declared():
    declared = json.dumps({"language": "Rust"})
    batch = documents(
        ["x = 1", "x = 1", "fn main", SENTENCES["en"][1], SENTENCES["en"][1]],
        domain=["code", "code", "code", "code", "docs"],
        locator=["a==1/b.py", "w.jsonl#T/P/a.JS", "w.jsonl:7", "README.md", "b.py"],
        meta=["{}", "{}", declared, "{}", declared],
    )
    found = Language().compute(batch).to_pylist()
    assert [row["language"] for row in found] == ["python", "javascript", "rust", "en", "en"]
    assert [row["programming"] for row in found] == [True, True, True, False, False]
    assert [row["confidence"] == 1 for row in found[:3]] == [True] * 3


def test_a_text_without_letters_has_no_language():
    found = Language().compute(documents(["", "12 + 30 = 42 ..."])).to_pylist()
    assert [(row["language"], row["confidence"], row["script"]) for row in found] == [("und", 0, "Zyyy")] * 2


def test_only_the_sample_is_looked_at():
    english, russian = SENTENCES["en"][1], SENTENCES["ru"][1]
    batch = documents([russian * 20 + english + russian * 20])
    assert Language(sample=80).compute(batch).to_pylist()[0]["language"] == "en"
    assert Language(sample=2000).compute(batch).to_pylist()[0]["script"] == "Cyrl"


def test_a_text_without_letters_in_the_middle_is_known_by_its_beginning():
    batch = documents([SENTENCES["de"][1] + " 0 1 2" * 500])
    assert Language(sample=200).compute(batch).to_pylist()[0]["language"] == "de"


def test_languages_of_real_sentences(data_pack):
    import zstandard

    two = {"eng": "en", "deu": "de", "fra": "fr", "spa": "es", "rus": "ru", "tur": "tr", "vie": "vi", "swh": "sw"}
    data = zstandard.decompress((data_pack / "multilingual/sib200-30.jsonl.zst").read_bytes(), max_output_size=1 << 28)
    rows = [row for row in map(json.loads, data.splitlines()[::25]) if row["language"][:3] in two]
    found = Language().compute(documents([row["text"] for row in rows])).column("language").to_pylist()
    right = [name == two[row["language"][:3]] for name, row in zip(found, rows, strict=True)]
    assert len(rows) > 100 and sum(right) / len(right) > 0.97
    scripts = Language().compute(documents([row["text"] for row in rows])).column("script").to_pylist()
    assert [row["language"][4:] for row in rows] == scripts


def test_what_a_source_declares_stands_beside_what_is_found():
    english = "All human beings are born free and equal in dignity and rights, and should act so."
    meta = ['{"language": "sco_Latn"}', '{"language": "English"}', "{}", '{"language": null}']
    found = Language().compute(documents([english] * 4, meta=meta)).to_pylist()
    assert [row["language"] for row in found] == ["en"] * 4
    assert [row["declared"] for row in found] == ["sco", "english", None, None]


def test_as_many_bytes_settle_a_state_as_the_farthest_one_is_steps_away():
    rng = np.random.default_rng(1)
    for _ in range(50):
        states, rows = int(rng.integers(1, 9)), int(rng.integers(1, 6))
        step = np.where(rng.random((rows, 256)) < 0.99, 0, rng.integers(0, states, (rows, 256))).astype(np.int32)
        base = (rng.integers(0, rows, states) << 8).astype(np.int32)
        near, level, steps = {0}, {0}, 0
        while level := {int(to) for at in level for to in step[base[at] >> 8]} - near:
            near |= level
            steps += 1
        assert language_kernel._depth(step.ravel(), base) == steps
