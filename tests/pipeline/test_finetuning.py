"""A second stage is a run like any other: it learns, chooses, is scored, verified, traced, resumed, exported."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from second_stages import QUICK, base, sentences

from seedstock import finetuning, judging, pipeline, weights
from seedstock.cli import main
from seedstock.errors import DataError, RecipeError, SeedstockError
from seedstock.provenance.verify import verify
from seedstock.runs import Run
from seedstock.transfer.finetune.plan import Task


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEDSTOCK_KEY", "5e" * 32)
        yield tmp_path_factory.mktemp("second") / "runs"


@pytest.fixture(scope="module")
def files(runs):
    runs.mkdir(exist_ok=True)
    return (
        sentences(runs.parent / "task.jsonl", 120, unlabelled=3),
        sentences(runs.parent / "test.jsonl", 30, start=110),
    )


@pytest.fixture(scope="module")
def bases(runs):
    made = {}
    return lambda shape: made.setdefault(shape, base(runs, shape))


def _task(files, name, **options):
    train, test = files
    sources = [finetuning.source_of(str(train), "task", "text")]
    tests = [finetuning.source_of(str(test), "test", "text")]
    given = {"learning_rate": 3e-3, "batch": 16, "epochs": 8, "test": tests, "validation": 0.2, **options}
    return Task(name=name, sources=sources, texts=123, **given)


@pytest.fixture(scope="module")
def classified(bases, files):
    return finetuning.finetune(bases("modernbert"), _task(files, "classified"), overrides=QUICK)


def test_it_learns_and_its_scores_stand_beside_the_overlap_with_training(classified, files):
    found = finetuning.summary(classified)
    test = found["test"]["test"]
    assert test["accuracy"] > 0.9 and test["texts"] == 30 and test["most_frequent"] == 0.5
    low, high = test["accuracy_interval"]
    assert 0 < low < test["accuracy"] < high <= 1 or test["accuracy"] == high == 1
    trained = {text for batch in classified.corpus.texts("train") for text in batch.column("text").to_pylist()}
    asked = [json.loads(line)["text"] for line in files[1].read_text().splitlines()]
    assert test["in_training"] == sum(text in trained for text in asked) > 0
    assert set(test["classes"]) == {"noun", "verb"}


def test_documents_without_a_class_teach_nothing(classified):
    labels = np.concatenate([arrays["label"] for arrays in _held_out(classified, "train").batches(64)])
    held = np.concatenate([arrays["label"] for arrays in _held_out(classified, "held_out").batches(64)])
    assert (labels < 0).sum() + (held < 0).sum() == 3 and set(labels) == {-1, 0, 1}
    assert finetuning.summary(classified)["validation"]["texts"] == (held >= 0).sum()


def _held_out(run, split):
    from seedstock.inputs.items.loader import HeldOutItems

    return HeldOutItems(run.shards, prepare=weights.objective(run).prepare, split=split)


def test_the_chosen_step_stands_for_the_run_and_is_what_is_loaded_and_released(classified):
    chosen = classified.chain.last("chosen")
    assert {one["step"] for one in chosen["among"]} == set(classified.checkpoints)
    highest = max(one["right"] for one in chosen["among"])
    assert chosen["right"] >= highest - 0.1 and chosen["step"] < classified.steps_done
    assert classified.result["step"] == weights.load_nets(classified)[2] == chosen["step"]
    facts = json.loads((classified.folder / "release/facts.json").read_text())
    assert facts["training"]["step"] == chosen["step"]


def test_the_base_is_on_record_and_the_card_names_it(classified):
    parents = classified.chain.last("parents")["runs"]
    assert list(parents) == ["run:modernbert@4"] and len(parents["run:modernbert@4"]["manifest_sha256"]) == 64
    card = (classified.folder / "release/README.md").read_text()
    assert "`modernbert` after step 4" in " ".join(card.split()) and "text-classification" in card
    assert "- fine-tuned" in card and "base-model" not in card and "A fine-tuned model" in card
    assert parents["run:modernbert@4"]["manifest_sha256"] in card and "| test | 30 |" in card


def test_the_ledger_holds_and_a_document_is_traced_to_its_steps(classified):
    from seedstock.provenance.trace import trace_document

    assert verify(classified.folder) == []
    ids, _ = classified.shards.documents("train", 0)
    found = trace_document(
        ids[0].tobytes(), classified.plan, classified.shards, steps=classified.steps_done, raw_length=lambda n: n
    )
    assert len(found.steps) in range(6, 10), "eight epochs"


def test_it_is_exported_as_the_ecosystems_classifier(classified, tmp_path):
    report = weights.export(classified, tmp_path / "hf")
    assert report["passed"] and report["class"] == "ModernBertForSequenceClassification"
    assert report["token_ids"]["passed"]
    config = json.loads((tmp_path / "hf/config.json").read_text())
    assert config["id2label"] == {"0": "noun", "1": "verb"}
    assert (classified.folder / "release/model/parity.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "export"), [("bert", "BertForSequenceClassification"), ("llama", "LlamaForSequenceClassification")]
)
def test_other_shapes_have_their_classes(bases, files, shape, export, tmp_path):
    task = _task(files, f"{shape}-classes", epochs=2)
    run = finetuning.finetune(bases(shape), task, overrides=QUICK, until="training")
    assert weights.export(run, tmp_path / "hf")["class"] == export


@pytest.mark.slow
def test_a_state_that_no_class_asks_is_not_exported_under_its_name(bases, files, tmp_path):
    run = finetuning.finetune(bases("t5"), _task(files, "t5-classes"), overrides=QUICK)
    assert finetuning.summary(run)["test"]["test"]["accuracy"] > 0.8
    with pytest.raises(SeedstockError, match="no class of transformers") as caught:
        weights.export(run, tmp_path / "hf")
    assert "text-to-text" in caught.value.fix
    assert not (run.folder / "release/model").exists() or not (run.folder / "release/model/config.json").exists()


@pytest.mark.parametrize("shape", ["t5", pytest.param("llama", marks=pytest.mark.slow)])
def test_classes_are_written_in_words(bases, files, shape):
    task = _task(files, f"{shape}-words", objective="text-to-text", epochs=25)
    run = finetuning.finetune(bases(shape), task, overrides=QUICK, until="evaluation")
    scores = finetuning.summary(run)["test"]["test"]
    assert scores["accuracy"] > 0.9 and set(scores["classes"]) == {"noun", "verb"}
    nets, own, _ = weights.load_nets(run)
    ids = [run.tokenizer.specials["bos"], *run.tokenizer.encode("return what was asked").tolist()]
    written = own.generate(nets, ids, 8, seed=1, stop={run.tokenizer.specials["eos"]}, temperature=0)
    assert run.tokenizer.decode(written) == "verb"


def test_random_weights_are_a_baseline_on_the_same_texts(bases, files, classified):
    task = finetuning.fresh(_task(files, "classified"))
    other = finetuning.finetune(bases("modernbert"), task, overrides=QUICK, until="evaluation")
    assert other.recipe.training.start is None and other.chain.last("parents") is None
    assert other.shards.folder == classified.shards.folder
    found = judging.beside(classified, other)
    assert set(found) == {"validation", "test"} and found["test"]["texts"] == 30
    ours, theirs = (finetuning.summary(run)["test"]["test"]["accuracy"] for run in (classified, other))
    assert found["test"]["difference"] == pytest.approx(ours - theirs)


@pytest.mark.slow
def test_a_resumed_stage_learns_the_same(bases, files):
    task = _task(files, "whole", epochs=2)
    whole = finetuning.finetune(bases("bert"), task, overrides=QUICK, until="training")
    cut = finetuning.finetune(bases("bert"), _task(files, "cut", epochs=2), overrides=QUICK, until="training")
    before = cut.checkpoints[1]
    pipeline.resume(cut, step=before)
    one, other = (weights.load_nets(run, run.steps_done)[0].state_dict() for run in (whole, cut))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert cut.chain.last("chosen") == {**whole.chain.last("chosen"), "manifest_sha256": cut.result["manifest_sha256"]}


def test_continued_training_keeps_the_bases_objective(bases, files):
    texts, size = finetuning.count([finetuning.source_of(str(files[0]), "task", "text")])
    assert texts == 123 and size == sum(len(json.loads(line)["text"]) for line in files[0].read_text().splitlines())
    for shape, kind in (("llama", "causal"), ("t5", "span-corruption")):
        task = _task(files, f"more-{shape}", objective="own", epochs=2, test=[], tokens=size // 3)
        run = finetuning.finetune(bases(shape), task, overrides=QUICK, until="training")
        assert run.recipe.objective.kind == kind and run.result["step"] == run.steps_done
        seen = run.steps_done * 16 * 32
        assert 1.2 < seen / (0.8 * size / 3) < 3, "about two passes"


def test_the_command_does_it_and_compares(runs, files, bases, capsys):
    bases("modernbert")
    train, test = map(str, files)
    quick = [part for one in [*QUICK, "training.steps=6"] for part in ("--set", one)]
    arguments = ["finetune", "modernbert@4", "--data", train, "--test", test, "--runs", str(runs), "--json", *quick]
    assert main([*arguments, "--baseline", "--name", "said"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["test"]["test"]["texts"] == 30 and set(found["beside"]) == {"validation", "test"}
    assert found["baseline"]["run"] == "said-random" and found["base"]["run:modernbert@4"]["step"] == 4
    assert Run.open(runs, "said").recipe.training.start == "run:modernbert@4"


def test_it_names_the_classes_of_new_texts(classified, capsys):
    found = judging.predict(classified, ["return what is here", "class of all that", "return"])
    assert [one["label"] for one in found] == ["verb", "noun", "verb"]
    assert all(0.5 < one["probability"] <= 1 for one in found)
    arguments = ["predict", "classified", "--runs", str(classified.runs), "--text", "class of all that"]
    assert main([*arguments, "--json"]) == 0
    (said,) = json.loads(capsys.readouterr().out)
    assert said["label"] == "noun" and said["probability"] == pytest.approx(found[1]["probability"], abs=1e-5)
    with pytest.raises(DataError, match="text 2: it has no text"):
        judging.predict(classified, ["one", " "])


def test_what_a_base_saw_its_second_stage_goes_back_to(bases, classified):
    from seedstock import answers

    ids, _ = bases("modernbert").shards.documents("train", 0)
    asked = answers.documents(bases("modernbert"), document=ids[0].tobytes().hex())["documents"]
    assert "classified" in {one["run"] for entry in asked for one in entry["descendants"]}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "notes.docx"], "ending"),
        (["--data", "TASK", "--label", "colour"], "0 classes"),
        (["--data", "TASK", "--objective", "text-to-text"], "an encoder does not"),
        (["--data", "TASK", "--validation", "often"], "share"),
        (["--data", "TASK", "--validation", "0 %"], "which step is the best"),
        (["--data", "TASK", "--set", "input.length=64"], "do not fit"),
    ],
)
def test_bad_input_is_told(runs, files, bases, capsys, arguments, words):
    bases("modernbert")
    given = [str(files[0]) if one == "TASK" else one for one in arguments]
    quick = [part for one in [*QUICK, "training.steps=2"] for part in ("--set", one)]
    assert main(["finetune", "modernbert", *given, "--runs", str(runs), "--name", f"bad-{len(words)}", *quick]) > 1
    assert words in " ".join(capsys.readouterr().err.split())


def test_a_decoder_is_asked_at_its_last_token_alone(bases, files):
    with pytest.raises(RecipeError, match="has not read the text"):
        task = _task(files, "first")
        finetuning.finetune(bases("llama"), task, overrides=[*QUICK, "objective.pool=first"], until="training")
