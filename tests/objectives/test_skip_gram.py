"""Skip-gram: the loss is the paper's, pair by pair; what is left out leaves no gap; frequencies alone are the floor."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from real_windows import batch, trained

from seedstock import pipeline, recipe
from seedstock.errors import RecipeError
from seedstock.inputs.frequencies import frequencies
from seedstock.inputs.held_out import HeldOut
from seedstock.inputs.keys import Keys
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.models.configs.embedding import EmbeddingConfig
from seedstock.objectives.base import Spec, assemble
from seedstock.objectives.configs.skip_gram import SkipGramConfig

CONTEXT = 32


def made(rows=16, seed=0, **options):
    """(objective, network, the batch as the trainer would hand it to ``inputs``, the stored windows)."""
    tokenizer, shards = trained("bytes")
    config = EmbeddingConfig(width=12, context=CONTEXT)
    spec = Spec(tokenizer.vocab_size, CONTEXT, tokenizer.specials, model=config, tokenizer=tokenizer, shards=shards)
    objective = SkipGramConfig(**options).build(spec)
    network = config.build(tokenizer.vocab_size, 3)
    items, keys = batch(shards, CONTEXT, rows, seed)
    prepared = {"examples": items["examples"], **objective.prepare(items, keys)}
    tensors = {name: torch.from_numpy(array) for name, array in prepared.items()}
    return objective, network, objective.corrupt(tensors, keys), items


def loss(objective, network, given_batch):
    nets = assemble(network, objective)
    output = network.backbone(**objective.inputs(nets, given_batch))
    sums, metrics = objective.loss(nets, output, given_batch)
    return float(sums["pairs"].detach()), int(objective.counts(given_batch)["pairs"]), metrics


def test_frequencies_are_those_of_the_stored_tokens():
    tokenizer, shards = trained("bytes")
    found = frequencies(shards)
    special = list(tokenizer.specials.values())
    stored = sum(stratum.tokens for stratum in shards.strata("train"))
    ends = sum(2 * stratum.documents for stratum in shards.strata("train"))
    assert found.sum() == stored - ends and not found[special].any()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), window=st.integers(1, 6), negatives=st.integers(1, 9))
def test_the_loss_is_the_papers_pair_by_pair(seed, window, negatives):
    """Equation 4 of Mikolov et al. 2013, with the mean over the window's noise in the place of an expectation."""
    objective, network, given_batch, _ = made(3, seed, window=window, negatives=negatives, subsample=0.05)
    with torch.no_grad():
        network.head.weight.normal_(0, 0.7)
        network.embedding.tokens.weight.normal_(0, 0.7)
    v, u = (table.detach().double().numpy() for table in (network.embedding.tokens.weight, network.head.weight))
    tokens, documents, spans, noise = (given_batch[name].numpy() for name in ("tokens", "documents", "spans", "noise"))
    total, pairs = 0.0, 0
    for row in range(len(tokens)):
        for here in range(CONTEXT):
            for there in range(max(0, here - spans[row, here]), min(CONTEXT, here + spans[row, here] + 1)):
                if here == there or documents[row, here] < 0 or documents[row, here] != documents[row, there]:
                    continue
                word = v[tokens[row, here]]
                beside = np.logaddexp(0, u[noise[row]] @ word).mean()
                total += np.logaddexp(0, -(u[tokens[row, there]] @ word)) + negatives * beside
                pairs += 1
    found, count, metrics = loss(objective, network, given_batch)
    assert count == pairs
    assert found == pytest.approx(total, rel=1e-4)
    assert float(metrics["neighbours"] + metrics["noise"]) == pytest.approx(total, rel=1e-4)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_what_stays_keeps_its_order_and_closes_the_gaps(seed):
    """Every row is a subsequence of its window, without special tokens, padded at its end alone."""
    objective, _, given_batch, items = made(8, seed, subsample=0.01)
    special = set(objective.spec.specials.values())
    for row in range(8):
        kept = given_batch["documents"][row].numpy() >= 0
        assert not kept[kept.sum() :].any()
        mine = zip(*(given_batch[name][row][kept].tolist() for name in ("tokens", "documents")), strict=True)
        mine = list(mine)
        stored = iter(zip(items["tokens"][row].tolist(), items["documents"][row].tolist(), strict=True))
        assert all(any(one == other for other in stored) for one in mine)
        assert not special & {token for token, _ in mine}


