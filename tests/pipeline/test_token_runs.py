"""Runs of token files alone, and of token files beside text: from ids on disk to a release that says what they are."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from small_recipe import RECIPE

from seedstock import answers, pipeline, recipe, views
from seedstock.errors import DataError, RecipeError
from seedstock.ledger.files import read_json

TOKENS = """\
name: made
seed: 3
sources:
  - {{name: files, kind: tokens, format: nanogpt, path: {folder}/train.bin, tokenizer: {tokenizer},
      licence: PSF-2.0{more}}}
corpus: {{held_out: 20 %}}
mixture: {{max_repeats: null}}
tokenizer: {{kind: imported, path: {tokenizer}}}
"""
REST = RECIPE[RECIPE.index("model:") :].replace("{{", "{").replace("}}", "}")


@pytest.fixture(scope="module")
def made(finished, tmp_path_factory):
    """A nanoGPT file of the small run's documents, each followed by EOS; the folder of its tokenizer; the documents."""
    folder = tmp_path_factory.mktemp("made")
    tokenizer = finished.tokenizer
    texts = [text for batch in finished.corpus.texts("train") for text in batch.column("text").to_pylist()]
    docs = [ids.astype(np.uint32) for ids in tokenizer.encode_batch(texts)]
    eos = tokenizer.specials["eos"]
    np.concatenate([np.append(doc, eos) for doc in docs]).astype("<u2").tofile(folder / "train.bin")
    return folder, finished.stage_folder("tokenizer"), docs, eos


def text_of(made, more: str = "") -> str:
    folder, tokenizer, _, _ = made
    return TOKENS.format(folder=folder, tokenizer=tokenizer, more=more) + REST


def test_a_run_of_token_files_goes_from_ids_to_a_release(made, tmp_path):
    _, _, docs, eos = made
    said: list[str] = []

    class Heard(pipeline.Silent):
        def say(self, text):
            said.append(str(text))

    run = pipeline.run(recipe.parse(text_of(made, f", separator: {eos}")), runs=tmp_path, reporter=Heard())
    stored = []
    for split in ("train", "held_out"):
        for stratum in run.shards.strata(split):
            _, starts = run.shards.documents(split, stratum.stratum)
            whole = run.shards.read(split, stratum.stratum, starts[:1], int(starts[-1]))[0]
            stored += [tuple(whole[a + 1 : b - 1].tolist()) for a, b in pairwise(starts)]
    assert sorted(stored) == sorted(tuple(doc.tolist()) for doc in docs)
    assert any("came as" in line for line in said) and any("no floors" in line for line in said)
    summary = run.corpus.summary["token_files"]
    assert summary == {"documents": len(docs), "tokens": sum(map(len, docs)), "coarse": 0}
    scores = read_json(run.folder / "evaluation" / "scores.json")
    assert scores["held_out"]["bits_per_byte"] > 0 and "floors" not in scores
    spans = answers.step(run, 1)["spans"]
    assert spans[0]["source"] == "files" and spans[0]["locator"].startswith("train.bin#") and not spans[0]["provenance"]
    assert "came as token ids" in " ".join((run.folder / "release" / "training-content.md").read_text().split())
    assert not answers.verify(run)["problems"]


def test_what_has_no_documents_is_marked_coarse_wherever_it_shows(made, tmp_path):
    run = pipeline.run(recipe.parse(text_of(made, ", piece: 2000")), runs=tmp_path)
    assert all(stratum["provenance"] == "coarse" for stratum in run.corpus.strata)
    span = answers.step(run, 1)["spans"][0]
    found = answers.documents(run, document=span["document"])
    assert span["provenance"] == found["documents"][0]["provenance"] == "coarse"
    from rich.console import Console

    console = Console(record=True, width=200)
    console.print(views.answer(found))
    assert "a part of a file whose documents are not known" in console.export_text()
    facts = json.loads((run.folder / "release" / "facts.json").read_text())
    coarse = facts["data"]["token_files"]["coarse"]
    assert coarse == run.corpus.summary["token_files"]["documents"] > 5
    answers.forget(run, documents=[span["document"]], reason="asked for")
    run = pipeline.Run.open(tmp_path, "made")
    assert not answers.verify(run)["problems"] and run.corpus.media(span["document"]) is None
    _, stratum, start, tokens = run.shards.occurrences(bytes.fromhex(span["document"]))[0]
    left = run.shards.read("train", stratum, np.array([start]), tokens)
    assert set(left[0].tolist()) == {run.shards.specials["pad"]}


def test_token_files_and_text_go_into_one_run(made, library, tmp_path):
    *_, eos = made
    text = text_of(made, f", separator: {eos}").replace(
        "corpus:", f"  - {{name: library, kind: text, path: {library}, licence: PSF-2.0, domain: code}}\ncorpus:"
    )
    run = pipeline.run(recipe.parse(text), runs=tmp_path, until="shards")
    by = {stratum.source: stratum for stratum in run.shards.strata("train")}
    assert set(by) == {"files", "library"} and all(stratum.tokens > 1000 for stratum in by.values())


def test_ids_beyond_the_vocabulary_are_one_clear_error(made, tmp_path):
    _, tokenizer, _, _ = made
    np.array([1, 2, 60000, 3], "<u2").tofile(tmp_path / "train.bin")
    text = TOKENS.format(folder=tmp_path, tokenizer=tokenizer, more=", piece: 2") + REST
    with pytest.raises(DataError, match="token id 60000"):
        pipeline.run(recipe.parse(text), runs=tmp_path / "runs", until="shards")


def test_an_allow_list_of_licences_holds_for_token_files_too(made, tmp_path):
    text = text_of(made, ", piece: 2000").replace("licence: PSF-2.0, ", "", 1)
    with pytest.raises(DataError, match="'licence' dropped"):
        pipeline.run(recipe.parse(text), runs=tmp_path, until="corpus")


def test_a_recipe_with_another_tokenizer_is_refused(made):
    text = text_of(made)
    other = text.replace("tokenizer: {kind: imported", "tokenizer: {kind: bpe, vocab_size: 512} #")
    for wrong in (
        other,
        text.replace("tokenizer: {kind: imported, path: ", "tokenizer: {kind: imported, path: /other"),
    ):
        with pytest.raises(RecipeError, match="holds ids of the tokenizer"):
            recipe.parse(wrong)
    with pytest.raises(RecipeError, match="tokenizer: this key is required"):
        recipe.parse(text.replace(f", tokenizer: {Path(made[1])}", "", 1))
