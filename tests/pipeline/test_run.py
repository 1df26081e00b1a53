import json
import shutil

import pytest
from small_recipe import RECIPE

from seedstock import answers, pipeline, recipe, weights
from seedstock.errors import SeedstockError
from seedstock.runs import Run


def stamps(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_run_ends_with_every_stage_on_record_and_verifies(finished):
    assert finished.steps_done == 12
    assert [body["stage"] for body in finished.chain.of("stage")] == ["corpus", "tokenizer", "shards"]
    result = answers.verify(finished)
    assert result["problems"] == [] and result["closed"] and result["head"] == finished.chain.head
    for name in ("evaluation/curve.png", "evaluation/floors.json", "release/model/model.safetensors"):
        assert (finished.folder / name).stat().st_size > 0


def test_running_it_again_touches_nothing(finished, library):
    before = stamps(finished.runs)
    again = pipeline.run(recipe.parse(RECIPE.format(folder=library)), runs=finished.runs)
    assert again.chain.head == finished.chain.head
    after = {path: stamp for path, stamp in stamps(finished.runs).items() if path.suffix != ".lock"}
    assert after == {path: stamp for path, stamp in before.items() if path.suffix != ".lock"}


def test_the_same_recipe_gives_the_same_bytes(finished, library, tmp_path):
    other = pipeline.run(recipe.parse(RECIPE.format(folder=library)), runs=tmp_path / "runs")
    for one, two in ((run.folder / "checkpoints" / "step-00000012" for run in (finished, other)),):
        names = sorted(path.name for path in one.iterdir() if path.suffix == ".safetensors")
        assert names and all((one / name).read_bytes() == (two / name).read_bytes() for name in names)
    roots = [[body["root"] for body in run.chain.of("stage")] for run in (finished, other)]
    assert roots[0] == roots[1]
    assert finished.chain.last("checkpoint")["digest"] == other.chain.last("checkpoint")["digest"]


def test_a_run_cut_into_stages_and_steps_ends_the_same(finished, library, tmp_path):
    text = RECIPE.format(folder=library)
    for until in ("corpus", "shards", "training", "release"):
        run = pipeline.run(recipe.parse(text), runs=tmp_path / "runs", until=until)
    ours, theirs = (one.chain.last("checkpoint")["digest"] for one in (finished, run))
    assert ours == theirs


def test_another_recipe_does_not_get_into_a_run(finished, library):
    changed = recipe.parse(RECIPE.format(folder=library).replace("seed: 3", "seed: 4"))
    with pytest.raises(SeedstockError, match=r"belongs to another recipe: seed differ"):
        pipeline.run(changed, runs=finished.runs)


def test_a_changed_evaluation_scores_again_and_trains_nothing(copied, library):
    text = RECIPE.format(folder=library) + "evaluation: {context: 32}\n"
    steps = [body["step"] for body in copied.chain.of("checkpoint")]
    run = pipeline.run(recipe.parse(text), runs=copied.runs)
    assert [body["step"] for body in run.chain.of("checkpoint")] == steps
    assert json.loads((run.folder / "evaluation/scores.json").read_text())["windows"]["context"] == 32
    assert answers.verify(run)["problems"] == []


def test_every_span_of_a_step_is_text_that_the_corpus_holds(finished):
    seen = answers.step(finished, 5)["spans"]
    assert len({span["example"] for span in seen}) == 8
    for span in seen[:10]:
        tokens = finished.shards.read("train", span["stratum"], [span["start"]], span["stop"] - span["start"])[0]
        piece = b"".join(finished.tokenizer.bytes_of(tokens.tolist()))
        piece = piece.replace(b"<|bos|>", b"").replace(b"<|eos|>", b"").decode(errors="ignore")
        assert piece in finished.corpus.document(span["document"])["edited"]


def test_a_document_is_traced_to_the_steps_that_list_it(finished):
    document = answers.step(finished, 5)["spans"][0]["document"]
    entry = answers.documents(finished, document=document)["documents"][0]
    assert 5 in entry["steps"] and entry["checkpoints"][-1] == 12
    for number in entry["steps"]:
        assert document in {span["document"] for span in answers.step(finished, number)["spans"]}
    assert not any(
        document in {span["document"] for span in answers.step(finished, number)["spans"]}
        for number in set(range(1, 13)) - set(entry["steps"])
    )


def test_a_dropped_duplicate_names_the_one_that_was_kept(finished):
    found = answers.documents(finished, url="zz-shlex-again.py")["documents"]
    found += answers.documents(finished, url="shlex-00000.py")["documents"]
    dropped = [entry for entry in found if entry["decision"]["decision"] == "dropped"]
    assert len(dropped) == 1 and dropped[0]["decision"]["phase"] == "dedup"
    assert dropped[0]["kept_instead"] in {entry["document"] for entry in found} - {dropped[0]["document"]}


def test_a_text_is_found_where_it_stands(finished):
    matches = answers.text(finished, "class Calendar")["matches"]
    assert {match["locator"].split("-")[0] for match in matches} >= {"calendar"}
    assert answers.text(finished, "no such words anywhere in here")["matches"] == []


def test_forgetting_a_document_leaves_a_run_that_verifies_and_does_not_build_again(copied, library):
    entry = answers.documents(copied, url="shlex-00000.py")["documents"][0]
    report = answers.forget(copied, documents=[entry["document"]], reason="asked for in a test")
    assert entry["document"] in report["asked"]
    run = Run.open(copied.runs, "small")
    assert answers.verify(run)["problems"] == []
    assert answers.text(run, "class shlex")["matches"] == []
    head = run.chain.head
    assert pipeline.resume(run).chain.head == head


@pytest.mark.parametrize("stage", ["corpus", "tokenizer", "shards"])
def test_a_damaged_store_is_named(copied, stage):
    folder = copied.stage_folder(stage)
    victim = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    assert str(victim) in [problem["file"] for problem in answers.verify(copied)["problems"]]


def test_the_model_writes_the_same_text_for_the_same_seed(finished):
    one, two = (weights.generate(finished, "def ", tokens=20, seed=7) for _ in range(2))
    assert one == two and one.startswith("def ")
    assert weights.generate(finished, "def ", tokens=20, seed=8) != one


def test_a_run_without_its_last_checkpoint_trains_it_again_to_the_same_weights(copied, library):
    folder = copied.folder / "checkpoints" / "step-00000012"
    held = (folder / "model.safetensors").read_bytes()
    shutil.rmtree(folder)
    pipeline.resume(Run.open(copied.runs, "small"))
    assert (folder / "model.safetensors").read_bytes() == held
