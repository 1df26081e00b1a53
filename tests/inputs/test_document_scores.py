"""What signals found of documents goes along with their tokens, unchanged, and is part of what a step was fed."""

from __future__ import annotations

import numpy as np
import pytest
from texts_corpus import SCORES, TextsCorpus, real_texts

from seedstock.errors import DataError
from seedstock.inputs.config import MixtureConfig
from seedstock.inputs.loader import Loader
from seedstock.inputs.plan import DataPlan
from seedstock.inputs.scores import host, known, site
from seedstock.inputs.shards import Shards
from seedstock.inputs.tokenizers import Tokenizer
from seedstock.inputs.tokenizers.config import BytesConfig
from seedstock.inputs.tokenizers.train import train
from seedstock.inputs.write import inputs_of, write
from seedstock.ledger.store import Store
from seedstock.progress import Silent

NAMES = ("letters.share", "lines.mean", "document.source", "document.host")


def made(folder, names=NAMES, batch=5):
    folder.mkdir(exist_ok=True)
    corpus, store = TextsCorpus(folder, real_texts(), batch=batch), Store(folder / "runs")
    tokenizer = Tokenizer(train(BytesConfig(), corpus, seed=1, store=store, reporter=Silent()))
    return corpus, tokenizer, Shards(write(corpus, tokenizer, store=store, reporter=Silent(), scores=names))


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    return made(tmp_path_factory.mktemp("scored"))


def loader(shards, **options):
    plan = DataPlan.of(shards, MixtureConfig(max_repeats=None), seed=1, length=64, batch=8)
    return Loader(shards, plan, seed=1, **options)


def expected(corpus, identity):
    row = corpus.document(identity)
    sources = ["python", "declaration"]
    return [
        *(np.float32(np.nan if SCORES[name](row["text"]) is None else SCORES[name](row["text"])) for name in NAMES[:2]),
        *(float(sources.index(row["source"])), 0.0),
    ]


def test_every_token_has_the_scores_of_its_document(scored):
    corpus, _, shards = scored
    batch = loader(shards).batch(3)
    assert batch["scores"].shape == (*batch["tokens"].shape, len(NAMES)) and batch["scores"].dtype == np.float32
    for row in range(len(batch["tokens"])):
        stratum, start = int(batch["strata"][row]), int(batch["starts"][row])
        for place in range(0, 65, 7):
            if batch["documents"][row, place] < 0:
                assert np.isnan(batch["scores"][row, place]).all()
                continue
            identity, _, _ = shards.document_at("train", stratum, start + place)
            np.testing.assert_array_equal(batch["scores"][row, place], expected(corpus, identity))


def test_neither_batches_of_the_corpus_nor_steps_made_together_change_them(scored, tmp_path):
    _, _, shards = scored
    _, _, others = made(tmp_path / "one by one", batch=1)
    files = sorted(path.relative_to(shards.folder) for path in shards.folder.rglob("*.scores.npy"))
    assert files
    for name in files:
        assert (shards.folder / name).read_bytes() == (others.folder / name).read_bytes()
    ahead, one = loader(shards), loader(shards)
    for step in range(4):
        made_ahead = ahead.batch(step)
        np.testing.assert_array_equal(made_ahead["scores"], loader(shards).batch(step)["scores"])
    halves = [loader(shards, rank=rank, world=2).batch(1)["scores"] for rank in range(2)]
    np.testing.assert_array_equal(np.concatenate(halves), one.batch(1)["scores"])


def test_a_score_is_part_of_what_a_step_was_fed(scored, tmp_path):
    _, _, plain = made(tmp_path / "plain", names=())
    _, _, shards = scored
    assert "scores" not in plain.index and not list(plain.folder.rglob("*.scores.npy"))
    with_scores, without = loader(shards).batch(0), loader(plain).batch(0)
    np.testing.assert_array_equal(with_scores["tokens"], without["tokens"])
    assert "scores" not in without and (with_scores["digests"] != without["digests"]).any(1).all()


def test_shards_without_scores_are_named_as_ever(scored):
    corpus, tokenizer, _ = scored
    assert "scores" not in inputs_of(corpus, tokenizer)
    assert inputs_of(corpus, tokenizer, scores=NAMES)["scores"] == list(NAMES)


def test_partners_bring_their_scores(scored):
    _, _, shards = scored
    batch = loader(shards, partners=2).batch(0)
    assert batch["partner_scores"].shape == (*batch["partner_tokens"].shape, len(NAMES))


@pytest.mark.parametrize("name, says", [("none.given", "no document"), ("broken.ratio", "nan")])
def test_what_is_no_score_is_refused(tmp_path, name, says):
    with pytest.raises(DataError, match=says):
        made(tmp_path / "broken", names=(name,))


def test_a_score_that_the_shards_lack_is_named(scored):
    with pytest.raises(DataError, match=r"gopher\.words.*letters\.share"):
        scored[2].document_scores("train", "gopher.words")


def test_hosts_and_sites_of_urls():
    url = "https://www.example.org:80/one/two.html?three"
    assert (host(url), site(url)) == ("example.org", "example.org/one")
    assert (host("https://example.org"), site("https://example.org")) == ("example.org", "example.org")
    assert host(None) is site("") is host("no url") is None


def test_only_numbers_are_scores():
    columns = {"toxicity.score": "float32", "toxicity.top": "string"}
    assert known("toxicity.score", columns) and known("document.host", columns)
    assert not known("toxicity.top", columns) and not known("document.text", columns) and not known("x.y", columns)
