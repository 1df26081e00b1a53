"""Classifiers of every shape: what transformers loads names the same classes, from text to logits."""

from __future__ import annotations

import json

import pytest
import torch

pytest.importorskip("transformers")

from seedstock.errors import RecipeError, SeedstockError
from seedstock.inputs.tokenizers import Tokenizer, vocabulary
from seedstock.inputs.tokenizers.train import _ecosystem_config
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.models.configs.encoder import EncoderConfig
from seedstock.models.configs.encoder_decoder import EncoderDecoderConfig
from seedstock.models.keys import generator
from seedstock.objectives.base import Spec, assemble
from seedstock.objectives.configs.answer import AnswerConfig
from seedstock.objectives.configs.classify import ClassifyConfig
from seedstock.transfer.finetune.export import export

SIZES = {"width": 32, "layers": 3, "heads": 2, "mlp_width": 64, "context": 64}
KINDS = {"encoder": EncoderConfig, "decoder": DecoderConfig, "encoder-decoder": EncoderDecoderConfig}
EXPERTS = {"experts": 4, "experts_per_token": 2, "expert_width": 64}
CASES = {
    "bert": ("encoder", {}, "Bert"),
    "modernbert": ("encoder", {"window": 4, "global_every": 2}, "ModernBert"),
    "esm2": ("encoder", {}, "Esm"),
    "llama": ("decoder", {}, "Llama"),
    "qwen3": ("decoder", {}, "Qwen3"),
    "gpt2": ("decoder", {}, "GPT2"),
    "mistral": ("decoder", {"shape": "llama", "window": 16}, "Mistral"),
    "mixtral": ("decoder", EXPERTS, "Mixtral"),
    "qwen3-moe": ("decoder", EXPERTS, "Qwen3Moe"),
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A byte tokenizer as the inputs room writes it."""
    folder = tmp_path_factory.mktemp("tokenizer")
    backend = vocabulary.of_bytes(16)
    (folder / "tokenizer.json").write_text(backend.to_str(pretty=True))
    (folder / "tokenizer_config.json").write_text(json.dumps(_ecosystem_config(backend)))
    return Tokenizer(folder)


def made(shape: str, tokenizer: Tokenizer, **options):
    """Nets of a shape, lively enough that a wrong weight shows, and their objective."""
    kind, more, _ = CASES.get(shape, ("encoder-decoder", {}, ""))
    model = KINDS[kind](**{"shape": shape, **SIZES, **more}).resolved()
    names = ("no", "perhaps", "yes")
    spec = Spec(tokenizer.vocab_size, SIZES["context"], tokenizer.specials, model, tokenizer=tokenizer, labels=names)
    objective = ClassifyConfig(**options).build(spec)
    nets = assemble(model.build(-(-tokenizer.vocab_size // 64) * 64, 3), objective).eval()
    with torch.no_grad():
        for number, parameter in enumerate(nets.parameters()):
            parameter.add_(torch.randn(parameter.shape, generator=generator("lively", str(number))) * 0.1)
    return nets, objective, model


@pytest.mark.parametrize("shape", CASES)
def test_every_shape_is_exported_as_its_class(shape, tokenizer, tmp_path):
    nets, objective, model = made(shape, tokenizer)
    name = objective.config.export_class(model)
    assert name == f"{CASES[shape][2]}ForSequenceClassification"
    report = export(nets, objective, name, tokenizer.folder, tmp_path / "out")
    assert report["passed"] and report["class"] == name
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert config["id2label"] == {"0": "no", "1": "perhaps", "2": "yes"}


def test_modernbert_is_asked_at_its_first_token_too(tokenizer, tmp_path):
    nets, objective, model = made("modernbert", tokenizer, pool="first")
    name = objective.config.export_class(model)
    assert export(nets, objective, name, tokenizer.folder, tmp_path / "out")["passed"]
    assert json.loads((tmp_path / "out/config.json").read_text())["classifier_pooling"] == "cls"


def test_a_folder_that_differs_is_not_written(tokenizer, tmp_path, monkeypatch):
    nets, objective, model = made("bert", tokenizer)
    monkeypatch.setattr(
        type(objective), "logits", lambda self, nets, output, batch: nets["class_head"](output.hidden[:, 1])
    )
    with pytest.raises(SeedstockError, match="computes something else"):
        export(nets, objective, objective.config.export_class(model), tokenizer.folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("shape", "pool"), [("bert", "mean"), ("t5", "auto"), ("bart", "auto")])
def test_what_no_class_asks_has_none(shape, pool, tokenizer):
    _, objective, model = made(shape, tokenizer, pool=pool)
    assert objective.config.export_class(model) is None


def test_what_cannot_be_learned_is_told(tokenizer):
    model = EncoderConfig(shape="bert", **SIZES).resolved()
    spec = Spec(tokenizer.vocab_size, 64, tokenizer.specials, model, labels=("one",))
    with pytest.raises(RecipeError, match="1 classes"):
        ClassifyConfig().build(spec)
    with pytest.raises(RecipeError, match="an encoder does not"):
        AnswerConfig().build(spec)
    with pytest.raises(SeedstockError, match="has not read the text"):
        made("llama", tokenizer, pool="mean")


@pytest.mark.parametrize("shape", ["bert", "modernbert", "esm2", "llama"])
def test_loss_and_gradients_are_those_of_the_class(shape, tokenizer, tmp_path):
    """One step of ours is one step of theirs: what is learned from a padded batch is the same."""
    import transformers

    nets, objective, model = made(shape, tokenizer)
    export(nets, objective, objective.config.export_class(model), tokenizer.folder, tmp_path / "out")
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "out", dtype=torch.float32
    ).eval()
    rows = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")(
        ["The seed.", "Kept for sowing", "", "the best"], padding=True, return_tensors="pt"
    )
    label = torch.tensor([0, 2, 1, 1])
    tokens, seen = rows["input_ids"], rows["attention_mask"]
    batch = {"tokens": tokens, "documents": torch.where(seen > 0, 0, -1), "label": label}
    output = nets["network"].backbone(**objective.inputs(nets, batch))
    sums, metrics = objective.loss(nets, output, batch)
    loss = sums["classify"] / objective.counts(batch)["classify"]
    other = theirs(input_ids=tokens, attention_mask=seen, labels=label)
    assert float(loss) == pytest.approx(float(other.loss), rel=1e-5)
    assert int(metrics["right"]) == int((other.logits.argmax(-1) == label).sum())
    loss.backward()
    other.loss.backward()
    ours = torch.cat([p.grad.flatten() for p in nets.parameters() if p.grad is not None]).norm()
    norm = torch.cat([p.grad.flatten() for p in theirs.parameters() if p.grad is not None]).norm()
    assert float(ours) == pytest.approx(float(norm), rel=1e-4)
