"""Items: pictures in shards, a plan that gives each once an epoch, batches that are pure functions of a step."""

from __future__ import annotations

import io
import os
import time

import numpy as np
import pytest

from seedstock.corpus import Corpus, build
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.media.types import Undecodable
from seedstock.corpus.sources.images import Images
from seedstock.errors import DataError
from seedstock.inputs.config import MixtureConfig
from seedstock.inputs.items import write
from seedstock.inputs.items.images import ImagesConfig, square
from seedstock.inputs.items.loader import HeldOutItems, ItemLoader
from seedstock.inputs.plan import DataPlan
from seedstock.inputs.shards import Shards
from seedstock.ledger.ids import sha256_file
from seedstock.ledger.store import Store
from seedstock.progress import Silent

pytest.importorskip("PIL")


def png(pixels):
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Forty drawn pictures of two classes and several sizes."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(1)
    for number in range(40):
        place = folder / ("dark", "light")[number % 2]
        place.mkdir(exist_ok=True)
        shape = (12 + number % 5, 12 + number % 3, 3)
        (place / f"{number:02d}.png").write_bytes(png(rng.integers(0, 256, shape, np.uint8)))
    return folder


@pytest.fixture(scope="module")
def corpus(pictures, tmp_path_factory):
    config = CorpusConfig(policy="none", dedup=None, held_out=0.2)
    source = Images(name="drawn", path=str(pictures), licence="CC0-1.0")
    store = Store(tmp_path_factory.mktemp("runs"))
    return Corpus(build.build([source], config, seed=1, key=b"k" * 32, store=store, reporter=Silent(), workers=1))


CONFIG = ImagesConfig(size=8, label="label")


@pytest.fixture(scope="module")
def shards(corpus, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("items"))
    return Shards.open(write.write(corpus, CONFIG, store=store, reporter=Silent()))


def plan_of(shards, batch=4):
    return DataPlan.of(shards, MixtureConfig(max_repeats=None), seed=3, length=1, batch=batch)


def test_every_document_is_an_item_with_its_pixels_and_its_label(corpus, shards):
    seen = 0
    for split in ("train", "held_out"):
        for stratum in shards.strata(split):
            ids, starts = shards.documents(split, stratum.stratum)
            assert stratum.tokens == stratum.documents == len(ids) == starts[-1]
            stored = shards.items(split, stratum.stratum, np.arange(stratum.tokens))
            for number, identity in enumerate(ids):
                from seedstock.corpus.media.pictures import picture

                known = corpus.document(identity.tobytes())
                pixels = picture(corpus.media(identity.tobytes())[1])
                assert (stored["image"][number] == square(pixels, 8)).all()
                assert shards.labels[stored["label"][number]] == known["meta"]["label"]
                seen += 1
    assert seen == 40


def test_an_epoch_gives_every_item_once_and_finds_each_again(shards):
    plan = plan_of(shards)
    total = sum(stratum.tokens for stratum in shards.strata("train"))
    located = plan.locate(np.arange(total))
    assert sorted(zip(located.strata, located.starts, strict=True)) == [
        (stratum.stratum, number) for stratum in shards.strata("train") for number in range(stratum.tokens)
    ]
    assert set(located.epochs) == {0}
    for example in (0, 7, total - 1):
        stratum, start = int(located.strata[example]), int(located.starts[example])
        assert plan.find(stratum, np.array([start]), total) == [(0, example)]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_ranks_share_a_step_between_them(shards, world):
    plan = plan_of(shards, batch=7)
    whole = ItemLoader(shards, plan, seed=1)
    for step in (0, 3):
        parts = [ItemLoader(shards, plan, seed=1, rank=rank, world=world).batch(step) for rank in range(world)]
        for name, values in whole.batch(step).items():
            assert (np.concatenate([part[name] for part in parts]) == values).all()


def test_a_batch_holds_what_is_stored_and_digests_it(shards):
    batch = ItemLoader(shards, plan_of(shards), seed=1).batch(2)
    assert batch["image"].shape == (4, 8, 8, 3) and batch["image"].dtype == np.uint8 and batch["present"].all()
    assert len({row.tobytes() for row in batch["digests"]}) == 4
    stored = shards.items("train", int(batch["strata"][0]), batch["starts"][:1])
    assert (stored["image"][0] == batch["image"][0]).all()


