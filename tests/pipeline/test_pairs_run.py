"""A run over pictures with captions, from a tar to what is released; every command says something of it."""

import json
import shutil

import numpy as np
import pytest
import torch
from drawn_pairs import RECIPE, write

from seedstock import answers, pipeline, recipe, weights
from seedstock.cli import main
from seedstock.errors import SeedstockError
from seedstock.progress import Events
from seedstock.runs import Run


def parsed(folder, shape="clip", objective="{kind: contrastive, embedding: 16, smallest: 60 %, jitter: 0.2}"):
    return recipe.parse(RECIPE.format(path=folder / "drawn.tar", shape=shape, objective=objective))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    write(folder / "drawn.tar")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEDSTOCK_KEY", "5e" * 32)
        return pipeline.run(parsed(folder), runs=folder / "runs", reporter=Events())


@pytest.fixture
def again(made, tmp_path):
    shutil.copytree(made.runs, tmp_path / "runs")
    return Run.open(tmp_path / "runs", made.name)


def test_a_tar_becomes_a_model_with_retrieval_by_language(made):
    assert answers.verify(made)["problems"] == []
    found = json.loads((made.folder / "evaluation/scores.json").read_text())["retrieval"]
    assert set(found) == {"de", "en"}
    for one in found.values():
        assert one["pairs"] > 5 and one["chance"] == pytest.approx(1 / one["pairs"], rel=0.3)
        assert set(one["model"]) == set(one["linear"])


def test_the_card_says_what_either_tower_is_and_what_was_found(made):
    card = (made.folder / "release/README.md").read_text()
    assert "1 layers of width 32 for pictures and 1 layers of width 32 for texts" in card
    assert "| Context | 17 | 24 |" in card and "Retrieval:" in card and "\n| de | " in card
    assert "pipeline_tag: zero-shot-image-classification" in card


def test_the_code_on_the_card_runs(made, monkeypatch, capsys, tmp_path):
    pytest.importorskip("transformers")
    from PIL import Image

    from seedstock.release.loading import loading

    shutil.copytree(made.folder / "release/model", tmp_path / "model")
    Image.new("RGB", (40, 30), "red").save(tmp_path / "picture.png")
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    exec(loading("CLIPModel").code, {})
    assert "tensor([[" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["doctor"], ["verify"], ["trace", "--step", "2"], ["trace", "--text", "Scheibe"]])
def test_commands_answer(made, command, capsys):
    name, *rest = command
    assert main([name, made.name, *rest, "--runs", str(made.runs)]) == 0
    assert capsys.readouterr().out.strip()


def test_a_caption_is_traced_to_its_pictures(made):
    (match,) = answers.text(made, "Nummer 47")["matches"]
    assert match["locator"].endswith("#de") and match["licence"] == "CC0-1.0"
    assert answers.text(made, "Nummer 470")["matches"] == []


def test_what_has_no_answer_is_said_so(made, tmp_path, capsys):
    for command in (["generate", made.name], ["export", made.name, str(made.folder / "release")]):
        assert main([*command, "--runs", str(made.runs)]) != 0
        assert "seedstock: " in capsys.readouterr().err
    with pytest.raises(SeedstockError, match="CLIPModel are written here, and not read back"):
        weights.import_folder(made.folder / "release/model")


def test_it_goes_on_from_a_checkpoint_to_the_same_weights(again, made):
    ended = pipeline.resume(again, step=3)
    one, two = (run.chain.last("checkpoint")["digest"] for run in (ended, made))
    assert one == two and answers.verify(ended)["problems"] == []


def test_a_picture_is_forgotten_and_the_run_still_verifies(again):
    span = answers.step(again, 2)["spans"][0]
    report = answers.forget(again, documents=[span["document"]], reason="asked for")
    assert report["asked"] == [span["document"]]
    assert answers.verify(again)["problems"] == []
    assert answers.step(again, 2)["spans"][0]["locator"] == "forgotten"
    assert pipeline.resume(again, step=3).steps_done == 6


@pytest.fixture(scope="module")
def captioned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captions")
    write(folder / "drawn.tar")
    text = RECIPE.format(path=folder / "drawn.tar", shape="clip", objective="{kind: captioner, embedding: 16}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEDSTOCK_KEY", "5e" * 32)
        made = recipe.parse(text.replace("validate_every: 3", "validate_every: 3, sample_every: 3"))
        return pipeline.run(made, runs=folder / "runs", reporter=Events())


def test_drawings_go_with_a_picture_that_they_may_show_and_stay_without(again):
    drawing = again.folder / "evaluation/retrieval.png"
    assert drawing.is_file()
    for split, stay in (("train", True), ("held_out", False)):
        stratum = again.shards.strata(split)[0].stratum
        identity = again.shards.documents(split, stratum)[0][0].tobytes().hex()
        report = answers.forget(again, documents=[identity], reason="asked for")
        assert drawing.is_file() == stay, split
        assert [f"{again.name}/evaluation/retrieval.png"] * (not stay) == report["removed"]
        assert (again.folder / "evaluation/curve.png").is_file() and answers.verify(again)["problems"] == []


def test_captions_are_written_during_the_run_and_judged_after_it(captioned):
    assert answers.verify(captioned)["problems"] == []
    scores = json.loads((captioned.folder / "evaluation/scores.json").read_text())
    for language, one in scores["captions"].items():
        assert one["pictures"] == scores["retrieval"][language]["pairs"]
        assert one["nearest"]["character_error"] < 1 and one["model"]["character_error"] > 0
    events = [json.loads(line) for line in (captioned.folder / "events.jsonl").read_text().splitlines()]
    samples = [one for one in events if "sample" in json.dumps(one)]
    assert any("Nummer" in json.dumps(one) or "number" in json.dumps(one) for one in samples)
    assert "Captions of held-out pictures" in (captioned.folder / "release/README.md").read_text()


def test_the_folder_of_a_captioner_writes_what_the_run_does(captioned, monkeypatch, capsys, tmp_path):
    from PIL import Image

    from seedstock.release.loading import loading
    from seedstock.transfer.maps import captioner

    nets, objective, _ = weights.load_nets(captioned)
    images = torch.from_numpy(captioned.shards.items("held_out", 0, np.arange(4))["image"])
    read = captioner.read(captioned.folder / "release/model")
    assert torch.equal(read.describe(images), objective.written(nets.eval(), images))
    shutil.copytree(captioned.folder / "release/model", tmp_path / "model")
    Image.new("RGB", (40, 30), "red").save(tmp_path / "picture.png")
    monkeypatch.chdir(tmp_path)
    exec(loading("SeedstockCaptioner").code, {})
    capsys.readouterr()
    with pytest.raises(SeedstockError, match="no SeedstockCaptioner"):
        captioner.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"objective": "{kind: contrastive, embedding: 16, jitter: 0.2}"}, "jitter is of views"),
        ({"objective": "{kind: contrastive, embedding: 16, crop: 2, smallest: 0.5}"}, "takes the place of crop"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(tmp_path, change, says):
    with pytest.raises(SeedstockError, match=says):
        parsed(tmp_path, **change)
