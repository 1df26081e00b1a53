"""A corpus that asks the model of another run: how surprising its documents are, and which mean the same."""

from __future__ import annotations

import json

import numpy as np
import pytest
from small_recipe import RECIPE

from seedstock import answers, pipeline, recipe
from seedstock.cli import main
from seedstock.corpus import build
from seedstock.errors import IntegrityError, RecipeError
from seedstock.ledger import manifest
from seedstock.ledger.store import Store
from seedstock.progress import Silent
from seedstock.scorers import TOKENS, with_runs

POLICY = """corpus:
  policy:
    signals: [{{kind: perplexity, model: 'run:small@12'}}]
    rules: [{{signal: perplexity.bits_per_byte, above: 3.3, reason: not like code}}]
  dedup: {{kind: semantic, model: 'run:small@8', threshold: 0.9999}}
  select: [{{kind: clusters, share: 80 %, clusters: 2, model: 'run:small'}}]
  held_out: 10 %
"""


def _asking(library, **changes):
    text = RECIPE.replace("name: small", "name: child")
    start = text.index("corpus:")
    text = text[:start] + POLICY + text[text.index("\n", start) + 1 :]
    for old, new in changes.items():
        text = text.replace(old, new)
    return recipe.parse(text.format(folder=library))


@pytest.fixture
def child(copied, library):
    return pipeline.run(_asking(library), runs=copied.runs, until="corpus")


def test_a_run_scores_documents_as_its_evaluation_does(finished):
    scored = np.load(finished.folder / "evaluation" / "documents.npy")
    config, _ = with_runs(_asking("x").corpus, finished.runs)
    texts = {row["id"]: row["text"] for batch in finished.corpus.texts("held_out") for row in batch.to_pylist()}
    short = [row for row in scored if 0 < row["tokens"] <= TOKENS]
    assert len(short) > 2
    found = config.policy.signals[0].asked()([texts[row["id"].tobytes()] for row in short])
    np.testing.assert_allclose(found[:, 0], [row["nats"] for row in short], rtol=1e-4)
    np.testing.assert_array_equal(found[:, 1], [row["tokens"] for row in short])
    np.testing.assert_array_equal(found[:, 2], [row["bytes"] for row in short])


def test_what_a_run_says_of_a_text_depends_on_no_other(finished, library):
    config, _ = with_runs(_asking("x").corpus, finished.runs)
    texts = ["", *(path.read_text() for path in sorted(library.iterdir())[:4])]
    for asked in (config.policy.signals[0].asked(), config.dedup.steps[0].asked()):
        alone = np.concatenate([asked([text]) for text in texts])
        np.testing.assert_array_equal(asked(texts), alone)
        assert not asked([""]).any() and np.isfinite(alone).all()


def test_a_corpus_is_built_with_what_runs_say_and_names_them_as_parents(child, copied):
    signals = list((child.corpus.folder / "signals").glob("perplexity@*"))
    assert len(signals) == 1
    flow = {entry["step"] for entry in child.corpus.summary["flow"]}
    assert {"perplexity.bits_per_byte", "clusters"} <= flow
    (parents,) = child.chain.of("parents")
    assert parents["stage"] == "corpus"
    assert {name: (one["run"], one["step"]) for name, one in parents["runs"].items()} == {
        "run:small@12": ("small", 12),
        "run:small@8": ("small", 8),
        "run:small": ("small", 12),
    }
    assert not answers.verify(child)["problems"]
    again = pipeline.run(child.recipe, runs=copied.runs, until="corpus")
    assert len(list(again.chain.of("parents"))) == 1


def test_the_same_corpus_for_any_number_of_workers(copied, library, tmp_path):
    asked = _asking(library)
    config, _ = with_runs(asked.corpus, copied.runs)
    roots = set()
    for workers in (0, 2):
        folder = build.build(
            asked.sources,
            config,
            seed=1,
            key=b"k" * 32,
            store=Store(tmp_path / str(workers)),
            reporter=Silent(),
            workers=workers,
        )
        roots.add(manifest.read(folder).root)
    assert len(roots) == 1


def test_another_checkpoint_makes_another_corpus(copied, library):
    def inputs(asked):
        return build.inputs_of(asked.sources, with_runs(asked.corpus, copied.runs)[0], 1, b"k" * 32, copied.runs)

    first = inputs(_asking(library))
    assert inputs(_asking(library)) == first
    assert inputs(_asking(library, **{"run:small@8": "run:small@10"})) != first
    assert inputs(_asking(library, **{"run:small@12": "run:small@8"})) != first


def test_what_saw_a_document_is_followed_into_the_runs_that_asked_it(child, copied, capsys):
    batch = next(copied.corpus.texts("train"))
    seen = next(
        one
        for one in (batch["id"][row].as_py() for row in range(len(batch)))
        if (found := answers.documents(copied, document=one.hex())["documents"][0])["steps"] and found["steps"][0] <= 8
    )
    told = answers.documents(copied, document=seen.hex())["documents"][0]["descendants"]
    assert {"run": "child", "stage": "corpus", "parent": "small", "step": 12} in told
    main(["trace", "small", "--document", seen.hex(), "--runs", str(copied.runs)])
    assert "its corpus has small@12 as a parent" in " ".join(capsys.readouterr().out.split())
    report = answers.forget(copied, documents=[seen.hex()], reason="asked for")
    assert {"run": "child", "stage": "corpus", "parent": "small", "step": 12} in report["descendants"]


def test_a_sample_asks_the_run_too(copied, library, tmp_path, capsys):
    file = tmp_path / "child.yaml"
    text = json.dumps(_asking(library).model_dump(mode="json"))
    file.write_text(text)
    main(["corpus", str(file), "--sample", "20", "--runs", str(copied.runs), "--json"])
    flow = json.loads(capsys.readouterr().out)["flow"]
    assert any(entry["step"] == "perplexity.bits_per_byte" for entry in flow)


def test_what_cannot_be_asked_is_refused(copied, library, tmp_path):
    with pytest.raises(RecipeError, match="has no labels"):
        _asking(library, **{"kind: perplexity, model": "kind: classifier, model"})
    with pytest.raises(RecipeError, match="cannot judge what it is to learn from"):
        with_runs(_asking(library).corpus, copied.runs, own="small")
    with pytest.raises(RecipeError, match="handed in"):
        asked = _asking(library)
        build.build(
            asked.sources, asked.corpus, seed=1, key=b"k" * 32, store=Store(tmp_path), reporter=Silent(), workers=0
        )
    masked = RECIPE.replace("name: small", "name: masked").replace("kind: decoder, shape: qwen3", "kind: encoder")
    masked = masked.replace("kv_heads: 1, ", "").replace("steps: 12", "steps: 4")
    masked = masked.format(folder=library) + "objective: {kind: masked}\n"
    pipeline.run(recipe.parse(masked), runs=copied.runs, until="training")
    with pytest.raises(RecipeError, match="predicts no next token"):
        with_runs(_asking(library, **{"run:small@12": "run:masked"}).corpus, copied.runs)
    config, _ = with_runs(_asking(library, **{"run:small@8": "run:masked"}).corpus, copied.runs)
    assert np.abs(config.dedup.steps[0].asked()(["a text"])).sum() > 0


def test_a_checkpoint_that_changed_is_not_asked(copied, library):
    config, _ = with_runs(_asking(library).corpus, copied.runs)
    place = copied.folder / "checkpoints" / "step-00000012" / "manifest.json"
    place.write_text(place.read_text() + "\n")
    with pytest.raises(IntegrityError, match="changed while it was in use"):
        config.policy.signals[0].asked()(["a text"])
