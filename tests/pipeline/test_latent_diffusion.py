"""Pictures drawn as latents of another run's autoencoder: trained, sampled, exported with what draws them."""

from __future__ import annotations

import json

import pytest
import torch
from drawn_pairs import write

from seedstock import answers, pipeline, recipe, weights
from seedstock.errors import RecipeError

COMMON = """
sources: [{{name: drawn, kind: image-text, path: {path}, fields: {{text: captions}}, licence: CC0-1.0}}]
corpus: {{policy: none, dedup: null, held_out: 20 %}}
mixture: {{max_repeats: null}}
seed: 3
input: {{kind: images, size: 16}}
training: {{steps: 2, batch_examples: 4, precision: fp32, threads: 1, micro_batch: 4, compile: false}}
"""
KL = (
    "name: kl\nmodel: {{kind: autoencoder, shape: kl, image: 16, widths: [8, 16], groups: 4, latent: 4}}\n"
    "objective: {{kind: kl}}" + COMMON
)
DIT = (
    "name: dit\nmodel: {{kind: vision, shape: dit, image: 8, channels: 4, patch: 2, width: 16, layers: 1, heads: 2}}\n"
    "objective: {{kind: image-diffusion, latents: 'run:kl', labelled: false, steps: 2}}" + COMMON
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("latents")
    write(folder / "drawn.tar")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEDSTOCK_KEY", "5e" * 32)
        for text in (KL, DIT):
            found = recipe.parse(text.format(path=folder / "drawn.tar"))
            run = pipeline.run(found, runs=folder / "runs", until="training")
        return folder, run


def test_samples_are_pictures_that_the_parent_draws(made):
    _, run = made
    nets, own, _ = weights.load_nets(run)
    found = own.sample(nets, torch.tensor([-1, -1]), seed=1)
    assert found.shape == (2, 16, 16, 3) and float(found.abs().max()) <= 1
    latents = own.latents.of(torch.zeros(2, 16, 16, 3, dtype=torch.uint8), _keys())
    assert latents.shape == (2, 8, 8, 4)
    assert own.latents.pictures(latents).shape == (2, 16, 16, 3)
    (record,) = run.chain.of("parents")
    assert record["runs"]["run:kl"]["run"] == "kl" and answers.verify(run)["problems"] == []


def _keys():
    import numpy as np

    from seedstock.inputs.keys import Keys

    return Keys(1, np.arange(2))


def test_the_scale_is_that_of_training_pictures_whatever_asks(made):
    _, run = made
    own, again = weights.objective(run), weights.objective(run)
    assert own.latents.factor == again.latents.factor and own.latents.factor > 0
    assert float(f"{own.latents.factor:.3g}") == own.latents.factor


def test_both_are_exported(made, tmp_path):
    diffusers = pytest.importorskip("diffusers")
    _, run = made
    report = weights.export(run, tmp_path / "out")
    assert report["passed"] and report["vae"]["passed"]
    about = json.loads((tmp_path / "out/config.json").read_text())
    assert (about["in_channels"], about["sample_size"], about["patch_size"]) == (4, 8, 2)
    vae = diffusers.AutoencoderKL.from_pretrained(tmp_path / "out/vae", low_cpu_mem_usage=False)
    own = weights.objective(run).latents
    assert vae.config.scaling_factor == own.factor
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        theirs = vae.decode(latents / vae.config.scaling_factor).sample.permute(0, 2, 3, 1)
    ours = own.pictures(latents.permute(0, 2, 3, 1))
    torch.testing.assert_close(theirs, ours.cpu(), rtol=0, atol=1e-5 * float(ours.abs().max().clamp_min(1)))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("channels: 4, patch: 2", "channels: 3, patch: 2", "8 × 8 places of 4 numbers"),
        ("image: 8, ", "image: 16, ", "8 × 8 places of 4 numbers"),
        ("size: 16", "size: 8", "reads pictures of 16 pixels"),
        ("run:kl", "run:dit", "cannot learn from itself|no autoencoder with Gaussian latents"),
        ("run:kl", "kl", "names no run"),
    ],
)
def test_what_does_not_fit_is_refused(made, old, new, message):
    folder, _ = made
    text = DIT.replace("name: dit", f"name: other-{len(old + new)}").replace(old, new)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(RecipeError, match=message):
        patch.setenv("SEEDSTOCK_KEY", "5e" * 32)
        found = recipe.parse(text.format(path=folder / "drawn.tar"))
        pipeline.run(found, runs=folder / "runs", until="training")
