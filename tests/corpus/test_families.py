"""Families of sequences: kin stay together, strangers apart, and a split never parts a family."""

from __future__ import annotations

import random

import numpy as np

from seedstock.corpus.sources import families as rooms
from seedstock.corpus.sources.families import families
from seedstock.corpus.sources.fasta import Fasta

LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def made(count: int, copies: int, changed: float, length: int = 200, seed: int = 0) -> tuple[list[bytes], np.ndarray]:
    """Random proteins, and copies of each in which a share of the residues is another one; shuffled."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        parent = [chance.choice(LETTERS) for _ in range(length)]
        for _ in range(copies):
            copy = [chance.choice(LETTERS) if chance.random() < changed else letter for letter in parent]
            rows.append(("".join(copy).encode(), number))
    chance.shuffle(rows)
    return [text for text, _ in rows], np.array([number for _, number in rows])


def test_kin_are_one_family_and_strangers_are_not():
    sequences, parents = made(60, 4, 0.15)
    found = families(sequences)
    for number in range(60):
        members = found[parents == number]
        assert len(set(members.tolist())) == 1 and members[0] == np.flatnonzero(parents == number)[0]
    assert len(set(found.tolist())) == 60


def test_a_sample_of_the_words_finds_the_same(monkeypatch):
    sequences, _ = made(30, 3, 0.05, length=400)
    whole = families(sequences)
    monkeypatch.setattr(rooms, "WORDS", sum(map(len, sequences)) // 4)
    assert (families(sequences) == whole).all()


def test_short_and_empty_sequences_stand_alone():
    assert families([]).tolist() == []
    assert families([b"", b"MKV", b"MKV"]).tolist() == [0, 1, 2]


def test_a_file_gives_its_sequences_their_families(tmp_path):
    sequences, parents = made(5, 3, 0.1)
    lines = [f">s{row}\n{text.decode()}\n" for row, text in enumerate(sequences)]
    lines.insert(3, ">bad\nM1K\n")  # its number is passed over, not given to the next one
    (tmp_path / "x.fasta").write_text("".join(lines))
    source = Fasta(name="f", path=str(tmp_path / "x.fasta"), families=True)
    items = [item for part in source.partitions() for item in source.read(part) if hasattr(item, "meta")]
    groups = [item.meta["split_group"] for item in items]
    for number in range(5):
        assert len({group for group, parent in zip(groups, parents, strict=True) if parent == number}) == 1
    assert len(set(groups)) == 5
    assert "split_group" not in next(iter(Fasta(name="f", path=str(tmp_path)).read(source.partitions()[0]))).meta
