"""What a run keeps to once its model has begun to learn, and how it is taken back."""

import shutil

import pytest
from small_recipe import RECIPE

from seedstock import answers, pipeline, recipe
from seedstock.errors import DataError, IntegrityError
from seedstock.runs import Run


def newest(run):
    return (run.folder / "checkpoints" / "step-00000012" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("step", [0, 8, 10])
def test_a_run_taken_back_to_a_checkpoint_ends_with_the_same_weights(copied, step):
    held, scored = newest(copied), len(list(copied.chain.of("evaluation")))
    run = pipeline.resume(copied, step=step)
    assert newest(run) == held and run.chain.last("rewound") == {"step": step, "from": 12}
    assert answers.verify(run)["problems"] == []
    assert len(list(run.chain.of("evaluation"))) >= scored


def test_there_is_no_way_back_to_a_checkpoint_that_is_not_there(copied):
    with pytest.raises(DataError, match="there is no checkpoint of step 5"):
        pipeline.resume(copied, step=5)
    assert copied.checkpoints[-1] == 12 and copied.chain.last("rewound") is None


def test_a_trained_run_keeps_its_corpus_when_the_sources_change_or_go(copied, library, tmp_path):
    text = RECIPE.format(folder=tmp_path / "texts")
    shutil.copytree(library, tmp_path / "texts")
    run = pipeline.run(recipe.parse(text.replace("name: small", "name: own")), runs=tmp_path / "own")
    folders, head = [run.stage_folder(stage) for stage in ("corpus", "tokenizer", "shards")], run.chain.head
    (tmp_path / "texts" / "new.py").write_text("print('new')\n" * 200)
    pipeline.run(recipe.parse(text.replace("name: small", "name: other")), runs=tmp_path / "own")
    for change in (lambda: None, lambda: shutil.rmtree(tmp_path / "texts")):
        change()
        again = pipeline.resume(Run.open(tmp_path / "own", "own"))
        assert [again.stage_folder(stage) for stage in ("corpus", "tokenizer", "shards")] == folders
        assert again.chain.head == head


def test_a_recipe_that_was_edited_inside_a_run_is_refused(copied):
    path = copied.folder / "recipe.yaml"
    path.write_text(path.read_text().replace("clip: 1.0", "clip: 0.5"))
    with pytest.raises(IntegrityError, match="changed after it was recorded"):
        pipeline.resume(Run.open(copied.runs, "small"))


def test_a_run_that_holds_nothing_out_is_released_without_a_score(library, tmp_path):
    text = RECIPE.format(folder=library).replace("held_out: 10 %", "held_out: 0").replace("steps: 12", "steps: 4")
    run = pipeline.run(recipe.parse(text), runs=tmp_path)
    assert run.chain.last("evaluation") is None and (run.folder / "release" / "README.md").is_file()
    assert answers.verify(run)["problems"] == []


def test_work_on_a_closed_run_that_fails_leaves_a_run_that_verifies(library, tmp_path):
    text = RECIPE.format(folder=library)
    pipeline.run(recipe.parse(text), runs=tmp_path, until="corpus")
    with pytest.raises(DataError):
        pipeline.run(recipe.parse(text.replace("context: 64", "context: 1M")), runs=tmp_path / "other")
    broken = pipeline.run(recipe.parse(text), runs=tmp_path, until="corpus")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seedstock.inputs.tokenizers.train._build", lambda *_: (_ for _ in ()).throw(DataError("no")))
        with pytest.raises(DataError):
            pipeline.run(recipe.parse(text), runs=tmp_path, until="shards")
    result = answers.verify(Run.open(tmp_path, broken.name))
    assert result["problems"] == [] and not result["closed"]


def test_a_forked_worker_does_not_hold_its_parents_lock(tmp_path):
    import os

    from seedstock.runs import lock

    ready, go = os.pipe(), os.pipe()
    with lock(tmp_path, "run"):
        pid = os.fork()
        if not pid:
            os.write(ready[1], b"1")
            os.read(go[0], 1)
            os._exit(0)
        os.read(ready[0], 1)
    with lock(tmp_path, "run"):  # while the child lives
        pass
    os.write(go[1], b"1")
    assert os.waitpid(pid, 0)[1] == 0
