"""Gopher's statistics against a plain reading of the paper, one text and one Python string at a time."""

from collections import Counter

import pytest
from batches import documents, library
from hypothesis import given
from hypothesis import strategies as st

from seedstock.corpus.signals.gopher import DUPLICATE, STOP_WORDS, TOP, Gopher

BULLETS = "•‣◦▪▫●○■□▶◀"


def plain(text):
    words = text.split()
    letters = sum(map(len, words))
    paragraphs = [[]]
    for line in map(str.strip, text.split("\n")):
        if line:
            paragraphs[-1].append(line)
        elif paragraphs[-1]:
            paragraphs.append([])
    paragraphs = [tuple(lines) for lines in paragraphs if lines]
    lines = [line for paragraph in paragraphs for line in paragraph]
    bare = {word.lower().strip(".,;:!?\"'()[]{}`*_") for word in words}
    again_lines, again_paragraphs = again(lines), again(paragraphs)
    return {
        "words": len(words),
        "mean_word_length": ratio(letters, len(words)),
        "hash_ratio": ratio(text.count("#"), len(words)),
        "ellipsis_ratio": ratio(text.count("...") + text.count("…"), len(words)),
        "bullet_lines": ratio(sum(is_bullet(line) for line in lines), len(lines)),
        "ellipsis_lines": ratio(sum(line.endswith(("...", "…")) for line in lines), len(lines)),
        "alphabetic_words": ratio(sum(any(map(str.isalpha, word)) for word in words), len(words)),
        "stop_words": len(bare.intersection(STOP_WORDS)),
        "duplicate_lines": ratio(len(again_lines), len(lines)),
        "duplicate_line_characters": ratio(sum(map(visible, again_lines)), letters),
        "duplicate_paragraphs": ratio(len(again_paragraphs), len(paragraphs)),
        "duplicate_paragraph_characters": ratio(sum(visible("".join(p)) for p in again_paragraphs), letters),
        **{f"top_{n}gram": ratio(top(words, n), letters) for n in TOP},
        **{f"duplicate_{n}grams": ratio(duplicate(words, n), letters) for n in DUPLICATE},
    }


def ratio(part, whole):
    return part / whole if whole else 0


def is_bullet(line):
    return line[0] in BULLETS or line.split()[0] in ("-", "*", "+")


def again(items):
    seen, found = set(), []
    for item in items:
        if item in seen:
            found.append(item)
        seen.add(item)
    return found


def visible(text):
    return sum(map(len, text.split()))


def covered(words, n, places):
    return sum(len(words[at]) for at in {place + ahead for place in places for ahead in range(n)})


def top(words, n):
    places = {}
    for at in range(len(words) - n + 1):
        places.setdefault(tuple(words[at : at + n]), []).append(at)
    repeated = {gram: found for gram, found in places.items() if len(found) > 1}
    if not repeated:
        return 0
    best = max(repeated, key=lambda gram: (len(repeated[gram]), sum(map(len, gram)), -repeated[gram][0]))
    return covered(words, n, repeated[best])


def duplicate(words, n):
    counts, places = Counter(), []
    for at in range(len(words) - n + 1):
        gram = tuple(words[at : at + n])
        if counts[gram]:
            places.append(at)
        counts[gram] += 1
    return covered(words, n, places)


def check(texts):
    found = Gopher().compute(documents(texts))
    for row, text in zip(found.to_pylist(), texts, strict=True):
        assert row == pytest.approx(plain(text), rel=1e-5, abs=1e-6)


def test_real_modules_have_the_numbers_of_the_plain_reading():
    check(library(600_000))


def test_real_books_and_web_pages_have_the_numbers_of_the_plain_reading(data_pack):
    import json

    import zstandard

    for name in ("text/books", "multilingual/udhr"):
        lines = zstandard.decompress((data_pack / f"{name}.jsonl.zst").read_bytes(), max_output_size=1 << 28)
        check([json.loads(line)["text"] for line in lines.splitlines()[:40]])


# Few words, so that lines, paragraphs and n-grams repeat and overlap.
repetitive = st.lists(
    st.sampled_from(["a", "bb", "the", "#", "x...", "…", "-", "•c", "é1", " ", "\n", "\n\n"]), max_size=60
)


@given(st.lists(repetitive.map(" ".join), max_size=4))
def test_repetitive_texts_have_the_numbers_of_the_plain_reading(texts):
    check(texts)


def test_what_repeats_up_to_the_last_word_counts():
    check(["a a a a"])


def test_an_empty_text_has_zeros():
    assert set(Gopher().compute(documents(["", " \n "])).to_pylist()[1].values()) == {0}


def test_n_grams_of_a_huge_text_are_those_of_its_head(monkeypatch):
    from seedstock.corpus.signals import gopher_kernel

    monkeypatch.setattr(gopher_kernel, "LONGEST", 8)
    head, tail, other = "a b c a b c x y", " p q r p q r" * 5, "k l k l k l k l m"
    long, short, alone = Gopher().compute(documents([head + tail, head, other])).to_pylist()
    for name in (*(f"top_{n}gram" for n in TOP), *(f"duplicate_{n}grams" for n in DUPLICATE)):
        assert long[name] == short[name]
    assert long["words"] == 38 and short["top_2gram"] > 0
    assert alone["top_2gram"] == 1
