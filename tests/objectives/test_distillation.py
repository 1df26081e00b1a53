"""Distillation: a teacher that is the student teaches nothing; gradients are those of the formula; what is stored of a
teacher is what it says, is read by where windows lie, and is verified and forgotten like the texts."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent / "models"))
from small_networks import VOCABULARY, lively, packed

from seedstock import pipeline, recipe
from seedstock.errors import IntegrityError, RecipeError
from seedstock.inputs import logits
from seedstock.inputs.loader import windows
from seedstock.objectives import divergence, teacher
from seedstock.objectives.base import Spec, assemble
from seedstock.objectives.causal import targets
from seedstock.objectives.configs.distillation import DistillationConfig
from seedstock.planning.plan import plan
from seedstock.provenance.forget import forget
from seedstock.provenance.verify import verify

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


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000), k=st.integers(1, 40), temperature=st.sampled_from([0.5, 1.0, 4.0]), bias=st.booleans()
)
def test_the_likeliest_tokens_and_the_rest(seed, k, temperature, bias):
    """Of k + 1 outcomes: the value by hand, gradients as of autograd; at most the whole, which it is where k = V."""
    random = torch.Generator().manual_seed(seed)
    hidden, matrix = torch.randn(6, 8, generator=random), torch.randn(40, 8, generator=random)
    shift = torch.randn(40, generator=random) if bias else None
    theirs = F.log_softmax(torch.randn(6, 40, generator=random) * 3, -1)
    ids, logs = teacher.likeliest(theirs, k)
    leaves = [one.clone().requires_grad_() for one in (hidden, matrix, *([shift] if bias else []))]
    found = divergence.likeliest(*(leaves if bias else [*leaves, None]), ids, logs, temperature)
    found.backward()
    plain = [one.clone().requires_grad_() for one in (hidden, matrix, *([shift] if bias else []))]
    ours = ((plain[0] @ plain[1].t() + (plain[2] if bias else 0)) / temperature).softmax(-1)
    kept = ours.gather(1, ids)
    outcomes = torch.cat([kept, (1 - kept.sum(1, keepdim=True)).clamp(min=1e-7)], 1) if k < 40 else kept
    wanted = temperature**2 * F.kl_div(outcomes.log(), logs[:, : outcomes.shape[1]].exp(), reduction="sum")
    wanted.backward()
    assert float(found.detach()) == pytest.approx(float(wanted.detach()), rel=2e-3, abs=1e-3)
    for one, other in zip(leaves, plain, strict=True):
        assert (one.grad - other.grad).norm() <= 5e-3 * other.grad.norm() + 1e-3
    all_of_it = divergence.whole(hidden, matrix, shift, theirs, temperature)
    assert float(found.detach()) <= float(all_of_it) * 1.001 + 1e-3
    if k == 40:
        assert float(found.detach()) == pytest.approx(float(all_of_it), rel=1e-3, abs=1e-3)


def test_half_precision_on_disk_costs_little():
    network, batch = lively(), packed()
    with torch.no_grad():
        given = [batch[name][:, :-1] for name in ("tokens", "positions", "documents")]
        shares = network(*given).log_softmax(-1)[0]
    _, logs = teacher.likeliest(shares, 8)
    assert (logs.half().float().exp() - logs.exp()).abs().max() < 1e-3


RECIPE = """
name: NAME
sources: [{name: library, kind: text, path: PATH}]
corpus: {policy: none, held_out: 20 %}
tokenizer: {kind: bytes}
model: {width: 32, layers: 1, heads: 2, context: 32}
objective: OBJECTIVE
training: {steps: 6, batch_tokens: 512, threads: 1, micro_batch: 16, precision: fp32, compile: false}
"""


@pytest.fixture
def run(tmp_path):
    for file in sorted(Path(recipe.__file__).parent.glob("*.py"))[:8]:
        (tmp_path / f"{file.stem}.txt").write_text(file.read_text())

    def run(name, wanted, old="", new=""):
        text = RECIPE.replace("NAME", name).replace("PATH", str(tmp_path)).replace("OBJECTIVE", wanted)
        return pipeline.run(
            recipe.parse(text.replace(old, new) if old else text), runs=tmp_path / "runs", until="training"
        )

    return run


def test_the_parent_is_on_record_and_an_unknown_one_is_named(run):
    taught_by = run("teacher", "{kind: causal}")
    pupil = run("pupil", "{kind: distillation, teacher: 'run:teacher@6'}")
    sealed = taught_by.chain.last("checkpoint")["manifest_sha256"]
    expected = {"run:teacher@6": {"run": "teacher", "step": 6, "manifest_sha256": sealed}}
    assert pupil.chain.last("parents")["runs"] == expected
    assert {p.name for p in (pupil.folder / "checkpoints/step-00000006").iterdir()} >= {"model.safetensors"}
    with pytest.raises(Exception, match="there is no such run"):
        run("orphan", "{kind: distillation, teacher: 'run:nobody'}")


def test_what_is_stored_is_what_the_teacher_says(run):
    """Of every window that the run reads, found by its place; and once for all runs that read the same."""
    run("teacher", "{kind: causal}")
    pupil = run("pupil", "{kind: distillation, teacher: 'run:teacher', stored: 12, temperature: 2}")
    from seedstock import weights

    network, _ = weights.load(weights.parent(pupil, "run:teacher")[0])
    stored = logits.Stored(pupil.stage_folder("logits"))
    places, length = logits.places(pupil.plan, 6)
    assert np.array_equal(stored.windows, places) and length == stored.length == 32
    located = pupil.plan.locate(np.arange(20))
    ids, logs = stored.read(located.strata, located.starts)
    columns = located.strata[:, None], located.starts[:, None]
    made = windows(pupil.shards, "train", *columns, 32)
    documents = made["documents"]
    with torch.no_grad():
        given = (torch.from_numpy(made[name]) for name in ("tokens", "positions", "documents"))
        shares = F.log_softmax(network(*given) / 2, -1)
    inside = documents >= 0
    top = shares.topk(12, -1)
    assert (ids == top.indices.numpy())[inside].mean() > 0.999  # equal shares may change places
    assert np.abs(logs[..., :12].astype(np.float32) - top.values.numpy())[inside].max() < 5e-3
    rest = 1 - top.values.exp().sum(-1).numpy()
    assert np.abs(np.exp(logs[..., 12].astype(np.float32)) - rest)[inside].max() < 2e-3
    with pytest.raises(IntegrityError, match="no stored logits"):
        stored.read(located.strata[:1], located.starts[:1] + 1)
    before = sorted(pupil.stage_folder("logits").parent.iterdir())
    again = run("again", "{kind: distillation, teacher: 'run:teacher', stored: 12, temperature: 2, share: 0.9}")
    assert sorted(again.stage_folder("logits").parent.iterdir()) == before
    assert "logits" in again.summary()["stages"]


def test_stored_logits_are_verified_and_forgotten(run):
    run("teacher", "{kind: causal}")
    pupil = run("pupil", "{kind: distillation, teacher: 'run:teacher', stored: 12}")
    folder = pupil.stage_folder("logits")
    assert not verify(pupil.folder)
    stored = logits.Stored(folder)
    stratum, start = stored.windows[3].tolist()
    document, begin, tokens = pupil.shards.document_at("train", stratum, start)
    before = np.array(stored.logs)
    forget(pupil.folder, [document], reason="asked for", twins=False)
    after = logits.Stored(folder)
    where = stored.windows[:, 1][:, None] + np.arange(stored.length)
    own = (where >= begin) & (where < begin + tokens)
    assert own.any() and not after.logs[own].any() and not after.ids[own].any()
    assert np.array_equal(after.logs[~own], before[~own])
    assert not verify(pupil.folder)
    with (folder / "logs.npy").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"?")
    assert any("logs.npy" in problem.file for problem in verify(pupil.folder))


def test_stored_logits_that_are_gone_keep_no_student_from_being_scored(run):
    """Training does not go on without them; from its beginning it writes them again."""
    run("teacher", "{kind: causal}")
    asked = "{kind: distillation, teacher: 'run:teacher', stored: 12}"
    pupil = run("pupil", asked, "steps: 6", "steps: 6, checkpoint_every: 3")
    folder = pupil.stage_folder("logits")
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    shutil.rmtree(folder)
    pipeline.again(pupil, "evaluation")
    with pytest.raises(IntegrityError, match="are gone"):
        pipeline.resume(pupil, step=3)
    pipeline.resume(pupil, step=0)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept


def test_a_teacher_with_another_tokenizer_is_named(run):
    run("teacher", "{kind: causal}")
    for stored in ("", ", stored: 12"):
        asked = f"{{kind: distillation, teacher: 'run:teacher'{stored}}}"
        with pytest.raises(RecipeError, match="another tokenizer") as raised:
            run(f"pupil{len(stored)}", asked, "kind: bytes", "kind: characters")
        assert "imported" in raised.value.fix


def test_a_length_that_is_measured_and_a_masked_teacher_cannot_be_stored(run):
    run("teacher", "{kind: causal}")
    with pytest.raises(RecipeError, match=r"training\.time"):
        run("pupil", "{kind: distillation, teacher: 'run:teacher', stored: 12}", "steps: 6", "time: 2 s")
    with pytest.raises(ValueError, match="drawn anew"):
        DistillationConfig(teacher=TEACHER, stored=4, of={"kind": "masked"})


def test_the_plan_says_what_is_kept_on_disk(tmp_path):
    text = RECIPE.replace("NAME", "one").replace("PATH", str(tmp_path))
    text = text.replace("OBJECTIVE", "{kind: distillation, teacher: 'run:teacher', stored: 32}")
    found = plan(recipe.parse(text), 1024)
    assert found.disk == 6 * 512 * (32 * 2 + 33 * 2) == found.tokens * logits.a_token(32, 1024)
    assert any(what == "disk" for what, _ in found.rows())
    assert plan(recipe.parse(text.replace(", stored: 32", "")), 1024).disk == 0
