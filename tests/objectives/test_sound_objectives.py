"""What only objectives over sounds promise: units that are found once, spans, and hidden frames that nobody sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from conformance import Made
from conformance_families import FAMILIES

pytest.importorskip("soundfile")

from seedstock.errors import RecipeError
from seedstock.evaluation.probes import left_out
from seedstock.inputs.keys import Keys
from seedstock.ledger import manifest
from seedstock.objectives.sounds import spans
from seedstock.objectives.transcription import spoilt
from seedstock.objectives.units import cepstra, kmeans, nearest


@pytest.fixture(scope="module")
def made():
    return Made(FAMILIES["hubert"])


def test_what_hidden_frames_were_made_of_changes_nothing(made):
    network, batch = made.nets(lively=True)["network"].eval(), made.corrupted(made.arrays)
    latents = network.latents(batch["waveform"], batch["length"])
    other = torch.where(batch["hidden"][..., None], torch.randn_like(latents), latents)
    with torch.no_grad():
        one, two = (network.embed(each, batch["hidden"], batch["inside"]) for each in (latents, other))
    assert torch.equal(one, two) and not torch.equal(latents, other)


def test_silence_behind_a_clip_is_seen_by_none_of_its_frames(made):
    network, batch = made.nets(lively=True)["network"].eval(), made.corrupted(made.arrays)
    given = network.inputs(batch["waveform"], batch["length"])
    there = network.inside(batch["length"])
    other = {**given, "x": torch.where(there[..., None], given["x"], torch.randn_like(given["x"]))}
    with torch.no_grad():
        one, two = (network.backbone(**each).hidden[there] for each in (given, other))
    torch.testing.assert_close(one, two, rtol=0, atol=1e-6)


def test_units_are_found_once_and_sealed(made):
    folder = made.objective.folders["units"]
    assert manifest.is_sealed(folder) and not manifest.problems(folder)
    before = (folder / "centres.npy").stat().st_mtime_ns
    again = made.family.objective.build(made.spec)
    assert again.folders["units"] == folder and (folder / "centres.npy").stat().st_mtime_ns == before
    other = made.family.objective.model_copy(update={"units": 5}).build(made.spec)
    assert other.folders["units"] != folder and len(other.units.centres) == 5


def test_units_of_a_teachers_layer_are_those_of_its_features(made):
    teacher = made.model.build(0, 7).requires_grad_(False)
    config = made.family.objective.model_copy(update={"teacher": "run:first", "layer": 1, "units": 6, "centred": True})
    assert config.parents() == ("run:first",)
    objective = config.build(replace(made.spec, models={"run:first": teacher}))
    batch = objective.corrupt(
        {name: torch.from_numpy(made.arrays[name]) for name in ("waveform", "length", "present")}
        | {"examples": torch.from_numpy(made.arrays["examples"])},
        Keys(1, made.arrays["examples"]),
    )
    with torch.no_grad():
        given = teacher.inputs(batch["waveform"], batch["length"])
        found = teacher.backbone(**given, keep_layers=True).layers[0][0]
    there = batch["inside"][0]
    found = (found - found[there].mean(0) - objective.units.mean) / objective.units.scale
    away = (found[:, None] - objective.units.centres).square().sum(-1)
    assert (away.argmin(1)[there] == batch["units"][0][there]).all()
    assert len(batch["units"].unique()) > 1


def test_a_frame_has_one_cepstrum_of_the_samples_it_is_made_of(made):
    arrays, model = made.arrays, made.model
    found = cepstra(arrays["waveform"], model)
    assert found.shape == (len(arrays["waveform"]), model.context, 39)
    later = arrays["waveform"].copy()
    later[:, 400:] = 0
    safe = (400 - model.sight) // model.stride - 4  # differences look four frames of half a stride ahead
    assert (cepstra(later, model)[:, :safe] == found[:, :safe]).all()


def test_kmeans_finds_clouds_and_leaves_no_cluster_empty():
    draw = torch.Generator().manual_seed(3)
    middles = torch.randn(7, 5, generator=draw) * 20
    rows = middles.repeat_interleave(50, 0) + torch.randn(350, 5, generator=draw)
    centres, sizes = kmeans(rows, 7, seed=1)
    assert sizes.tolist() == [50] * 7
    which, _ = nearest(rows, centres)
    assert (which.view(7, 50) == which.view(7, 50)[:, :1]).all()
    few, counts = kmeans(torch.cat([torch.zeros(60, 2), torch.ones(1, 2)]), 2, seed=2)
    assert sorted(counts.tolist()) == [1, 60] and few.isfinite().all()
    with pytest.raises(ValueError, match="3 frames"):
        kmeans(rows[:3], 4, seed=1)


@pytest.mark.parametrize("frames", [1, 2, 7, 49])
def test_spans_stay_inside_of_short_clips_and_never_hide_all(frames):
    keys = Keys(1, np.arange(200))
    hidden = spans(keys, torch.full((200,), frames), 60, 0.08, 10)
    assert not hidden[:, frames:].any() and hidden.any(1).all()
    if frames > 1:
        assert not hidden[:, :frames].all(1).any()


def test_a_model_for_other_clips_is_refused(made):
    for update, where in ({"samples": 900}, "model.samples"), ({"layers": 1}, "objective.probe_layer"):
        model = type(made.model)(**{**made.family.model.model_dump(exclude={"context"}), **update})
        config = made.family.objective.model_copy(update={"probe_layer": 2})
        with pytest.raises(RecipeError) as caught:
            config.build(replace(made.spec, model=model.resolved()))
        assert caught.value.where == where


def test_probes_leave_one_group_out_after_another():
    draw = torch.Generator().manual_seed(5)
    y = torch.arange(400) % 4
    groups = torch.arange(400) // 100
    shared = torch.nn.functional.one_hot(y, 4) * 3.0 + torch.randn(400, 4, generator=draw) * 0.3
    found = left_out(shared, y, groups)
    assert found["groups"] == 4 and found["accuracy"] > 0.95 and len(found["each"]) == 4
    turned = torch.nn.functional.one_hot((y + groups) % 4, 4) * 3.0  # each group says it in a way of its own
    assert left_out(turned, y, groups)["accuracy"] < 0.3
    assert left_out(shared, y, groups // 2) == {"groups": 2}


@pytest.fixture(scope="module")
def contrasted():
    return Made(FAMILIES["wav2vec2"])


def test_others_are_other_hidden_frames_of_the_same_clip(contrasted):
    batch = contrasted.corrupted(contrasted.loader(batch=200).batch(0))
    hidden, others = batch["hidden"], batch["others"]
    assert (others[~hidden] == -1).all()
    clips, frames = torch.nonzero(hidden, as_tuple=True)
    drawn = others[clips, frames]
    known = drawn >= 0
    assert hidden[clips[:, None].expand_as(drawn)[known], drawn[known]].all()
    assert not (drawn == frames[:, None]).any()
    alone = hidden.sum(1)[clips] == 1
    assert (known.all(1) == ~alone).all()
    first = torch.nonzero(hidden[0]).flatten()
    seen = {int(one) for one in others[0, first[0]]}
    assert len(seen) > min(4, len(first) // 2), "they are drawn among all of them"


def test_noise_is_gumbels_and_softens_less_and_less(contrasted):
    batch = contrasted.corrupted(contrasted.loader(batch=100).batch(0))
    assert float(batch["noise"].mean()) == pytest.approx(0.5772, abs=0.01)
    assert float(batch["noise"].var()) == pytest.approx(np.pi**2 / 6, abs=0.05)
    config, run = contrasted.family.objective, contrasted.spec.examples
    falling = contrasted.objective._temperature(torch.tensor([0, int(0.35 * run), int(0.7 * run), run]))
    middle = (config.softest * config.hardest) ** 0.5
    assert falling.tolist() == pytest.approx([config.softest, middle, config.hardest, config.hardest], rel=1e-3)


def test_the_alarm_rings_when_one_code_stands_for_everything(contrasted):
    from seedstock.evaluation.doctor.collapse import collapsed

    nets, batch = contrasted.nets().eval(), contrasted.corrupted(contrasted.arrays)
    expected = contrasted.objective.expect(contrasted.spec)
    with torch.no_grad():
        nets["codes"].choose.bias[:: contrasted.family.objective.entries] = 1e4
        output = nets["network"].backbone(**contrasted.objective.inputs(nets, batch))
        sums, metrics = contrasted.objective.loss(nets, output, batch)
    count = contrasted.objective.counts(batch)["contrast"]
    assert float(sums["contrast"]) == 0 and float(metrics["found"]) == 0, "nothing is told apart"
    level = {"collapse_below": expected.collapse_below, "collapse": expected.collapse}
    (found,) = collapsed(level, {"perplexity": float(metrics["perplexity"] / count)}, None)
    assert found.level == "problem" and float(metrics["perplexity"] / count) == pytest.approx(2)


@pytest.fixture(scope="module")
def written():
    return Made(FAMILIES["transcription"])


def test_spectra_are_spoilt_in_training_alone_and_as_far_as_was_asked(written):
    config = written.family.objective.model_copy(update={"hide_frames": 10, "hide_bins": 4})
    objective, nets = config.build(written.spec), written.nets(lively=True)
    many = written.loader(batch=300).batch(0)
    batch = objective.corrupt(
        {name: torch.from_numpy(many[name]) for name in many if name != "digests"}, Keys(1, many["examples"])
    )
    made = spoilt(batch["spectrum"], batch["draws"], config)
    changed = made != batch["spectrum"]
    frames, bins = changed.all(2).sum(1), changed.all(1).sum(1)
    assert int(frames.max()) == 10 and int(bins.max()) == 4
    assert float(frames.float().mean()) == pytest.approx(5, abs=0.6)
    heard = [objective.inputs(nets.train(mode), batch)["cross"].x for mode in (True, False)]
    assert torch.equal(heard[1], nets["network"].hear(batch["spectrum"]).x) and not torch.equal(*heard)


def test_a_spectrum_is_moved_and_stretched(written):
    spectrum = torch.zeros(3, 50, 16)
    spectrum[:, 20, 8] = 1.0
    draws = torch.tensor([[0.0, 0.0], [0.5, 0.5], [1 - 1e-6, 1 - 1e-6]])
    draws = torch.cat([draws, torch.zeros(3, 4)], 1)
    config = written.family.objective.model_copy(update={"shift": 3, "stretch": 0.2})
    found = [torch.nonzero(one).tolist() for one in spoilt(spectrum, draws, config)]
    assert found[1] == [[20, 8]] and [25, 11] in found[0] and found[2][0][1] == 5 and found[2][0][0] < 19


@pytest.fixture(scope="module")
def told_from_the_book():
    family = FAMILIES["wav2vec2"]
    return Made(replace(family, objective=family.objective.model_copy(update={"distractors": "book"})))


def test_with_others_from_the_book_each_clip_has_its_own_and_any_entry_may_come(told_from_the_book):
    batch, config = (
        told_from_the_book.corrupted(told_from_the_book.loader(batch=200).batch(0)),
        FAMILIES["wav2vec2"].objective,
    )
    assert "others" not in batch and batch["drawn"].shape == (200, config.negatives, config.groups)
    counts = torch.bincount(batch["drawn"].flatten(), minlength=config.entries)
    assert len(counts) == config.entries
    expected = 200 * config.negatives * config.groups / config.entries
    assert float((counts - expected).abs().max()) < 5 * expected**0.5, "every entry is as likely"
    assert len({tuple(one.flatten().tolist()) for one in batch["drawn"]}) > 190


def test_the_nats_of_a_frame_are_those_of_its_code_among_the_drawn_ones(told_from_the_book):
    made = told_from_the_book
    nets, batch = made.nets(lively=True).eval(), made.corrupted(made.arrays)
    with torch.no_grad():
        inputs = made.objective.inputs(nets, batch)
        codes, numbers, _ = nets["codes"](batch["latents"], None, None)
        hidden = nets["network"].backbone(**inputs).hidden
        found = made.objective.represent(nets, type("Output", (), {"hidden": hidden}), batch)
        drawn, which = nets["codes"].of(batch["drawn"])
        own = nets["codes"].project_hidden(hidden).float()
    nats = 0.0
    for frame in torch.nonzero(batch["hidden"][0]).flatten().tolist():
        others = drawn[0, which[0] != numbers[0, frame]]  # the code itself is none of the others
        choices = torch.cat([codes[0, frame][None], others])
        alike = torch.nn.functional.cosine_similarity(own[0, frame][None], choices) / made.objective.config.temperature
        nats -= float(alike.log_softmax(0)[0])
    assert float(found["nats"][0]) == pytest.approx(nats, rel=1e-4)


def test_an_entry_that_is_chosen_is_the_same_code_as_one_that_is_named(told_from_the_book):
    codes = told_from_the_book.nets(lively=True)["codes"].eval()
    latents = torch.randn(2, 9, codes.choose.weight.shape[1])
    with torch.no_grad():
        chosen, numbers, _ = codes(latents, None, None)
        entries = torch.stack([numbers // codes.entries, numbers % codes.entries], -1)
        named, again = codes.of(entries)
    assert torch.equal(numbers, again)
    torch.testing.assert_close(chosen, named)


def test_what_was_told_from_the_book_is_exported_with_equal_codes(told_from_the_book, tmp_path):
    pytest.importorskip("transformers")
    from seedstock.transfer.items import export

    report = export(told_from_the_book.nets(lively=True), told_from_the_book.objective, tmp_path / "model")
    assert report["class"] == "Wav2Vec2ForPreTraining" and report["passed"]
    assert set(report["outputs"]) == {"hidden states", "codes", "contrast"}


def test_distractors_from_elsewhere_are_refused():
    from seedstock.objectives.configs.wav2vec2 import Wav2Vec2Config

    with pytest.raises((RecipeError, ValueError), match="distractors"):
        Wav2Vec2Config(distractors="batch")
