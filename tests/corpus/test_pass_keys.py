"""Pass keys: told once, asked for at the end, the same whatever else is asked for, and none of those kept for tests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedstock.corpus.sources.base import Item, Unreadable
from seedstock.corpus.sources.pass_keys import NEEDLE, QUESTION, PassKeys, unseen

TEXT = " ".join(f"word{number}" for number in range(400)) + "\n"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    file = tmp_path_factory.mktemp("filler") / "text.txt"
    file.write_text(TEXT)
    return str(file)


def items(path, **options):
    source = PassKeys(name="keys", path=path, **options)
    return [item for partition in source.partitions() for item in source.read(partition)]


@given(st.integers(0, 40), st.integers(1, 40), st.integers(0, 2**31))
def test_a_document_tells_its_key_once_and_asks_for_it(path, shortest, more, seed):
    for item in items(path, documents=20, shortest=shortest, longest=shortest + more, seed=seed):
        key, meta = item.meta["key"], item.meta
        assert 10_000 <= key < 100_000 and not unseen(key)
        told = NEEDLE.format(key, key)
        assert item.text.count(told) == 1 and item.text.endswith(f"{QUESTION} {key}.")
        before, after = item.text.removesuffix(f"{QUESTION} {key}.").split(told)
        assert len(before.split()) == meta["place"] <= meta["words"] <= shortest + more
        passage = (before + after).split()
        assert passage == TEXT.split()[meta["passage"]["first_word"] :][: len(passage)]
        assert len(passage) == meta["words"] >= shortest


def test_a_longer_list_begins_with_the_shorter_one(path):
    short, long = (items(path, documents=count) for count in (700, 1200))
    assert [item.text for item in long[:700]] == [item.text for item in short]
    assert len({item.locator for item in long}) == 1200


def test_lengths_places_and_keys_are_spread(path):
    found = [item.meta for item in items(path, documents=3000, shortest=7, longest=63)]
    for low, high in ((7, 15), (15, 31), (31, 64)):
        assert sum(low <= one["words"] < high for one in found) / 3000 == pytest.approx(1 / 3, abs=0.04)
    depths = [one["place"] / one["words"] for one in found]
    assert sum(depths) / 3000 == pytest.approx(0.5, abs=0.02)
    assert len({one["key"] for one in found}) > 2900


def test_what_cannot_be_made_is_said(path, tmp_path):
    (only,) = items(path, documents=3, longest=401)
    assert isinstance(only, Unreadable) and "401 words" in only.reason
    with pytest.raises(ValueError, match="more than longest"):
        PassKeys(name="keys", path=path, documents=3, shortest=9, longest=4)


def test_words_that_are_not_ascii_are_not_cut(tmp_path):
    (tmp_path / "a.txt").write_text("été naïve 東京 " * 30)
    assert all(isinstance(item, Item) and "\ufffd" not in item.text for item in items(str(tmp_path), documents=50))