def test_shards_are_the_same_bytes_again(corpus, shards, tmp_path):
    again = write.write(corpus, CONFIG, store=Store(tmp_path), reporter=Silent())
    for path in sorted(shards.folder.rglob("*")):
        if path.is_file() and path.name != "manifest.json":
            assert sha256_file(path) == sha256_file(again / path.relative_to(shards.folder)), path.name


def test_held_out_items_come_in_order_and_a_limit_takes_some_evenly(shards):
    whole = HeldOutItems(shards, prepare=lambda batch, keys: batch)
    count = sum(stratum.tokens for stratum in shards.strata("held_out"))
    assert [len(batch["image"]) for batch in whole.batches(3)] == [3] * (count // 3) + [count % 3] * bool(count % 3)
    some = HeldOutItems(shards, prepare=lambda batch, keys: batch, limit=2)
    assert some.numbers.tolist() == [0, count - 1]


def test_a_picture_that_cannot_be_read_is_listed_and_the_rest_goes_on(corpus, monkeypatch, tmp_path):
    from seedstock.corpus.media import pictures as decoder

    plain, bad = decoder.picture, corpus.media(corpus.find(source="drawn")[0])[1]

    def picture(data):
        if data == bad:
            raise Undecodable("damaged picture")
        return plain(data)

    monkeypatch.setattr(decoder, "picture", picture)
    found = Shards.open(write.write(corpus, CONFIG, store=Store(tmp_path), reporter=Silent()))
    assert sum(stratum.tokens for split in ("train", "held_out") for stratum in found.strata(split)) == 39
    assert "damaged picture" in (found.folder / "skipped.jsonl").read_text()


def test_why_nothing_is_left_to_train_on_is_said(corpus, tmp_path):
    class Clips(ImagesConfig):
        media = "video/"

    with pytest.raises(DataError, match=r"that give pictures: it has no video beside its text \(40\)"):
        write.write(corpus, Clips(size=8), store=Store(tmp_path), reporter=Silent())


def test_a_label_that_no_document_has_is_said_to_be_missing(corpus, tmp_path):
    said = []

    class Told(Silent):
        def say(self, text):
            said.append(text)

    folder = write.write(corpus, ImagesConfig(size=8, label="breed"), store=Store(tmp_path), reporter=Told())
    assert any("'breed'" in text for text in said) and Shards.open(folder).labels == []


def test_the_commonest_reasons_are_told_with_where_the_others_stand(corpus, tmp_path):
    said, reasons = [], iter(["small"] * 3 + ["dark", "dark", "old", "odd"])

    class Told(Silent):
        def say(self, text):
            said.append(text)

    class Choosy(ImagesConfig):
        def items(self, document, tokenizer=None):
            if reason := next(reasons, None):
                raise Undecodable(reason)
            yield from super().items(document, tokenizer)

    folder = write.write(corpus, Choosy(size=8), store=Store(tmp_path), reporter=Told())
    (text,) = said
    assert "7 documents gave nothing: small (3); dark (2); 2 other reasons" in text and str(folder) in text
    assert len((folder / "skipped.jsonl").read_text().splitlines()) == 7


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_of_any_shape_becomes_a_square(fit, channels):
    for shape in ((1, 1), (3, 50), (64, 64), (17, 5)):
        made = square(np.full((*shape, 3), 200, np.uint8), 16, fit, channels)
        assert made.shape == (16, 16, channels)
        if fit != "pad":
            assert (made == 200).all()


def test_a_line_of_pixels_is_not_filled_up_to_a_square_of_gigabytes(monkeypatch):
    from PIL import Image

    plain = Image.new

    def new(mode, size, *more):
        assert size[0] * size[1] <= 2**26
        return plain(mode, size, *more)

    monkeypatch.setattr(Image, "new", new)
    for shape in ((1, 60_000), (60_000, 1)):
        made = square(np.zeros((*shape, 3), np.uint8), 16, "pad")
        assert made.shape == (16, 16, 3) and (made == 255).mean() > 0.8


def test_who_stops_the_writing_does_not_wait_for_all_that_is_queued(corpus, tmp_path):
    cut = []

    class Slow(ImagesConfig):
        def items(self, document, tokenizer=None):
            cut.append(time.sleep(0.02))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write.write(corpus, Slow(size=8), store=Store(tmp_path), reporter=Silent())
    assert len(cut) <= 2 * (os.cpu_count() or 1)
