"""Classes and answers: what is learned, from what, and that neither batches nor padding have a part in it."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seedstock.errors import RecipeError
from seedstock.inputs.items.config import Document
from seedstock.inputs.items.texts import LabelledTextConfig, TextToTextConfig
from seedstock.inputs.keys import Keys
from seedstock.inputs.tokenizers import Tokenizer, vocabulary
from seedstock.inputs.tokenizers.train import _ecosystem_config
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.models.configs.encoder import EncoderConfig
from seedstock.models.configs.encoder_decoder import EncoderDecoderConfig
from seedstock.objectives.base import Spec, assemble
from seedstock.objectives.configs.answer import AnswerConfig
from seedstock.objectives.configs.classify import ClassifyConfig
from seedstock.training.gradients import accumulate

SIZES = {"width": 32, "layers": 2, "heads": 2, "mlp_width": 64, "context": 64}
MODELS = {
    "bert": EncoderConfig(shape="bert", dropout=0.1, **SIZES),
    "modernbert": EncoderConfig(shape="modernbert", window=4, global_every=2, **SIZES),
    "llama": DecoderConfig(shape="llama", **SIZES),
    "t5": EncoderDecoderConfig(shape="t5", dropout=0.1, **SIZES),
}
CASES = [("classify", shape) for shape in MODELS] + [("text-to-text", shape) for shape in ("llama", "t5")]
ROWS = [
    ("the seed is kept", 0),
    ("and sown", 1),
    ("in spring, when the ground is warm", 0),
    ("a", 2),
    ("so it grows", 1),
]
WORDS = ("noun", "verb", "no")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    backend = vocabulary.of_bytes(16)
    (folder / "tokenizer.json").write_text(backend.to_str(pretty=True))
    (folder / "tokenizer_config.json").write_text(json.dumps(_ecosystem_config(backend)))
    return Tokenizer(folder)


class Made:
    """Nets, their objective, and a batch as the loader gives it."""

    def __init__(self, kind: str, shape: str, tokenizer: Tokenizer) -> None:
        torch.set_num_threads(1)
        self.model = MODELS[shape].resolved()
        self.spec = Spec(tokenizer.vocab_size, 64, tokenizer.specials, self.model, tokenizer=tokenizer, labels=WORDS)
        config = ClassifyConfig() if kind == "classify" else AnswerConfig()
        self.kind, self.objective = kind, config.build(self.spec)
        given = LabelledTextConfig(length=40) if kind == "classify" else TextToTextConfig(length=40, target_length=8)
        made = [
            item
            for text, label in ROWS
            for item in given.items(Document(None, text, "en", {"target": WORDS[label]}, label), tokenizer)
        ]
        self.items = {name: np.stack([one[name] for one in made]) for name in made[0]}
        self.items |= {"present": np.ones(len(made), bool), "examples": np.arange(len(made))}

    def nets(self):
        nets = assemble(self.model.build(self.spec.vocab_size, 1), self.objective)
        return nets

    def batch(self, items=None):
        items = items or self.items
        made = self.objective.prepare(items, Keys(1, items["examples"]))
        return {name: torch.from_numpy(array) for name, array in made.items()} | {
            "examples": torch.from_numpy(items["examples"])
        }

    def step(self, nets, batch, size=8):
        nets.zero_grad()
        found = accumulate(nets, self.objective, batch, batch["examples"].numpy(), size=size, seed=1)
        return found, {name: p.grad.clone() for name, p in nets.named_parameters() if p.grad is not None}


@pytest.fixture(params=CASES, ids="-".join)
def made(request, tokenizer):
    return Made(*request.param, tokenizer)


def test_the_first_loss_and_learning_by_heart(made):
    nets = made.nets().train()
    expected = made.objective.expect(made.spec)
    first, _ = made.step(nets, made.batch())
    (name,) = expected.first
    assert float(first.losses[name]) == pytest.approx(expected.first[name], rel=0.05)
    if made.kind == "classify":
        assert expected.first[name] == math.log(3)
    optimizer = torch.optim.AdamW(nets.parameters(), lr=5e-3)
    for _ in range(60):
        last, _ = made.step(nets, made.batch())
        optimizer.step()
    assert float(last.losses[name]) < 0.15 * float(first.losses[name])
    assert float(last.metrics["right" if made.kind == "classify" else "exact"]) == 1.0


@pytest.mark.parametrize("size", [1, 2])
def test_micro_batches_change_nothing(made, size):
    nets = made.nets().train()
    whole, gradients = made.step(nets, made.batch())
    parts, others = made.step(nets, made.batch(), size)
    for name, value in whole.losses.items():
        assert float(parts.losses[name]) == pytest.approx(float(value), rel=1e-5)
    for name, gradient in gradients.items():
        assert (others[name] - gradient).norm() <= 2e-5 * gradient.norm() + 1e-7, name


def test_what_else_is_in_the_batch_and_its_padding_change_nothing(made):
    """A batch is as long as its longest text."""
    nets = made.nets().eval()
    alone = {name: array[[3]] for name, array in made.items.items()}
    batch, whole = made.batch(alone), made.batch()
    key = "source" if "source" in batch else "tokens"
    assert batch[key].shape[1] < whole[key].shape[1]

    def of_row(batch, row):
        output = nets["network"].backbone(**made.objective.inputs(nets, batch))
        if made.kind == "classify":
            return made.objective.logits(nets, output, batch)[row]
        held = batch["targets"][row] >= 0
        return nets["network"].head(output.hidden)[row][: len(held)][held]

    with torch.no_grad():
        torch.testing.assert_close(of_row(batch, 0), of_row(whole, 3), rtol=1e-4, atol=1e-5)


def test_erased_and_unlabelled_texts_teach_nothing(made):
    nets = made.nets().train()
    erased = {name: array.copy() for name, array in made.items.items()}
    erased["present"][:] = False
    found, gradients = made.step(nets, made.batch(erased))
    assert float(found.loss) == 0 and not any(bool(g.any()) for g in gradients.values())
    assert all(bool(torch.isfinite(g).all()) for g in gradients.values())
    if made.kind == "classify":
        without = {**made.items, "label": np.full(len(ROWS), -1)}
        assert float(made.step(nets, made.batch(without))[0].loss) == 0


def test_every_parameter_of_the_head_and_the_network_learns(made):
    _, gradients = made.step(made.nets().train(), made.batch())
    idle = ("network.head.", "network.embedding.positions", "network.embedding.types")
    if made.kind == "classify" and made.model.cross:  # a target of one token: nothing to weigh it against
        own = [f"network.backbone.blocks.{n}.attention.{part}" for n in range(2) for part in ("query", "key")]
        idle = (*idle, "network.backbone.relative.", *own)
    trained = {name for name, gradient in gradients.items() if gradient.any()}
    for name, _ in made.nets().named_parameters():
        assert name in trained or name.startswith(idle), name


def test_the_answer_is_not_shown_before_it_is_asked(tokenizer):
    for shape in ("llama", "t5"):
        made = Made("text-to-text", shape, tokenizer)
        nets, batch = made.nets().eval(), made.batch()
        changed = {name: array.copy() for name, array in made.items.items()}
        last = int((changed["target"][0] != tokenizer.specials["pad"]).sum()) - 2
        changed["target"][0, last] += 1
        with torch.no_grad():
            one, other = (
                nets["network"].backbone(**made.objective.inputs(nets, b)).hidden for b in (batch, made.batch(changed))
            )
        places = torch.nonzero(batch["targets"][0] >= 0).flatten()
        before = places[:last]
        torch.testing.assert_close(one[0, before], other[0, before], rtol=0, atol=1e-6)
        assert batch["targets"][0, places].tolist()[:-1] == made.items["target"][0, 1 : last + 1].tolist()
        assert batch["targets"][0, places[-1]] == tokenizer.specials["eos"]


@given(text=st.text(min_size=1, max_size=80).filter(lambda text: text.strip()))
def test_a_text_is_between_bos_and_eos_and_cut_is_said(tokenizer, text):
    (item,) = LabelledTextConfig(length=24).items(Document(None, text, "en", {}, 1), tokenizer)
    ids = tokenizer.encode(text)
    kept = item["tokens"][item["tokens"] != tokenizer.specials["pad"]]
    assert kept[0] == tokenizer.specials["bos"] and kept[-1] == tokenizer.specials["eos"]
    assert kept[1:-1].tolist() == ids[:22].tolist() and bool(item["cut"]) == (len(ids) > 22)


def test_texts_that_do_not_fit_are_told(tokenizer):
    made = Made("classify", "bert", tokenizer)
    made.objective.spec = replace(made.spec, context=8)
    with pytest.raises(RecipeError, match="do not fit"):
        made.batch()
    with pytest.raises(RecipeError, match="labelled-text"):
        made.objective.prepare({"tokens": made.items["tokens"]}, None)
