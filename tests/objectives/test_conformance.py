"""Every objective keeps the promises of ``objectives.base``, whatever it trains: the table is
``conformance_families``."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from conformance import BATCH, SEED, Made, Windows, altered, outputs, padded
from conformance_families import FAMILIES
from drawn_files import files_of_every_kind

from seedstock.errors import Interrupted
from seedstock.evaluation import objective_loss
from seedstock.evaluation.doctor.collapse import collapsed
from seedstock.evaluation.token_floors import token_floors
from seedstock.ledger.chain import Chain
from seedstock.release.loading import exported_class, loading
from seedstock.training.callbacks.base import Callback
from seedstock.training.configs.training import TrainingConfig
from seedstock.training.fit import fit

_KEPT: list[TemporaryDirectory] = []  # until the tests end


@cache
def _made(name: str) -> Made:
    return Made(FAMILIES[name])


@pytest.fixture(params=FAMILIES)
def made(request):
    torch.set_num_threads(1)
    return _made(request.param)


def test_the_first_loss_is_as_expected(made):
    arrays = made.loader(batch=32).batch(0)
    expected = made.objective.expect(replace(made.spec, batch=32))
    if made.family.input is not None:
        expected = expected.with_floors(objective_loss.floors(made.objective, Windows(arrays), batch=32))
    step, _ = made.gradients(made.nets(), arrays)
    assert expected.first.keys() == step.losses.keys() - set(made.family.unknown)
    for name, value in expected.first.items():
        assert float(step.losses[name]) == pytest.approx(value, rel=expected.tolerance), name
    assert set(expected.metrics) <= set(step.metrics), "a metric is described that is not measured"


def test_it_learns_one_batch_by_heart(made):
    _, course = made.learned
    assert made.left(course) < made.family.by_heart, (course[0], course[-1])


def test_what_is_to_be_guessed_is_not_shown(made):
    nets, arrays = made.nets(lively=True).eval(), made.arrays
    before = made.corrupted(arrays)
    with torch.no_grad():
        inputs, hidden = outputs(made.objective, nets, before)
        specials, looked = set(made.spec.specials.values()), 0
        for secret in list(made.family.secrets(made.objective, before))[:12]:
            place = secret.place if isinstance(secret.place, tuple) else (secret.place,)
            changed = dict(arrays)
            changed[secret.array] = altered(arrays[secret.array], (secret.row, *place), made.spec.vocab_size, specials)
            others, moved = outputs(made.objective, nets, made.corrupted(changed))
            if secret.input:
                assert all(torch.equal(one["x"], other["x"]) for one, other in zip(inputs, others, strict=True))
            row = secret.row if secret.of is None else secret.of
            kept = hidden[0][row][secret.hidden]
            torch.testing.assert_close(moved[0][row][secret.hidden], kept, rtol=0, atol=1e-6)
            looked += 1
    assert looked or not made.family.guessed, "nothing was to be guessed"


def test_gradients_reach_what_is_trained_and_nothing_else(made):
    nets = made.nets(lively=True)
    _, gradients = made.gradients(nets, made.arrays)
    reached = {name for name, gradient in gradients.items() if gradient.any()}
    frozen, idle = made.family.frozen or ("-",), made.family.idle or ("-",)
    for name, _ in nets.named_parameters():
        if name.startswith(frozen):
            assert name not in reached, f"{name} is a teacher's"
        elif not name.startswith(idle):
            assert name in reached, f"{name} learns nothing"


def _same(made, found, whole, others, gradients):
    for name, value in whole.losses.items():
        assert float(found[name]) == pytest.approx(float(value), rel=1e-5, abs=1e-6), name
    for name, gradient in gradients.items():
        assert (others[name] - gradient).norm() <= 2e-5 * gradient.norm() + 1e-7, name


@pytest.mark.parametrize("size", [1, 4])
def test_micro_batches_change_nothing(made, size):
    nets = made.nets(lively=True)
    whole, gradients = made.gradients(nets, made.arrays)
    split, others = made.gradients(nets, made.arrays, size)
    _same(made, split.losses, whole, others, gradients)


def test_ranks_change_nothing(made):
    if made.objective.coupling == "batch":
        pytest.skip("its terms couple the examples of all ranks: tests/training/parallel")
    nets, counted = made.nets(lively=True), {}
    whole, gradients = made.gradients(nets, made.arrays, reduce=lambda counts: counted.update(counts) or counts)
    total: dict[str, torch.Tensor] = {}
    losses = dict.fromkeys(whole.losses, 0.0)
    for rank in range(2):
        arrays = made.loader(rank=rank, world=2).batch(0)
        assert len(arrays["examples"]) == BATCH // 2
        part, own = made.gradients(nets, arrays, reduce=lambda counts: counted)
        total = {name: total.get(name, 0) + own.get(name, 0) for name in total | own}
        losses = {name: value + float(part.losses[name]) for name, value in losses.items()}
    _same(made, losses, whole, total, gradients)


def test_padding_changes_nothing(made):
    if not made.family.padded:
        pytest.skip("its lengths are its own")
    nets, arrays = made.nets(lively=True), made.loader(shorter=8).batch(0)
    whole, gradients = made.gradients(nets, arrays)
    longer, others = made.gradients(nets, padded(arrays, 7, made.spec.specials["pad"]))
    _same(made, longer.losses, whole, others, gradients)


class StopAt(Callback):
    """Asks for a stop as a signal would."""

    def __init__(self, step):
        self.step = step

    def after_step(self, run):
        if run.step == self.step:
            run.stop.request("asked to stop")


def test_a_run_that_was_cut_off_goes_on_bit_for_bit(made, tmp_path):
    config = TrainingConfig(
        steps=4, checkpoint_every=4, precision="fp32", compile=False, threads=1, micro_batch=4, batch_examples=BATCH
    )

    def train(name, *callbacks):
        return fit(
            network=made.model.build(made.spec.vocab_size, SEED),
            objective=copy.deepcopy(made.objective),
            loader=made.loader(),
            config=config,
            run_folder=tmp_path / name,
            chain=Chain(tmp_path / name / "chain.jsonl"),
            callbacks=list(callbacks),
        )

    whole = train("whole")
    with pytest.raises(Interrupted):
        train("cut", StopAt(2))
    rest = train("cut")
    assert rest.losses == whole.losses[2:] and rest.digest == whole.digest


def test_what_is_drawn_has_the_papers_shares(made):
    if made.family.statistics is None:
        pytest.skip("nothing is drawn")
    many = made.corrupted(made.loader(batch=600).batch(0))
    for what, found, expected, tolerance in made.family.statistics(made.objective, many):
        assert found == pytest.approx(expected, abs=tolerance), what


def test_what_is_exported_computes_the_same(made, tmp_path):
    if made.family.export is not None:
        theirs, ours = made.family.export(made, tmp_path / "out")
        torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-5 * float(ours.abs().max()))
        return
    pytest.importorskip("transformers")
    if made.objective.exports is not None:
        compared = _exported(made)[1]["outputs"].values()
        assert all(one["largest_difference"] <= 1e-5 * one["scale"] for one in compared), compared
        return
    from seedstock.transfer.export import export

    nets = made.nets(lively=True).eval()
    report = export(nets["network"], None, tmp_path / "out", nets=nets)
    assert report["passed"]
    assert all(one["largest_difference"] <= 1e-5 * one["scale"] for one in report["logits"].values()), report


def test_the_code_on_the_card_runs_on_a_file_of_its_kind(made, monkeypatch, capsys):
    if made.objective.exports is None:
        pytest.skip("classes of texts: tests/release")
    folder, _ = _exported(made)
    how = loading(exported_class(folder / "model"))
    for name, data in files_of_every_kind(getattr(made.model, "rate", 16_000)).items():
        (folder / name).write_bytes(data)
    monkeypatch.chdir(folder)
    exec(how.code, {})
    assert capsys.readouterr().out.strip()


@cache
def _exported(made: Made) -> tuple[Path, dict]:
    """Where ``model/`` is, and the proof."""
    from seedstock.transfer import items

    pytest.importorskip(items.map_of(made.objective, made.model).LIBRARY)
    _KEPT.append(TemporaryDirectory(prefix="exported-"))
    folder = Path(_KEPT[-1].name)
    tokenizer = made.tokenizer and made.tokenizer.folder
    return folder, items.export(made.nets(lively=True).eval(), made.objective, folder / "model", tokenizer=tokenizer)


def test_the_alarm_rings_where_it_collapsed_and_only_there(made):
    expected = made.objective.expect(made.spec)
    assert expected.collapse and (expected.collapse_at or expected.collapse_below)
    if made.family.input is None:
        floors = token_floors(made.shards)
    else:
        floors = {"items": objective_loss.floors(made.objective, Windows(made.arrays), batch=BATCH)}
    levels = {"collapse_at": expected.collapse_at, "collapse_below": expected.collapse_below}

    def findings(nets):
        scored = objective_loss.score(nets, made.objective, Windows(made.arrays), batch=BATCH)
        values = {name: one["mean"] for name, one in (scored["losses"] | scored["metrics"]).items()}
        return list(collapsed(levels, values, floors))

    dead = made.nets()
    with torch.no_grad():
        for name, parameter in dead.named_parameters():
            if not name.startswith(made.family.frozen or ("-",)):
                parameter.zero_()
    rung = findings(dead)
    assert len(rung) == len(expected.collapse_at) + len(expected.collapse_below)
    assert all(finding.level == "problem" for finding in rung), rung
    assert all(finding.level == "good" for finding in findings(made.learned[0]))


def test_a_batch_without_a_target_is_no_number_problem(made):
    """Every row padding but for its first symbol; or every item erased."""
    arrays = {name: array.copy() for name, array in made.arrays.items()}
    if "present" in arrays:
        arrays["present"][:] = False
    for name, array in arrays.items():
        if array.ndim == 2 and name.endswith("documents"):
            array[:, 1:] = -1
        if array.ndim == 2 and name.endswith("tokens"):
            array[:, 1:] = made.spec.specials["pad"]
            array[:, 0] = made.spec.specials["bos"]
    step, gradients = made.gradients(made.nets(), arrays)
    assert np.isfinite(float(step.loss)) and all(gradient.isfinite().all() for gradient in gradients.values())
