"""What is held out of media, whole groups and not whole labels, and their language: what a source says, no guess."""

from __future__ import annotations

import json
from collections import defaultdict

import pyarrow.parquet as pq
from made_media import picture

from seedstock.corpus import Corpus
from seedstock.corpus.audit import audit
from seedstock.corpus.build import build
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.sources.image_text import ImageText
from seedstock.corpus.sources.images import Images
from seedstock.corpus.sources.text import Text
from seedstock.ledger.store import Store
from seedstock.progress import Silent


def made(source, runs, held_out="30 %") -> list[dict]:
    config = CorpusConfig(policy="none", held_out=held_out)
    corpus = Corpus(build([source], config, seed=1, key=b"k", store=Store(runs), reporter=Silent(), workers=0))
    rows = []
    for part in corpus.parts:
        documents = pq.read_table(corpus.folder / "documents" / part).to_pylist()
        decisions = pq.read_table(corpus.folder / "decisions" / part).to_pylist()
        rows += [{**document, **decision} for document, decision in zip(documents, decisions, strict=True)]
    return rows


def test_pictures_with_one_label_fall_on_both_sides(tmp_path):
    (tmp_path / "in" / "cat").mkdir(parents=True)
    for number in range(60):
        (tmp_path / "in" / "cat" / f"{number}.png").write_bytes(picture(seed=number))
    splits = [row["split"] for row in made(Images(name="i", path=str(tmp_path / "in")), tmp_path / "runs")]
    assert 6 < splits.count("held_out") < 32 and len(splits) == 60


def test_a_picture_in_several_languages_and_the_variants_of_a_group_stay_together(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(40):
        record = {"captions": {"en": f"thing {number}", "fr": f"chose {number}"}, "group": f"g{number // 2}"}
        if number >= 20:
            del record["group"]
        (tmp_path / "in" / f"{number}.png").write_bytes(picture(seed=number))
        (tmp_path / "in" / f"{number}.json").write_text(json.dumps(record))
    rows = made(ImageText(name="e", path=str(tmp_path / "in"), fields={"text": "captions"}), tmp_path / "runs")
    sides = defaultdict(set)
    for row in rows:
        sides[json.loads(row["meta"])["split_group"]].add(row["split"])
    assert len(rows) == 80 and {row["language"] for row in rows} == {"en", "fr"}
    assert len(sides) == 30 and all(len(side) == 1 for side in sides.values())
    assert {"train", "held_out"} == set.union(*sides.values())


def test_of_a_label_no_language_is_guessed(tmp_path):
    label = "the dogs and the cats of the house"
    (tmp_path / "in" / label).mkdir(parents=True)
    for number in range(4):
        (tmp_path / "in" / label / f"{number}.png").write_bytes(picture(seed=number))
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text(f"{label}, and of all the others that live there as well. " * 3)
    runs, pictures = tmp_path / "runs", {"name": "i", "path": str(tmp_path / "in")}
    found = {
        source.name + str(source.language): made(source, runs)
        for source in (
            Images(**pictures),
            Images(**pictures, language="de"),
            Text(name="t", path=str(tmp_path / "texts")),
        )
    }
    assert {name: {row["language"] for row in rows} for name, rows in found.items()} == {
        "iNone": {"und"},
        "ide": {"de"},
        "tNone": {"en"},
    }
    for path in (runs / ".store/corpus").glob("*/strata.json"):  # the audit does not guess either
        (stratum,) = json.loads(path.read_text())
        assert {one["name"] for one in audit(path.parent)["by"]["language"]} == {stratum["language"]}
