"""Runs whose objective knows how good documents are: from a signal over the shards to a text with a tag."""

from __future__ import annotations

import json

import numpy as np
import pytest
from small_recipe import RECIPE

from seedstock import pipeline, recipe, weights
from seedstock.errors import DataError, RecipeError, SeedstockError
from seedstock.evaluation.doctor.diagnose import doctor
from seedstock.progress import Events
from seedstock.provenance.forget import forget
from seedstock.provenance.verify import verify
from seedstock.runs import Run

pytest.importorskip("pycodestyle")

TAGS = "objective: {kind: tags, score: pycodestyle.per_line, quantile: 60 %}\n"


def text(folder, name="scored", objective=TAGS, signals="[{kind: pycodestyle}]"):
    made = RECIPE.format(folder=folder).replace("name: small", f"name: {name}").replace("steps: 12", "steps: 8")
    return made.replace("policy: none", f"policy: {{signals: {signals}}}") + objective


@pytest.fixture(scope="module")
def tagged(library, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEDSTOCK_KEY", "5e" * 32)
        runs = tmp_path_factory.mktemp("runs")
        return pipeline.run(recipe.parse(text(library)), runs=runs, reporter=Events())


def test_the_threshold_is_measured_once_and_stands_in_the_recipe(tagged):
    scores, _ = tagged.shards.document_scores("train", "pycodestyle.per_line")
    known = scores[np.isfinite(scores)]
    threshold = Run.open(tagged.runs, tagged.name).recipe.objective.threshold
    assert threshold in known and (known <= threshold).mean() == pytest.approx(0.6, abs=1 / len(known) + 1e-9)


def test_scores_in_the_shards_are_those_of_the_corpus(tagged):
    for stratum in tagged.shards.strata("train"):
        ids, _ = tagged.shards.documents("train", stratum.stratum)
        for number in (0, len(ids) - 1):
            found = tagged.corpus.document(ids[number].tobytes())["signals"]["pycodestyle@1"]["per_line"]
            starts = tagged.shards.documents("train", stratum.stratum)[1][number : number + 1]
            stored = tagged.shards.scores("train", stratum.stratum, starts, 1)[0, 0, 0]
            assert (found is None and np.isnan(stored)) or np.float32(found) == stored


@pytest.mark.parametrize("name", ["gopher.words", "pycodestyle.colours", "language.language"])
def test_the_corpus_names_what_it_did_not_measure(tagged, name):
    with pytest.raises(DataError, match=f"no numbers '{name}'.*pycodestyle"):
        next(tagged.corpus.texts(scores=(name,)))


def test_a_text_is_asked_for_with_the_good_tag_another_or_none(tagged):
    texts = {tag: weights.generate(tagged, "def ", tokens=24, tag=tag) for tag in ("good", "bad", None)}
    assert weights.generate(tagged, "def ", tokens=24) == texts["good"]
    assert len(set(texts.values())) == 3 and not any("<|" in one for one in texts.values())
    with pytest.raises(SeedstockError, match="no tag 'best'"):
        weights.generate(tagged, tag="best")


def test_the_command_asks_for_a_tag(tagged, capsys):
    from seedstock.cli import main

    command = ["generate", str(tagged.folder), "--prompt", "def ", "--tokens", "24", "--json", "--tag"]
    texts = []
    for tag in ("good", "none"):
        assert main([*command, tag]) == 0
        texts.append(json.loads(capsys.readouterr().out)["text"])
    assert texts == [weights.generate(tagged, "def ", tokens=24, tag=tag) for tag in ("good", None)]


def test_the_exported_tokenizer_reads_the_tag_as_one_token(tagged):
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tagged.folder / "release" / "model")
    ids = tokenizer("<|good|>def f", add_special_tokens=False)["input_ids"]
    assert ids[0] == tagged.tokenizer.specials["good"]
    assert ids[1:] == tagged.tokenizer.encode("def f").tolist()


def test_the_doctor_speaks_of_tags(tagged):
    (found,) = (one for one in doctor(tagged.folder) if "tag" in one.what)
    assert found.level == "good" and "bits" in found.evidence


def test_a_forgotten_document_has_no_score(tagged, tmp_path, monkeypatch):
    import shutil

    monkeypatch.setenv("SEEDSTOCK_KEY", "5e" * 32)
    shutil.copytree(tagged.runs, tmp_path / "runs")
    run = Run.open(tmp_path / "runs", tagged.name)
    stratum = run.shards.strata("train")[0].stratum
    ids, starts = run.shards.documents("train", stratum)
    place = int(np.flatnonzero(np.isfinite(run.shards._stream("train", stratum).scores[:, 0]))[0])
    others = run.shards._stream("train", stratum).scores.copy()
    gone, start = ids[place].tobytes(), int(starts[place])
    forget(run.folder, [gone], reason="asked for", twins=False)
    fresh = Run.open(tmp_path / "runs", tagged.name)
    kept = fresh.shards._stream("train", stratum).scores
    assert np.isnan(fresh.shards.scores("train", stratum, [start], 4)).all()
    assert np.array_equal(np.delete(kept, place, 0), np.delete(others, place, 0), equal_nan=True)
    assert not verify(fresh.folder)


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"signals": "[]"}, "add the signal .pycodestyle. to corpus.policy.signals"),
        ({"objective": "objective: {kind: tags, score: pycodestyle.per_lines}\n"}, "did you mean"),
        ({"objective": "objective: {kind: tags, score: document.host}\n"}, "not a score"),
        ({"objective": "objective: {kind: tags, score: language.language}\n", "signals": "[language]"}, "numbers"),
    ],
)
def test_a_score_that_nothing_measures_is_refused_with_the_recipe(library, changes, says):
    with pytest.raises(RecipeError, match=f"(?s){says}"):
        recipe.parse(text(library, **changes))


def test_a_threshold_beyond_all_documents_is_refused(library, tmp_path, monkeypatch):
    monkeypatch.setenv("SEEDSTOCK_KEY", "5e" * 32)
    asked = text(library, "beyond", "objective: {kind: tags, score: pycodestyle.per_line, threshold: 50}\n")
    with pytest.raises(RecipeError, match="one side of the threshold 50"):
        pipeline.run(recipe.parse(asked), runs=tmp_path / "runs")


def test_an_objective_without_tags_is_asked_for_none(finished):
    with pytest.raises(SeedstockError, match="has no tags"):
        weights.generate(finished, tag="good")
