"""Distillation: a teacher that is the student teaches nothing; gradients are those of the formula."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent.parent / "models"))
from small_networks import VOCABULARY, lively, packed

from seedstock import pipeline, recipe
from seedstock.errors import RecipeError
from seedstock.objectives.base import Spec, assemble
from seedstock.objectives.causal import targets
from seedstock.objectives.configs.distillation import DistillationConfig

TEACHER = "run:teacher"


def objective(teacher, **options):
    spec = Spec(VOCABULARY, teacher.config.context, model=teacher.config, models={TEACHER: teacher})
    return DistillationConfig(teacher=TEACHER, **options).build(spec)


def losses(network, teacher, batch, **options):
    own = objective(teacher, **options)
    nets = assemble(network, own)
    output = network.backbone(**own.inputs(nets, batch))
    return own, *own.loss(nets, output, batch)


def test_a_teacher_that_is_the_student_teaches_nothing():
    network, batch = lively(), packed()
    _, sums, _ = losses(network, network, batch, share=1.0, temperature=2.0)
    assert sums["teacher"].abs() < 1e-4
    sums["teacher"].backward()
    assert all(p.grad is None or p.grad.abs().max() < 1e-4 for p in network.parameters())


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_gradients_are_those_of_the_formula(temperature):
    network, teacher, batch = lively(), lively("llama"), packed()
    teacher.requires_grad_(False)
    own, sums, metrics = losses(network, teacher, batch, share=0.3, temperature=temperature)
    count = own.counts(batch)["causal"]
    (sum(sums.values()) / count).backward()
    found = {name: p.grad.clone() for name, p in network.named_parameters()}
    network.zero_grad()
    given = [batch[name][:, :-1] for name in ("tokens", "positions", "documents")]
    ours, theirs, wanted = network(*given), teacher(*given), targets(batch)
    held = wanted >= 0
    text = F.cross_entropy(ours[held], wanted[held], reduction="sum")
    taught = F.kl_div(
        F.log_softmax(ours[held] / temperature, -1), F.softmax(theirs[held] / temperature, -1), reduction="sum"
    )
    loss = (0.7 * text + 0.3 * temperature**2 * taught) / count
    assert float(sum(sums.values()).detach() / count) == pytest.approx(float(loss.detach()), rel=1e-4)
    assert float(metrics["nats"]) == pytest.approx(float(text.detach()), rel=1e-4)
    loss.backward()
    for name, parameter in network.named_parameters():
        assert (found[name] - parameter.grad).norm() <= 1e-3 * parameter.grad.norm() + 1e-7, name


def test_a_teacher_of_another_vocabulary_is_refused():
    teacher = lively()
    spec = Spec(VOCABULARY + 64, teacher.config.context, model=teacher.config, models={TEACHER: teacher})
    with pytest.raises(RecipeError, match="tokens"):
        DistillationConfig(teacher=TEACHER).build(spec)


RECIPE = """
name: NAME
sources: [{name: library, kind: text, path: PATH}]
corpus: {policy: none, held_out: 20 %}
tokenizer: {kind: bytes}
model: {width: 32, layers: 1, heads: 2, context: 32}
objective: OBJECTIVE
training: {steps: 6, batch_tokens: 512, threads: 1, micro_batch: 16, precision: fp32, compile: false}
"""


def test_the_parent_is_on_record_and_an_unknown_one_is_named(tmp_path):
    (tmp_path / "text.txt").write_text(Path(__file__).read_text() * 3)
    (tmp_path / "more.txt").write_text(Path(recipe.__file__).read_text())

    def run(name, wanted):
        text = RECIPE.replace("NAME", name).replace("PATH", str(tmp_path)).replace("OBJECTIVE", wanted)
        return pipeline.run(recipe.parse(text), runs=tmp_path / "runs", until="training")

    teacher = run("teacher", "{kind: causal}")
    pupil = run("pupil", "{kind: distillation, teacher: 'run:teacher@6'}")
    sealed = teacher.chain.last("checkpoint")["manifest_sha256"]
    expected = {"run:teacher@6": {"run": "teacher", "step": 6, "manifest_sha256": sealed}}
    assert pupil.chain.last("parents")["runs"] == expected
    assert {p.name for p in (pupil.folder / "checkpoints/step-00000006").iterdir()} >= {"model.safetensors"}
    with pytest.raises(Exception, match="there is no such run"):
        run("orphan", "{kind: distillation, teacher: 'run:nobody'}")