def test_nothing_is_left_out_where_that_is_not_asked_for():
    objective, _, given_batch, items = made(subsample=0)
    special = np.isin(items["tokens"], list(objective.spec.specials.values()))
    wanted = ((items["documents"] >= 0) & ~special).sum(1)
    assert np.array_equal((given_batch["documents"].numpy() >= 0).sum(1), wanted)


def test_frequencies_alone_come_to_the_floor():
    """Where every word says the same of its neighbours, their frequencies at best, the loss is the floor."""
    objective, network, _, _ = made(subsample=0.02)
    near, negatives = objective.shares * objective.kept, objective.config.negatives
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.log(near / near.sum()) - np.log(negatives * objective.noise)
    with torch.no_grad():
        network.embedding.tokens.weight.zero_()[:, 0] = 1
        network.head.weight.zero_()[:, 0] = torch.from_numpy(np.nan_to_num(score, neginf=0.0)).float()
    windows = HeldOut(
        objective.spec.shards, window=CONTEXT, raw_length=CONTEXT, prepare=objective.prepare, split="train"
    )
    found = count = 0
    for arrays in windows.batches(500):
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items() if name != "digests"}
        total, pairs, _ = loss(objective, network, objective.corrupt(tensors, Keys(0, arrays["examples"])))
        found, count = found + total, count + pairs
    floor = objective.expect(objective.spec).collapse_at["pairs"]
    assert found / count == pytest.approx(floor, rel=0.01)
    assert floor < (1 + negatives) * math.log(2)


def test_a_model_with_layers_is_refused():
    with pytest.raises(RecipeError, match="single words"):
        SkipGramConfig().build(Spec(320, 32, model=DecoderConfig(width=32, layers=1, heads=2)))


def test_one_word_alone_is_no_pair():
    """A window with a single word: no pair, and no number that is none."""
    objective, network, given_batch, _ = made(2)
    given_batch["documents"][:, 1:] = -1
    alone = objective.corrupt(given_batch, Keys(0, given_batch["examples"].numpy()))
    found, count, _ = loss(objective, network, alone)
    assert count == 0 and found == 0.0


RECIPE = """
name: words
sources: [{name: library, kind: text, path: PATH}]
corpus: {policy: none, held_out: 20 %}
mixture: {max_repeats: null}
tokenizer: {kind: words, vocab_size: 512, min_frequency: 2}
model: {kind: embedding, width: 16, context: 64}
objective: {kind: skip-gram}
training: {steps: 60, batch_tokens: 2k, threads: 1, micro_batch: 32, precision: fp32, compile: false,
  optimizer: {kind: adamw, learning_rate: 0.01, weight_decay: 0}}
"""


def test_a_run_goes_through_every_stage_and_is_written_as_word2vec(tmp_path, capsys):
    from seedstock import cli, evaluation
    from seedstock.planning.plan import plan
    from seedstock.provenance.verify import verify
    from seedstock.transfer import word2vec

    for file in sorted(Path(evaluation.__file__).parent.glob("*.py")):
        (tmp_path / f"{file.stem}.txt").write_text(file.read_text())
    asked = recipe.parse(RECIPE.replace("PATH", str(tmp_path)))
    run = pipeline.run(asked, runs=tmp_path / "runs")
    scores = json.loads((run.folder / "evaluation/scores.json").read_text())
    assert scores["losses"]["pairs"]["mean"] < 6 * math.log(2)
    assert scores["expected"]["collapse_at"]["pairs"] > 0
    released, vectors = word2vec.read(run.folder / "release/model/vectors.txt")
    assert not verify(run.folder)
    card = (run.folder / "release/README.md").read_text()
    assert "library_name: gensim" in card and "whatever it means in a sentence" in card
    assert plan(asked, run.tokenizer.vocab_size).parameters["head"] == 512 * 16
    cli.main(["export", "words", str(tmp_path / "out"), "--to", "word2vec", "--runs", str(tmp_path / "runs")])
    assert "passed" in capsys.readouterr().out
    words, again = word2vec.read(tmp_path / "out/vectors.txt")
    assert words == released and np.array_equal(again, vectors)
    assert "return" in words and not any(word.startswith("<|") for word in words)
